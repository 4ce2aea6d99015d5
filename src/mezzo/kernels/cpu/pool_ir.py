"""The worker threads' native code, as text LLVM IR, and how a thread sleeps on this system.

One region at a time. Its items are cut into parts, and every thread owns a range of parts, in one
64-bit word of its own line of the caches:

    generation (32 bits) | back (16 bits) | front (16 bits)

An owner takes a quarter of what is left from the front, one part at least; a thread that has nothing
left takes as much from the back of another's range. Both do so by compare-and-swap of the word, and
since the generation is in it, a thread that comes late can only fail. So nobody waits for a thread
that has not started, was taken off its core or is slower than the others: they do its parts. The
first parts of a region stay with their owner, in whose caches the same parts of the region before
may be. Which items a part holds depends on count and parts alone.

Sleeping: a worker adds itself to `asleep` and then waits while the generation is the one it has
seen; a caller publishes the new generation and then reads `asleep`. One of the two sees the other.
"""

from __future__ import annotations

from mezzo.kernels.cpu import system

_SYS_FUTEX = {"x86_64": 202, "amd64": 202, "aarch64": 98, "arm64": 98}
HAS_THREADS = not system.WINDOWS
MAX_THREADS = 1024
PARTS = 16  # of a thread: a slow one keeps a quarter of these at most, each a call of the body


def source() -> str:
    """The IR of @mezzo_parallel and of what starts, stops and times it."""
    pause = "call void @llvm.x86.sse2.pause()" if system.IS_X86 else ""
    if system.IS_ARM:
        pause = 'call void asm sideeffect "yield", ""()'
    return (
        (_STATE + _PARALLEL + _WORK + (_WORKER + _START if HAS_THREADS else _NO_THREADS))
        .replace("PAUSE", pause)
        .replace("PARTS", str(PARTS))
        .replace("DECLARE", "declare void @llvm.x86.sse2.pause()" if system.IS_X86 else "")
    ) + _sleep()


def _sleep() -> str:
    """@doze(seen): wait while the generation is still `seen`; @rouse(n): wake up to n sleepers."""
    if system.LINUX and system.MACHINE in _SYS_FUTEX:
        return _FUTEX.replace("NUMBER", str(_SYS_FUTEX[system.MACHINE]))
    return _NAP if HAS_THREADS else _NO_SLEEP


_STATE = """
@ranges = global [1024 x [16 x i64]] zeroinitializer, align 128
@generation = global i32 0, align 128
@done = global i64 0, align 128
@busy = global i32 0, align 128
@asleep = global i32 0, align 128
@body = global ptr null, align 128
@ctx = global ptr null
@count = global i64 0
@parts = global i64 1
@lanes = global i64 1
@wanted = global i64 1, align 128
@started = global i64 1
@stop = global i32 0
@spins = global i64 1000
@patience = global i64 1000
@threads = global [1024 x i64] zeroinitializer
@regions = global i64 0, align 128
DECLARE
"""

_PARALLEL = """
define void @mezzo_parallel(ptr %body, ptr %ctx, i64 %count) {
entry:
  %none = icmp sle i64 %count, 0
  br i1 %none, label %leave, label %some
leave:
  ret void
some:
  %wanted = load atomic i64, ptr @wanted monotonic, align 8
  %fewer = icmp slt i64 %count, %wanted
  %lanes = select i1 %fewer, i64 %count, i64 %wanted
  %single = icmp sle i64 %lanes, 1
  br i1 %single, label %serial, label %try
try:
  ; taken by a region around this one, or by another Python thread
  %seen = load atomic i32, ptr @busy monotonic, align 4
  %free = icmp eq i32 %seen, 0
  br i1 %free, label %claim, label %serial
claim:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %begin, label %serial
serial:
  call void %body(ptr %ctx, i64 0, i64 %count, i64 0)
  ret void
begin:
  %have = load atomic i64, ptr @started monotonic, align 8
  %short = icmp slt i64 %have, %wanted
  br i1 %short, label %grow, label %publish
grow:
  call void @start()
  br label %publish
publish:
  %most = mul i64 %lanes, PARTS
  %parts = call i64 @llvm.umin.i64(i64 %most, i64 %count)
  store ptr %body, ptr @body
  store ptr %ctx, ptr @ctx
  store i64 %count, ptr @count
  store i64 %parts, ptr @parts
  store atomic i64 %lanes, ptr @lanes monotonic, align 8
  store atomic i64 0, ptr @done monotonic, align 8
  %old = load atomic i32, ptr @generation monotonic, align 4
  %newer = add i32 %old, 1
  %g0 = zext i32 %newer to i64
  %g = shl i64 %g0, 32
  br label %give
give:
  ; the others' ranges first: who looks at once finds its own
  %lane = phi i64 [ %lanes, %publish ], [ %which, %give ]
  %which = sub i64 %lane, 1
  %front = call i64 @bound(i64 %parts, i64 %lanes, i64 %which)
  %back = call i64 @bound(i64 %parts, i64 %lanes, i64 %lane)
  %b = shl i64 %back, 16
  %gb = or i64 %g, %b
  %range = or i64 %gb, %front
  %slot = getelementptr [16 x i64], ptr @ranges, i64 %which
  store atomic i64 %range, ptr %slot release, align 8
  %others = icmp ugt i64 %which, 0
  br i1 %others, label %give, label %announce
announce:
  %was = atomicrmw xchg ptr @generation, i32 %newer seq_cst
  %sleepers = load atomic i32, ptr @asleep seq_cst, align 4
  %any = icmp ne i32 %sleepers, 0
  br i1 %any, label %wake, label %own
wake:
  %helpers = sub i64 %lanes, 1
  %n = trunc i64 %helpers to i32
  call void @rouse(i32 %n)
  br label %own
own:
  %mine_done = call i64 @work(i64 0)
  br label %wait
wait:
  %spin = phi i64 [ 0, %own ], [ %spin1, %pause ]
  %finished = load atomic i64, ptr @done acquire, align 8
  %all = icmp eq i64 %finished, %parts
  br i1 %all, label %end, label %patience
patience:
  %spin1 = add i64 %spin, 1
  %limit = load i64, ptr @patience
  %long = icmp ugt i64 %spin1, %limit
  br i1 %long, label %yield, label %pause
yield:
  ; the worker may need this very core
  call void @give_way()
  br label %pause
pause:
  PAUSE
  br label %wait
end:
  %r = load i64, ptr @regions
  %r1 = add i64 %r, 1
  store i64 %r1, ptr @regions
  store atomic i32 0, ptr @busy release, align 4
  ret void
}
"""

_WORK = """
; total * i / pieces of nearly equal pieces, written so that nothing overflows.
define internal i64 @bound(i64 %total, i64 %pieces, i64 %i) {
  %each = udiv i64 %total, %pieces
  %rest = urem i64 %total, %pieces
  %whole = mul i64 %each, %i
  %extra = call i64 @llvm.umin.i64(i64 %i, i64 %rest)
  %at = add i64 %whole, %extra
  ret i64 %at
}

; Take parts that nobody has, those of thread `own` first, and run the body for their items, until
; there are none. How many parts were done is said at the end: until then the region cannot change.
define internal i64 @work(i64 %own) {
entry:
  %lanes = load atomic i64, ptr @lanes monotonic, align 8
  br label %look
look:
  %tried = phi i64 [ 0, %entry ], [ %tried1, %next ]
  %v = phi i64 [ %own, %entry ], [ %v2, %next ]
  %before = phi i64 [ 0, %entry ], [ %did, %next ]
  %slot = getelementptr [16 x i64], ptr @ranges, i64 %v
  br label %again
again:
  %did = phi i64 [ %before, %look ], [ %did, %swap ], [ %did1, %run ]
  %t = load atomic i64, ptr %slot acquire, align 8
  %front = and i64 %t, 65535
  %t16 = lshr i64 %t, 16
  %back = and i64 %t16, 65535
  %left = sub i64 %back, %front
  %any = icmp sgt i64 %left, 0
  br i1 %any, label %swap, label %next
next:
  %tried1 = add i64 %tried, 1
  %v1 = add i64 %v, 1
  %over = icmp uge i64 %v1, %lanes
  %v2 = select i1 %over, i64 0, i64 %v1
  ; a thread beyond the region's lanes has none of its own
  %all = icmp ugt i64 %tried1, %lanes
  br i1 %all, label %none, label %look
none:
  %any_done = icmp ne i64 %did, 0
  br i1 %any_done, label %tell, label %leave
tell:
  %d = atomicrmw add ptr @done, i64 %did release
  br label %leave
leave:
  ret i64 %did
swap:
  %quarter = lshr i64 %left, 2
  %size = call i64 @llvm.umax.i64(i64 %quarter, i64 1)
  %mine = icmp eq i64 %v, %own
  %taken = shl i64 %size, 16
  %forward = add i64 %t, %size
  %backward = sub i64 %t, %taken
  %t1 = select i1 %mine, i64 %forward, i64 %backward
  %last = sub i64 %back, %size
  %first = select i1 %mine, i64 %front, i64 %last
  %pair = cmpxchg ptr %slot, i64 %t, i64 %t1 acq_rel monotonic
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %run, label %again
run:
  %body = load ptr, ptr @body
  %ctx = load ptr, ptr @ctx
  %count = load i64, ptr @count
  %parts = load i64, ptr @parts
  %after = add i64 %first, %size
  %begin = call i64 @bound(i64 %count, i64 %parts, i64 %first)
  %end = call i64 @bound(i64 %count, i64 %parts, i64 %after)
  call void %body(ptr %ctx, i64 %begin, i64 %end, i64 %own)
  %did1 = add i64 %did, %size
  br label %again
}

declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
"""

_WORKER = """
define internal ptr @worker(ptr %number) {
entry:
  %own = ptrtoint ptr %number to i64
  br label %fresh
fresh:
  br label %spin
spin:
  %n = phi i64 [ 0, %fresh ], [ %n1, %rest ]
  %seen = load atomic i32, ptr @generation acquire, align 4
  %stop = load atomic i32, ptr @stop acquire, align 4
  %ending = icmp ne i32 %stop, 0
  br i1 %ending, label %exit, label %look
exit:
  ret ptr null
look:
  %did = call i64 @work(i64 %own)
  %some = icmp ne i64 %did, 0
  br i1 %some, label %fresh, label %idle
idle:
  %n1 = add i64 %n, 1
  %limit = load i64, ptr @spins
  %tired = icmp ugt i64 %n1, %limit
  br i1 %tired, label %sleep, label %rest
rest:
  PAUSE
  br label %spin
sleep:
  %a0 = atomicrmw add ptr @asleep, i32 1 seq_cst
  call void @doze(i32 %seen)
  %a1 = atomicrmw sub ptr @asleep, i32 1 seq_cst
  br label %fresh
}
"""

_START = """
; Called with @busy held. Fewer threads than wanted is no error: the caller does their parts.
define internal void @start() {
entry:
  %all = alloca [16 x i64], align 16
  %before = alloca [16 x i64], align 16
  ; signals belong to Python's own threads
  %s0 = call i32 @sigfillset(ptr %all)
  %s1 = call i32 @pthread_sigmask(i32 BLOCK, ptr %all, ptr %before)
  store atomic i32 0, ptr @stop seq_cst, align 4
  br label %loop
loop:
  %have = load atomic i64, ptr @started monotonic, align 8
  %wanted = load atomic i64, ptr @wanted monotonic, align 8
  %short = icmp slt i64 %have, %wanted
  br i1 %short, label %create, label %end
create:
  %slot = getelementptr i64, ptr @threads, i64 %have
  %number = inttoptr i64 %have to ptr
  %r = call i32 @pthread_create(ptr %slot, ptr null, ptr @worker, ptr %number)
  %bad = icmp ne i32 %r, 0
  br i1 %bad, label %end, label %ok
ok:
  %have1 = add i64 %have, 1
  store atomic i64 %have1, ptr @started monotonic, align 8
  br label %loop
end:
  %s2 = call i32 @pthread_sigmask(i32 SETMASK, ptr %before, ptr null)
  ret void
}

; Ends every worker and waits for it. Waits for the region in progress first.
define void @halt() {
entry:
  br label %claim
claim:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %signal, label %later
later:
  call void @give_way()
  br label %claim
signal:
  store atomic i32 1, ptr @stop seq_cst, align 4
  %was = atomicrmw add ptr @generation, i32 1 seq_cst
  call void @rouse(i32 2147483647)
  br label %loop
loop:
  %have = load atomic i64, ptr @started monotonic, align 8
  %any = icmp sgt i64 %have, 1
  br i1 %any, label %join, label %end
join:
  %last = sub i64 %have, 1
  %slot = getelementptr i64, ptr @threads, i64 %last
  %thread = load i64, ptr %slot
  %r = call i32 @pthread_join(i64 %thread, ptr null)
  store atomic i64 %last, ptr @started monotonic, align 8
  br label %loop
end:
  store atomic i32 0, ptr @stop seq_cst, align 4
  store atomic i32 0, ptr @busy release, align 4
  ret void
}

define internal void @give_way() {
  %r = call i32 @sched_yield()
  ret void
}

define void @spin_for(i64 %times) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %t = load atomic i32, ptr @generation acquire, align 4
  PAUSE
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %times
  br i1 %more, label %loop, label %end
end:
  ret void
}

declare i32 @sched_yield()
declare i32 @sigfillset(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
""".replace("BLOCK", "0" if system.LINUX else "1").replace("SETMASK", "2" if system.LINUX else "3")

# Windows has no pthreads: the pool there is the caller alone until it is written for its threads.
_NO_THREADS = """
define internal void @start() {
  ret void
}
define void @halt() {
  ret void
}
define internal void @give_way() {
  ret void
}
define void @spin_for(i64 %times) {
  ret void
}
"""

_FUTEX = """
; FUTEX_WAIT_PRIVATE is 128 and FUTEX_WAKE_PRIVATE 129.
define internal void @doze(i32 %seen) {
  %r = call i64 (i64, ...) @syscall(i64 NUMBER, ptr @generation, i32 128, i32 %seen, ptr null)
  ret void
}

define internal void @rouse(i32 %n) {
  %r = call i64 (i64, ...) @syscall(i64 NUMBER, ptr @generation, i32 129, i32 %n, ptr null)
  ret void
}

declare i64 @syscall(i64, ...)
"""

# Without a futex a tired worker looks again every 50 us.
_NAP = """
define internal void @doze(i32 %seen) {
  %r = call i32 @usleep(i32 50)
  ret void
}

define internal void @rouse(i32 %n) {
  ret void
}

declare i32 @usleep(i32)
"""

_NO_SLEEP = """
define internal void @rouse(i32 %n) {
  ret void
}
"""

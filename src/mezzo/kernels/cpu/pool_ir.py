"""The worker threads' native code, as text LLVM IR, and how a thread sleeps on this system.

One region at a time. Its state is one 64-bit word, the *ticket*:

    generation (32 bits) | parts (16 bits) | next part (16 bits)

A thread that raises `next` by compare-and-swap owns that part of the region; since the generation
is in the same word, a worker that comes late can only fail. So the caller never waits for a worker
that has not started: it takes the remaining parts itself and then waits for those already taken.
Which items a part holds depends on count and parts alone.

Sleeping: a worker adds itself to `asleep` and then waits while the generation is the one it has
seen; a caller publishes the new generation and then reads `asleep`. One of the two sees the other.
"""

from __future__ import annotations

from mezzo.kernels.cpu import system

_SYS_FUTEX = {"x86_64": 202, "amd64": 202, "aarch64": 98, "arm64": 98}
HAS_THREADS = not system.WINDOWS
MAX_THREADS = 1024


def source() -> str:
    """The IR of @mezzo_parallel and of what starts, stops and times it."""
    pause = "call void @llvm.x86.sse2.pause()" if system.IS_X86 else ""
    if system.IS_ARM:
        pause = 'call void asm sideeffect "yield", ""()'
    return (
        (_STATE + _PARALLEL + _PART + (_WORKER + _START if HAS_THREADS else _NO_THREADS))
        .replace("PAUSE", pause)
        .replace("DECLARE", "declare void @llvm.x86.sse2.pause()" if system.IS_X86 else "")
    ) + _sleep()


def _sleep() -> str:
    """@doze(seen): wait while the generation is still `seen`; @rouse(n): wake up to n sleepers."""
    if system.LINUX and system.MACHINE in _SYS_FUTEX:
        return _FUTEX.replace("NUMBER", str(_SYS_FUTEX[system.MACHINE]))
    return _NAP if HAS_THREADS else _NO_SLEEP


_STATE = """
@ticket = global i64 0, align 128
@done = global i64 0, align 128
@busy = global i32 0, align 128
@asleep = global i32 0, align 128
@body = global ptr null, align 128
@ctx = global ptr null
@count = global i64 0
@wanted = global i64 1, align 128
@started = global i64 1
@stop = global i32 0
@spins = global i64 1000
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
  %parts = select i1 %fewer, i64 %count, i64 %wanted
  %single = icmp sle i64 %parts, 1
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
  %have = load i64, ptr @started
  %short = icmp slt i64 %have, %wanted
  br i1 %short, label %grow, label %publish
grow:
  call void @start()
  br label %publish
publish:
  store ptr %body, ptr @body
  store ptr %ctx, ptr @ctx
  store i64 %count, ptr @count
  store atomic i64 0, ptr @done monotonic, align 8
  %old = load atomic i64, ptr @ticket monotonic, align 8
  %generation = lshr i64 %old, 32
  %newer = add i64 %generation, 1
  %g = shl i64 %newer, 32
  %p = shl i64 %parts, 16
  %gp = or i64 %g, %p
  %first = or i64 %gp, 1
  %was = atomicrmw xchg ptr @ticket, i64 %first seq_cst
  %sleepers = load atomic i32, ptr @asleep seq_cst, align 4
  %any = icmp ne i32 %sleepers, 0
  br i1 %any, label %wake, label %own
wake:
  %others = sub i64 %parts, 1
  %n = trunc i64 %others to i32
  call void @rouse(i32 %n)
  br label %own
own:
  call void @part(i64 0, i64 %parts)
  br label %more
more:
  %next = call i64 @take()
  %got = icmp sge i64 %next, 0
  br i1 %got, label %again, label %wait
again:
  call void @part(i64 %next, i64 %parts)
  br label %more
wait:
  %spin = phi i64 [ 0, %more ], [ %spin1, %pause ]
  %finished = load atomic i64, ptr @done acquire, align 8
  %all = icmp eq i64 %finished, %parts
  br i1 %all, label %end, label %patience
patience:
  %spin1 = add i64 %spin, 1
  %limit = load i64, ptr @spins
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

_PART = """
; Items [count * i / parts, count * (i + 1) / parts), written so that nothing overflows.
define internal void @part(i64 %i, i64 %parts) {
  %body = load ptr, ptr @body
  %ctx = load ptr, ptr @ctx
  %count = load i64, ptr @count
  %each = udiv i64 %count, %parts
  %rest = urem i64 %count, %parts
  %b0 = mul i64 %each, %i
  %b1 = call i64 @llvm.umin.i64(i64 %i, i64 %rest)
  %begin = add i64 %b0, %b1
  %extra = icmp ult i64 %i, %rest
  %one = zext i1 %extra to i64
  %e0 = add i64 %begin, %each
  %end = add i64 %e0, %one
  call void %body(ptr %ctx, i64 %begin, i64 %end, i64 %i)
  %d = atomicrmw add ptr @done, i64 1 release
  ret void
}

; The next part of the current region that nobody has, or -1.
define internal i64 @take() {
entry:
  br label %look
look:
  %t = load atomic i64, ptr @ticket acquire, align 8
  %next = and i64 %t, 65535
  %high = lshr i64 %t, 16
  %parts = and i64 %high, 65535
  %left = icmp ult i64 %next, %parts
  br i1 %left, label %swap, label %none
none:
  ret i64 -1
swap:
  %t1 = add i64 %t, 1
  %pair = cmpxchg ptr @ticket, i64 %t, i64 %t1 acq_rel monotonic
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %have, label %look
have:
  ret i64 %next
}

declare i64 @llvm.umin.i64(i64, i64)
"""

_WORKER = """
define internal ptr @worker(ptr %unused) {
entry:
  br label %fresh
fresh:
  br label %spin
spin:
  %n = phi i64 [ 0, %fresh ], [ %n1, %rest ]
  %t = load atomic i64, ptr @ticket acquire, align 8
  %stop = load atomic i32, ptr @stop acquire, align 4
  %ending = icmp ne i32 %stop, 0
  br i1 %ending, label %exit, label %look
exit:
  ret ptr null
look:
  %i = call i64 @take()
  %got = icmp sge i64 %i, 0
  br i1 %got, label %work, label %idle
work:
  ; parts cannot change while a part of this region is still to be done
  %now = load atomic i64, ptr @ticket monotonic, align 8
  %high = lshr i64 %now, 16
  %parts = and i64 %high, 65535
  call void @part(i64 %i, i64 %parts)
  br label %fresh
idle:
  %n1 = add i64 %n, 1
  %limit = load i64, ptr @spins
  %tired = icmp ugt i64 %n1, %limit
  br i1 %tired, label %sleep, label %rest
rest:
  PAUSE
  br label %spin
sleep:
  %seen64 = lshr i64 %t, 32
  %seen = trunc i64 %seen64 to i32
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
  %have = load i64, ptr @started
  %wanted = load atomic i64, ptr @wanted monotonic, align 8
  %short = icmp slt i64 %have, %wanted
  br i1 %short, label %create, label %end
create:
  %slot = getelementptr i64, ptr @threads, i64 %have
  %r = call i32 @pthread_create(ptr %slot, ptr null, ptr @worker, ptr null)
  %bad = icmp ne i32 %r, 0
  br i1 %bad, label %end, label %ok
ok:
  %have1 = add i64 %have, 1
  store i64 %have1, ptr @started
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
  %old = load atomic i64, ptr @ticket monotonic, align 8
  %generation = lshr i64 %old, 32
  %newer = add i64 %generation, 1
  %g = shl i64 %newer, 32
  %was = atomicrmw xchg ptr @ticket, i64 %g seq_cst
  call void @rouse(i32 2147483647)
  br label %loop
loop:
  %have = load i64, ptr @started
  %any = icmp sgt i64 %have, 1
  br i1 %any, label %join, label %end
join:
  %last = sub i64 %have, 1
  %slot = getelementptr i64, ptr @threads, i64 %last
  %thread = load i64, ptr %slot
  %r = call i32 @pthread_join(i64 %thread, ptr null)
  store i64 %last, ptr @started
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
  %t = load atomic i64, ptr @ticket acquire, align 8
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
; FUTEX_WAIT_PRIVATE is 128 and FUTEX_WAKE_PRIVATE 129; the generation is the ticket's upper half.
define internal void @doze(i32 %seen) {
  %word = getelementptr i8, ptr @ticket, i64 4
  %r = call i64 (i64, ...) @syscall(i64 NUMBER, ptr %word, i32 128, i32 %seen, ptr null)
  ret void
}

define internal void @rouse(i32 %n) {
  %word = getelementptr i8, ptr @ticket, i64 4
  %r = call i64 (i64, ...) @syscall(i64 NUMBER, ptr %word, i32 129, i32 %n, ptr null)
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

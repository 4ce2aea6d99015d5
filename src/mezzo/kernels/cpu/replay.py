"""Replay: the one native entry of a compiled function.

    args   = [tape, words, patches, patch count, bases]
    tape   = for each launch i64 [address, n, slots[n]]; address 0 skips: [0, 2, words, flag address]
             passes over `words` of tape where the i64 flag is not zero
    patch  = i64 [address of a word, base, offset]: the word becomes bases[base] + offset

Kernels take their slots where they lie on the tape: between two launches there is one indirect call.
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit

_TEXT = """
define void @replay(ptr %args) {
entry:
  %tape = load ptr, ptr %args
  %words_at = getelementptr i64, ptr %args, i64 1
  %words = load i64, ptr %words_at
  %patches_at = getelementptr i64, ptr %args, i64 2
  %patches = load ptr, ptr %patches_at
  %count_at = getelementptr i64, ptr %args, i64 3
  %count = load i64, ptr %count_at
  %bases_at = getelementptr i64, ptr %args, i64 4
  %bases = load ptr, ptr %bases_at
  br label %patch
patch:
  %i = phi i64 [ 0, %entry ], [ %i2, %apply ]
  %patched = icmp eq i64 %i, %count
  br i1 %patched, label %next, label %apply
apply:
  %i2 = add nuw nsw i64 %i, 1
  %i3 = mul i64 %i, 3
  %at = getelementptr i64, ptr %patches, i64 %i3
  %word = load ptr, ptr %at
  %base_at = getelementptr i64, ptr %at, i64 1
  %base = load i64, ptr %base_at
  %offset_at = getelementptr i64, ptr %at, i64 2
  %offset = load i64, ptr %offset_at
  %value_at = getelementptr i64, ptr %bases, i64 %base
  %value = load i64, ptr %value_at
  %moved = add i64 %value, %offset
  store i64 %moved, ptr %word
  br label %patch
next:
  %pos = phi i64 [ 0, %patch ], [ %after, %run ], [ %jumped, %skip ]
  %done = icmp sge i64 %pos, %words
  br i1 %done, label %end, label %read
read:
  %entry_at = getelementptr i64, ptr %tape, i64 %pos
  %address = load ptr, ptr %entry_at
  %n_at = getelementptr i64, ptr %entry_at, i64 1
  %n = load i64, ptr %n_at
  %slots = getelementptr i64, ptr %entry_at, i64 2
  %head = add i64 %pos, 2
  %after = add i64 %head, %n
  %none = icmp eq ptr %address, null
  br i1 %none, label %skip, label %run
run:
  call void %address(ptr %slots)
  br label %next
skip:
  %far = load i64, ptr %slots
  %flag_at = getelementptr i64, ptr %slots, i64 1
  %flag = load ptr, ptr %flag_at
  %held = load i64, ptr %flag
  %does = icmp ne i64 %held, 0
  %way = select i1 %does, i64 %far, i64 0
  %jumped = add i64 %after, %way
  br label %next
end:
  ret void
}
"""


@functools.lru_cache(maxsize=1)
def address() -> int:
    """The entry's address."""
    return jit.load(_TEXT).address("replay")

"""CRC-32 (of zip and gzip) by multiplication without carries, as fast as memory is read.

Four lanes of 128 bits are folded over the data by x**512 mod P at a time, then into one; zlib does the
last 16 bytes and what is left over, and everything where the processor has no such multiplication.

Source: Gopal, Ozturk, Guilford, Wolrich, Feghali, Dixon, Karakoyunlu, "Fast CRC Computation for Generic
Polynomials Using PCLMULQDQ Instruction" (Intel, 2009), with the constants of its reflected form.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np

from mezzo.kernels.cpu import entry, jit, target

_STEP = 64  # bytes in a turn
_LEAST = 1 << 16  # bytes from which it pays
# x ** (n + 32) and x ** (n - 32) mod P for the distance of n bits that a lane is moved, reflected.
_FAR = (0x154442BD4, 0x1C6E41596)  # 512 bits
_NEAR = (0x1751997D0, 0x0CCAA009E)  # 128 bits


def crc32(data, crc: int = 0) -> int:
    """The CRC-32 of bytes that follow others with `crc`, as zlib.crc32 gives it."""
    view = memoryview(data).cast("B")
    count = len(view) // _STEP * _STEP
    if count < _LEAST or not is_fast():
        return zlib.crc32(view, crc)
    flat = np.frombuffer(view, np.uint8)
    folded = np.empty(16, np.uint8)
    address, out = (array.__array_interface__["data"][0] for array in (flat, folded))
    entry.launch_unlocked(_kernel(), address, count, ~crc & 0xFFFFFFFF, out)
    # The state is in `folded`; zlib starts from none when it is given the complement of none.
    return zlib.crc32(view[count:], zlib.crc32(folded.data, 0xFFFFFFFF))


@functools.cache
def is_fast() -> bool:
    """Whether this processor multiplies without carries, and MEZZO_CPU_TARGET lets it."""
    return "+pclmul" in target.host().features.split(",")


@functools.cache
def _kernel() -> int:
    return jit.load(_ir()).address("crc")


def _fold(name: str, value: str, factor: str, more: str) -> str:
    """Lines of IR: name = value moved ahead by factor, and more added."""
    call = "call <2 x i64> @llvm.x86.pclmulqdq(<2 x i64>"
    return f"""
  %{name}.l = {call} %{value}, <2 x i64> {factor}, i8 0)
  %{name}.h = {call} %{value}, <2 x i64> {factor}, i8 17)
  %{name}.s = xor <2 x i64> %{name}.l, %{name}.h
  %{name} = xor <2 x i64> %{name}.s, %{more}"""


def _load(name: str, base: str, lane: int) -> str:
    return f"""
  %{name}.p = getelementptr i8, ptr %{base}, i64 {16 * lane}
  %{name} = load <2 x i64>, ptr %{name}.p, align 1"""


def _ir() -> str:
    """void crc(slots): address, bytes (a multiple of 64), state, where 16 bytes go."""
    far, near = (f"<i64 {low}, i64 {high}>" for low, high in (_FAR, _NEAR))
    slots = "".join(
        f"\n  %s{i} = getelementptr i64, ptr %slots, i64 {i}\n  %v{i} = load {kind}, ptr %s{i}"
        for i, kind in enumerate(("ptr", "i64", "i64", "ptr"))
    )
    first = "".join(_load(f"f{lane}", "v0", lane) for lane in range(4))
    phis = "".join(
        f"\n  %x{lane} = phi <2 x i64> [ %{'f' if lane else 'started'}{lane or ''}, %begin ], [ %n{lane}, %turn ]"
        for lane in range(4)
    )
    turn = "".join(
        _load(f"d{lane}", "here", lane) + _fold(f"n{lane}", f"x{lane}", far, f"d{lane}")
        for lane in range(4)
    )
    last = "".join(
        _fold(f"r{lane}", "x0" if lane == 1 else f"r{lane - 1}", near, f"x{lane}")
        for lane in range(1, 4)
    )
    return f"""
declare <2 x i64> @llvm.x86.pclmulqdq(<2 x i64>, <2 x i64>, i8)

define void @crc(ptr %slots) {{
begin:{slots}{first}
  %state = insertelement <2 x i64> zeroinitializer, i64 %v2, i64 0
  %started = xor <2 x i64> %f0, %state
  br label %test

test:{phis}
  %at = phi i64 [ 64, %begin ], [ %next, %turn ]
  %more = icmp ult i64 %at, %v1
  br i1 %more, label %turn, label %end

turn:
  %here = getelementptr i8, ptr %v0, i64 %at{turn}
  %next = add i64 %at, 64
  br label %test

end:{last}
  store <2 x i64> %r3, ptr %v3, align 1
  ret void
}}
"""

"""launch: slots from Python's numbers, errors, and the same behaviour in both implementations."""

from __future__ import annotations

import enum
import os
import sys
import threading

import numpy as np
import pytest

from mezzo.kernels.cpu import entry, jit

COPY = """
define void @kernel(ptr %s) {
  %p = load ptr, ptr %s
  call void @llvm.memcpy.p0.p0.i64(ptr %p, ptr %s, i64 BYTES, i1 false)
  ret void
}
define void @empty(ptr %s) {
  ret void
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""


def copies(count: int) -> int:
    """A kernel that copies its slots to where the first one points."""
    return jit.load(COPY.replace("BYTES", str(8 * count))).address("kernel")


def functions():
    forms = {"plain": entry._through_ctypes(entry.ctypes.PYFUNCTYPE)}
    forms["plain unlocked"] = entry._through_ctypes(entry.ctypes.CFUNCTYPE)
    forms["in use"] = entry.launch
    forms["in use unlocked"] = entry.launch_unlocked
    return forms


@pytest.fixture(params=list(functions()))
def launch(request):
    return functions()[request.param]


def test_native_is_used_here():
    usual = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
    if usual and os.environ.get("MEZZO_ENTRY") != "ctypes":
        assert entry.implementation == "native"
        assert type(entry.launch).__name__ == "builtin_function_or_method"


def test_slots(launch):
    class Kind(enum.IntEnum):
        SEVEN = 7

    out = np.zeros(8, np.int64)
    where = out.ctypes.data
    result = launch(
        copies(8), where, -1, 2.5, True, np.float64(-0.0), Kind.SEVEN, -(1 << 63), (1 << 63) - 1
    )
    assert result is None
    assert out[[0, 1, 3, 5]].tolist() == [where, -1, 1, 7]
    assert out.view(np.float64)[2] == 2.5
    assert np.signbit(out.view(np.float64)[4]) and out.view(np.float64)[4] == 0
    assert out[6] == -(1 << 63) and out[7] == (1 << 63) - 1


def test_thirty_two_slots(launch):
    out = np.zeros(32, np.int64)
    launch(copies(32), out.ctypes.data, *range(1, 32))
    assert out[1:].tolist() == list(range(1, 32))


@pytest.mark.parametrize(
    ("slots", "kind", "text"),
    [
        (["x"], TypeError, "slot 0 is neither int, float nor bool"),
        ([1, None], TypeError, "slot 1 is neither int, float nor bool"),
        ([1, 2, np.float32(1)], TypeError, "slot 2 is neither int, float nor bool"),
        ([1j], TypeError, "slot 0 is neither"),
        ([0] * 33, TypeError, "got 33 slots; a kernel takes at most 32"),
        ([1 << 63], OverflowError, "too big|does not fit"),
        ([-(1 << 63) - 1], OverflowError, "too big|does not fit"),
    ],
)
def test_bad_slots(launch, slots, kind, text):
    empty = jit.load(COPY.replace("BYTES", "8")).address("empty")
    with pytest.raises(kind, match=text):
        launch(empty, *slots)
    assert launch(empty) is None


def test_bad_addresses(launch):
    with pytest.raises(TypeError, match="got no arguments; the first must be a kernel's address"):
        launch()
    for bad in (0, -1, "kernel", None, 1.5):
        with pytest.raises(TypeError, match=r"slot -1 is the address"):
            launch(bad)


def test_references_are_kept(launch):
    empty = jit.load(COPY.replace("BYTES", "8")).address("empty")
    value = 123456789012345
    before = sys.getrefcount(value), sys.getrefcount(None)
    for _ in range(1000):
        launch(empty, value, 1.5)
    assert abs(sys.getrefcount(value) - before[0]) < 5
    assert abs(sys.getrefcount(None) - before[1]) < 200


WAIT = """
define void @kernel(ptr %s) {
entry:
  %p = load ptr, ptr %s
  br label %loop
loop:
  %x = load atomic i64, ptr %p acquire, align 8
  %set = icmp ne i64 %x, 0
  br i1 %set, label %done, label %loop
done:
  ret void
}
"""


def test_unlocked_lets_other_threads_run():
    flag = np.zeros(1, np.int64)

    def set_it():
        flag[0] = 1

    timer = threading.Timer(0.05, set_it)
    timer.start()
    entry.launch_unlocked(jit.load(WAIT).address("kernel"), flag.ctypes.data)
    timer.join()
    assert flag[0] == 1

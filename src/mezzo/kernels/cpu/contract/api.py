"""The face of contractions: a kernel for some types, and plans for given sizes and strides."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import asdict

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract import drive
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.plan import SERIAL_WORK, blocks, lane_count
from mezzo.kernels.cpu.contract.scheme import Scheme, scheme
from mezzo.kernels.cpu.contract.slots import CONSTANTS
from mezzo.kernels.cpu.contract.writer import Program

Strides = tuple[int, int]


class Plan:
    """A product of given sizes and strides. It must outlive every launch of its slots.

    address: the native entry. workspace_bytes: scratch, 64-byte aligned, contents free.
    """

    __slots__ = ("_block", "address", "constants", "workspace_bytes")

    def __init__(self, address: int, workspace_bytes: int, constants: tuple[int, ...]) -> None:
        self.address, self.workspace_bytes = address, workspace_bytes
        self._block = (ctypes.c_int64 * len(constants))(*constants)
        self.constants = ctypes.addressof(self._block)

    def slots(
        self, a: int, b: int, out: int, bias: int = 0, workspace: int = 0, *,
        a_offsets: int = 0, b_offsets: int = 0, out_offsets: int = 0, bias_offsets: int = 0,
        alpha: float = 1.0, beta: float = 1.0,
    ) -> tuple[int | float, ...]:  # fmt: skip
        """The slots of a launch: addresses of buffers and of tables of byte offsets, factors."""
        return (a, b, out, bias, workspace, a_offsets, b_offsets, out_offsets, bias_offsets,
                float(alpha), float(beta), self.constants)  # fmt: skip


class Contraction:
    """out[m, n] = alpha sum over k of a[m, k] b[k, n] + beta bias[m, n], for some storage types."""

    def __init__(self, chosen: Scheme) -> None:
        self.scheme = chosen

    @functools.cached_property
    def ir(self) -> str:
        """The module as LLVM text."""
        program = Program()
        drive.packed(program, self.scheme)
        drive.entry(program, self.scheme.name, ["product"])
        return program.text()

    @functools.cached_property
    def address(self) -> int:
        """The native entry."""
        return jit.load(self.ir).address(self.scheme.name)

    def plan(
        self, m: int, n: int, k: int, *, a: Strides, b: Strides, out: Strides,
        bias: Strides = (0, 0), batch: int = 1, threads: int = 1,
    ) -> Plan:  # fmt: skip
        """The plan for sizes, strides in bytes (a: m, k; b: k, n; out: m, n; bias: m, n), batch.

        `threads` is how many may run; results do not depend on it.
        """
        s = self.scheme
        if out[1] != SIZE[s.out] and out[0] == SIZE[s.out]:
            return self._swapped(m, n, k, a, b, out, bias, batch, threads)
        return self._plan(m, n, k, a, b, out, bias, batch, threads, 0)

    def _swapped(self, m, n, k, a, b, out, bias, batch, threads) -> Plan:
        """A column-major output: compute its transpose, b^T a^T, which is row-major."""
        s = self.scheme
        other = kernel(s.b, s.a, s.out, s.compute, s.bias)
        return other._plan(n, m, k, b[::-1], a[::-1], out[::-1], bias[::-1], batch, threads, 1)

    def _plan(self, m, n, k, a, b, out, bias, batch, threads, swap) -> Plan:
        lanes = lane_count(m, n, k, batch, threads)
        serial = threads <= 1 or lanes > 1 or m * n * max(k, 1) < SERIAL_WORK
        cut = blocks(self.scheme, m, n, k, 1 if serial else threads)
        given = {
            **{"m": m, "n": n, "k": k, "batch": batch if m and n else 0, "path": 0},
            **{"a_m": a[0], "a_k": a[1], "b_k": b[0], "b_n": b[1]},
            **{"out_m": out[0], "out_n": out[1], "bias_m": bias[0], "bias_n": bias[1]},
            **{"swap": swap, "serial": int(serial), "lanes": lanes},
            **asdict(cut),
        }
        constants = tuple(given[name] for name in CONSTANTS)
        return Plan(self.address, cut.lane_bytes * lanes, constants)


@functools.cache
def kernel(a: str, b: str, out: str, compute: str, bias: str | None = None) -> Contraction:
    """The contraction for these storage types (bias: its type, or None) and this compute type."""
    return Contraction(scheme(a, b, out, compute, bias))

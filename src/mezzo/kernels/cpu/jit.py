"""Kernels from text: `load(ir).address("name")`.

What an author of IR may rely on:

- Text LLVM IR with opaque pointers; no `target` lines (they are put in front of the first line).
- Vectors of any width are kept: `<16 x float>` is one register where there is AVX-512, and is split
  by LLVM elsewhere. No function attributes are needed. Fast-math flags are per instruction.
- Every `define` that is not `internal` or `private` has an address. Names need be unique only
  within one module: all kernels may be called @kernel.
- It may declare and call `void @mezzo_parallel(ptr body, ptr ctx, i64 count)`, functions of libm
  and the C library, and what `imports` names. Conversions of half and bfloat work on every target.
- Globals live once per process, and constants are fine. Code is never unloaded.

`optimize` 2 (the usual) runs LLVM's O2 without vectorising and unrolling, which our kernels do
themselves; 3 lets LLVM do both, for loops written in scalars; 1 is cheaper; 0 runs no passes.
"""

from __future__ import annotations

from collections.abc import Mapping

from mezzo.kernels.cpu import linker, pool, softfloat
from mezzo.kernels.cpu.linker import Module, assembly, counters
from mezzo.kernels.cpu.target import Target

__all__ = ["Module", "assembly", "counters", "load"]

_loaded: dict[object, Module] = {}


def load(
    ir: str,
    *,
    optimize: int = 2,
    imports: Mapping[str, int] | None = None,
    target: Target | None = None,
) -> Module:
    """The module of this IR: compiled now, from the cache on disk, or the one loaded before."""
    memo = (ir, optimize, target, tuple(imports.items()) if imports else None)
    found = _loaded.get(memo)
    if found is not None:
        return found
    with linker.lock:
        found = _loaded.get(memo)
        if found is None:
            symbols = dict(imports or {})
            if "@mezzo_parallel" in ir:
                symbols["mezzo_parallel"] = pool.address()
            if "half" in ir or "bfloat" in ir:
                symbols.update(softfloat.symbols())
            found = linker.link(ir, imports=symbols, optimize=optimize, target=target)
            _loaded[memo] = found
        return found

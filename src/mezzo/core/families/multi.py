"""Multi-tensor updates: one launch over lists of tensors, in place (optimizer steps, unscaling).

    @multi(kernel=_sgd, lists=("params", "grads"), writes=("params",), numbers=("lr",))
    def sgd_step(params, grads, lr, nesterov): ...

The kernel gets one expression for each list, one for each number, and Python values for the other
parameters (options); it returns the new value for each list in `writes`, and a flag expression last if
the record says `flags=True`; the call then returns whether it held anywhere.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Sequence

from mezzo.core.record import Record, none, registered
from mezzo.core.state import STATE
from mezzo.core.storage import INFERENCE
from mezzo.core.tape import check_inplace
from mezzo.core.tensor import Tensor, require_no_complex
from mezzo.errors import ArgumentValueError
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture
from mezzo.kernels.cpu.multi import MultiKernel, Table


@functools.lru_cache(maxsize=256)
def _kernel(
    build: Callable, storages: tuple, writes: tuple, numbers: int, options: tuple, flags: bool
) -> MultiKernel:
    compute = "f64" if "f64" in storages else "f32"
    loads = [ir.cast(ir.load(i, s), compute) for i, s in enumerate(storages)]
    scalars = [ir.scalar(i, compute) for i in range(numbers)]
    results = build(*loads, *scalars, *options)
    results = results if isinstance(results, tuple) else (results,)
    flag = results[-1] if flags else None
    return MultiKernel(storages, writes, results[: len(writes)], (compute,) * numbers, flag)


class Multi(Record):
    """A record that updates lists of tensors in place."""

    family = "multi"

    def __init__(self, fn, *, kernel, lists: Sequence[str], writes: Sequence[str], numbers: Sequence[str],
                 flags: bool = False, **options):  # fmt: skip
        options.setdefault("vjp", none("updates parameters in place"))
        options.setdefault("batch", none("updates parameters in place"))
        options.setdefault("where", "")
        super().__init__(fn, **options)
        self.kernel, self.flags = kernel, flags
        self.lists = tuple(self.names.index(n) for n in lists)
        self.numbers = tuple(self.names.index(n) for n in numbers)
        self.options = tuple(i for i in range(self.arity) if i not in self.lists + self.numbers)
        self.writes = tuple(list(lists).index(w) for w in writes)
        self._tables: dict = {}
        self._writer = (self.name, "an optimizer step")

    def run(self, args: tuple) -> bool:
        flag = array.array("q", [0])
        self.go(args, flag.buffer_info()[0])
        return bool(flag[0])

    def go(self, args: tuple, flag: int) -> None:
        """Run; the i64 at address `flag` becomes 1 where the flag held anywhere."""
        lists = [args[i] for i in self.lists]
        numbers = [n if isinstance(n, capture.Late) else float(n)
                   for n in (args[i] for i in self.numbers)]  # fmt: skip
        options = tuple(args[i] for i in self.options)
        groups: dict[tuple, list[tuple[Tensor, ...]]] = {}
        for row in zip(*lists):
            groups.setdefault(tuple([t.layout.dtype.ir for t in row]), []).append(row)
        for storages, rows in groups.items():
            copies = [self._ready(row) for row in rows]
            kernel = _kernel(self.kernel, storages, self.writes, len(numbers), options, self.flags)
            table = self._table(
                [r[0].layout.numel for r in copies], [[t.ptr for t in r] for r in copies]
            )
            kernel.run(table, numbers, flag)
            for row, used in zip(rows, copies):
                self._wrote(row, used)

    def _table(self, sizes: list[int], pointers: list[list[int]]) -> Table:
        if (recording := capture.active()) is not None:  # what it launches must live as long
            recording.kept.append(Table(sizes, pointers))
            return recording.kept[-1]
        key = tuple(sizes)
        table = self._tables.get(key)
        if table is None:
            if len(self._tables) > 64:
                self._tables.clear()
            table = self._tables[key] = Table(sizes, pointers)
            return table
        return table.at(pointers)

    def _ready(self, row: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The row, checked, with memory that runs in one order."""
        layout = row[0].layout
        alike = [t.layout for t in row].count(layout) == len(row)
        if STATE.grad or not alike or not layout.is_dense or layout.dtype.is_complex:
            self.check(row)
            return self._aligned(row)
        for w in self.writes:  # nobody records: only tensors of inference mode refuse
            if row[w].storage.version == INFERENCE:
                check_inplace(self.name, row[w])
        return row

    def check(self, row: tuple[Tensor, ...]) -> None:
        first = row[0]
        require_no_complex(self.name, first.dtype)
        for tensor in row:
            if tensor.layout.shape != first.layout.shape:
                raise ArgumentValueError(
                    f"{self.name}: tensors of one row have shapes {list(first.shape)} and {list(tensor.shape)}; they must be equal."
                )
        for w in self.writes:
            check_inplace(self.name, row[w])

    def _aligned(self, row: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The row with memory that runs in one order; what does not is copied."""
        layout = row[0].layout
        if layout.is_dense and all(t.layout.strides == layout.strides for t in row):
            return row
        return tuple([t if t.layout.is_contiguous else t.contiguous() for t in row])

    def _wrote(self, row: tuple[Tensor, ...], used: tuple[Tensor, ...]) -> None:
        for w in self.writes:
            if used[w] is not row[w]:
                row[w].copy_(used[w])
            storage = row[w].storage
            if storage.version != INFERENCE:
                storage.version += 1
                storage.writer = self._writer


multi = registered(Multi)

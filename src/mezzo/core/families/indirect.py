"""Reading and writing through indices: gathers and scatters, one kernel (kernels/cpu/indirect.py).

    @pick(access=lambda input, dim, index: access.along(input, dim, index))
    def gather(input: Tensor, dim, index: Tensor) -> Tensor: ...

    @put(access=..., source="src", mode="add")
    def scatter_add(input: Tensor, dim, index: Tensor, src: Tensor) -> Tensor: ...

`access` gets layouts in place of tensors and returns a rules.access.Access. Index operands are the tensors
called index or indices. A put writes into a copy of its first argument, or in place.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Sequence

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import Layout, dense
from mezzo.core.record import COPY_INTO, Primitive, registered
from mezzo.core.tensor import Tensor, common_device, empty, require_no_complex
from mezzo.errors import DTypeError, Fact, OutOfRangeError, ShapeError, message
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture, entry, pool
from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.indirect import IndirectKernel
from mezzo.kernels.cpu.maps import CONTIGUOUS, LINE, SCALAR, STREAM, STRIDED
from mezzo.kernels.ir import SIZE
from mezzo.rules import shapes
from mezzo.rules.access import Access
from mezzo.rules.iteration import coalesce

SERIAL = 16384  # points below which the pool is not worth waking
BLOCK = 8192  # points of one unit of a gather
STRIPE = 256  # elements of a row that one thread sums for all steps
WIDE = 256  # bytes of a row from which writing takes longer than finding out whose it is
SCATTERED = (
    128  # the same where every element has its own place: fewer lines are in flight at a time
)
_BITS = {1: "u8", 2: "i16", 4: "i32", 8: "i64", 16: "i64"}
COMBINE: dict[str, Callable] = {
    "set": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": ir.maximum,
    "min": ir.minimum,
}


@functools.lru_cache(maxsize=512)
def _gather_kernel(bits: str, indices: tuple) -> IndirectKernel:
    return IndirectKernel((bits,), bits, ir.load(0, bits), (), {1}, indices)


@functools.lru_cache(maxsize=512)
def _scatter_kernel(
    mode: str, target: str, source: str | None, scaled: bool, indices: tuple
) -> IndirectKernel:
    """source None: a number. scaled: the source is multiplied by a number first."""
    type = ir.COMPUTE[target]
    reads = mode != "set"
    ins = ((target,) if reads else ()) + ((source,) if source else ())
    old = ir.load(0, target) if reads else None
    scalars = (type,) if scaled or source is None else ()
    new = ir.scalar(0, type) if source is None else ir.cast(ir.load(int(reads), source), type)
    if scaled and source is not None:
        new = new * ir.scalar(0, type)
    moved = {0, 1} if reads else {0}
    return IndirectKernel(ins, target, COMBINE[mode](old, new), scalars, moved, indices)


class Space:
    """The block of a launch: axes sorted into inner, steps and outer, with every operand's byte strides over them."""

    def __init__(
        self, shape: Sequence[int], tables: Sequence[Sequence[int]], count: int, writes: bool
    ):
        """tables: out, ins..., indices...; count: how many of them are indices. writes: out is reached through them."""
        self.tables, self.indices, self.writes = tables, count, writes
        (self._scatter if writes else self._gather)(shape, tables)

    def _gather(self, shape, tables) -> None:
        sizes, table = coalesce(shape, tables)
        self.inner = sizes[0], [t[0] for t in table]
        self.steps = (sizes[1:2] or [1]), [t[1:2] or [0] for t in table]
        self.outer = sizes[2:], [t[2:] for t in table]
        self.chunk = min(BLOCK, sizes[0])
        self.per_unit = max(1, BLOCK // self.chunk)
        self.rows = not any(self.inner[1][-self.indices :])

    def _scatter(self, shape, tables) -> None:
        safe = [i for i, s in enumerate(tables[0]) if s != 0 and shape[i] != 1]
        meet = [i for i in range(len(shape)) if i not in safe]
        # Points of one step may meet: their order is that of the source.
        first = tables[1] if len(tables) - self.indices > 1 else tables[-1]
        apart, by_apart = coalesce([shape[i] for i in safe], [[t[i] for i in safe] for t in tables])
        order, by_order = coalesce(
            [shape[i] for i in meet], [[t[i] for i in meet] for t in [first, *tables]]
        )
        by_order = by_order[1:]
        self.rows = bool(safe) and not any(t[0] for t in by_apart[-self.indices :])
        source = -self.indices - 1
        inside = bool(safe) and (
            self.rows or abs(by_apart[source][0] or 1 << 62) < abs(by_order[source][0] or 1 << 62)
        )
        if inside:
            self.inner = apart[0], [t[0] for t in by_apart]
            self.outer, self.steps = (apart[1:], [t[1:] for t in by_apart]), (order, by_order)
            stripe = STRIPE if self.rows else SCATTERED
            self.chunk = stripe if order != [1] else BLOCK
        else:
            self.inner = order[0], [t[0] for t in by_order]
            self.outer = (apart, by_apart) if safe else ([], [[] for _ in tables])
            self.steps = (order[1:] or [1]), [t[1:] or [0] for t in by_order]
            self.chunk = order[0]
        self.per_unit = shapes.numel(self.steps[0])

    def pattern(self, widths: Sequence[int]) -> str:
        """One access letter for each operand along the inner axis."""
        pairs = zip(self.inner[1], widths)
        return "".join(
            CONTIGUOUS if s == w else SCALAR if s == 0 and i else STRIDED
            for i, (s, w) in enumerate(pairs)
        )

    def lanes(self, widths: Sequence[int], wide: Sequence[int], kernel: IndirectKernel) -> str:
        """The letters of operands and indices if LANES elements can be read at a time, else nothing."""
        letters = self.pattern([*widths, *wide])
        still = [c for i, c in enumerate(letters) if i not in kernel.moved]
        if STRIDED in still:
            return ""
        if self.writes:
            return letters
        plain = all(SIZE[kernel.map.storages[i]] in (4, 8) for i in kernel.moved)
        return letters if plain and letters[0] == CONTIGUOUS else ""

    def may_stream(self, item: int) -> bool:
        """True if what is gathered is too large for the caches, and rows are whole lines. item: bytes of an element."""
        length, near = self.inner
        steps = [near[0] * length, *self.outer[1][0], *self.steps[1][0]]
        count = shapes.numel([*self.outer[0], *self.steps[0], length])
        whole = length % (4 * LANES) == 0 and near[0] == item
        return whole and count * item >= STREAM and all(s % LINE == 0 for s in steps)

    def block(self, points: int, indices: Sequence[tuple[int, int, int]]) -> array.array:
        """The words the kernel reads; indices: (size, gain, step in bytes) each."""
        length, near = self.inner
        outer, steps = self.outer, self.steps
        count = shapes.numel(steps[0])
        per_row, columns = -(-length // self.chunk), -(-count // self.per_unit)
        if self.writes and self.rows:
            # Every place has its sum in the order of the source, however many share the places.
            threads, rows = pool.get_num_threads(), shapes.numel(outer[0]) * per_row
            wide = points > SERIAL and rows < threads and length * abs(near[0]) >= WIDE
            columns = max(1, min(threads, indices[0][0])) if wide else 1
        units = shapes.numel(outer[0]) * columns * per_row
        words = [units, int(points <= SERIAL or units == 1), per_row, length, self.chunk, count, self.per_unit, columns,
                 len(outer[0]), len(steps[0]), *outer[0], *steps[0]]  # fmt: skip
        for i, stride in enumerate(near):
            words += [stride, *outer[1][i], *steps[1][i]]
        for index in indices:
            words += index
        return array.array("q", words)


class IndirectPlan:
    """How to launch one access. dims: the axis each index names, for errors."""

    __slots__ = ("address", "block", "dims", "launch", "layout", "runs", "sizes", "work")

    def go(self, pointers: Sequence[int], numbers: Sequence) -> None:
        """Launch; raises where an index was out of range."""
        cell = array.array("q", (0, 0, 0))
        self.launch(
            self.address, self.block.buffer_info()[0], cell.buffer_info()[0], *pointers, *numbers
        )
        capture.verify(cell, self.refuse)

    def refuse(self, cell: array.array) -> None:
        """Raise for what the kernel found."""
        bad_index(cell[1], self.dims[cell[2]], self.sizes[cell[2]])


def bad_index(value: int, dim: int, size: int):
    """Raise for an index out of range."""
    raise Fact(
        OutOfRangeError,
        f"index {value} is out of bounds for dimension {dim} with size {size}",
        f"Indices here go from 0 to {size - 1}: look at index.min() and index.max().",
    )


def _plan(
    kernel: IndirectKernel, found: Access, operands, widths, layouts, item: int, writes: bool
) -> IndirectPlan:
    """operands: element strides over the space of out and ins; layouts: those of the indices; item: bytes of data."""
    shape, wide = tuple(found.shape), [i.dtype.itemsize for i in layouts]
    tables = [[s * w for s in strides] for strides, w in zip(operands, widths)]
    tables += [[s * w for s in i.strides] for i, w in zip(found.indices, wide)]
    if item == 16:  # a complex128 goes as two i64
        shape = (*shape, 2)
        tables = [[*t, 8 if n < len(operands) else 0] for n, t in enumerate(tables)]
        widths = [8] * len(widths)
    space = Space(shape, tables, len(layouts), writes)
    plan = IndirectPlan()
    points = shapes.numel(shape)
    plan.block = space.block(
        points, [(i.size, i.size if found.wrap else 0, i.step * item) for i in found.indices]
    )
    if space.rows:
        streams = not writes and item <= 8 and space.may_stream(item)
        plan.address = kernel.address("rows", space.pattern(widths), streams)
    else:
        plan.address = kernel.address("each", space.lanes(widths, wide, kernel))
    plan.dims, plan.sizes = [i.dim for i in found.indices], [i.size for i in found.indices]
    plan.launch = entry.launch_unlocked if points > SERIAL else entry.launch
    return plan


def _flat(value) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value]


class _Indirect(Primitive):
    """What gathers and scatters share."""

    def __init__(self, fn, *, access: Callable, called: str = "", **options):
        super().__init__(fn, **options)
        self.access, self.called = access, called or self.name
        self.index_at = next(i for i, n in enumerate(self.names) if n in ("index", "indices"))

    def key(self, args: tuple):
        parts = []
        for a in args:
            if isinstance(a, Tensor):
                parts.append(a.layout)
            elif isinstance(a, (tuple, list)):
                parts.append(tuple([x.layout if isinstance(x, Tensor) else x for x in a]))
            else:
                parts.append((a.__class__, a))
        return tuple(parts)

    def fail(self, fact: Fact, args: tuple):
        """As everywhere, under the name that users know."""
        error = fact.kind(message(self.called, fact.text, fact.advice))
        error.fact = None if self.where else fact
        raise error from None

    def _access(self, args) -> tuple[Access, list[Layout]]:
        as_layouts = [_layouts(a) for a in args]
        return self.access(*as_layouts), _flat(as_layouts[self.index_at])

    def _launch(self, plan: IndirectPlan, args, pointers, numbers=()) -> None:
        if 0 in plan.sizes:  # nothing could be read in place of a bad index
            i = plan.sizes.index(0)
            first = _flat(args[self.index_at])[i]._array().reshape(-1)[0]
            self.fail(
                Fact(
                    OutOfRangeError,
                    f"index {first} is out of bounds for dimension {plan.dims[i]} with size 0",
                ),
                args,
            )
        try:
            plan.go([*pointers, *[t.ptr for t in _flat(args[self.index_at])]], numbers)
        except Fact as fact:
            self.fail(fact, args)


def _layouts(value):
    if isinstance(value, Tensor):
        return value.layout
    return tuple(_layouts(v) for v in value) if isinstance(value, (tuple, list)) else value


class Pick(_Indirect):
    """A record that reads its first argument through indices."""

    family = "pick"

    def make(self, *args) -> IndirectPlan:
        device = common_device(
            self.name, [t for i in self.operands for t in _flat(args[i]) if isinstance(t, Tensor)]
        )
        found, indices = self._access(args)
        x = args[0].layout
        out = dense(found.result, x.dtype, device)
        runs = device is not devices.meta and out.numel > 0
        if not runs:
            plan = IndirectPlan()
        else:
            bits, item = _BITS[x.dtype.itemsize], x.dtype.itemsize
            kernel = _gather_kernel(bits, tuple(i.dtype.ir for i in indices))
            over = shapes.contiguous_strides(found.shape)
            plan = _plan(kernel, found, [over, found.data], [item, item], indices, item, False)
        plan.layout, plan.runs = out, runs
        return plan

    def run(self, args: tuple) -> Tensor:
        plan = self.plan(args)
        out = empty(plan.layout)
        source = args[0]
        if plan.runs:
            self._launch(plan, args, (out.ptr, source.ptr))
        if source.auto is not None or source.base is not None:
            tape.attach(self, args, out)
        return out


class Put(_Indirect):
    """A record that writes a source into its first argument (or a copy) through indices.

    source: the parameter written, a Tensor or a number. mode: a key of COMBINE, or the parameter that names one.
    """

    family = "put"

    def __init__(self, fn, *, source: str, mode: str, copy: Callable, **options):
        super().__init__(fn, **options)
        self.source_at, self.copy = self.names.index(source), copy
        self.mode_at = self.names.index(mode) if mode in self.names else None
        self.mode = mode
        self.alpha_at = self.names.index("alpha") if "alpha" in self.names else None

    def key(self, args: tuple):
        if not isinstance(args[self.source_at], Tensor):
            args = (*args[: self.source_at], None, *args[self.source_at + 1 :])
        return (pool.get_num_threads(), *super().key(args))

    def make(self, *args) -> IndirectPlan:
        """The plan for writing into memory of args[0]'s layout."""
        device = common_device(
            self.name, [t for i in self.operands for t in _flat(args[i]) if isinstance(t, Tensor)]
        )
        found, indices = self._access(args)
        target, source = args[0].layout, args[self.source_at]
        source = source.layout if isinstance(source, Tensor) else None
        mode = self.mode if self.mode_at is None else args[self.mode_at]
        read = self._source_strides(found, source, target)
        plan = IndirectPlan()
        plan.layout, plan.work = target, target.dtype
        plan.runs = (
            device is not devices.meta and shapes.numel(found.shape) > 0 and bool(found.indices)
        )
        if not plan.runs:
            return plan
        if target.has_overlap():
            raise Fact(
                ShapeError,
                "cannot write into an expanded tensor: several indices share one element",
                "clone() it.",
            )
        ins, widths, strides = self._operands(target, source, mode, found, read)
        alpha = self.alpha_at is not None and args[self.alpha_at] != 1
        kernel = _scatter_kernel(
            mode, ins[0], ins[-1] if source else None, alpha, tuple(i.dtype.ir for i in indices)
        )
        out = _plan(kernel, found, strides, widths, indices, target.dtype.itemsize, True)
        out.layout, out.work, out.runs = target, target.dtype, True
        return out

    def _operands(self, target: Layout, source: Layout | None, mode: str, found: Access, read):
        """Storage types (target first, source last), widths and strides of out and ins."""
        plain = mode == "set" and source is not None and source.dtype is target.dtype
        if not plain:
            require_no_complex(self.name, target.dtype)
        to = _BITS[target.dtype.itemsize] if plain else target.dtype.ir
        ins, widths, strides = [to], [target.dtype.itemsize], [found.data]
        if mode != "set":
            widths, strides = widths * 2, strides * 2
        if source is not None:
            ins.append(_BITS[source.dtype.itemsize] if plain else source.dtype.ir)
            widths.append(source.dtype.itemsize)
            strides.append(read)
        return ins, widths, strides

    def _source_strides(self, found: Access, source: Layout | None, target: Layout):
        if source is None:
            return None
        if self.names[self.index_at] == "indices":
            return self._broadcast_source(found, source)
        if not found.indices:
            return found.data
        shape, strides = (tuple(source.shape), source.strides) if source.ndim else ((1,), (0,))
        if len(shape) != len(found.shape) or any(i > s for i, s in zip(found.shape, shape)):
            raise Fact(
                ShapeError,
                f"index {list(found.shape)} must not be larger than src {list(shape)} in any dimension",
            )
        return strides

    def _broadcast_source(self, found: Access, source: Layout):
        shape = tuple(source.shape)
        while len(shape) > len(found.shape) and shape[0] == 1:
            shape = shape[1:]
        fits = len(shape) <= len(found.shape) and all(
            a in (1, b) for a, b in zip(reversed(shape), reversed(found.shape))
        )
        if not fits:
            raise Fact(ShapeError, f"shape mismatch: value tensor of shape {list(source.shape)} cannot be broadcast to indexing "
                                   f"result of shape {list(found.shape)}")  # fmt: skip
        strides = source.strides[source.ndim - len(shape) :]
        return shapes.expand_strides(shape, strides, found.shape)

    def _is_low_sum(self, args) -> bool:
        # Sums in half precision round at every step: they go through float32, once.
        mode = self.mode if self.mode_at is None else args[self.mode_at]
        return mode in ("add", "mul") and args[0].dtype in (dtypes.float16, dtypes.bfloat16)

    def _check_dtypes(self, args) -> None:
        target, source = args[0], args[self.source_at]
        if isinstance(source, Tensor) and source.dtype is not target.dtype:
            self.fail(Fact(DTypeError, f"source and destination dtypes must match, got {target.dtype.name} for the destination "
                                       f"and {source.dtype.name} for the source", "Convert the source with .to(x.dtype)."), args)  # fmt: skip

    def write(self, target: Tensor, args: tuple) -> None:
        """Write into target, whose layout is args[0]'s."""
        plan = self.plan(args)
        if not plan.runs:
            return
        mode = self.mode if self.mode_at is None else args[self.mode_at]
        source = args[self.source_at]
        pointers = [target.ptr] * (1 if mode == "set" else 2)
        as_number = (bool, int, float)[target.dtype.category]
        numbers = []
        if isinstance(source, Tensor):
            pointers.append(source.ptr)
            if self.alpha_at is not None and args[self.alpha_at] != 1:
                numbers.append(as_number(args[self.alpha_at]))
        else:
            numbers.append(as_number(source))
        self._launch(plan, args, pointers, numbers)

    def run(self, args: tuple) -> Tensor:
        self._check_dtypes(args)
        plain = (tape.alias(args[0]), *args[1:])
        if self._is_low_sum(args):
            wide = self.copy(plain[0], dtypes.float32)
            self.write(wide, (wide, *args[1:]))
            out = self.copy(wide, args[0].dtype)
        else:
            out = self.copy(plain[0])
            self.write(out, (out, *args[1:]))
        tape.attach(self, args, out)
        return out

    def update(self, target: Tensor, args: tuple) -> Tensor:
        tape.check_inplace(self.name + "_", target)
        self._check_dtypes(args)
        source = args[self.source_at]
        if (
            isinstance(source, Tensor)
            and source.storage is target.storage
            and source.storage is not None
        ):
            args = (*args[: self.source_at], source.clone(), *args[self.source_at + 1 :])
        before = tape.alias(target)
        before.auto, before.base = target.auto, target.base
        node = tape.prepare(self, (before, *args[1:]))
        if self._is_low_sum(args):
            wide = self.copy(tape.alias(target), dtypes.float32)
            self.write(wide, (wide, *args[1:]))
            COPY_INTO[0](tape.alias(target), wide)
        else:
            self.write(target, args)
        tape.wrote(self.name + "_", target, node)
        return target


pick, put = registered(Pick), registered(Put)

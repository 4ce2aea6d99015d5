"""Row operations: each element of a row may depend on reductions of that row (softmax, norms, losses).

    @rows(kernel=build, vjp=...)
    def log_softmax_rows(input: Tensor, dim) -> Tensor:
        return Frame(shape, (dim,), [input.strides], [out])

The body of the def is its rule: it gets Layouts in the place of tensors and returns a Frame, which says
how operands and outputs lie in one iteration space and which of its axes make a row. The kernel
gets expressions for the operands (None where one is absent) and for the parameters named in
`numbers`, Python values for the rest, and returns Rows (kernels/cpu/rows.py).
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mezzo import devices
from mezzo.core import tape
from mezzo.core.families.elementwise import map_plan
from mezzo.core.families.reductions import reduce_plan
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor, common_device, empty, require_no_complex
from mezzo.dtypes import dtype as DType
from mezzo.errors import Fact, OutOfRangeError
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture, entry
from mezzo.kernels.cpu.fold import AHEAD, FAR
from mezzo.kernels.cpu.maps import STREAM, MapKernel
from mezzo.kernels.cpu.memory import allocate
from mezzo.kernels.cpu.reduce import ReduceKernel
from mezzo.kernels.cpu.rows import RowKernel
from mezzo.kernels.cpu.rows_text import CHUNK, LINE
from mezzo.kernels.cpu.rows_turned import ROWS, SHORT, TURNED
from mezzo.kernels.cpu.rows_walks import FETCH, KEPT
from mezzo.rules import folds, shapes
from mezzo.rules.iteration import coalesce

_SIMPLE = {
    type(None),
    bool,
    str,
    tuple,
}  # plain: what equals it means the same (tuples are of sizes and axes)
SERIAL = 32768  # elements below which the pool is not worth waking
SPLIT = 64  # units that the rows of a column sum are divided into, whatever the threads
Strides = tuple[int, ...]


@dataclass
class Out:
    """An output: its layout, and its strides (elements) over the frame's axes.

    then: (layout, axes) where the kernel's output is partial and is summed over those axes.
    """

    layout: Layout
    strides: Strides
    then: tuple[Layout, tuple[int, ...]] | None = None


@dataclass
class Frame:
    """Where operands and outputs lie in the iteration space `shape`, whose axes `rows` make a row.

    ins: strides (elements) over the axes, for each tensor operand that is present. once: positions
    among the operands of those with one value per row. outs: each, row, then column outputs.
    compute: the dtype that fixes the type of computation, that of the first operand if None.
    """

    shape: tuple[int, ...]
    rows: tuple[int, ...]
    ins: list[Strides]
    outs: list[Out]
    once: frozenset[int] = frozenset()
    compute: DType | None = None


def per_row(shape: Sequence[int], rows: Sequence[int], dtype: DType, device) -> Out:
    """A dense output with one element for each row."""
    kept = [d for d in range(len(shape)) if d not in rows]
    out = dense([shape[d] for d in kept], dtype, device)
    strides = [0] * len(shape)
    for d, step in zip(kept, out.strides):
        strides[d] = step
    return Out(out, tuple(strides))


def per_column(
    shape: Sequence[int], rows: Sequence[int], dtype: DType, partial: DType, device
) -> Out:
    """A dense output with one element for each place of a row: a sum over all rows."""
    count = shapes.numel([n for d, n in enumerate(shape) if d not in rows])
    units = -(-count // max(1, -(-count // SPLIT)))
    sizes = [shape[d] for d in rows]
    parts, out = dense([units, *sizes], partial, device), dense(sizes, dtype, device)
    strides = [0] * len(shape)
    for d, step in zip(rows, out.strides):
        strides[d] = step
    return Out(parts, tuple(strides), (out, (0,)))


@functools.lru_cache(maxsize=64)
def _identity(storage: str) -> MapKernel:
    return MapKernel((storage,), (storage,), (ir.load(0, storage),), ())


@functools.lru_cache(maxsize=64)
def _total(storage: str, to: str) -> ReduceKernel:
    return ReduceKernel(folds.total(ir.COMPUTE[storage]), (storage,), (to,))


class _Operand:
    """An operand on its way into the block. letter and byte strides are those of the kernel."""

    __slots__ = ("item", "kind", "letter", "storage", "strides", "unit")

    def __init__(self, strides: Strides, dtype: DType, kind: str):
        self.item, self.storage = dtype.itemsize, dtype.ir
        self.strides = tuple(s * self.item for s in strides)
        self.kind, self.letter = kind, ""
        self.unit = 0  # bytes from one unit's partial sums to the next one's


class RowPlan:
    """Layouts and launch. copies: operands that are made dense first; sums: partial outputs' reductions.

    flagged: the kernel has checks.
    """

    __slots__ = ("address", "block", "copies", "flagged", "launch", "layouts", "runs", "scalars", "sums", "tensors")  # fmt: skip

    def execute(self, args: tuple):
        """Run on new memory."""
        outs = [empty(x) for x in self.layouts]
        if self.runs:
            pointers = [args[i].ptr for i in self.tensors]
            alive = []
            for at, plan, source in self.copies:
                made = allocate(plan.nbytes)
                plan.launch(plan.address, plan.head, made.ptr, pointers[source])
                pointers[at] = made.ptr
                alive.append(made)
            self.start([o.ptr for o in outs], pointers, args)
        for at, plan in self.sums:
            outs[at] = plan.execute((outs[at],))
        return outs[0] if len(outs) == 1 else tuple(outs)

    def start(self, outs: list[int], ins: list[int], args: tuple) -> None:
        """Launch, and raise if a check failed."""
        head = [self.block.buffer_info()[0]]
        if self.flagged:
            flag = array.array("q", (0, 0))
            head.append(flag.buffer_info()[0])
        self.launch(self.address, *head, *outs, *ins, *[args[i] for i in self.scalars])
        if self.flagged:
            capture.verify(flag, bad_target)


def bad_target(flag: array.array) -> None:
    """Raise for a class index out of range."""
    raise Fact(
        OutOfRangeError,
        f"Target {flag[1]} is out of bounds",
        "Targets count from 0 to one less than the classes of input; ignore_index= names one that is passed over.",
    )


def row_plan(kernel: RowKernel, frame: Frame, in_layouts: Sequence[Layout]) -> RowPlan:
    """Choose the way of walking, copy what does not fit it, and lay out the block."""
    plan = RowPlan()
    plan.layouts = tuple(o.layout for o in frame.outs)
    plan.runs = any(x.numel for x in plan.layouts)
    plan.flagged = bool(kernel.rows.checks)
    plan.copies = []
    plan.sums = [_sum_plan(at, o) for at, o in enumerate(frame.outs) if o.then is not None]
    if not plan.runs and not plan.flagged:
        return plan
    each, row = len(kernel.rows.each), len(kernel.rows.row)
    kinds = ["each"] * each + ["row"] * row + ["column"] * len(kernel.rows.column)
    kinds += ["part"] * len(kernel.rows.part)
    outs = [_Operand(o.strides, o.layout.dtype, k) for o, k in zip(frame.outs, kinds)]
    for operand, out in zip(outs, frame.outs):
        if operand.kind == "column":
            operand.unit = out.layout.strides[0] * operand.item
    ins = [
        _Operand(st, x.dtype, "once" if i in frame.once else "each")
        for i, (st, x) in enumerate(zip(frame.ins, in_layouts))
    ]
    guide = outs[0] if each else next(o for o in ins if o.kind == "each")
    walk = _Walk(frame, kernel)
    misfits = walk.arrange(guide, outs, ins)
    if any(o in misfits for o in (guide, *outs)):
        # Rows of such a guide suit neither lanes nor outputs: take row-major ones.
        each = [o for o in ins if o.kind == "each"]
        _make_dense(plan, frame, in_layouts, ins, each, range(len(frame.shape)))
        misfits = walk.arrange(guide, outs, ins)
    if misfits:
        order = sorted(range(len(frame.shape)), key=lambda d: (-abs(guide.strides[d]), d))
        _make_dense(plan, frame, in_layouts, ins, misfits, order)
        misfits = walk.arrange(guide, outs, ins)
    assert not misfits, "a row operation's operands fit no way of walking"
    walk.finish(plan, kernel, outs, ins)
    return plan


def _sum_plan(at: int, out: Out):
    """(position, plan) of the sum of an output's parts."""
    final, dims = out.then
    kernel = _total(out.layout.dtype.ir, final.dtype.ir)
    plan = reduce_plan(kernel, [final], [out.layout], out.layout.shape, dims)
    plan.tensors = (0,)
    return at, plan


def _make_dense(
    plan: RowPlan, frame: Frame, layouts, ins: list[_Operand], which: list[_Operand], order
) -> None:
    """Plan a copy of each operand in `which` with its axes lying in that order, innermost last."""
    done = {at for at, _, _ in plan.copies}
    for at, operand in enumerate(ins):
        if operand not in which or at in done:
            continue
        x, item = layouts[at], operand.item
        real = [d for d in order if operand.strides[d] and frame.shape[d] > 1]
        shape = [frame.shape[d] for d in real]
        source = layout(shape, [operand.strides[d] // item for d in real], x.dtype, x.device)
        to = dense(shape, x.dtype, x.device)
        plan.copies.append((at, map_plan(_identity(x.dtype.ir), (to,), [source]), at))
        strides = [0] * len(frame.shape)
        for d, step in zip(real, to.strides):
            strides[d] = step * item
        operand.strides = tuple(strides)


class _Walk:
    """The order in which a kernel goes through a frame."""

    def __init__(self, frame: Frame, kernel: RowKernel):
        self.shape, self.rows, self.ordered = frame.shape, frame.rows, kernel.uses_index
        self.reduces = bool(kernel.schedule.passes)
        self.kept = tuple(d for d in range(len(frame.shape)) if d not in frame.rows)

    def arrange(self, guide: _Operand, outs: list[_Operand], ins: list[_Operand]) -> list[_Operand]:
        """Choose by the guide; set every operand's letter; return those that do not fit."""
        self.operands, self.outs = [*outs, *ins], outs
        front = [guide, *[o for o in self.operands if o is not guide]]
        kept = [[o.strides[d] for d in self.kept] for o in front]
        self.ksizes, ktable = coalesce([self.shape[d] for d in self.kept], kept)
        rows = [[o.strides[d] for d in self.rows] for o in front]
        sizes = [self.shape[d] for d in self.rows]
        self.rsizes, rtable = _row_major(sizes, rows) if self.ordered else coalesce(sizes, rows)
        self.ktable = {id(o): t for o, t in zip(front, ktable)}
        self.rtable = {id(o): t for o, t in zip(front, rtable)}
        along = self.rtable[id(guide)][0] == guide.item
        across = self.ktable[id(guide)][0] == guide.item and self.ksizes[0] > 1
        tiny = self.rsizes[0] < 4 and len(self.rsizes) == 1
        self.mode = "outer" if across and (not along or tiny) else "inner"
        if any(o.kind in ("column", "part") for o in outs):
            self.mode = "inner"
        elif self.mode == "inner" and along and self._is_short():
            self.mode = "turned"
            return []
        return [o for o in self.operands if not self._fits(o)]

    def _is_short(self) -> bool:
        """True if rows of few elements are better taken side by side, and every operand can be."""
        short = self.reduces and len(self.rsizes) == 1 and self.rsizes[0] <= SHORT
        return short and all(self._fits_turned(o) for o in self.operands)

    def _fits_turned(self, o: _Operand) -> bool:
        """True, with its letter set, if an operand of short rows can be walked across them."""
        step, lane = self.rtable[id(o)][0], self.ktable[id(o)][0]
        is_single = self.ksizes == [1]  # then nothing lies along the lanes
        if o.kind == "row":
            o.letter = "c"
            return is_single or lane == o.item
        if o.kind == "once":
            o.letter = "k" if lane == 0 else "v"
            return lane in (0, o.item)
        if step == o.item and (lane or is_single) and o.storage in TURNED:
            o.letter = "t"
            return True
        o.letter = "s" if lane == 0 else "c"
        return lane in (0, o.item) and (lane != 0 or o not in self.outs)

    def _fits(self, o: _Operand) -> bool:
        step, lane = self.rtable[id(o)][0], self.ktable[id(o)][0]
        if self.mode == "inner":
            if o.kind in ("once", "row"):
                o.letter = "k"
                return True
            if o.kind == "part":
                o.letter = "k"
                return step == 0 and len(self.rsizes) <= 2
            o.letter = "s" if step == 0 and o.kind == "each" and self.rsizes[0] > 1 else "c"
            return step in (0, o.item) or self.rsizes[0] == 1
        if o.kind == "once":
            o.letter = "k" if lane == 0 else "v"
        else:
            o.letter = "s" if lane == 0 and self.ksizes[0] > 1 else "c"
        if o.kind == "row":
            return lane == o.item
        return lane in (0, o.item)

    def finish(
        self, plan: RowPlan, kernel: RowKernel, outs: list[_Operand], ins: list[_Operand]
    ) -> None:
        """Fill in the block and the address."""
        rn, ro = self.rsizes[0], shapes.numel(self.rsizes[1:])
        ksizes, lanes, chunk, per = self.ksizes, 1, 1, 1
        across = self.mode != "inner"
        if across:
            lanes, ksizes = self.ksizes[0], self.ksizes[1:]
            cells = shapes.numel(ksizes)
            # Across rows fewer lanes to a task would read parts of every line.
            chunk = CHUNK if self.mode == "outer" else ROWS
            count = cells * -(-lanes // chunk)
        else:
            count = shapes.numel(ksizes)
        if any(o.kind == "column" for o in outs):
            per = -(-count // SPLIT)
        total = rn * ro * shapes.numel(self.ksizes)
        units = -(-count // per)
        serial = int(total <= SERIAL or units <= 1)
        words = [units, serial, count, per, len(ksizes), len(self.rsizes) - 1, rn, ro, lanes, chunk, *ksizes, *self.rsizes[1:]]  # fmt: skip
        for o in self.operands:
            k, r = self.ktable[id(o)], self.rtable[id(o)]
            words += [k[0] if across else o.unit, *(k[1:] if across else k), *r]
        plan.block = array.array("q", words)
        pattern = "".join(o.letter for o in [*outs, *ins])
        streams = self.mode != "turned" and kernel.may_stream and self._streams(plan, outs)
        is_far = self._is_far(total) if self.mode == "outer" else self._is_long(total, rn * ro)
        plan.address = kernel.address(self.mode, pattern, streams, rn * ro > KEPT, is_far)
        plan.launch = entry.launch_unlocked if total > SERIAL else entry.launch

    def _is_far(self, total: int) -> bool:
        """True if operands are too large for the caches, and neighbouring elements of rows lie close."""
        read = [o for o in self.operands if o.kind == "each" and o not in self.outs]
        near = all(abs(self.rtable[id(o)][0]) <= AHEAD for o in read)
        return near and total * max([o.item for o in read], default=0) >= FAR

    def _is_long(self, total: int, length: int) -> bool:
        """True if rows are too long to be asked for while the one before is worked on."""
        sizes = sum(o.item for o in self.operands if o.kind == "each" and o not in self.outs)
        return length * sizes > FETCH and total * sizes >= FAR

    def _streams(self, plan: RowPlan, outs: list[_Operand]) -> bool:
        """True if the results of elements are too large for the caches and lie along their lines."""
        each = [(o, x) for o, x in zip(outs, plan.layouts) if o.kind == "each"]
        for o, x in each:
            kept, row = self.ktable[id(o)], self.rtable[id(o)]
            steps = [*kept[1:], *row] if self.mode == "outer" else [*kept, *row[1:]]
            if x.nbytes < STREAM or any(step % LINE for step in steps):
                return False
        return bool(each)


def _row_major(sizes: Sequence[int], steps: Sequence[Sequence[int]]):
    """Row axes innermost first in their own order, so that the index counts as the user sees it."""
    out: list[int] = []
    table: list[list[int]] = [[] for _ in steps]
    for i in reversed(range(len(sizes))):
        if sizes[i] == 1:
            continue
        here = [st[i] for st in steps]
        if out and all(t[-1] * out[-1] == h for t, h in zip(table, here)):
            out[-1] *= sizes[i]
            continue
        out.append(sizes[i])
        for t, h in zip(table, here):
            t.append(h)
    return (out, table) if out else ([1], [[0] for _ in steps])


@functools.lru_cache(maxsize=1024)
def _kernel(
    build: Callable, signature: tuple, ins: tuple, outs: tuple, scalars: tuple, once: frozenset
) -> RowKernel:
    arguments = []
    for how, value in signature:
        if how == "load":
            index, compute = value
            loaded = ir.load(index, ins[index])
            arguments.append(loaded if compute is None else ir.cast(loaded, compute))
        elif how == "scalar":
            arguments.append(ir.scalar(value, scalars[value]))
        else:
            arguments.append(value)
    return RowKernel(build(*arguments), ins, outs, scalars, once)


class RowOperation(Primitive):
    """A record whose results at a row depend on that row of the operands.

    numbers: parameters that reach the kernel at run time. raw: operands that keep their own type
    (class indices); the others are computed in the type of the first. divided: gives another plan, of several
    steps, where rows are few and long (rows_divided.py), or None.
    """

    family = "rows"

    def __init__(
        self,
        fn,
        *,
        kernel,
        numbers: Sequence[str] = (),
        raw: Sequence[str] = (),
        divided=None,
        **options,
    ):
        super().__init__(fn, **options)
        self.kernel, self.divided = kernel, divided
        self.scalars = tuple(self.names.index(n) for n in numbers)
        self.raw = frozenset(self.names.index(n) for n in raw)

    def key(self, args: tuple):
        parts, part = [], self._part
        for i, a in enumerate(args):
            if isinstance(a, Tensor):
                parts.append(a.layout)
            elif i in self.scalars:
                parts.append(a.__class__)
            else:
                parts.append(a if a.__class__ in _SIMPLE else part(a))
        return tuple(parts)

    def free_numbers(self) -> dict[int, tuple[float, ...]]:
        return dict.fromkeys(self.scalars, ())

    def make(self, *args, stored: DType | None = None) -> RowPlan:
        """The plan. stored: the dtype of the first result, instead of its own."""
        tensors = [i for i in self.operands if isinstance(args[i], Tensor)]
        layouts = [args[i].layout for i in tensors]
        device = common_device(self.name, [args[i] for i in tensors])
        for x in layouts:
            require_no_complex(self.name, x.dtype)
        frame = self.fn(*[a.layout if isinstance(a, Tensor) else a for a in args])
        if stored is not None:
            first = frame.outs[0].layout
            frame.outs[0].layout = layout(first.shape, first.strides, stored, first.device)
        if device is devices.meta:
            plan = RowPlan()
            plan.layouts = tuple(o.layout if o.then is None else o.then[0] for o in frame.outs)
            plan.runs, plan.flagged, plan.copies, plan.sums = False, False, [], []
        else:
            results = [o.layout if o.then is None else o.then[0] for o in frame.outs]
            plan = self.divided and self.divided(self, args, layouts, results)
            plan = plan or row_plan(self._build(args, tensors, layouts, frame), frame, layouts)
        plan.tensors, plan.scalars = tuple(tensors), self.scalars
        return plan

    def _build(self, args, tensors, layouts, frame: Frame) -> RowKernel:
        compute = ir.COMPUTE[(frame.compute or layouts[0].dtype).ir]
        signature, scalars = [], []
        for i, a in enumerate(args):
            if i in tensors:
                signature.append(("load", (tensors.index(i), None if i in self.raw else compute)))
            elif i in self.scalars:
                signature.append(("scalar", len(scalars)))
                scalars.append("i64" if a.__class__ is int else compute)
            else:
                signature.append(("value", a))
        ins, outs = tuple(x.dtype.ir for x in layouts), tuple(o.layout.dtype.ir for o in frame.outs)
        return _kernel(self.kernel, tuple(signature), ins, outs, tuple(scalars), frame.once)

    def fail(self, fact: Fact, args: tuple):
        """Internal records leave the naming to the public one that called them."""
        if not self.where:
            raise fact from None
        super().fail(fact, args)

    def run(self, args: tuple):
        try:
            outs = self.plan(args).execute(args)
        except Fact as fact:
            self.fail(fact, args)
        tape.attach(self, args, outs)
        return outs


rows = registered(RowOperation)

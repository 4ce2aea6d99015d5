"""Elementwise operations: one expression per element, broadcasting, promotion, in-place and out= forms.

    @elementwise(kernel=lambda a, b: a + b, vjp={"input": ..., "other": ...})
    def add(input: Tensor | Number, other: Tensor | Number) -> Tensor: ...

The kernel gets expressions for the operands (already in the compute type) and for numeric parameters, and
Python values for the rest. Parameters that still have their default are constants of the kernel;
other numbers are runtime scalars: their value compiles nothing. `constants` names the numbers that are worth
a kernel of their own (an exponent of 2), or maps a name to the values that are.
A parameter called `inplace` asks for the in-place form, as PyTorch's activations have it.
"""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mezzo import devices, dtypes
from mezzo.core import record as door
from mezzo.core import tape
from mezzo.core.layout import Layout, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor, common_device, empty, require_no_complex
from mezzo.errors import ArgumentTypeError, DTypeError, Fact, ShapeError
from mezzo.kernels import ir
from mezzo.kernels.cpu import capture, entry
from mezzo.kernels.cpu.maps import CHUNK, CONTIGUOUS, SCALAR, SERIAL, STRIDED, MapKernel
from mezzo.rules import dtypes as dtype_rules
from mezzo.rules import shapes
from mezzo.rules.iteration import coalesce

NUMBERS = (bool, int, float)


def _whole(value) -> int:
    try:
        return int(value)
    except (OverflowError, ValueError):
        raise DTypeError(
            f"value {value} cannot be converted to an integer type without overflow. Pass a finite number."
        ) from None


_SLOTS = {"b1": bool, "f32": float, "f64": float}  # how a number reaches the launch; the rest: int
_new = object.__new__


class MapPlan:
    """How to run a map on given layouts. head: the first launch slot (n, or the block's address).

    scalars: (position, conversion) of each number, converted to what the kernel computes in.
    """

    __slots__ = (
        "address",
        "block",
        "head",
        "launch",
        "layout",
        "nbytes",
        "runs",
        "scalars",
        "tensors",
    )

    def execute(self, args: tuple) -> Tensor:
        """Run on new memory."""
        out = empty(self.layout)
        self.into(out, args)
        return out

    def into(self, out: Tensor, args: tuple) -> None:
        """Run into existing memory of the planned layout."""
        if self.runs:
            self.launch(
                self.address, self.head, out.ptr,
                *[args[i].ptr for i in self.tensors], *[to(args[i]) for i, to in self.scalars],
            )  # fmt: skip


@functools.lru_cache(maxsize=4096)
def _kernel(
    build: Callable, signature: tuple, ins: tuple, outs: tuple, scalars: tuple
) -> MapKernel:
    """The kernel of a record for given types; signature tells how each argument reaches the builder."""
    arguments, next_load, next_scalar = [], 0, 0
    for how, value in signature:
        if how == "load":
            loaded = ir.load(next_load, ins[next_load])
            arguments.append(loaded if value is None else ir.cast(loaded, value))
            next_load += 1
        elif how == "scalar":
            arguments.append(ir.scalar(next_scalar, scalars[next_scalar]))
            next_scalar += 1
        else:
            arguments.append(value)
    built = build(*arguments)
    compute = ir.COMPUTE[outs[0]]
    return MapKernel(ins, outs, (ir.cast(ir.lift(built, compute), compute),), scalars)


def map_plan(
    kernel: MapKernel,
    outs: Sequence[Layout],
    operands: Sequence[Layout],
    fresh: bool = False,
    over: bool = False,
    whole: int = 0,
) -> MapPlan:
    """Choose the variant and lay out the block for these layouts (operands broadcast to the outputs' shape).

    fresh: the outputs are new memory, whose contents need not be loaded before they are overwritten, and begin with a
    cache line. over: it is not new, but not read either (of one output). whole: bytes of what the output is a part of.
    """
    plan, out = _new(MapPlan), outs[0]
    plan.layout, plan.nbytes, plan.runs = out, out.nbytes, out.numel > 0
    sizes, table, pattern = access(outs, operands, kernel.uses_index)
    plan.block = None
    if len(sizes) == 1 and STRIDED not in pattern:
        shape = kernel.flat_shape(whole or out.nbytes, pattern, fresh, over)
        plan.address, plan.head = kernel.address(shape, pattern), out.numel
    else:
        steps = [step for t in table[: len(outs)] for step in t[1:]]
        shape = kernel.rows_shape(whole or out.nbytes, pattern, fresh, over, sizes[0], steps)
        plan.address = kernel.address(shape, pattern)
        plan.block, plan.head = _block(sizes, table, out.numel)
    plan.launch = entry.launch_unlocked if plan.nbytes >= 1 << 18 else entry.launch
    return plan


def access(outs: Sequence[Layout], operands: Sequence[Layout], ordered: bool):
    """How a map walks: sizes (innermost first), byte strides of each tensor, and its access letters."""
    shape, count = outs[0].shape, len(outs)
    strides = [o.byte_strides() for o in outs] + [
        tuple(s * o.dtype.itemsize for s in shapes.expand_strides(o.shape, o.strides, shape))
        for o in operands
    ]
    sizes, table = coalesce(shape, strides)
    if sizes[0] < SHORT and len(sizes) > 1 and not ordered:
        _lengthen(sizes, table)
    widths = [o.dtype.itemsize for o in (*outs, *operands)]
    pattern = "".join(
        CONTIGUOUS
        if t[0] == w or (sizes[0] == 1 and i < count)
        else (SCALAR if t[0] == 0 and i >= count else STRIDED)
        for i, (t, w) in enumerate(zip(table, widths))
    )
    return sizes, table, pattern


SHORT = 3  # rows of fewer elements cost more to set up than to run


def _lengthen(sizes: list[int], table: list[list[int]]) -> None:
    """Let the longest axis run innermost, though it is not contiguous."""
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    if sizes[longest] >= 8 * sizes[0]:
        for row in (sizes, *table):
            row[0], row[longest] = row[longest], row[0]


def _block(sizes: list[int], table: list[list[int]], count: int) -> tuple[array.array, int]:
    per_row = -(-sizes[0] // CHUNK)
    rows = count // max(sizes[0], 1)
    words = [rows * per_row, int(count <= SERIAL), per_row, sizes[0], len(sizes) - 1, *sizes[1:]]
    for steps in table:
        words += steps
    block = array.array("q", words)
    return block, block.buffer_info()[0]


class Recipe(NamedTuple):
    """A call as a kernel. tensors: positions of its operands, whose layouts are `layouts`; scalars: (position, conversion)."""

    kernel: MapKernel
    out: Layout
    layouts: list[Layout]
    tensors: tuple[int, ...]
    scalars: tuple[tuple[int, Callable], ...]

    @property
    def reads_first(self) -> bool:
        """True if the elements of the first argument count, which an in-place form writes to."""
        return 0 in self.kernel.loaded and self.tensors[0] == 0


class Elementwise(Primitive):
    """A record whose result at an index depends on the operands at that index alone."""

    family = "elementwise"

    def __init__(self, fn, *, kernel, dtype=dtype_rules.promote, raw: Sequence[str] = (),
                 constants: Mapping[str, frozenset | None] | Sequence[str] = (), **options):  # fmt: skip
        super().__init__(fn, **options)
        known = constants if isinstance(constants, Mapping) else dict.fromkeys(constants)
        self.constants = {self.names.index(n): values for n, values in known.items()}
        self.inplace_at = self.names.index("inplace") if "inplace" in self.names else None
        self.kernel, self.dtype_rule = kernel, dtype
        self.raw = frozenset(self.names.index(n) for n in raw)  # operands that keep their own type
        self.ties = frozenset(self.operands)

    # ---- plans

    def key(self, args: tuple):
        parts = []
        for i, a in enumerate(args):
            if isinstance(a, Tensor):
                parts.append(a.layout)
            elif self._is_scalar(i, a):
                parts.append(a.__class__)
            else:
                parts.append((a.__class__, a))
        return tuple(parts)

    def _is_scalar(self, position: int, value) -> bool:
        """True for a number that reaches the kernel at run time."""
        if value.__class__ not in NUMBERS and not isinstance(value, np.generic):
            return False
        if position in self.constants:
            values = self.constants[position]
            if values is None or value in values:
                return False
        if position in self.operands:
            return True
        return value.__class__ is not bool and value != self.defaults.get(self.names[position])

    def free_numbers(self) -> dict[int, tuple[float, ...]]:
        found = {}
        for i, name in enumerate(self.names):
            special = self.constants.get(i, ())
            if special is None:  # a kernel for each value
                continue
            if i not in self.operands:
                special = (*special, self.defaults.get(name))
            found[i] = tuple([float(v) for v in special if isinstance(v, NUMBERS)])
        return found

    def make(self, *args) -> MapPlan:
        return self.make_into(None, args)

    def make_into(self, target: Layout | None, args: tuple) -> MapPlan:
        """The plan; target is the layout of existing memory, or None for new memory."""
        found = self.recipe(target, args)
        if found.out.device is devices.meta:
            plan = _new(MapPlan)
            plan.layout, plan.nbytes, plan.runs = found.out, 0, False
        else:
            fresh = target is None
            plan = map_plan(found.kernel, (found.out,), found.layouts, fresh, not found.reads_first)
        plan.tensors, plan.scalars = found.tensors, found.scalars
        return plan

    def recipe(self, target: Layout | None, args: tuple) -> Recipe:
        """What the call computes, and where its operands come from."""
        tensors = [i for i in self.operands if isinstance(args[i], Tensor)]
        if not tensors:
            raise Fact(
                DTypeError,
                "needs at least one tensor",
                "Write mezzo.tensor(value) for one operand.",
            )
        device = common_device(self.name, [args[i] for i in tensors])
        if self.dtype_rule.__code__.co_argcount == 2:
            compute, result = self.dtype_rule(
                self._operand_dtypes(args), dict(zip(self.names, args))
            )
        else:
            compute, result = self.dtype_rule(self._operand_dtypes(args))
        require_no_complex(self.name, compute)
        layouts = [args[i].layout for i in tensors]
        shape = self.shape(layouts)
        out = target or self.result_layout(args, shape, layouts, result, device)
        if target is not None:
            self._check_target(target, shape, result)
        scalars = [i for i, a in enumerate(args) if self._is_scalar(i, a)]
        kernel = self._build(args, compute, out.dtype, tensors, scalars)
        to = _SLOTS.get(ir.COMPUTE[compute.ir], _whole)
        return Recipe(kernel, out, layouts, tuple(tensors), tuple((i, to) for i in scalars))

    def shape(self, layouts: Sequence[Layout]) -> tuple[int, ...]:
        """The shape of the result."""
        return shapes.broadcast([x.shape for x in layouts])

    def result_layout(self, args, shape, layouts, dtype, device) -> Layout:
        """The layout of new memory: the strides of the first dense operand."""
        return layout(
            shape,
            shapes.like_strides(shape, [(x.shape, x.strides) for x in layouts]),
            dtype,
            device,
        )

    def _operand_dtypes(self, args: tuple):
        found = []
        for i in self.operands:
            a = args[i]
            if a is None or i in self.raw:
                continue
            if isinstance(a, Tensor):
                found.append((a.layout.dtype, "tensor" if a.layout.ndim else "zero"))
            elif i in self.numbers and isinstance(a, (bool, int, float, complex, np.generic)):
                found.append((dtypes.of_scalar(a), "number"))
            else:
                kind = "a Tensor or a number" if i in self.numbers else "a Tensor"
                raise Fact(
                    ArgumentTypeError,
                    f"argument {i + 1} ({self.names[i]}) must be {kind}, not {type(a).__name__}",
                )
        return found

    def _check_target(self, target: Layout, shape, result) -> None:
        if tuple(target.shape) != tuple(shape):
            raise Fact(
                ShapeError,
                f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(shape)}",
            )
        if target.dtype.category < result.category:
            raise Fact(
                DTypeError,
                f"result type {result.name} can't be cast to the desired output type {target.dtype.name}",
                "Write the operation out of place, or convert the tensor first.",
            )
        if target.has_overlap():
            raise Fact(
                ShapeError,
                "cannot write into an expanded tensor: several indices share one element",
                "clone() it.",
            )

    def _build(self, args, compute, out, tensors, scalars) -> MapKernel:
        type = ir.COMPUTE[compute.ir]
        signature, ins, numbers = [], [], []
        for i, a in enumerate(args):
            if i in tensors:
                ins.append(a.layout.dtype.ir)
                signature.append(("load", None if i in self.raw else type))
            elif i in scalars:
                numbers.append(type)
                signature.append(("scalar", None))
            else:
                signature.append(("value", a))
        return _kernel(self.kernel, tuple(signature), tuple(ins), (out.ir,), tuple(numbers))

    # ---- running

    def __call__(self, *args, **kwargs):
        if (at := self.inplace_at) is not None and (
            kwargs.get("inplace") or (len(args) > at and args[at])
        ):
            full = self.bind(args, kwargs)
            return door.update_bound(self, (*full[:at], False, *full[at + 1 :]))
        return Primitive.__call__(self, *args, **kwargs)

    def run(self, args: tuple) -> Tensor:
        plan = self.plan(args)
        out = plan.execute(args)
        for i in plan.tensors:
            a = args[i]
            if a.auto is not None or a.base is not None:
                tape.attach(self, args, out)
                break
        return out

    def update(self, target: Tensor, args: tuple) -> Tensor:
        tape.check_inplace(self.name + "_", target)
        for i in self.operands[1:]:  # before the plan, which depends on the layouts of copies
            a = args[i]
            if isinstance(a, Tensor) and a is not target and a.storage is target.storage:
                args = untangle(self, target, args)
                break
        key = (*self.key(args), "into")
        plan = self.plans.get(key)
        if plan is None:
            try:
                plan = self.plans.setdefault(key, self.make_into(target.layout, args))
            except Fact as fact:
                self.fail(fact, args)
        if not STATE.grad or all(
            args[i].auto is None and args[i].base is None for i in plan.tensors
        ):
            plan.into(target, args)
            tape.wrote(self.name + "_", target, None)
            return target
        before = tape.alias(target)
        before.auto, before.base = target.auto, target.base
        args = (before, *args[1:])
        node = tape.prepare(self, args)
        if node is not None and isinstance(node.args[0], Tensor):
            keep_original(node, before)
        plan.into(target, args)
        tape.wrote(self.name + "_", target, node)
        return target

    def call_into(self, out, args: tuple):
        plain = not (STATE.stack or (self.complexed is not None and self.has_complex(args)))
        if not plain or not isinstance(out, Tensor) or out.requires_grad:
            return super().call_into(out, args)
        capture.refuse()  # the plan is nobody's
        try:
            plan = self.make_into(None, args)
            if tuple(plan.layout.shape) != tuple(out.shape) or any(
                _overlaps(out, args[i]) for i in plan.tensors
            ):
                return super().call_into(out, args)
            plan = self.make_into(out.layout, args)
        except Fact as fact:
            self.fail(fact, args)
        plan.into(out, args)
        tape.mark_written(out.storage, self.name)
        return out


def keep_original(node: tape.Node, before: Tensor) -> None:
    """The derivative reads what is about to be overwritten: keep a copy, with the history of the original."""
    grad, STATE.grad = STATE.grad, False
    try:
        kept = before.clone()
    finally:
        STATE.grad = grad
    kept.auto = before.auto
    node.versions = [
        (kept if t is before else t, kept.storage.version if t is before else v)
        for t, v in node.versions
    ]
    node.args = (kept, *node.args[1:])


def _overlaps(a: Tensor, b: Tensor) -> bool:
    """True if two tensors of one storage may share bytes at different indices."""
    if a.storage is None or a.storage is not b.storage or (a.ptr == b.ptr and a.layout is b.layout):
        return False
    if a.ptr == b.ptr and a.layout.shape == b.layout.shape and a.layout.strides == b.layout.strides:
        return False
    low_a, high_a = a.layout.extent()
    low_b, high_b = b.layout.extent()
    return a.ptr + low_a < b.ptr + high_b and b.ptr + low_b < a.ptr + high_a


def untangle(record: Elementwise, target: Tensor, args: tuple) -> tuple:
    """Operands that overlap the target at other indices are copied before they are overwritten."""
    if not any(
        isinstance(args[i], Tensor) and _overlaps(target, args[i]) for i in record.operands[1:]
    ):
        return args
    return tuple(
        a.clone()
        if i and i in record.operands and isinstance(a, Tensor) and _overlaps(target, a)
        else a
        for i, a in enumerate(args)
    )


elementwise = registered(Elementwise)

"""Convolutions: three products over the same tables of patches (kernels/cpu/conv).

    convolve              y[n, o, t]    = sum over c, k of w[o, c, k] x[n, c, t stride + k dilation - before]
    convolve_input_grad   the same sum read backwards: x's gradient, and the transposed convolution
    convolve_weight_grad  w's gradient

Each is linear in both operands, so the derivatives of each are the other two.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np

from mezzo import devices
from mezzo.core import kept, tape
from mezzo.core.families import folded
from mezzo.core.families.depthwise import depthwise_plan, depthwise_weight_plan, is_depthwise
from mezzo.core.families.geometry import Geometry, Ints, flat, is_channels_last
from mezzo.core.layout import Layout, dense, layout
from mezzo.core.record import Primitive, registered
from mezzo.core.state import STATE
from mezzo.core.storage import Storage
from mezzo.core.tensor import Tensor, common_device, empty
from mezzo.dtypes import FLOAT, bfloat16, dtype
from mezzo.errors import DTypeError, Fact
from mezzo.kernels.cpu import conv, entry, pool
from mezzo.kernels.cpu.conv import direct, joint, pointwise, weights
from mezzo.kernels.cpu.conv.axes import Axis, Operand, beside, grid
from mezzo.kernels.cpu.memory import allocate
from mezzo.rules import shapes

FEW = 8  # channels that would leave most columns of a tile empty


class ConvPlan:
    """The launches of one convolution. keeping(): the plan whose weight is packed once, or None."""

    __slots__ = ("keeper", "keeping", "launch", "layout", "plans", "workspace")

    def execute(self, args: tuple) -> Tensor:
        """Run on new memory."""
        return self._go(self.plans, args, args[1].ptr, self.workspace)

    def execute_kept(self, args: tuple) -> Tensor:
        """The same; the weight's panels are kept if that serves."""
        keeping = self.keeping
        if keeping is not None:
            self.keeper, self.keeping = keeping(), None
        plan = self.keeper
        panels = None if plan is None else kept.panels(args[1], plan.keeper)
        if panels is None:
            return self.execute(args)
        return self._go([plan], args, panels.ptr, plan.plan.workspace_bytes)

    def _go(self, plans: list, args: tuple, weight: int, workspace: int) -> Tensor:
        out = empty(self.layout)
        bias = args[2].ptr if isinstance(args[2], Tensor) else 0
        if plans:
            scratch = allocate(workspace, Storage)
            for plan in plans:
                self.launch(
                    plan.plan.address, *plan.slots(args[0].ptr, weight, out.ptr, bias, scratch.ptr)
                )
        return out


def is_stored_last(x: Layout | Tensor) -> bool:
    """True if memory holds it as channels_last and not row-major, so that what goes with it should lie the same way."""
    x = x.layout if isinstance(x, Tensor) else x
    if x.ndim not in (3, 4) or x.strides == dense(x.shape, x.dtype, x.device).strides:
        return False
    return tuple(x.strides) == shapes.channels_last_strides(x.shape)


def _operand(of: Layout, rows: Axis, k: Axis, limits: Ints = ()) -> Operand:
    return Operand(of.dtype.ir, of.dtype.itemsize, rows, k, limits)


def _planned(
    left,
    right,
    out,
    compute: dtype,
    groups,
    swap: bool,
    bias: Layout | None = None,
    weight_first: bool = True,
    keeps: bool = False,
):
    """A plan with the contiguous axis of the output along columns. swap: left holds the columns.

    weight_first: left is the record's second argument. keeps: it is packed once. Returns the plan and whether it
    takes the record's operands in the other order.
    """
    storage, down, along = out
    size = storage.dtype.itemsize
    spec = (storage.dtype.ir, size, along, down) if swap else (storage.dtype.ir, size, down, along)
    a, b = (right, left) if swap else (left, right)
    columns = [groups[1], groups[0], *groups[2:]] if swap else groups
    step = 0 if bias is None else bias.strides[0] * bias.dtype.itemsize
    made = conv.plan(a, b, spec, compute.ir, bias=None if bias is None else bias.dtype.ir,
                     bias_steps=(0, step) if swap else (step, 0), groups=tuple(zip(*columns)),
                     threads=pool.get_num_threads(), kept=(2 if swap else 1) * keeps)  # fmt: skip
    return made, swap != weight_first


def _picture(of: Layout, channels: int, places: list = ()) -> direct.Image:
    """A tensor as conv/direct.py wants it; places: for every axis the first one, and the steps from one to the next."""
    sizes, strides = flat(of)
    places = [(0, 1)] * (2 - len(places)) + [*places]
    first = sum(at * step for (at, _), step in zip(places, strides[2:]))
    steps = (strides[0], *(step * every for (_, every), step in zip(places, strides[2:])))
    return direct.Image(
        of.dtype.ir, (sizes[0], *sizes[2:]), steps, channels * strides[1], first, strides[1]
    )


def _taps(g: Geometry, axes: list, back: bool) -> direct.Weight:
    """The weight with its taps along two axes; back: its columns are the channels of x."""
    _, ws = flat(g.w)
    offsets = [tuple(i * step for i in which) for (which, _), step in zip(axes, ws[2:])]
    column, channel = (ws[1], ws[0]) if back else (ws[0], ws[1])
    return direct.Weight(g.w.dtype.ir, column, channel, *offsets, g.outs * ws[0])


def _sliding(g: Geometry) -> list:
    """For two axes the taps, and how windows slide."""
    window = g.window
    found = [(range(k), direct.Sliding(t, s, tuple(i * d - p for i in range(k))))
             for k, t, s, d, p in zip(g.kernel, g.result, window.stride, window.dilation, window.before)]  # fmt: skip
    return [([0], direct.Sliding(1, 1, (0,)))] * (2 - len(found)) + found


def _direct(g: Geometry, axes: list, compute: dtype, bias: Layout | None, phase: list | None = None,
            keeps: bool = False) -> direct.Plan | None:  # fmt: skip
    """A plan of kernels/cpu/conv/direct.py, or None. axes: taps and direct.Sliding; phase: from y to those places of x."""
    if not g.dense or len(g.image) > 2:
        return None
    back = phase is not None
    source, target = (g.y, g.x) if back else (g.x, g.y)
    channels, outs = (g.outs, g.channels) if back else (g.channels, g.outs)
    axes = [([0], direct.Sliding(1, 1, (0,)))] * (2 - len(axes)) + axes
    return direct.plan(_picture(source, channels), _picture(target, outs, phase or []), axes[0][1], axes[1][1],
                       _taps(g, axes, back), channels, outs, g.window.groups, compute.ir,
                       bias=None if bias is None else bias.dtype.ir,
                       bias_step=0 if bias is None else bias.byte_strides()[0],
                       threads=pool.get_num_threads(), kept=keeps)  # fmt: skip


def forward(g: Geometry, bias: Layout | None, compute: dtype, keeps: bool = False) -> list:
    """y: outputs by pixels. keeps: w comes as panels packed once, if the plan has a keeper."""
    if is_depthwise(g, g.x, g.y):
        return [] if keeps else depthwise_plan(g, bias, compute, False)
    made = _direct(g, _sliding(g), compute, bias, keeps=keeps)
    made = made or plan_pointwise(g, bias, compute, False)
    if made is not None:
        return [(made, False)]
    w = _operand(g.w, g.line(g.w, 0, g.outs), g.taps(g.w, 1, g.channels, False, g.last))
    x = _operand(g.x, g.patches(), g.taps(g.x, 1, g.channels, True, g.last), g.image)
    out = (g.y, g.line(g.y, 1, g.outs), g.pixels(g.y))
    groups = [
        g.step(g.w, 0, g.outs),
        g.step(g.x, 1, g.channels),
        g.step(g.y, 1, g.outs),
        g.bias_steps(bias, g.outs),
    ]
    return [_planned(w, x, out, compute, groups, g.last, bias, keeps=keeps)]


def plan_pointwise(
    g: Geometry, bias: Layout | None, compute: dtype, back: bool
) -> direct.Plan | None:
    """A plan of kernels/cpu/conv/pointwise.py, or None; back: from y to x."""
    window, flat = g.window, len(g.image) <= 2 and g.window.groups == 1
    if (
        not flat
        or set(g.kernel + window.stride) != {1}
        or any(window.before)
        or g.image != g.result
    ):
        return None
    sides = [(_picture(g.x, g.channels), g.channels), (_picture(g.y, g.outs), g.outs)]
    (source, channels), (target, outs) = sides[::-1] if back else sides
    return pointwise.plan(source, target, _taps(g, _sliding(g), back), channels, outs, compute.ir,
                          bias=None if bias is None else bias.dtype.ir,
                          bias_step=0 if bias is None else bias.byte_strides()[0],
                          threads=pool.get_num_threads())  # fmt: skip


def weight_grad(g: Geometry, compute: dtype) -> list:
    """w: outputs by taps, summed over pixels."""
    if is_depthwise(g, g.x, g.y):
        return depthwise_weight_plan(g, compute)
    if steps := folded.weight_grad(g, compute):
        return [(step, False) for step in steps]
    axes = _sliding(g) if g.dense and len(g.image) <= 2 else []
    made = axes and weights.plan(_picture(g.x, g.channels), _picture(g.y, g.outs), axes[0][1], axes[1][1],
                                 _taps(g, axes, False), g.channels, g.outs, g.window.groups, compute.ir,
                                 pool.get_num_threads())  # fmt: skip
    if made:
        return [(made, False)]
    last = is_channels_last(g.x)
    y = _operand(g.y, g.line(g.y, 1, g.outs), g.pixels(g.y))
    x = _operand(g.x, g.taps(g.x, 1, g.channels, True, last), g.patches(), g.image)
    out = (g.w, g.line(g.w, 0, g.outs), g.taps(g.w, 1, g.channels, False, last))
    if g.window.groups == 1:
        spec = (g.w.dtype.ir, g.w.dtype.itemsize, *out[1:])
        parts = conv.summed(y, x, spec, compute.ir, pool.get_num_threads())
        if parts:
            return [(part, False) for part in parts]
    groups = [
        g.step(g.y, 1, g.outs),
        g.step(g.x, 1, g.channels),
        g.step(g.w, 0, g.outs),
        [0] * g.window.groups,
    ]
    return [_planned(y, x, out, compute, groups, False, weight_first=False)]


def input_grad(g: Geometry, bias: Layout | None, compute: dtype) -> list:
    """x: channels by pixels, one product for every phase of the stride."""
    if is_depthwise(g, g.y, g.x):
        return depthwise_plan(g, bias, compute, True)
    if bias is None and _tiles(g):
        return [_tiled(g, compute)]
    made = plan_pointwise(g, bias, compute, True) or (
        joint_phases(g, compute) if bias is None else None
    )
    if made is not None:
        return [(made, False)]
    if steps := None if bias is not None else folded.input_grad(g, compute):
        return [(step, False) for step in steps]
    phases = itertools.product(*[range(min(s, n)) for s, n in zip(g.window.stride, g.image)])
    return [_phase(g, phase, bias, compute) for phase in phases]


def joint_phases(g: Geometry, compute: dtype) -> direct.Plan | None:
    """All phases at once, for images of few channels, or None."""
    window = g.window
    if g.channels > FEW or len(g.image) != 2 or not g.dense or window.dilation != (1, 1):
        return None
    sizes = list(zip(g.image, window.stride, g.kernel, window.before))
    if any(n % s or k < s for n, s, k, _ in sizes):
        return None
    sides = [joint.Side(n // s, s, k, before) for n, s, k, before in sizes]
    ws, phases = g.w.byte_strides(), [(0, s) for s in window.stride]
    weight = (g.w.dtype.ir, ws, g.outs * ws[0])
    return joint.plan(_picture(g.y, g.outs), _picture(g.x, g.channels, phases), sides, weight, g.outs, g.channels,
                      window.groups, compute.ir, pool.get_num_threads())  # fmt: skip


def _phase(g: Geometry, phase: Ints, bias: Layout | None, compute: dtype):
    """The product for the pixels phase + stride j: the taps that meet them (or none), and y around j."""
    window, xs, ws, ys = g.window, g.x.byte_strides(), g.w.byte_strides(), g.y.byte_strides()
    taps = []
    for f, k, s, p, d in zip(phase, g.kernel, window.stride, window.before, window.dilation):
        taps.append([i for i in range(k) if (f + p - i * d) % s == 0])
    shifts = [
        np.array([(f + p - i * d) // s for i in t], np.int64)
        for t, f, s, p, d in zip(taps, phase, window.stride, window.before, window.dilation)
    ]
    counts = [-(-(n - f) // s) for n, f, s in zip(g.image, phase, window.stride)]
    if all(taps) and (g.channels > FEW or compute is bfloat16):
        axes = [
            (t, direct.Sliding(n, 1, tuple(at.tolist()))) for t, n, at in zip(taps, counts, shifts)
        ]
        made = _direct(g, axes, compute, bias, list(zip(phase, window.stride)))
        if made is not None:
            return made, False
    where = [np.arange(c) for c in counts]
    w_taps, _ = grid(ws[2:], taps)
    y_taps, y_places = grid(ys[2:], shifts)
    at, places = grid(ys[2:], where)
    to, _ = grid([st * s for st, s in zip(xs[2:], window.stride)], where)
    to = to + sum(f * st for f, st in zip(phase, xs[2:]))

    def k_axis(outs: Axis, spots: Axis) -> Axis:
        return beside(spots, outs) if g.last else beside(outs, spots)

    w = _operand(g.w, g.line(g.w, 1, g.channels), k_axis(g.line(g.w, 0, g.outs), Axis(w_taps)))
    y = _operand(
        g.y,
        Axis(at, places, g.y.shape[0], ys[0]),
        k_axis(g.line(g.y, 1, g.outs), Axis(y_taps, y_places)),
        g.result,
    )
    out = (g.x, g.line(g.x, 1, g.channels), Axis(to, (), g.x.shape[0], xs[0]))
    groups = [
        g.step(g.w, 0, g.outs),
        g.step(g.y, 1, g.outs),
        g.step(g.x, 1, g.channels),
        g.bias_steps(bias, g.channels),
    ]
    # a tile holds fewer rows than columns; where its bf16 registers are square, patches pack better as rows
    few = g.channels <= FEW and compute is not bfloat16
    return _planned(w, y, out, compute, groups, g.last and not few, bias)


def _tiles(g: Geometry) -> bool:
    """True if the windows cover the image without gap or overlap: every pixel has one tap."""
    window = g.window
    return (
        window.stride == g.kernel and not any(window.before) and all(d == 1 or k == 1 for d, k in zip(window.dilation, g.kernel))
        and all(n == t * s for n, t, s in zip(g.image, g.result, window.stride)) and np.prod(window.stride) > 1
    )  # fmt: skip


def _tiled(g: Geometry, compute: dtype):
    """One product for windows that tile the image: pixels of y by channels and taps."""
    xs = g.x.byte_strides()
    w = _operand(g.w, g.taps(g.w, 1, g.channels, False, g.last), g.line(g.w, 0, g.outs))
    y = _operand(g.y, g.pixels(g.y), g.line(g.y, 1, g.outs))
    corners, _ = grid(
        [st * s for st, s in zip(xs[2:], g.window.stride)], [np.arange(n) for n in g.result]
    )
    out = (g.x, g.taps(g.x, 1, g.channels, False, g.last), Axis(corners, (), g.x.shape[0], xs[0]))
    groups = [
        g.step(g.w, 0, g.outs),
        g.step(g.y, 1, g.outs),
        g.step(g.x, 1, g.channels),
        [0] * g.window.groups,
    ]
    return _planned(w, y, out, compute, groups, True)


class Swapped:
    """A plan whose first two buffers change places."""

    __slots__ = ("inner", "keeper", "plan")

    def __init__(self, inner):
        self.inner, self.plan = inner, inner.plan
        self.keeper = getattr(inner, "keeper", None)

    def slots(self, a: int, b: int, out: int, bias: int, workspace: int) -> tuple:
        """The slots of a launch."""
        return self.inner.slots(b, a, out, bias, workspace)


def _keeping(build: Callable) -> Swapped | conv.Plan | None:
    """The plan whose weight is packed once, if it pays."""
    for plan, swap in build(True):
        if plan.keeper is not None:
            return Swapped(plan) if swap else plan
    return None


class Convolution(Primitive):
    """A record of one of the three products. rule(compute, *args) -> (out layout, build), build() -> plans.

    keeps: in inference_mode the second operand is packed once; build(True) gives the plan for it.
    """

    family = "convolution"

    def __init__(self, fn, *, rule: Callable, keeps: bool = False, **options):
        super().__init__(fn, **options)
        self.rule, self.keeps = rule, keeps

    def key(self, args: tuple):
        count = len(self.operands)  # they come first; what follows are tuples of ints, and dtypes
        layouts = [None if a is None else a.layout for a in args[:count]]
        return (pool.get_num_threads(), *layouts, *args[count:])

    def make(self, *args) -> ConvPlan:
        tensors = [args[i] for i in self.operands if isinstance(args[i], Tensor)]
        device = common_device(self.name, tensors)
        compute = compute_dtype([t.layout for t in tensors], dict(zip(self.names, args))["compute"])
        plan = ConvPlan()
        plan.layout, build = self.rule(compute, *args)
        plan.plans, plan.workspace, plan.keeper, plan.keeping = [], 0, None, None
        work = plan.layout.numel * max(t.layout.numel for t in tensors)
        plan.launch = entry.launch_unlocked if work > 1 << 24 else entry.launch
        if device is devices.meta or not plan.layout.numel:
            return plan
        plan.plans = [Swapped(p) if swap else p for p, swap in build()]
        plan.workspace = max((p.plan.workspace_bytes for p in plan.plans), default=0)
        if self.keeps:
            plan.keeping = functools.partial(_keeping, build)
        return plan

    def run(self, args: tuple) -> Tensor:
        plan = self.plan(args)
        out = plan.execute_kept(args) if self.keeps and STATE.inference else plan.execute(args)
        tape.attach(self, args, out)
        return out


def compute_dtype(layouts: list[Layout], compute):
    """What a convolution computes in; operands of several dtypes need `compute`."""
    first = layouts[0].dtype
    for have in layouts:
        if have.dtype.category != FLOAT:
            raise Fact(
                DTypeError, f"is not implemented for {have.dtype.name}", "Convert with x.float()."
            )
        if compute is None and have.dtype is not first:
            raise Fact(
                DTypeError,
                f"Input type ({first.name}) and weight or bias type ({have.dtype.name}) should be the same",
                "Convert one with .to(other.dtype), or use autocast.",
            )
    return compute or first


def image_layout(shape, to: dtype, device, last: bool) -> Layout:
    """A new image, row-major or with channels innermost."""
    if last and len(shape) in (3, 4):
        return layout(shape, shapes.channels_last_strides(shape), to, device)
    return dense(shape, to, device)


convolution = registered(Convolution)

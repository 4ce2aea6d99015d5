"""Losses of classes: cross_entropy and nll_loss, each one kernel forward and one back.

The class of a row is compared with the place in the row, so no gather is needed; the kernel reports a
class that is out of range.
"""

from __future__ import annotations

import math

from mezzo import dtypes
from mezzo.core.families.rows import Frame, Out, per_row, rows
from mezzo.core.layout import Layout, dense
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, OutOfRangeError, ShapeError
from mezzo.kernels import ir as k
from mezzo.kernels.cpu.rows import Rows
from mezzo.ops.loss import reduced, reduction_of
from mezzo.ops.softmax import log_softmax_of, ordered_max, softmax_backward, softmax_of
from mezzo.rules import batching
from mezzo.rules.samples import S, T, index

FP32 = Cast("fp32", "fp32")

# ---- frames


def _frame(
    x: Layout, dim: int, others: list[tuple[Layout | None, str]], outs: int, each: bool = False
) -> Frame:
    """Rows along the class axis; others lie per "row", or per "class" with batches in front."""
    at = dim % x.ndim
    ins, once = [x.strides], []
    for have, kind in others:
        if have is None:
            continue
        if kind == "class":
            strides = [0] * x.ndim
            strides[: have.ndim - 1] = have.strides[:-1]
            strides[at] = have.strides[-1]
        else:
            strides = list(have.strides)
            strides.insert(at, 0)
            once.append(len(ins))
        ins.append(tuple(strides))
    wide = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    if each:
        out = dense(x.shape, x.dtype, x.device)
        made = [Out(out, out.strides)]
    else:
        made = [per_row(x.shape, (at,), wide, x.device) for _ in range(outs)]
    return Frame(tuple(x.shape), (at,), ins, made, frozenset(once))


# ---- kernels


def _place(t: k.Expr, ignore_index: k.Expr):
    """(whether the element is the row's class, whether the row counts, the check of the class)."""
    t = k.cast(t, "i64")
    active = t.ne(ignore_index)
    bad = active & ((t < 0) | (t >= k.row_size("i64")))
    # Half as many vectors; classes are far fewer than 2^32, and what is no class is not active.
    return k.cast(k.index(), "i32").eq(k.cast(t, "i32")), active, (bad, t)


def _weight_of(hit, active, w, like) -> k.Expr:
    one = k.const(1.0, like.type) if w is None else k.row_sum(k.where(hit, w, 0.0))
    return k.where(active, one, 0.0)


def _class_loss(x, t, w, dim, ignore_index, smoothing) -> Rows:
    hit, active, check = _place(t, ignore_index)
    top = ordered_max(x)
    shifted = x - top
    log_sum = k.log(k.row_sum(k.exp(shifted)))
    own = _weight_of(hit, active, w, x)
    loss = own * (log_sum - k.row_sum(k.where(hit, shifted, 0.0)))
    if smoothing:
        n = k.row_size(x.type)
        total = n if w is None else k.row_sum(w)
        spread = log_sum * total - k.row_sum(shifted if w is None else shifted * w)
        loss = loss * (1.0 - smoothing) + spread * (smoothing / n)
    return Rows(row=(k.where(active, loss, 0.0), top, log_sum, own), checks=(check,))


def _class_loss_vjp(g, y, input, target, weight, dim, ignore_index, smoothing):
    return class_loss_backward(g[0], input, target, weight, *y[1:], dim, ignore_index, smoothing)


@rows(grad_name="NllLossBackward0", kernel=_class_loss, numbers=("ignore_index",), raw=("target",), where="", samples=[],
      no_gradient_outputs=(1, 2, 3), saved_outputs=(1, 2, 3),
      batch=batching.dims("dim"), vjp={"input": _class_loss_vjp})  # fmt: skip
def class_loss(
    input: Tensor, target: Tensor, weight: Tensor | None, dim, ignore_index, smoothing
) -> Tensor:
    """(loss, largest input, log of the sum of exponentials above it, weight of the class) of every row."""
    return _frame(input, dim, [(target, "row"), (weight, "class")], 4)


def _class_loss_backward(g, x, t, w, top, log_sum, own, dim, ignore_index, smoothing) -> Rows:
    hit, active, _ = _place(t, ignore_index)
    share = own * (1.0 - smoothing) if smoothing else own
    probability = k.exp(x - top - log_sum)
    wanted = k.where(hit, share, 0.0)
    if smoothing:
        n = k.row_size(x.type)
        each = k.where(active, smoothing / n, 0.0)
        share = share + each * (n if w is None else k.row_sum(w))
        wanted = wanted + (each if w is None else each * w)
    return Rows(each=(g * (probability * share - wanted),))


def _second(u, _y, g, input, target, weight, top, log_sum, own, dim, ignore_index, smoothing):
    frame = (dim, ignore_index, smoothing)
    per_one = class_loss_backward(g * 0 + 1, input, target, weight, top, log_sum, own, *frame)
    share = own * (1 - smoothing)
    if smoothing:
        total = input.shape[dim] if weight is None else weight.sum(-1)
        if weight is not None:
            total = total.reshape((*weight.shape[:-1], *[1] * (own.ndim - weight.ndim + 1)))
        share = share + (smoothing / input.shape[dim]) * total * (target != ignore_index).to(
            own.dtype
        )
    dx = softmax_backward(u, softmax_of(input, dim), dim) * (g * share).unsqueeze(dim)
    return (u * per_one).sum(dim), dx, None, None, None, None, None


@rows(kernel=_class_loss_backward, numbers=("ignore_index",), raw=("target",), where="", samples=[],
      batch=batching.dims("dim"), vjp=_second)  # fmt: skip
def class_loss_backward(grad_output: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, top: Tensor,
                        log_sum: Tensor, own: Tensor, dim, ignore_index, smoothing) -> Tensor:  # fmt: skip
    """The gradient of class_loss."""
    per = [(target, "row"), (weight, "class"), (top, "row"), (log_sum, "row"), (own, "row")]
    frame = _frame(input, dim, per, 1, each=True)
    return _with_row_first(frame, grad_output, dim % input.ndim)


def _with_row_first(frame: Frame, grad: Layout, at: int) -> Frame:
    """The frame with one more operand in front, which has one value per row."""
    strides = list(grad.strides)
    strides.insert(at, 0)
    frame.ins.insert(0, tuple(strides))
    frame.once = frozenset({0, *(i + 1 for i in frame.once)})
    return frame


def _picked(x, t, w, dim, ignore_index) -> Rows:
    hit, active, check = _place(t, ignore_index)
    own = _weight_of(hit, active, w, x)
    return Rows(
        row=(k.where(active, -own * k.row_sum(k.where(hit, x, 0.0)), 0.0), own), checks=(check,)
    )


@rows(grad_name="NllLossBackward0", kernel=_picked, numbers=("ignore_index",), raw=("target",), where="", samples=[],
      no_gradient_outputs=(1,), saved_outputs=(1,),
      batch=batching.dims("dim"),
      vjp={"input": lambda g, y, _x, target, _w, dim, ignore_index: picked_backward(
          g[0], _x, target, y[1], dim, ignore_index)})  # fmt: skip
def picked(input: Tensor, target: Tensor, weight: Tensor | None, dim, ignore_index) -> Tensor:
    """(minus the element of the row's class times its weight, that weight)."""
    return _frame(input, dim, [(target, "row"), (weight, "class")], 2)


def _picked_backward(g, t, own, shape, dtype, dim, ignore_index) -> Rows:
    hit, _, _ = _place(t, ignore_index)
    return Rows(each=(k.where(hit, -(g * own), 0.0),))


def picked_backward(
    g: Tensor, like: Layout, target: Tensor, own: Tensor, dim, ignore_index
) -> Tensor:
    """The gradient of picked; the class axis has the size that `like` says."""
    return placed(g, target, own, like.shape[dim], dim, ignore_index).to(like.dtype)


def _placed_vjp(u, _y, _g, target, own, _size, dim, ignore_index):
    return picked(u, target, None, dim, ignore_index)[0] * own


@rows(kernel=lambda g, t, own, size, dim, ignore_index: _picked_backward(g, t, own, None, None, dim, ignore_index),
      numbers=("ignore_index",), raw=("target",), where="", samples=[], batch=batching.dims("dim"),
      vjp={"input": _placed_vjp})  # fmt: skip
def placed(input: Tensor, target: Tensor, own: Tensor, size, dim, ignore_index) -> Tensor:
    """Zeros with a class axis of that size, in which each row has -input * own at its class."""
    at = dim % (input.ndim + 1)
    shape = (*input.shape[:at], size, *input.shape[at:])
    out = dense(shape, input.dtype, input.device)
    ins = [(*x.strides[:at], 0, *x.strides[at:]) for x in (input, target, own)]
    return Frame(shape, (at,), ins, [Out(out, out.strides)], frozenset((0, 1, 2)))


# ---- public operations


def _class_axis(input: Tensor) -> int:
    if not input.ndim:
        raise Fact(ShapeError, "input has no axes; it must be (C), (N, C) or (N, C, d1, ...)")
    return 1 if input.ndim > 1 else 0


def _check(input: Tensor, target: Tensor, weight: Tensor | None, dim: int) -> None:
    want = (*input.shape[:dim], *input.shape[dim + 1 :])
    if tuple(target.shape) != want:
        if input.ndim > 1 and target.ndim and target.shape[0] != input.shape[0]:
            raise Fact(
                ArgumentValueError,
                f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]})",
                f"The target needs shape {list(want)}: one class for every place of the input.",
            )
        if input.ndim == 2 and target.ndim > 1:
            advice = "Use target.squeeze(1)." if tuple(target.shape) == (*want, 1) else ""
            raise Fact(
                ShapeError,
                f"0D or 1D target tensor expected, multi-target not supported: expected target size {list(want)}, got "
                f"{list(target.shape)}",
                advice
                or "Targets are class numbers, or probabilities in floating point of the shape of input.",
            )
        raise Fact(
            ShapeError,
            f"Expected target size {list(want)}, got {list(target.shape)}",
            "Classes lie along axis 1 of the input: for (batch, time, classes) use input.transpose(1, 2), or flatten both.",
        )
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise Fact(
            DTypeError,
            f"expected target dtype to be Long or Byte, but got {target.dtype.name}",
            "Use target.long().",
        )
    if input.dtype.category != dtypes.FLOAT:
        raise Fact(
            DTypeError, f"not implemented for {input.dtype.name}; input must have a floating dtype"
        )
    if weight is not None:
        if tuple(weight.shape) != (input.shape[dim],):
            raise Fact(ShapeError, f"weight tensor should be defined either for all {input.shape[dim]} classes or no classes but got "
                       f"weight tensor of shape: {list(weight.shape)}")  # fmt: skip
        if weight.dtype is not input.dtype:
            raise Fact(
                DTypeError,
                f"expected scalar type {input.dtype.name} but found {weight.dtype.name}",
                "Convert the weight.",
            )


def _over_rows(loss: Tensor, own: Tensor, reduction: str, dtype) -> Tensor:
    if reduction != "none":
        loss = loss.sum() / own.sum() if reduction == "mean" else loss.sum()
    return loss if loss.dtype is dtype else loss.to(dtype)


def _probabilities(input, target, weight, reduction, smoothing, dim) -> Tensor:
    """Cross entropy where the target gives a probability to every class."""
    classes = input.shape[dim]
    if target.dtype.category != dtypes.FLOAT:
        raise Fact(
            DTypeError,
            f"Expected floating point type for target with class probabilities, got {target.dtype.name}",
        )
    wide = dtypes.float64 if input.dtype is dtypes.float64 else dtypes.float32
    target = target.to(wide)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    terms = log_softmax_of(input, dim, wide) * target
    if weight is not None:
        terms = terms * weight.reshape((-1, *[1] * (input.ndim - dim - 1)))
    if reduction == "none":
        return -terms.sum(dim).to(input.dtype)
    total = -terms.sum()
    rows = math.prod(input.shape) // max(classes, 1)
    return (total / rows if reduction == "mean" else total).to(input.dtype)


_C = index(3, below=5)


@composite(where="nn.functional", cast=Cast("fp32", "keep"), samples=[
    S(T(3, 5), _C), S(T(3, 5), _C, T(5, low=0.5, constant=True)), S(T(3, 5), _C, reduction="sum", label_smoothing=0.2),
    S(T(3, 5), _C, T(5, low=0.5, constant=True), label_smoothing=0.1, ignore_index=2), S(T(2, 5, 3), index(2, 3, below=5), reduction="none"),
    S(T(5), index(below=5)), S(T(3, 5), T(3, 5)), S(T(3, 5), T(3, 5), T(5), label_smoothing=0.1, reduction="sum"),
    S(T(3, 70), index(3, below=70))],
    errors=[(S(T(2, 3), T(2, low=7, high=8, kind="index")), OutOfRangeError, "Target 7 is out of bounds"), (S(T(2, 3), index(3, below=3)), ArgumentValueError, "batch_size (2) to match target batch_size (3)"), (S(T(2, 3), T(2)), DTypeError, "Long or Byte"), (S(T(2, 3), index(2, below=3), reduction="all"), ArgumentValueError, "not a valid value for reduction"), (S(T(2, 3), index(2, below=3), T(2)), ShapeError, "weight tensor should be defined")],
)  # fmt: skip
def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None, ignore_index=-100,
                  reduce=None, reduction="mean", label_smoothing=0.0) -> Tensor:  # fmt: skip
    """How far the softmax of input is from a class, or from probabilities of the classes.

    Math:   loss = -weight[t] * log(softmax(input)[t]), for each row
    Shapes: input (N, C, ...), target (N, ...) of classes or (N, C, ...) of probabilities -> () or (N, ...)
    Dtypes: that of input; computed in float32 or float64
    Raises: IndexError for a class out of range
    Source: torch.nn.functional.cross_entropy
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise Fact(
            ShapeError, f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}"
        )
    dim = _class_axis(input)
    if tuple(target.shape) == tuple(input.shape):
        return _probabilities(input, target, weight, reduction, label_smoothing, dim)
    _check(input, target, weight, dim)
    loss, _, _, own = class_loss(input, target, weight, dim, ignore_index, float(label_smoothing))
    return _over_rows(loss, own, reduction, input.dtype)


@composite(where="nn.functional", cast=FP32, samples=[
    S(T(3, 5), _C), S(T(3, 5), _C, T(5, low=0.5, constant=True)), S(T(3, 5), _C, ignore_index=2, reduction="sum"),
    S(T(2, 5, 3), index(2, 3, below=5), reduction="none"), S(T(5), index(below=5))],
    errors=[(S(T(2, 3), T(2, low=7, high=8, kind="index")), OutOfRangeError, "Target 7 is out of bounds")],
)  # fmt: skip
def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average=None, ignore_index=-100,
             reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """Minus the log-probability that input gives to each row's class.

    Math:   loss = -weight[t] * input[t], for each row
    Shapes: input (N, C, ...), target (N, ...) -> () or (N, ...)
    Dtypes: that of input
    Raises: IndexError for a class out of range
    Source: torch.nn.functional.nll_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    dim = _class_axis(input)
    _check(input, target, weight, dim)
    loss, own = picked(input, target, weight, dim, ignore_index)
    return _over_rows(loss, own, reduction, input.dtype)


@composite(where="nn.functional", cast=Cast(cuda="fp32", cpu="fp32"), samples=[
    S(T(3, 5), _C), S(T(3, 5), _C, 2, 0.5, T(5, low=0.5, constant=True)), S(T(3, 5), _C, reduction="none")])  # fmt: skip
def multi_margin_loss(input: Tensor, target: Tensor, p=1, margin=1.0, weight: Tensor | None = None, size_average=None,
                      reduce=None, reduction="mean") -> Tensor:  # fmt: skip
    """How far other classes come within a margin of the right one.

    Math:   loss = sum_{c != t} weight[t] * max(0, margin - input[t] + input[c])^p / C
    Shapes: input (N, C), target (N,) -> () or (N,)
    Source: torch.nn.functional.multi_margin_loss
    """
    reduction = reduction_of(size_average, reduce, reduction)
    dim = _class_axis(input)
    _check(input, target, weight, dim)
    minus, _ = picked(input, target, None, dim, -(1 << 62))
    room = (input + (minus + margin).unsqueeze(dim)).clamp(min=0)
    room = room if p == 1 else room * room
    loss = (room.sum(dim) - max(margin, 0.0) ** p) / input.shape[dim]
    if weight is not None:
        loss = (
            loss * picked(weight.expand(tuple(input.shape)), target, None, dim, -(1 << 62))[0].neg()
        )
    return reduced(loss.to(input.dtype), reduction)

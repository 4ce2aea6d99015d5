"""Activations made of straight pieces, and their gates."""

from __future__ import annotations

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import zero
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.dtypes import BOOL
from mezzo.errors import DTypeError, Fact, ShapeError
from mezzo.kernels import ir as k
from mezzo.ops.arithmetic import sign
from mezzo.ops.select import where
from mezzo.ops.shape import reshape, slice_dim
from mezzo.rules import dtypes as rules
from mezzo.rules import samples, shapes
from mezzo.rules.samples import S, T

PLACES = "mezzo Tensor nn.functional"
FUNCTIONAL = "nn.functional"


def _zero(x: k.Expr) -> k.Expr:
    return k.const(0, x.type)


@elementwise(where="", kernel=lambda g, x, threshold: k.where(x <= threshold, _zero(g), g),
             vjp={"grad": lambda g, _y, _g, x, threshold: threshold_backward(g, x, threshold),
                  "input": lambda g, _y, _g, _x, threshold: zero(g)})  # fmt: skip
def threshold_backward(grad: Tensor, input: Tensor, threshold=0) -> Tensor:
    """grad where input is above the threshold, else zero."""


def _relu_dtype(operands):
    if operands[0][0].category == BOOL:
        raise Fact(DTypeError, "Boolean inputs not supported for relu", "Convert with x.float().")
    return rules.promote(operands)


@elementwise(kernel=lambda x, inplace: k.where(x <= 0, _zero(x), x) if x.is_float else k.maximum(x, 0),
             dtype=_relu_dtype, inplace=True, where=PLACES,
             vjp={"input": lambda g, y, _x, inplace: threshold_backward(g, y)}, samples=samples.unary())  # fmt: skip
def relu(input: Tensor, inplace=False) -> Tensor:
    """input where positive, else 0.

    Math:   y[i] = max(input[i], 0)
    Shapes: input (...) -> (...)
    Source: torch.nn.functional.relu
    """


@elementwise(kernel=lambda x, threshold, value, inplace: k.where(x <= threshold, k.lift(value, x.type), x), inplace=True,
             where="mezzo nn.functional", dtype=rules.no_bool,
             vjp={"input": lambda g, _y, x, threshold, value, inplace: threshold_backward(g, x, threshold)},
             samples=[S(T(7), 0.5, 2.0), S(T(2, 3), 0.1, 20), S(T(0, 2), 0.0, 0.0)])  # fmt: skip
def threshold(input: Tensor, threshold, value, inplace=False) -> Tensor:
    """input where above the threshold, else value.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.threshold
    """


def _between(g: k.Expr, x: k.Expr, low, high) -> k.Expr:
    return k.where((x <= low) | (x >= high), _zero(g), g)


@elementwise(where="", kernel=_between,
             vjp={"grad": lambda g, _y, _g, x, low, high: hardtanh_backward(g, x, low, high),
                  "input": lambda g, _y, _g, _x, low, high: zero(g)})  # fmt: skip
def hardtanh_backward(grad: Tensor, input: Tensor, min_val=-1.0, max_val=1.0) -> Tensor:
    """grad where input lies strictly between the limits, else zero."""


def _hardtanh_dtype(operands, named):
    result, _ = rules.no_bool(operands)
    if not result.is_signed and min(int(named["min_val"]), int(named["max_val"])) < 0:
        raise Fact(DTypeError, f"cannot have negative limits for the unsigned type {result.name}")
    return result, result


@elementwise(kernel=lambda x, low, high, inplace: k.minimum(k.maximum(x, low), high), inplace=True, where=FUNCTIONAL,
             dtype=_hardtanh_dtype,
             vjp={"input": lambda g, _y, x, low, high, inplace: hardtanh_backward(g, x, low, high)},
             samples=[*samples.unary(), S(T(7), -0.5, 0.25)])  # fmt: skip
def hardtanh(input: Tensor, min_val=-1.0, max_val=1.0, inplace=False) -> Tensor:
    """input limited to the range from min_val to max_val.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.hardtanh
    """


@elementwise(grad_name="HardtanhBackward0", kernel=lambda x, inplace: k.minimum(k.maximum(x, 0), 6), dtype=rules.no_bool, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x, inplace: hardtanh_backward(g, x, 0, 6)},
             samples=samples.unary(-3, 9))  # fmt: skip
def relu6(input: Tensor, inplace=False) -> Tensor:
    """input limited to the range from 0 to 6.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.relu6
    """


@elementwise(where="", kernel=lambda g, x, slope: k.where(x > 0.0, g, g * slope),
             vjp={"grad": lambda g, _y, _g, x, slope: leaky_relu_backward(g, x, slope),
                  "input": lambda g, _y, _g, _x, slope: zero(g)})  # fmt: skip
def leaky_relu_backward(grad: Tensor, input: Tensor, negative_slope=0.01) -> Tensor:
    """grad where input is positive, else negative_slope * grad."""


@elementwise(kernel=lambda x, slope, inplace: k.where(x > 0.0, x, x * slope), dtype=rules.float_only, inplace=True,
             where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x, slope, inplace: leaky_relu_backward(g, x, slope)},
             samples=[*samples.unary(), S(T(7), 0.2)])  # fmt: skip
def leaky_relu(input: Tensor, negative_slope=0.01, inplace=False) -> Tensor:
    """input where positive, else negative_slope * input.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.leaky_relu
    """


@elementwise(where="", kernel=lambda g, x: k.where((x > -3.0) & (x < 3.0), g * (1 / 6), _zero(g)),
             vjp={"grad": lambda g, _y, _g, x: hardsigmoid_backward(g, x), "input": lambda g, _y, _g, _x: zero(g)})  # fmt: skip
def hardsigmoid_backward(grad: Tensor, input: Tensor) -> Tensor:
    """grad / 6 where input lies strictly between -3 and 3, else zero."""


@elementwise(kernel=lambda x, inplace: k.minimum(k.maximum(x + 3.0, 0.0), 6.0) * (1 / 6), dtype=rules.float_only,
             where=FUNCTIONAL, vjp={"input": lambda g, _y, x, inplace: hardsigmoid_backward(g, x)},
             samples=samples.unary(-5, 5))  # fmt: skip
def hardsigmoid(input: Tensor, inplace=False) -> Tensor:
    """relu6(input + 3) / 6.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.hardsigmoid
    """


def _hardswish_slope(g: k.Expr, x: k.Expr) -> k.Expr:
    return k.where(x <= -3.0, _zero(g), k.where(x < 3.0, g * (x * (1 / 3) + 0.5), g))


@elementwise(where="", kernel=_hardswish_slope,
             vjp={"grad": lambda g, _y, _g, x: hardswish_backward(g, x),
                  "input": lambda g, _y, grad, x: hardtanh_backward(g * grad, x, -3.0, 3.0) * (1 / 3)})  # fmt: skip
def hardswish_backward(grad: Tensor, input: Tensor) -> Tensor:
    """grad times the slope of hardswish."""


@elementwise(kernel=lambda x, inplace: x * k.minimum(k.maximum(x + 3.0, 0.0), 6.0) * (1 / 6), dtype=rules.float_only,
             where=FUNCTIONAL, vjp={"input": lambda g, _y, x, inplace: hardswish_backward(g, x)},
             samples=samples.unary(-5, 5))  # fmt: skip
def hardswish(input: Tensor, inplace=False) -> Tensor:
    """input * relu6(input + 3) / 6.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.hardswish
    """


@elementwise(where="", kernel=lambda g, x, lambd: k.where((x >= -lambd) & (x <= lambd), _zero(g), g),
             vjp={"grad": lambda g, _y, _g, x, lambd: shrink_backward(g, x, lambd),
                  "input": lambda g, _y, _g, _x, lambd: zero(g)})  # fmt: skip
def shrink_backward(grad: Tensor, input: Tensor, lambd=0.5) -> Tensor:
    """grad where |input| > lambd, else zero."""


@elementwise(kernel=lambda x, lambd: k.where((x >= -lambd) & (x <= lambd), _zero(x), x), dtype=rules.float_only,
             where=PLACES, vjp={"input": lambda g, _y, x, lambd: shrink_backward(g, x, lambd)},
             samples=[*samples.unary(), S(T(7), 1.0)])  # fmt: skip
def hardshrink(input: Tensor, lambd=0.5) -> Tensor:
    """input where |input| > lambd, else 0.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.hardshrink
    """


def _softshrink(x: k.Expr, lambd) -> k.Expr:
    # x * 0 keeps NaN.
    return k.where(x > lambd, x - lambd, k.where(x < -lambd, x + lambd, x * 0.0))


@elementwise(kernel=_softshrink, dtype=rules.float_only, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x, lambd: shrink_backward(g, x, lambd)},
             samples=[*samples.unary(), S(T(7), 1.0)])  # fmt: skip
def softshrink(input: Tensor, lambd=0.5) -> Tensor:
    """input moved towards zero by lambd, and 0 between.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.softshrink
    """


@elementwise(where="", kernel=lambda g, x: g / ((k.abs(x) + 1.0) * (k.abs(x) + 1.0)),
             vjp={"grad": lambda g, _y, _g, x: softsign_backward(g, x),
                  "input": lambda g, _y, grad, x: g * grad * -2 * sign(x) / (x.abs() + 1) ** 3})  # fmt: skip
def softsign_backward(grad: Tensor, input: Tensor) -> Tensor:
    """grad times the slope of softsign."""


@elementwise(kernel=lambda x: x / (k.abs(x) + 1.0), where=FUNCTIONAL, dtype=rules.number_to_float,
             vjp={"input": lambda g, _y, x: softsign_backward(g, x)}, samples=samples.unary())  # fmt: skip
def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|).

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.softsign
    """


@elementwise(kernel=lambda x, w: k.where(x > 0.0, x, x * w), dtype=rules.float_only, where="",
             vjp={"input": lambda g, _y, x, w: where(x > 0, g, g * w), "weight": lambda g, _y, x, _w: where(x > 0, 0, g * x)})  # fmt: skip
def prelu_kernel(input: Tensor, weight: Tensor) -> Tensor:
    """input where positive, else weight * input; weight broadcasts."""


@composite(where=PLACES, cast="low",
           samples=[S(T(2, 3, 4), T(1)), S(T(2, 3, 4), T(3)), S(T(2, 3), T(3)), S(T(5), T(1)), S(T(0, 3), T(3))])  # fmt: skip
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where positive, else weight * input, with one weight or one per channel.

    Math:   y[i] = input[i] > 0 ? input[i] : weight * input[i]
    Shapes: input (N, C, ...), weight (1) or (C) -> (N, C, ...)
    Source: torch.nn.functional.prelu
    """
    count = weight.numel()
    if weight.ndim > 1:
        raise Fact(
            ShapeError,
            f"weight must have 0 or 1 axes, and has {weight.ndim}",
            "Flatten it with weight.reshape(-1).",
        )
    if count != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if count != channels:
            raise Fact(
                ShapeError,
                f"weight has {count} elements; it must have 1 or one per channel, {channels}",
            )
        weight = reshape(weight, (count, *(1,) * (input.ndim - 2)))
    return prelu_kernel(input, weight)


@composite(where=FUNCTIONAL, samples=[S(T(4, 6)), S(T(4, 6), 0), S(T(2, 4, 3), 1), S(T(6))],
           errors=[(S(T(3)), ShapeError, "must be even")])  # fmt: skip
def glu(input: Tensor, dim=-1) -> Tensor:
    """The first half of input along dim, gated by the sigmoid of the second.

    Math:   y = a * sigmoid(b), input = [a, b] along dim
    Shapes: input (..., 2n, ...) -> (..., n, ...)
    Source: torch.nn.functional.glu
    """
    if not input.ndim:
        raise Fact(
            ShapeError, "does not take a 0-dimensional tensor: dim must be at least 1 to be halved"
        )
    dim = shapes.axis(dim, input.ndim)
    size = input.shape[dim]
    if size % 2:
        raise Fact(ShapeError, f"the size of dim {dim} must be even to be halved, and is {size}")
    half = size // 2
    return gate(slice_dim(input, dim, 0, half, 1), slice_dim(input, dim, half, size, 1))


def _gate_slope(g: k.Expr, a: k.Expr, b: k.Expr) -> k.Expr:
    s = k.sigmoid(b)
    return g * a * s * (1.0 - s)


def _gate_again(g, _y, grad, a, b):
    return g * grad * a * gate(1 - 2 * b.sigmoid(), b) * (1 - b.sigmoid())


@elementwise(where="", kernel=_gate_slope,
             vjp={"grad": lambda g, _y, _g, a, b: gate_backward(g, a, b),
                  "value": lambda g, _y, grad, _a, b: gate_backward(g, grad, b), "by": _gate_again})  # fmt: skip
def gate_backward(grad: Tensor, value: Tensor, by: Tensor) -> Tensor:
    """What a gate passes to the operand under the sigmoid."""


@elementwise(grad_name="GluBackward0", where="", kernel=lambda a, b: a * k.sigmoid(b), dtype=rules.float_only,
             vjp={"value": lambda g, _y, _a, b: gate(g, b), "by": lambda g, _y, a, b: gate_backward(g, a, b)})  # fmt: skip
def gate(value: Tensor, by: Tensor) -> Tensor:
    """value * sigmoid(by)."""

"""Smooth activations: sigmoid, softplus, gelu, silu, mish and the elu family. Each backward is one kernel."""

from __future__ import annotations

import math

from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope
from mezzo.core.record import Cast
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, Fact
from mezzo.kernels import ir as k
from mezzo.kernels.normal import normal, times_area
from mezzo.ops.exponential import exp
from mezzo.ops.select import where
from mezzo.ops.trigonometric import tanh, tanh_backward
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T

FUNCTIONAL = "nn.functional"
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

# ---- sigmoid and its kin

sigmoid_backward = slope("sigmoid_backward", lambda y: y * (1.0 - y), lambda y: 1 - 2 * y)


@elementwise(kernel=k.sigmoid, dtype=rules.int_to_float, inplace=True, where="mezzo Tensor nn.functional",
             aliases="special.expit", vjp={"input": lambda g, y, _x: sigmoid_backward(g, y)},
             samples=samples.unary(-8, 8))  # fmt: skip
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)).

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.sigmoid
    """


log_sigmoid_backward = slope(
    "log_sigmoid_backward", lambda x: k.sigmoid(k.neg(x)), lambda x: -sigmoid(x) * sigmoid(-x)
)


@elementwise(grad_name="LogSigmoidBackward0", kernel=k.log_sigmoid, dtype=rules.float_only, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x: log_sigmoid_backward(g, x)}, samples=samples.unary(-8, 8))  # fmt: skip
def logsigmoid(input: Tensor) -> Tensor:
    """ln(sigmoid(input)) without overflow.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.logsigmoid
    """


def _logit(x: k.Expr, eps) -> k.Expr:
    if eps is not None:
        x = k.minimum(k.maximum(x, eps), 1.0 - eps)
    return k.log(x / (1.0 - x))


def _logit_slope(g: k.Expr, x: k.Expr, eps) -> k.Expr:
    low, beyond = (0.0, math.nan) if eps is None else (eps, 0.0)
    outside = (x < low) | (x > 1.0 - low)
    return k.where(outside, k.const(beyond, g.type), g / (x * (1.0 - x)))


@elementwise(where="", kernel=_logit_slope,
             vjp={"grad": lambda g, _y, _g, x, eps: logit_backward(g, x, eps),
                  "input": lambda g, _y, grad, x, eps: logit_backward(g * grad, x, eps) * (2 * x - 1) / (x * (1 - x))})  # fmt: skip
def logit_backward(grad: Tensor, input: Tensor, eps=None) -> Tensor:
    """grad / (input (1 - input)); zero (eps given) or NaN outside the domain."""


@elementwise(kernel=_logit, dtype=rules.int_to_float, inplace=True, where="mezzo Tensor special",
             vjp={"input": lambda g, _y, x, eps: logit_backward(g, x, eps)},
             samples=[*samples.unary(0.1, 0.4), S(T(7, low=-0.2, high=1.2), 0.1), S(T(7, low=0.1, high=0.9), eps=1e-6)])  # fmt: skip
def logit(input: Tensor, eps=None) -> Tensor:
    """ln(input / (1 - input)), the inverse of sigmoid; eps limits input to [eps, 1 - eps] first.

    Shapes: input (...) -> (...)
    Dtypes: float kept; int and bool become the default float
    Source: torch.logit
    """


def _softplus(x: k.Expr, beta, threshold) -> k.Expr:
    z = x * beta
    return k.where(z > threshold, x, k.softplus(z) / beta)


def _softplus_again(g, _y, grad, x, beta, threshold):
    s = sigmoid(x * beta)
    return where(x * beta > threshold, 0, g * grad * (s * (1 - s) * beta))


@elementwise(where="", kernel=lambda g, x, beta, threshold: k.where(x * beta > threshold, g, g * k.sigmoid(x * beta)),
             vjp={"grad": lambda g, _y, _g, x, beta, threshold: softplus_backward(g, x, beta, threshold),
                  "input": _softplus_again})  # fmt: skip
def softplus_backward(grad: Tensor, input: Tensor, beta=1.0, threshold=20.0) -> Tensor:
    """grad times the slope of softplus."""


@elementwise(kernel=_softplus, dtype=rules.float_only, where=FUNCTIONAL, cast=Cast(cuda="fp32"),
             vjp={"input": lambda g, _y, x, beta, threshold: softplus_backward(g, x, beta, threshold)},
             samples=[*samples.unary(), S(T(7, low=-9, high=9), 2.0, 4.0), S(T(7), 0.5)])  # fmt: skip
def softplus(input: Tensor, beta=1.0, threshold=20.0) -> Tensor:
    """ln(1 + exp(beta input)) / beta, and input itself where beta input is over the threshold.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.softplus
    """


tanhshrink_backward = slope("tanhshrink_backward", lambda t: t * t, lambda t: t * 2)


@elementwise(kernel=lambda x: x - k.tanh(x), dtype=rules.number_to_float, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x: tanhshrink_backward(g, tanh(x))}, samples=samples.unary())  # fmt: skip
def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input).

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.tanhshrink
    """


# ---- input times a gate

GELU_INNER, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715
DENSITY = 1 / math.sqrt(2 * math.pi)


def _tanh_gate(x: k.Expr) -> k.Expr:
    """(1 + tanh(u)) / 2 = sigmoid(2 u)."""
    return k.sigmoid(x * k.fma(x * x, GELU_INNER * GELU_CUBE, GELU_INNER))


def _gelu(x: k.Expr, approximate: str) -> k.Expr:
    return x * _tanh_gate(x) if approximate == "tanh" else times_area(x)


def _gelu_slope(g: k.Expr, x: k.Expr, approximate: str) -> k.Expr:
    if approximate == "tanh":
        s = _tanh_gate(x)
        inner = k.fma(x * x, 3 * GELU_INNER * GELU_CUBE, GELU_INNER)
        return g * k.fma(x * inner, s * (1.0 - s), s)
    area, bell = normal(x)
    return g * k.fma(x * DENSITY, bell, area)


def _gelu_again(g, _y, grad, x, approximate):
    if approximate == "none":
        return g * grad * ((2 - x * x) * exp(x * x * -0.5) * DENSITY)
    square = x * x
    s = sigmoid(x * (square * (GELU_INNER * GELU_CUBE) + GELU_INNER))
    inner = square * (3 * GELU_INNER * GELU_CUBE) + GELU_INNER
    bend = 2 * inner + x * inner * inner * (1 - 2 * s) + square * (6 * GELU_INNER * GELU_CUBE)
    return g * grad * (s * (1 - s) * bend)


@elementwise(where="", kernel=_gelu_slope,
             vjp={"grad": lambda g, _y, _g, x, approximate: gelu_backward(g, x, approximate), "input": _gelu_again})  # fmt: skip
def gelu_backward(grad: Tensor, input: Tensor, approximate="none") -> Tensor:
    """grad times the slope of gelu."""


def _gelu_dtype(operands, named):
    if named["approximate"] not in ("none", "tanh"):
        raise Fact(
            ArgumentValueError,
            f"approximate is {named['approximate']!r}; it must be 'none' or 'tanh'",
        )
    return rules.float_only(operands)


@elementwise(kernel=_gelu, dtype=_gelu_dtype, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x, approximate: gelu_backward(g, x, approximate)},
             samples=[*samples.unary(-5, 5), S(T(9, low=-5, high=5), approximate="tanh")])  # fmt: skip
def gelu(input: Tensor, *, approximate="none") -> Tensor:
    """input times the area under the standard normal density left of it.

    Math:   y[i] = input[i] * Phi(input[i]); "tanh": 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    Shapes: input (...) -> (...)
    Source: torch.nn.functional.gelu
    """


def _silu_slope(g: k.Expr, x: k.Expr) -> k.Expr:
    s = k.sigmoid(x)
    return g * s * k.fma(x, 1.0 - s, 1.0)


def _silu_again(g, _y, grad, x):
    s = sigmoid(x)
    return g * grad * (s * (1 - s) * (2 + x * (1 - 2 * s)))


@elementwise(
    where="",
    kernel=_silu_slope,
    vjp={"grad": lambda g, _y, _g, x: silu_backward(g, x), "input": _silu_again},
)
def silu_backward(grad: Tensor, input: Tensor) -> Tensor:
    """grad times the slope of silu."""


@elementwise(kernel=lambda x, inplace: x * k.sigmoid(x), dtype=rules.float_only, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x, inplace: silu_backward(g, x)}, samples=samples.unary(-8, 8))  # fmt: skip
def silu(input: Tensor, inplace=False) -> Tensor:
    """input * sigmoid(input).

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.silu
    """


def _mish_gate(x: k.Expr) -> tuple[k.Expr, k.Expr]:
    """tanh(softplus(x)) and one less it, from one exponential: n / (n + 2) with n = e^x (e^x + 2)."""
    e = k.exp(k.minimum(x, 20.0))
    n = e * (e + 2.0)
    inverse = 1.0 / (n + 2.0)
    return n * inverse, inverse * 2.0


def _mish_slope(g: k.Expr, x: k.Expr) -> k.Expr:
    gate, rest = _mish_gate(x)
    return g * k.fma(x * k.sigmoid(x), rest * (1.0 + gate), gate)


def _mish_again(g, _y, grad, x):
    t, s = tanh(softplus(x)), sigmoid(x)
    bend = 2 + x * (1 - s) - 2 * x * t * s
    return g * grad * (tanh_backward(s, t) * bend)


@elementwise(
    where="",
    kernel=_mish_slope,
    vjp={"grad": lambda g, _y, _g, x: mish_backward(g, x), "input": _mish_again},
)
def mish_backward(grad: Tensor, input: Tensor) -> Tensor:
    """grad times the slope of mish."""


@elementwise(kernel=lambda x, inplace: x * _mish_gate(x)[0], dtype=rules.float_only, where=FUNCTIONAL,
             vjp={"input": lambda g, _y, x, inplace: mish_backward(g, x)}, samples=samples.unary(-8, 8))  # fmt: skip
def mish(input: Tensor, inplace=False) -> Tensor:
    """input * tanh(softplus(input)).

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.mish
    """


# ---- the elu family: scale * x above zero, scale * alpha * (exp(rate x) - 1) below


def _elu(x: k.Expr, alpha, scale, rate) -> k.Expr:
    return k.where(x > 0.0, x * scale, k.expm1(x * rate) * alpha * scale)


def _elu_again(g, _y, grad, x, alpha, scale, rate):
    return where(x > 0, 0, g * grad * (exp(x * rate) * (alpha * scale * rate * rate)))


@elementwise(where="", kernel=lambda g, x, alpha, scale, rate: k.where(
                 x > 0.0, g * scale, g * (k.exp(x * rate) * alpha * scale * rate)),
             vjp={"grad": lambda g, _y, _g, x, alpha, scale, rate: elu_backward(g, x, alpha, scale, rate),
                  "input": _elu_again})  # fmt: skip
def elu_backward(grad: Tensor, input: Tensor, alpha=1.0, scale=1.0, rate=1.0) -> Tensor:
    """grad times the slope of an elu."""


@elementwise(kernel=lambda x, alpha, inplace: _elu(x, alpha, 1.0, 1.0), dtype=rules.float_only, inplace=True,
             where=FUNCTIONAL, vjp={"input": lambda g, _y, x, alpha, inplace: elu_backward(g, x, alpha)},
             samples=[*samples.unary(), S(T(7), 0.5)])  # fmt: skip
def elu(input: Tensor, alpha=1.0, inplace=False) -> Tensor:
    """input where positive, else alpha (exp(input) - 1).

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.elu
    """


@elementwise(grad_name="EluBackward0", kernel=lambda x, inplace: _elu(x, SELU_ALPHA, SELU_SCALE, 1.0), dtype=rules.float_only, inplace=True,
             where="mezzo nn.functional",
             vjp={"input": lambda g, _y, x, inplace: elu_backward(g, x, SELU_ALPHA, SELU_SCALE)},
             samples=samples.unary())  # fmt: skip
def selu(input: Tensor, inplace=False) -> Tensor:
    """elu with the alpha and scale that keep mean 0 and variance 1.

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.selu
    """


@elementwise(kernel=lambda x, alpha, inplace: k.where(x > 0.0, x, k.expm1(x / alpha) * alpha), dtype=rules.float_only,
             inplace=True, where="mezzo nn.functional",
             vjp={"input": lambda g, _y, x, alpha, inplace: elu_backward(g, x, alpha, 1.0, 1.0 / alpha)},
             samples=[*samples.unary(), S(T(7), 0.5)])  # fmt: skip
def celu(input: Tensor, alpha=1.0, inplace=False) -> Tensor:
    """input where positive, else alpha (exp(input / alpha) - 1).

    Shapes: input (...) -> (...)
    Source: torch.nn.functional.celu
    """

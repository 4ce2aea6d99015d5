"""Comparisons and tests, element by element. Their results are truth values."""

from __future__ import annotations

from numbers import Number

from mezzo import dtypes
from mezzo.core.families.elementwise import elementwise
from mezzo.core.record import none
from mezzo.core.tensor import Tensor
from mezzo.dtypes import FLOAT
from mezzo.errors import ArgumentValueError, DTypeError, Fact
from mezzo.kernels import ir as k
from mezzo.rules import dtypes as rules
from mezzo.rules import samples
from mezzo.rules.samples import S, T

TRUTH = none("a truth value")
_PAIRS = [
    *samples.binary(),
    S(T(4, kind="int"), T(4, kind="int")),
    S(T(4, kind="int"), 1),
    S(T(3), 0.5),
]
_TESTS = [*samples.unary(), S(T(3, kind="int")), S(T(3, kind="bool"))]


@elementwise(
    kernel=lambda a, b: a.eq(b),
    dtype=rules.compare,
    vjp=TRUTH,
    inplace=True,
    operators="__eq__",
    samples=_PAIRS,
)
def eq(input: Tensor, other: Tensor | Number) -> Tensor:
    """True where input == other.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.eq
    """


@elementwise(kernel=lambda a, b: a.ne(b), dtype=rules.compare, vjp=TRUTH, inplace=True, operators="__ne__",
             aliases="not_equal", samples=_PAIRS)  # fmt: skip
def ne(input: Tensor, other: Tensor | Number) -> Tensor:
    """True where input != other, NaN included.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.ne
    """


@elementwise(kernel=lambda a, b: a < b, dtype=rules.compare, vjp=TRUTH, inplace=True, operators="__lt__",
             aliases="less", samples=_PAIRS)  # fmt: skip
def lt(input: Tensor, other: Tensor | Number) -> Tensor:
    """True where input < other.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.lt
    """


@elementwise(kernel=lambda a, b: a <= b, dtype=rules.compare, vjp=TRUTH, inplace=True, operators="__le__",
             aliases="less_equal", samples=_PAIRS)  # fmt: skip
def le(input: Tensor, other: Tensor | Number) -> Tensor:
    """True where input <= other.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.le
    """


@elementwise(kernel=lambda a, b: a > b, dtype=rules.compare, vjp=TRUTH, inplace=True, operators="__gt__",
             aliases="greater", samples=_PAIRS)  # fmt: skip
def gt(input: Tensor, other: Tensor | Number) -> Tensor:
    """True where input > other.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.gt
    """


@elementwise(kernel=lambda a, b: a >= b, dtype=rules.compare, vjp=TRUTH, inplace=True, operators="__ge__",
             aliases="greater_equal", samples=_PAIRS)  # fmt: skip
def ge(input: Tensor, other: Tensor | Number) -> Tensor:
    """True where input >= other.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.ge
    """


def _of_float(test, otherwise: bool):
    """A test that integers and truth values pass always or never."""
    return lambda x: test(x) if x.is_float else k.const(otherwise, "b1")


INF = float("inf")


@elementwise(kernel=_of_float(k.is_nan, False), dtype=rules.compare, vjp=TRUTH, samples=_TESTS)
def isnan(input: Tensor) -> Tensor:
    """True where input is not a number.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.isnan
    """


@elementwise(
    kernel=_of_float(lambda x: k.abs(x).eq(INF), False),
    dtype=rules.compare,
    vjp=TRUTH,
    samples=_TESTS,
)
def isinf(input: Tensor) -> Tensor:
    """True where input is infinite.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.isinf
    """


@elementwise(
    kernel=_of_float(lambda x: k.abs(x) < INF, True), dtype=rules.compare, vjp=TRUTH, samples=_TESTS
)
def isfinite(input: Tensor) -> Tensor:
    """True where input is neither infinite nor NaN.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.isfinite
    """


@elementwise(
    kernel=_of_float(lambda x: x.eq(INF), False), dtype=rules.compare, vjp=TRUTH, samples=_TESTS
)
def isposinf(input: Tensor) -> Tensor:
    """True where input is +inf.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.isposinf
    """


@elementwise(
    kernel=_of_float(lambda x: x.eq(-INF), False), dtype=rules.compare, vjp=TRUTH, samples=_TESTS
)
def isneginf(input: Tensor) -> Tensor:
    """True where input is -inf.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.isneginf
    """


def _isclose_dtype(operands, named):
    have = {d for d, _ in operands}
    if len(have) > 1:
        raise Fact(
            DTypeError,
            f"{' did not match '.join(d.name for d, _ in operands)}",
            "Convert one with x.to(dtype).",
        )
    if named["rtol"] < 0 or named["atol"] < 0:
        raise Fact(
            ArgumentValueError,
            f"rtol and atol must not be negative, and are {named['rtol']} and {named['atol']}",
        )
    result = rules.result_type(operands)
    return result if result.category >= FLOAT else dtypes.float64, dtypes.bool_


def _isclose(a: k.Expr, b: k.Expr, rtol, atol, equal_nan: bool) -> k.Expr:
    gap = k.abs(a - b)
    close = a.eq(b) | ((gap <= k.abs(b) * rtol + atol) & (gap < INF))
    return close | (k.is_nan(a) & k.is_nan(b)) if equal_nan else close


@elementwise(kernel=_isclose, dtype=_isclose_dtype, vjp=TRUTH,
             samples=[S(T(5), T(5)), S(T(2, 3), T(3), rtol=0.5), S(T(5), T(5), atol=1.0, equal_nan=True),
                      S(T(5, kind="int"), T(5, kind="int"))])  # fmt: skip
def isclose(input: Tensor, other: Tensor, rtol=1e-05, atol=1e-08, equal_nan=False) -> Tensor:
    """True where |input - other| <= atol + rtol * |other|.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.isclose
    """

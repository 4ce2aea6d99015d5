"""Logic on truth values and on bits, element by element."""

from __future__ import annotations

from numbers import Number

from mezzo.core.families.elementwise import elementwise
from mezzo.core.record import none
from mezzo.core.tensor import Tensor
from mezzo.rules import dtypes as rules
from mezzo.rules.samples import S, T

TRUTH, BITS = none("a truth value"), none("an integer result")
_PAIRS = [
    S(T(2, 3), T(3)),
    S(T(3, kind="bool"), T(2, 1, kind="bool")),
    S(T(0, 3), T(3)),
    S(T(4, kind="int"), T()),
]
_BITS = [
    S(T(2, 3, kind="int"), T(3, kind="int")),
    S(T(2, 3, kind="bool"), T(kind="bool")),
    S(T(5, kind="int"), 6),
]
_SHIFTS = [
    S(T(2, 3, kind="int"), T(3, kind="int", low=0, high=7)),
    S(T(5, kind="int"), 2),
    S(T(0, kind="int"), 1),
]


@elementwise(kernel=lambda a, b: a & b, dtype=rules.truth, inplace=True, vjp=TRUTH, samples=_PAIRS)
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """True where both are not zero.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.logical_and
    """


@elementwise(kernel=lambda a, b: a | b, dtype=rules.truth, inplace=True, vjp=TRUTH, samples=_PAIRS)
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """True where one of them is not zero.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.logical_or
    """


@elementwise(kernel=lambda a, b: a ^ b, dtype=rules.truth, inplace=True, vjp=TRUTH, samples=_PAIRS)
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """True where exactly one of them is not zero.

    Shapes: broadcast
    Dtypes: bool
    Source: torch.logical_xor
    """


@elementwise(kernel=lambda a: ~a, dtype=rules.truth, inplace=True, vjp=TRUTH,
             samples=[S(T(2, 3)), S(T(3, kind="bool")), S(T()), S(T(0, 2))])  # fmt: skip
def logical_not(input: Tensor) -> Tensor:
    """True where input is zero.

    Shapes: input (...) -> (...)
    Dtypes: bool
    Source: torch.logical_not
    """


@elementwise(kernel=lambda a, b: a & b, dtype=rules.integral, inplace=True, vjp=BITS, operators="__and__ __rand__",
             samples=_BITS)  # fmt: skip
def bitwise_and(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The bits that both have.

    Shapes: broadcast
    Source: torch.bitwise_and
    """


@elementwise(kernel=lambda a, b: a | b, dtype=rules.integral, inplace=True, vjp=BITS, operators="__or__ __ror__",
             samples=_BITS)  # fmt: skip
def bitwise_or(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The bits that one of them has.

    Shapes: broadcast
    Source: torch.bitwise_or
    """


@elementwise(kernel=lambda a, b: a ^ b, dtype=rules.integral, inplace=True, vjp=BITS, operators="__xor__ __rxor__",
             samples=_BITS)  # fmt: skip
def bitwise_xor(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The bits that exactly one of them has.

    Shapes: broadcast
    Source: torch.bitwise_xor
    """


@elementwise(kernel=lambda a: ~a, dtype=rules.inverted, inplace=True, vjp=BITS, operators="__invert__",
             samples=[S(T(2, 3, kind="int")), S(T(3, kind="bool"))])  # fmt: skip
def bitwise_not(input: Tensor) -> Tensor:
    """All bits flipped; for bool, logical not.

    Shapes: input (...) -> (...)
    Source: torch.bitwise_not
    """


@elementwise(kernel=lambda a, b: a << b, dtype=rules.integers, inplace=True, vjp=BITS, operators="__lshift__ __rlshift__",
             samples=_SHIFTS)  # fmt: skip
def bitwise_left_shift(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The bits moved up by other places.

    Shapes: broadcast
    Source: torch.bitwise_left_shift
    """


@elementwise(kernel=lambda a, b: a >> b, dtype=rules.integers, inplace=True, vjp=BITS, operators="__rshift__ __rrshift__",
             samples=_SHIFTS)  # fmt: skip
def bitwise_right_shift(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The bits moved down by other places; the sign stays.

    Shapes: broadcast
    Source: torch.bitwise_right_shift
    """

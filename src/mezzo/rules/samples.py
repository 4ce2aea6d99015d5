"""Sample inputs: what tests, docs and benchmarks call a record with.

S(T(2, 3), T(3), dim=1)     one call; T stands for a tensor, everything else is passed on
"""

from __future__ import annotations

from mezzo import dtypes


class T:
    """A tensor to be made: shape, range of values, and kind.

    kind: "float" (the dtype under test), "int", "bool", "index" (values below `high`), "positive".
    constant: never asked for its gradient (class weights, running statistics).
    """

    __slots__ = ("constant", "distinct", "dtype", "high", "kind", "low", "shape")

    def __init__(self, *shape: int, low=-2.0, high=2.0, kind="float", dtype=None, distinct=False,
                 constant=False):  # fmt: skip
        self.shape, self.low, self.high, self.kind, self.dtype = shape, low, high, kind, dtype
        self.constant = constant
        self.distinct = distinct  # values all different, well apart (for max, sort)

    def __repr__(self) -> str:
        return f"T{self.shape}"


class S:
    """One sample call."""

    __slots__ = ("args", "atol", "dtypes", "grad", "kwargs")

    def __init__(self, *args, grad: bool = True, only: tuple = (), **kwargs):
        self.args, self.kwargs, self.grad = args, kwargs, grad
        self.dtypes = only  # dtypes under test; empty: the family's usual ones

    def __repr__(self) -> str:
        named = [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"({', '.join([repr(a) for a in self.args] + named)})"


def index(*shape: int, below: int) -> T:
    """An int64 tensor of indices in [0, below)."""
    return T(*shape, low=0, high=below, kind="index")


def truth(*shape: int) -> T:
    """A bool tensor."""
    return T(*shape, kind="bool")


def unary(low: float = -3.0, high: float = 3.0) -> list[S]:
    """For one-argument elementwise operations: several ranks, empty, scalar."""
    return [S(T(*shape, low=low, high=high)) for shape in ((37,), (2, 3), (), (0, 3), (3, 1, 5))]


def binary(low: float = -2.0, high: float = 2.0, other_low=None, other_high=None) -> list[S]:
    """For two-argument elementwise operations: equal shapes, broadcasting, scalars, empty."""
    other = (low if other_low is None else other_low, high if other_high is None else other_high)
    pairs = (((5, 7), (5, 7)), ((3, 1, 4), (2, 1)), ((2, 3), (3,)), ((), (2, 3)), ((0, 3), (1, 3)))
    return [S(T(*a, low=low, high=high), T(*b, low=other[0], high=other[1])) for a, b in pairs]


casts = [
    S(T(2, 3), dtypes.float32),
    S(T(2, 3), dtypes.float64),
    S(T(4), dtypes.bfloat16, grad=False),
]

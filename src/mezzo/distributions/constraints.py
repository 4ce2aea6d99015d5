"""What parameters and values of distributions may be. Source: torch.distributions.constraints"""

from __future__ import annotations

from collections.abc import Callable

from mezzo import dtypes
from mezzo.core.tensor import Tensor


class Constraint:
    """A set of values. Subclass it and write check().

    event_dim: how many of the last axes one member of the set has. is_discrete: whether its members are countable.
    """

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """A boolean for every member in value: whether it lies in the set."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__


class Predicate(Constraint):
    """The values that pass a test, with the words that say so."""

    def __init__(self, words: str, test: Callable, discrete: bool = False, event_dim: int = 0):
        self.words, self._test = words, test
        self.is_discrete, self.event_dim = discrete, event_dim

    def check(self, value: Tensor) -> Tensor:
        return self._test(value)

    def __repr__(self) -> str:
        return self.words


class Interval(Predicate):
    """The numbers between two bounds, which belong to it."""

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound
        super().__init__(
            f"between {lower_bound} and {upper_bound}",
            lambda v: (v >= lower_bound) & (v <= upper_bound),
        )


def _whole(value: Tensor) -> Tensor:
    return value == value.floor() if value.dtype.is_floating_point else value == value


def _is_simplex(value: Tensor) -> Tensor:
    slack = 1e-6 if value.dtype.itemsize >= 4 else 4 * dtypes.finfo(value.dtype).eps
    return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < slack)


def _is_lower_cholesky(value: Tensor) -> Tensor:
    lower = (value == value.tril()).flatten(-2).all(-1)
    return lower & (value.diagonal(0, -2, -1) > 0).all(-1)


def greater_than(lower_bound) -> Constraint:
    """The numbers above a bound."""
    return Predicate(f"greater than {lower_bound}", lambda v: v > lower_bound)


def greater_than_eq(lower_bound) -> Constraint:
    """The numbers at a bound and above."""
    return Predicate(f"at least {lower_bound}", lambda v: v >= lower_bound)


def less_than(upper_bound) -> Constraint:
    """The numbers below a bound."""
    return Predicate(f"less than {upper_bound}", lambda v: v < upper_bound)


def interval(lower_bound, upper_bound) -> Constraint:
    """The numbers between two bounds, which belong to it."""
    return Interval(lower_bound, upper_bound)


def half_open_interval(lower_bound, upper_bound) -> Constraint:
    """The numbers from a bound up to another, which does not belong to it."""
    return Predicate(
        f"from {lower_bound} up to less than {upper_bound}",
        lambda v: (v >= lower_bound) & (v < upper_bound),
    )


def integer_interval(lower_bound, upper_bound) -> Constraint:
    """The integers between two bounds, which belong to it."""
    return Predicate(
        f"an integer between {lower_bound} and {upper_bound}",
        lambda v: _whole(v) & (v >= lower_bound) & (v <= upper_bound),
        discrete=True,
    )


def independent(base_constraint: Constraint, reinterpreted_batch_ndims: int) -> Constraint:
    """Members of several axes, all of whose elements lie in a set."""
    last = tuple(range(-reinterpreted_batch_ndims, 0))
    return Predicate(
        f"{base_constraint} everywhere",
        lambda v: base_constraint.check(v).all(last) if last else base_constraint.check(v),
        base_constraint.is_discrete,
        base_constraint.event_dim + reinterpreted_batch_ndims,
    )


# What depends on other parameters: the distribution checks it by itself.
dependent = Predicate("as the other parameters need", lambda v: v == v)
real = Predicate("real, and no NaN", lambda v: v == v)
positive = Predicate("positive", lambda v: v > 0)
nonnegative = Predicate("nonnegative", lambda v: v >= 0)
unit_interval = Interval(0, 1)
boolean = Predicate("0 or 1", lambda v: (v == 0) | (v == 1), discrete=True)
nonnegative_integer = Predicate("an integer, 0 or more", lambda v: _whole(v) & (v >= 0), True)
positive_integer = Predicate("an integer, 1 or more", lambda v: _whole(v) & (v >= 1), True)
real_vector = independent(real, 1)
simplex = Predicate("nonnegative with sum 1 along the last axis", _is_simplex, event_dim=1)
one_hot = Predicate(
    "one-hot along the last axis",
    lambda v: ((v == 0) | (v == 1)).all(-1) & (v.sum(-1) == 1),
    discrete=True,
    event_dim=1,
)
lower_cholesky = Predicate(
    "lower triangular with a positive diagonal", _is_lower_cholesky, False, 2
)

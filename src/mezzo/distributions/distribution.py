"""The base of distributions, and axes that belong to one event."""

from __future__ import annotations

from numbers import Number

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.distributions.constraints import Constraint


class Distribution:
    """Base class. batch_shape: independent, differently parametrized distributions; event_shape: one draw's shape.

    arg_constraints: what each parameter must be. support: what is drawn. has_rsample: draws carry gradients.
    """

    arg_constraints: dict[str, Constraint] = {}
    support: Constraint = constraints.real
    has_rsample = False
    _validate_args = True

    def __init__(self, batch_shape=(), event_shape=(), validate_args: bool | None = None):
        self.batch_shape, self.event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                value = self.__dict__.get(name)
                if value is not None and not bool(constraint.check(value).all()):
                    raise ValueError(
                        f"{type(self).__name__}: expected parameter {name} of shape {tuple(value.shape)} to be "
                        f"{constraint}, but found invalid values: {value}"
                    )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether parameters and values are checked. Source: torch.distributions.Distribution"""
        Distribution._validate_args = bool(value)

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{type(self).__name__} has no mode in closed form.")

    @property
    def variance(self) -> Tensor:
        """The expected square of the distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()) -> Tensor:
        """Draws without gradients: sample_shape + batch_shape + event_shape."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws through which gradients flow to the parameters."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rsample(); use sample() and log_prob()."
        )

    def sample_n(self, n: int) -> Tensor:
        """n draws."""
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density or probability of values."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of less than or as much as value."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The value below which draws fall with the given probability."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The expected -log_prob."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp(entropy())."""
        return self.entropy().exp()

    def expand(self, batch_shape, _instance=None) -> Distribution:
        """The same distribution over a larger batch, of expanded parameters."""
        kept = len(self.batch_shape)
        larger = {
            name: value.expand((*batch_shape, *value.shape[kept:]))
            for name in self.arg_constraints
            if (value := self.__dict__.get(name)) is not None
        }
        return type(self)(**larger, validate_args=False)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Every value that can be drawn, along a new first axis."""
        raise NotImplementedError(f"{type(self).__name__} has no finite support to enumerate.")

    def _extended(self, sample_shape) -> tuple[int, ...]:
        if isinstance(sample_shape, int):
            raise TypeError(
                f"{type(self).__name__}: sample_shape is the int {sample_shape}; it must be a tuple, as "
                f"({sample_shape},)."
            )
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    def _validate_sample(self, value: Tensor) -> None:
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError(
                f"The value argument to log_prob must be a Tensor, and is {type(value).__name__}"
            )
        start = value.dim() - len(self.event_shape)
        if start < 0 or tuple(value.shape[start:]) != tuple(self.event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {tuple(value.shape)} vs "
                f"{tuple(self.event_shape)} of {self!r}."
            )
        for got, own in zip(reversed(value.shape[:start]), reversed(self.batch_shape)):
            if got != own and 1 not in (got, own):
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs "
                    f"{self._extended(())} of {self!r}."
                )
        if not bool(self.support.check(value).all()):
            raise ValueError(
                f"Expected value argument of shape {tuple(value.shape)} to be {self.support} (the support of the "
                f"distribution {self!r}), but found invalid values: {value}"
            )

    def __repr__(self) -> str:
        shown = [
            n for n in self.arg_constraints if n in self.__dict__ and self.__dict__[n] is not None
        ]
        parts = [
            f"{n}: {self.__dict__[n] if self.__dict__[n].numel() == 1 else self.__dict__[n].size()}"
            for n in shown
        ]
        return f"{type(self).__name__}({', '.join(parts)})"


def together(*values) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape."""
    known = next((v for v in values if isinstance(v, Tensor)), None)
    for v in values:
        if not isinstance(v, (Tensor, Number)):
            raise ValueError(
                "Input arguments must all be instances of Number or Tensor, and one is "
                f"{type(v).__name__}: make it mezzo.tensor(...)."
            )
    made = [
        v if isinstance(v, Tensor)
        else ops.tensor(float(v), dtype=None if known is None else known.dtype, device=None if known is None else known.device)
        for v in values
    ]  # fmt: skip
    return ops.broadcast_tensors(*made)


class Independent(Distribution):
    """A distribution whose last batch axes count as axes of the event: log_prob sums over them.

    Source: torch.distributions.Independent
    """

    def __init__(
        self, base_distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ):
        shape = base_distribution.batch_shape
        if reinterpreted_batch_ndims > len(shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{reinterpreted_batch_ndims} vs {len(shape)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = (
            base_distribution,
            reinterpreted_batch_ndims,
        )
        cut = len(shape) - reinterpreted_batch_ndims
        self.has_rsample = base_distribution.has_rsample
        super().__init__(shape[:cut], (*shape[cut:], *base_distribution.event_shape), validate_args)

    support = property(lambda self: constraints.independent(self.base_dist.support, self.reinterpreted_batch_ndims), doc="What is drawn.")  # fmt: skip
    mean = property(lambda self: self.base_dist.mean, doc="The expected value.")
    variance = property(lambda self: self.base_dist.variance, doc="The variance.")

    def _summed(self, x: Tensor) -> Tensor:
        n = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-n, 0))) if n else x

    def sample(self, sample_shape=()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self._summed(self.base_dist.entropy())

    mode = property(lambda self: self.base_dist.mode, doc="The most probable value.")

    def expand(self, batch_shape, _instance=None) -> Independent:
        inner = self.base_dist.expand(
            (*batch_shape, *self.event_shape[: self.reinterpreted_batch_ndims])
        )
        return Independent(inner, self.reinterpreted_batch_ndims, validate_args=False)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"

"""Distributions of real numbers."""

from __future__ import annotations

import math

from mezzo import dtypes, ops
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.distributions.distribution import Distribution, together


class _LocationScale(Distribution):
    """loc + scale * standard draw."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    has_rsample = True

    def __init__(self, loc, scale, validate_args: bool | None = None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    def _uniform(self, sample_shape) -> Tensor:
        """In the open interval 0..1."""
        drawn = ops.rand(self._extended(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return drawn.clamp(min=float(_tiny(self.loc.dtype)))

    def _standard(self, value) -> Tensor:
        self._validate_sample(value)
        return (value - self.loc) / self.scale


def _tiny(dtype) -> float:
    """Below every positive draw of rand, and above 0."""
    return dtypes.finfo(dtype).eps / 4


class Normal(_LocationScale):
    """The normal distribution of mean loc and standard deviation scale. Source: torch.distributions.Normal"""

    mean = property(lambda self: self.loc, doc="loc")
    mode = property(lambda self: self.loc, doc="loc")
    stddev = property(lambda self: self.scale, doc="scale")
    variance = property(lambda self: self.scale.square(), doc="scale squared")

    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended(sample_shape)
        drawn = ops.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + drawn * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return -0.5 * z.square() - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + (self._standard(value) / math.sqrt(2)).erf())

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class LogNormal(Distribution):
    """exp of a normal variable. Source: torch.distributions.LogNormal"""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, loc, scale, validate_args: bool | None = None):
        self.base_dist = Normal(loc, scale, validate_args)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """exp(loc + scale^2 / 2)"""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def variance(self) -> Tensor:
        """(exp(scale^2) - 1) mean^2"""
        square = self.scale.square()
        return square.expm1() * (2 * self.loc + square).exp()

    def rsample(self, sample_shape=()) -> Tensor:
        return self.base_dist.rsample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        log = value.log()
        return self.base_dist.log_prob(log) - log

    def cdf(self, value: Tensor) -> Tensor:
        return self.base_dist.cdf(value.log())

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class Cauchy(_LocationScale):
    """The ratio of two centered normal variables, shifted and scaled. Source: torch.distributions.Cauchy"""

    mode = property(lambda self: self.loc, doc="loc")
    mean = property(lambda self: ops.full_like(self.loc, math.nan), doc="NaN: it has none.")
    variance = property(lambda self: ops.full_like(self.loc, math.inf), doc="Infinite.")

    def rsample(self, sample_shape=()) -> Tensor:
        return self.icdf(self._uniform(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return -math.log(math.pi) - self.scale.log() - self._standard(value).square().log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return self._standard(value).atan() / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (math.pi * (value - 0.5)).tan()

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()


class HalfNormal(Distribution):
    """The absolute value of a centered normal variable. Source: torch.distributions.HalfNormal"""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args: bool | None = None):
        (self.scale,) = together(scale)
        self._normal = Normal(ops.zeros_like(self.scale), self.scale, validate_args=False)
        super().__init__(self.scale.shape, (), validate_args)

    mean = property(lambda self: self.scale * math.sqrt(2 / math.pi), doc="scale sqrt(2 / pi)")
    mode = property(lambda self: ops.zeros_like(self.scale), doc="0")
    variance = property(lambda self: self.scale.square() * (1 - 2 / math.pi), doc="scale^2 (1 - 2 / pi)")  # fmt: skip

    def rsample(self, sample_shape=()) -> Tensor:
        return self._normal.rsample(sample_shape).abs()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self._normal.log_prob(value) + math.log(2)

    def cdf(self, value: Tensor) -> Tensor:
        return 2 * self._normal.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self._normal.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self._normal.entropy() - math.log(2)


class Laplace(_LocationScale):
    """Density exp(-|x - loc| / scale) / (2 scale). Source: torch.distributions.Laplace"""

    mean = property(lambda self: self.loc, doc="loc")
    mode = property(lambda self: self.loc, doc="loc")
    variance = property(lambda self: 2 * self.scale.square(), doc="2 scale^2")

    def rsample(self, sample_shape=()) -> Tensor:
        u = self._uniform(sample_shape) - 0.5
        # A draw so near 0 or 1 that subtracting a half rounds it to one would be infinite.
        inside = (-2 * u.abs()).clamp(min=dtypes.finfo(u.dtype).eps / 2 - 1)
        return self.loc - self.scale * u.sign() * inside.log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        return -(2 * self.scale).log() - self._standard(value).abs()

    def cdf(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return 0.5 - 0.5 * z.sign() * (-z.abs()).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()


class Gumbel(_LocationScale):
    """The limit of largest values. Source: torch.distributions.Gumbel"""

    mean = property(
        lambda self: self.loc + self.scale * 0.5772156649015329, doc="loc + 0.577 scale"
    )
    variance = property(lambda self: (self.scale * (math.pi / math.sqrt(6))).square(), doc="pi^2 scale^2 / 6")  # fmt: skip

    def rsample(self, sample_shape=()) -> Tensor:
        u = self._uniform(sample_shape)
        return self.loc - self.scale * (-u.log()).clamp(min=_tiny(u.dtype)).log()

    def log_prob(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return -z - (-z).exp() - self.scale.log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + 0.5772156649015329)


class Exponential(Distribution):
    """Density rate exp(-rate x). Source: torch.distributions.Exponential"""

    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, rate, validate_args: bool | None = None):
        (self.rate,) = together(rate)
        super().__init__(self.rate.shape, (), validate_args)

    mean = property(lambda self: self.rate.reciprocal(), doc="1 / rate")
    stddev = property(lambda self: self.rate.reciprocal(), doc="1 / rate")
    variance = property(lambda self: self.rate.square().reciprocal(), doc="1 / rate^2")

    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended(sample_shape)
        u = ops.rand(shape, dtype=self.rate.dtype, device=self.rate.device)
        return -(-u).log1p() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        return -(-self.rate * value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return 1 - self.rate.log()


class Uniform(Distribution):
    """Every number from low up to high alike. Source: torch.distributions.Uniform"""

    arg_constraints = {"low": constraints.real, "high": constraints.real}
    support = property(lambda self: constraints.interval(self.low, self.high), doc="low to high")
    has_rsample = True

    def __init__(self, low, high, validate_args: bool | None = None):
        self.low, self.high = together(low, high)
        super().__init__(self.low.shape, (), validate_args)
        if self._validate_args and not bool((self.low < self.high).all()):
            raise ValueError("Uniform is not defined when low>= high")

    mean = property(lambda self: (self.high + self.low) / 2, doc="The middle.")
    variance = property(
        lambda self: (self.high - self.low).square() / 12, doc="(high - low)^2 / 12"
    )

    def rsample(self, sample_shape=()) -> Tensor:
        drawn = ops.rand(self._extended(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + drawn * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        inside = (value >= self.low) & (value < self.high)
        self._validate_sample(value)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()


class MultivariateNormal(Distribution):
    """Normal vectors of mean loc, given one of covariance_matrix, precision_matrix or scale_tril.

    Shapes: loc (..., n), matrices (..., n, n). Source: torch.distributions.MultivariateNormal
    """

    arg_constraints = {"loc": constraints.real, "scale_tril": constraints.real}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args: bool | None = None):  # fmt: skip
        given = [m for m in (covariance_matrix, precision_matrix, scale_tril) if m is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        if loc.dim() < 1 or given[0].dim() < 2:
            raise ValueError("loc must be at least one-dimensional and the matrix at least two-dimensional.")  # fmt: skip
        named = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix}
        self._given = next((n for n, m in named.items() if m is not None), "scale_tril")
        if scale_tril is None:
            matrix = covariance_matrix if precision_matrix is None else ops.inv(precision_matrix)
            scale_tril = ops.cholesky(matrix)
        batch = ops.broadcast_shapes(tuple(loc.shape[:-1]), tuple(scale_tril.shape[:-2]))
        self.loc = loc.expand((*batch, loc.shape[-1]))
        self.scale_tril = scale_tril.expand((*batch, *scale_tril.shape[-2:]))
        super().__init__(batch, loc.shape[-1:], validate_args)

    mean = property(lambda self: self.loc, doc="loc")

    @property
    def covariance_matrix(self) -> Tensor:
        """L L^T"""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return ops.inv(self.covariance_matrix)

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance."""
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape=()) -> Tensor:
        drawn = ops.randn(
            self._extended(sample_shape), dtype=self.loc.dtype, device=self.loc.device
        )
        return self.loc + (self.scale_tril @ drawn.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        difference = (value - self.loc).unsqueeze(-1)
        solved = ops.solve_triangular(self.scale_tril, difference, upper=False).squeeze(-1)
        size = self.event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (size + solved.square().sum(-1)) - self._half_log_det()

    def _half_log_det(self) -> Tensor:
        return self.scale_tril.diagonal(0, -2, -1).log().sum(-1)

    def entropy(self) -> Tensor:
        return 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()

    mode = mean

    def __repr__(self) -> str:
        return (
            f"MultivariateNormal(loc: {self.loc.size()}, {self._given}: {self.scale_tril.size()})"
        )

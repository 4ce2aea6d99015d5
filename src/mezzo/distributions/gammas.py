"""Gamma distributions and what is made of gamma variables. Draws carry no gradients."""

from __future__ import annotations

import math

from mezzo import dtypes, ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.distributions.distribution import Distribution, together


def standard_gamma(concentration: Tensor) -> Tensor:
    """A gamma variable of rate 1 for each concentration, without gradients.

    Source: Marsaglia and Tsang, "A simple method for generating gamma variables" (2000); concentrations below 1 are
    raised by 1, and the draw is multiplied with a uniform variable to the power 1 / concentration.
    """
    with no_grad():
        small = concentration < 1
        raised = ops.where(small, concentration + 1, concentration)
        d = raised - 1 / 3
        c = 1 / (9 * d).sqrt()
        drawn, open_ = ops.zeros_like(d), ops.ones_like(d) > 0
        while bool(open_.any()):
            x = ops.randn_like(d)
            v = (1 + c * x) ** 3
            u = 1 - ops.rand_like(d)
            fits = (v > 0) & (u.log() < 0.5 * x.square() + d * (1 - v + v.clamp(min=1e-30).log()))
            drawn = ops.where(open_ & fits, d * v, drawn)
            open_ = open_ & ~fits
        boost = (1 - ops.rand_like(d)).log() / concentration
        drawn = ops.where(small, drawn * boost.exp(), drawn)
        return drawn.clamp(min=dtypes.finfo(d.dtype).tiny)


class Gamma(Distribution):
    """Density proportional to x^(concentration - 1) exp(-rate x). Source: torch.distributions.Gamma"""

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration, rate, validate_args: bool | None = None):
        self.concentration, self.rate = together(concentration, rate)
        super().__init__(self.concentration.shape, (), validate_args)

    mean = property(lambda self: self.concentration / self.rate, doc="concentration / rate")
    mode = property(lambda self: ((self.concentration - 1) / self.rate).clamp(min=0), doc="(concentration - 1) / rate")  # fmt: skip
    variance = property(lambda self: self.concentration / self.rate.square(), doc="concentration / rate^2")  # fmt: skip

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            shape = self._extended(sample_shape)
            return standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a = self.concentration
        return a.xlogy(self.rate) + (a - 1).xlogy(value) - self.rate * value - a.lgamma()

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()


class Chi2(Gamma):
    """The sum of df squared standard normal variables. Source: torch.distributions.Chi2"""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df, validate_args: bool | None = None):
        (self.df,) = together(df)
        super().__init__(0.5 * self.df, ops.full_like(self.df, 0.5), validate_args)


class Dirichlet(Distribution):
    """Vectors of the simplex, with density proportional to the product of x^(concentration - 1).

    Shapes: concentration (..., n). Source: torch.distributions.Dirichlet
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration, validate_args: bool | None = None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        """concentration / its sum"""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self) -> Tensor:
        """mean (1 - mean) / (sum + 1)"""
        total = self.concentration.sum(-1, keepdim=True)
        return self.mean * (1 - self.mean) / (total + 1)

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            drawn = standard_gamma(self.concentration.expand(self._extended(sample_shape)))
            return drawn / drawn.sum(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return (self.concentration - 1).xlogy(value).sum(-1) - self._log_normalizer()

    def _log_normalizer(self) -> Tensor:
        a = self.concentration
        return a.lgamma().sum(-1) - a.sum(-1).lgamma()

    def entropy(self) -> Tensor:
        a = self.concentration
        total, size = a.sum(-1), a.shape[-1]
        spread = (total - size) * total.digamma() - ((a - 1) * a.digamma()).sum(-1)
        return self._log_normalizer() + spread


class Beta(Distribution):
    """Numbers between 0 and 1, density proportional to x^(a - 1) (1 - x)^(b - 1). Source: torch.distributions.Beta"""

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}  # fmt: skip
    support = constraints.unit_interval

    def __init__(self, concentration1, concentration0, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = together(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    def _dirichlet(self) -> Dirichlet:
        both = ops.stack([self.concentration1, self.concentration0], -1)
        return Dirichlet(both, validate_args=False)

    mean = property(lambda self: self.concentration1 / (self.concentration1 + self.concentration0), doc="a / (a + b)")  # fmt: skip

    @property
    def variance(self) -> Tensor:
        """a b / ((a + b)^2 (a + b + 1))"""
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    @property
    def mode(self) -> Tensor:
        """(a - 1) / (a + b - 2), and NaN where a or b is at most 1."""
        total = self.concentration1 + self.concentration0 - 2
        single = (self.concentration1 > 1) & (self.concentration0 > 1)
        return ops.where(single, (self.concentration1 - 1) / total, math.nan)

    def sample(self, sample_shape=()) -> Tensor:
        return self._dirichlet().sample(sample_shape)[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self._dirichlet().log_prob(ops.stack([value, 1 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet().entropy()


class StudentT(Distribution):
    """loc + scale times a normal variable over the root of a chi-squared one per degree of freedom.

    Source: torch.distributions.StudentT
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def __init__(self, df, loc=0.0, scale=1.0, validate_args: bool | None = None):
        self.df, self.loc, self.scale = together(df, loc, scale)
        super().__init__(self.df.shape, (), validate_args)

    mean = property(lambda self: ops.where(self.df > 1, self.loc, math.nan), doc="loc, where df > 1")  # fmt: skip
    mode = property(lambda self: self.loc, doc="loc")

    @property
    def variance(self) -> Tensor:
        """scale^2 df / (df - 2); infinite up to df = 2, NaN up to 1."""
        finite = self.scale.square() * self.df / (self.df - 2)
        return ops.where(self.df > 2, finite, ops.where(self.df > 1, math.inf, math.nan))

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            df = self.df.expand(self._extended(sample_shape))
            chi2 = 2 * standard_gamma(df / 2)
            return self.loc + self.scale * ops.randn_like(df) * (df / chi2).sqrt()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y = (value - self.loc) / self.scale
        norm = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi)
        norm = norm + (0.5 * self.df).lgamma() - (0.5 * (self.df + 1)).lgamma()
        return -0.5 * (self.df + 1) * (y.square() / self.df).log1p() - norm

    def entropy(self) -> Tensor:
        half = 0.5 * self.df
        beta = half.lgamma() + math.lgamma(0.5) - (half + 0.5).lgamma()
        spread = (half + 0.5) * ((half + 0.5).digamma() - half.digamma())
        return self.scale.log() + spread + 0.5 * self.df.log() + beta

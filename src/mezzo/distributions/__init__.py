"""Probability distributions: sampling, densities, entropies, divergences, with gradients. Source: torch.distributions"""

from __future__ import annotations

from mezzo.distributions import constraints, transforms
from mezzo.distributions.continuous import (
    Cauchy,
    Exponential,
    Gumbel,
    HalfNormal,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    Uniform,
)
from mezzo.distributions.counts import Binomial, Multinomial, NegativeBinomial, Poisson
from mezzo.distributions.derived import (
    MixtureSameFamily,
    OneHotCategoricalStraightThrough,
    RelaxedOneHotCategorical,
    TransformedDistribution,
)
from mezzo.distributions.discrete import Bernoulli, Categorical, Geometric, OneHotCategorical
from mezzo.distributions.distribution import Distribution, Independent
from mezzo.distributions.gammas import Beta, Chi2, Dirichlet, Gamma, StudentT
from mezzo.distributions.kl import kl_divergence, register_kl
from mezzo.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    Transform,
)

__all__ = [
    "AffineTransform", "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ComposeTransform",
    "Dirichlet", "Distribution", "ExpTransform", "Exponential", "Gamma", "Geometric", "Gumbel", "HalfNormal",
    "Independent", "Laplace", "LogNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Poisson",
    "RelaxedOneHotCategorical", "SigmoidTransform", "SoftplusTransform", "StudentT", "TanhTransform", "Transform",
    "TransformedDistribution", "Uniform", "constraints", "kl_divergence", "register_kl", "transforms",
]  # fmt: skip

"""Probability distributions: sampling, densities, entropies, divergences, with gradients. Source: torch.distributions"""

from __future__ import annotations

import sys

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
from mezzo.spelling import public, spell

__all__ = [
    "AffineTransform", "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ComposeTransform",
    "Dirichlet", "Distribution", "ExpTransform", "Exponential", "Gamma", "Geometric", "Gumbel", "HalfNormal",
    "Independent", "Laplace", "LogNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Poisson",
    "RelaxedOneHotCategorical", "SigmoidTransform", "SoftplusTransform", "StudentT", "TanhTransform", "Transform",
    "TransformedDistribution", "Uniform", "constraints", "kl_divergence", "register_kl", "transforms",
]  # fmt: skip

# PyTorch's modules, one or two classes in each, are other paths to these names.
_PATHS = """bernoulli beta binomial categorical cauchy chi2 dirichlet exponential gamma geometric gumbel half_normal
    independent laplace log_normal mixture_same_family multinomial multivariate_normal negative_binomial normal
    one_hot_categorical poisson relaxed_categorical studentT transformed_distribution uniform"""
_names = public(sys.modules[__name__])
for _last in _PATHS.split():
    spell(f"{__name__}.{_last}", _names)

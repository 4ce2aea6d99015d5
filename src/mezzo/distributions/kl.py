"""Kullback-Leibler divergences between distributions of known kinds."""

from __future__ import annotations

import math
from collections.abc import Callable

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.distributions.continuous import (
    Exponential,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    Uniform,
)
from mezzo.distributions.counts import Poisson
from mezzo.distributions.discrete import Bernoulli, Categorical, Geometric, OneHotCategorical
from mezzo.distributions.distribution import Distribution, Independent
from mezzo.distributions.gammas import Beta, Dirichlet, Gamma

_RULES: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """A decorator for the divergence of a pair of classes. Source: torch.distributions.register_kl"""

    def wrap(rule: Callable) -> Callable:
        _RULES[type_p, type_q] = rule
        return rule

    return wrap


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The expected log(p(x) / q(x)) under p.

    Raises: NotImplementedError if no rule is registered for the pair. Source: torch.distributions.kl_divergence
    """
    for a in type(p).__mro__:
        for b in type(q).__mro__:
            if (a, b) in _RULES:
                return _RULES[a, b](p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}. Register one with "
        "register_kl."
    )


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def _log_normal(p, q):
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p, q):
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + apart / q.scale + ratio * (-apart / p.scale).exp() - 1


@register_kl(Exponential, Exponential)
def _exponential(p, q):
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    value = ((q.high - q.low) / (p.high - p.low)).log()
    return ops.where((q.low > p.low) | (q.high < p.high), math.inf, value)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    one = p.probs.xlogy(p.probs) - p.probs.xlogy(q.probs)
    rest = (1 - p.probs).xlogy(1 - p.probs) - (1 - p.probs).xlogy(1 - q.probs)
    return one + rest


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    terms = ops.where((q.probs == 0).expand_as(terms), math.inf, terms)
    return ops.where((p.probs == 0).expand_as(terms), 0.0, terms).sum(-1)


@register_kl(Geometric, Geometric)
def _geometric(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p, q):
    half = q._half_log_det() - p._half_log_det()
    mixed = ops.solve_triangular(q.scale_tril, p.scale_tril, upper=False).square().sum((-2, -1))
    shift = ops.solve_triangular(q.scale_tril, (q.loc - p.loc).unsqueeze(-1), upper=False)
    return half + 0.5 * (mixed + shift.squeeze(-1).square().sum(-1) - p.event_shape[0])


@register_kl(Independent, Independent)
def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: both must reinterpret as many batch axes.")
    return p._summed(kl_divergence(p.base_dist, q.base_dist))


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p, q):
    return _categorical(p._categorical, q._categorical)


@register_kl(Gamma, Gamma)
def _gamma(p, q):
    a, b = p.concentration, q.concentration
    norms = q.concentration.lgamma() - p.concentration.lgamma()
    rates = b * (p.rate / q.rate).log() + a * (q.rate / p.rate - 1)
    return rates + norms + (a - b) * a.digamma()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p, q):
    a, b = p.concentration, q.concentration
    mean_log = a.digamma() - a.sum(-1, keepdim=True).digamma()
    return q._log_normalizer() - p._log_normalizer() + ((a - b) * mean_log).sum(-1)


@register_kl(Beta, Beta)
def _beta(p, q):
    return _dirichlet(p._dirichlet(), q._dirichlet())

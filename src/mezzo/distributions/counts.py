"""Distributions of counts: how many of several trials, how many events at a rate."""

from __future__ import annotations

import math

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.distributions.discrete import Probabilities, clamped_logits
from mezzo.distributions.distribution import Distribution, together
from mezzo.distributions.gammas import standard_gamma
from mezzo.nn import functional as F

_FEW = 10.0  # below this rate waiting times are counted; above, rejection needs a round or two


def _count_arrivals(rate: Tensor) -> Tensor:
    """Exponential waiting times counted until they exceed 1."""
    count, waited = rate * 0, rate * 0
    while True:
        waited = waited - (-ops.rand_like(rate)).log1p() / rate
        inside = waited < 1
        if not bool(inside.any()):
            return count
        count = count + inside


def _reject(rate: Tensor) -> Tensor:
    """Poisson draws for rates of 10 and more.

    Source: Hormann, "The transformed rejection method for generating Poisson random variables" (1993), PTRS
    """
    b = 0.931 + 2.53 * rate.sqrt()
    a = 0.02483 * b - 0.059
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2)
    drawn, open_ = ops.zeros_like(rate), ops.ones_like(rate) > 0
    while bool(open_.any()):
        u, v = ops.rand_like(rate) - 0.5, 1 - ops.rand_like(rate)
        us = 0.5 - u.abs()
        k = ((2 * a / us + b) * u + rate + 0.43).floor()
        height = (v * inverse_alpha / (a / us.square() + b)).log()
        fits = height <= k.clamp(min=0).xlogy(rate) - rate - (k.clamp(min=0) + 1).lgamma()
        surely = (us >= 0.07) & (v <= quick)
        refused = (k < 0) | ((us < 0.013) & (v > us))
        fits = surely | (~refused & fits)
        drawn = ops.where(open_ & fits, k, drawn)
        open_ = open_ & ~fits
    return drawn


def draw_poisson(rate: Tensor) -> Tensor:
    """A Poisson variable for each rate, without gradients."""
    with no_grad():
        few = rate < _FEW
        if bool(few.all()):
            return _count_arrivals(rate)
        many = _reject(rate.clamp(min=_FEW))
        return ops.where(few, _count_arrivals(rate.clamp(max=_FEW)), many)


class Poisson(Distribution):
    """How many events occur at a rate. Source: torch.distributions.Poisson"""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args: bool | None = None):
        (self.rate,) = together(rate)
        super().__init__(self.rate.shape, (), validate_args)

    mean = property(lambda self: self.rate, doc="rate")
    mode = property(lambda self: self.rate.floor(), doc="rate, rounded down")
    variance = property(lambda self: self.rate, doc="rate")

    def sample(self, sample_shape=()) -> Tensor:
        return draw_poisson(self.rate.detach().expand(self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return value.xlogy(self.rate) - self.rate - (value + 1).lgamma()


class Binomial(Probabilities):
    """How many of total_count trials succeed. Source: torch.distributions.Binomial"""

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def __init__(self, total_count=1, probs=None, logits=None, validate_args: bool | None = None):
        value = self._one_of(probs, logits)
        self.total_count, value = together(total_count, value)
        self.__dict__["probs" if logits is None else "logits"] = value
        super().__init__(value.shape, (), validate_args)

    def _from(self, name: str) -> Tensor:
        return self.logits.sigmoid() if name == "probs" else clamped_logits(self.probs)

    support = property(lambda self: constraints.integer_interval(0, self.total_count), doc="0 to total_count")  # fmt: skip
    mean = property(lambda self: self.total_count * self.probs, doc="n p")
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs), doc="n p (1 - p)")  # fmt: skip

    def expand(self, batch_shape, _instance=None) -> Distribution:
        name = "probs" if "probs" in self.__dict__ else "logits"
        value = self.__dict__[name].expand(batch_shape)
        return type(self)(
            self.total_count.expand(batch_shape), **{name: value}, validate_args=False
        )

    def sample(self, sample_shape=()) -> Tensor:
        """Trial by trial."""
        with no_grad():
            shape = self._extended(sample_shape)
            probs, total = self.probs.expand(shape), self.total_count.expand(shape)
            count = ops.zeros_like(probs)
            for trial in range(int(total.max().item()) if total.numel() else 0):
                count = count + (ops.rand_like(probs) < probs) * (total > trial)
            return count

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n = self.total_count
        choose = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        # log(p)^k log(1 - p)^(n - k) in terms of the logits, which overflow nowhere.
        return choose + value * self.logits - n * F.softplus(self.logits)


class NegativeBinomial(Probabilities):
    """How many successes come before total_count failures. Source: torch.distributions.NegativeBinomial"""

    arg_constraints = {
        "total_count": constraints.nonnegative,
        "probs": constraints.half_open_interval(0, 1),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _from = Binomial._from
    expand = Binomial.expand

    def __init__(self, total_count, probs=None, logits=None, validate_args: bool | None = None):
        value = self._one_of(probs, logits)
        self.total_count, value = together(total_count, value)
        self.__dict__["probs" if logits is None else "logits"] = value
        super().__init__(value.shape, (), validate_args)

    mean = property(lambda self: self.total_count * self.logits.exp(), doc="n p / (1 - p)")
    variance = property(lambda self: self.mean / (-self.logits).sigmoid(), doc="n p / (1 - p)^2")

    def sample(self, sample_shape=()) -> Tensor:
        """A Poisson variable whose rate is a gamma variable."""
        with no_grad():
            shape = self._extended(sample_shape)
            rate = standard_gamma(self.total_count.expand(shape)) * self.logits.exp()
            return draw_poisson(rate)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n = self.total_count
        score = n * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
        norm = (n + value).lgamma() - (1 + value).lgamma() - n.lgamma()
        return score + ops.where(n + value == 0, 0.0, norm)


class Multinomial(Probabilities):
    """How often each class comes up in total_count draws. Source: torch.distributions.Multinomial"""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args: bool | None = None):
        value = self._one_of(probs, logits)
        if not isinstance(total_count, int):
            raise NotImplementedError(
                f"Multinomial: total_count is {type(total_count).__name__}; it must be one int for the whole batch."
            )
        self.total_count = total_count
        if logits is None:
            self.probs = value / value.sum(-1, keepdim=True)
        else:
            self.logits = value - value.logsumexp(-1, keepdim=True)
        super().__init__(value.shape[:-1], value.shape[-1:], validate_args)

    def _from(self, name: str) -> Tensor:
        return self.logits.softmax(-1) if name == "probs" else self.probs.log()

    support = property(lambda self: constraints.independent(constraints.integer_interval(0, self.total_count), 1), doc="Counts.")  # fmt: skip
    mean = property(lambda self: self.probs * self.total_count, doc="n p")
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs), doc="n p (1 - p)")  # fmt: skip

    def expand(self, batch_shape, _instance=None) -> Multinomial:
        name = "probs" if "probs" in self.__dict__ else "logits"
        value = self.__dict__[name].expand((*batch_shape, *self.event_shape))
        return Multinomial(self.total_count, **{name: value}, validate_args=False)

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            shape = (*sample_shape, *self.batch_shape)
            rows = self.probs.expand((*shape, *self.event_shape)).reshape((-1, *self.event_shape))
            drawn = ops.multinomial(rows, self.total_count, True)
            counts = ops.zeros_like(rows).scatter_add(1, drawn, ops.ones(tuple(drawn.shape), dtype=rows.dtype))  # fmt: skip
            return counts.reshape((*shape, *self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits = ops.where((value == 0) & (self.logits == -math.inf), 0.0, self.logits)
        total = (value.sum(-1) + 1).lgamma()
        return total - (value + 1).lgamma().sum(-1) + (logits * value).sum(-1)

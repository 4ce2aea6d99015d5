"""Distributions made of others: transformed variables, mixtures, relaxed classes."""

from __future__ import annotations

from mezzo import dtypes, ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.distributions.discrete import Categorical, OneHotCategorical
from mezzo.distributions.distribution import Distribution, Independent
from mezzo.distributions.transforms import ComposeTransform, Transform, sum_last


class TransformedDistribution(Distribution):
    """What transforms make of the draws of a base distribution. Source: torch.distributions.TransformedDistribution"""

    def __init__(self, base_distribution, transforms, validate_args: bool | None = None):
        parts = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(part, Transform) for part in parts):
            raise ValueError(
                f"transforms must be a Transform or a list of Transforms, but was {transforms}"
            )
        event = max((part.domain.event_dim for part in parts), default=0)
        wanted = event - len(base_distribution.event_shape)
        if wanted > 0:
            base_distribution = Independent(base_distribution, wanted)
        self.base_dist, self.transforms = base_distribution, parts
        self.has_rsample = base_distribution.has_rsample
        super().__init__(
            base_distribution.batch_shape, base_distribution.event_shape, validate_args
        )

    @property
    def support(self):
        """The last transform's codomain."""
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        return constraints.independent(last, len(self.event_shape) - last.event_dim)

    def _through(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()) -> Tensor:
        return self._through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        total, event = 0.0, len(self.event_shape)
        y = value
        for transform in reversed(self.transforms):
            x = transform._inv_call(y)
            inner = transform.domain.event_dim
            total = total - sum_last(transform.log_abs_det_jacobian(x, y), event - inner)
            y = x
        base = self.base_dist.log_prob(y)
        return total + sum_last(base, event - len(self.base_dist.event_shape))

    def cdf(self, value: Tensor) -> Tensor:
        """Of increasing transforms."""
        return self.base_dist.cdf(ComposeTransform(self.transforms)._inv_call(value))

    def icdf(self, value: Tensor) -> Tensor:
        """Of increasing transforms."""
        return self._through(self.base_dist.icdf(value))

    def expand(self, batch_shape, _instance=None) -> TransformedDistribution:
        return TransformedDistribution(self.base_dist.expand(batch_shape), self.transforms, False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_dist}, {self.transforms})"


class MixtureSameFamily(Distribution):
    """A Categorical chooses which of the components (the last batch axis) draws.

    Source: torch.distributions.MixtureSameFamily
    """

    def __init__(
        self, mixture_distribution, component_distribution, validate_args: bool | None = None
    ):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an instance of Categorical.")
        classes = mixture_distribution._num_events
        if not component_distribution.batch_shape or component_distribution.batch_shape[-1] != classes:  # fmt: skip
            raise ValueError(
                f"`mixture_distribution` has {classes} classes; the last axis of the components' batch_shape "
                f"{tuple(component_distribution.batch_shape)} must be that many."
            )
        self.mixture_distribution = mixture_distribution
        self.component_distribution = component_distribution
        super().__init__(component_distribution.batch_shape[:-1], component_distribution.event_shape, validate_args)  # fmt: skip

    support = property(lambda self: self.component_distribution.support, doc="The components'.")

    def _weights(self) -> Tensor:
        probs = self.mixture_distribution.probs
        return probs.reshape((*probs.shape, *[1] * len(self.event_shape)))

    @property
    def mean(self) -> Tensor:
        """The components' means, weighted."""
        return (self._weights() * self.component_distribution.mean).sum(-1 - len(self.event_shape))

    @property
    def variance(self) -> Tensor:
        """Within the components and between their means."""
        axis = -1 - len(self.event_shape)
        within = (self._weights() * self.component_distribution.variance).sum(axis)
        apart = self.component_distribution.mean - self.mean.unsqueeze(axis)
        return within + (self._weights() * apart.square()).sum(axis)

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            event = len(self.event_shape)
            chosen = chosen.expand(drawn.shape[: drawn.dim() - event - 1])
            index = chosen.reshape((*chosen.shape, *[1] * (event + 1)))
            index = index.expand((*chosen.shape, 1, *self.event_shape))
            return drawn.gather(-1 - event, index).squeeze(-1 - event)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        each = self.component_distribution.log_prob(value.unsqueeze(-1 - len(self.event_shape)))
        return (each + self.mixture_distribution.logits).logsumexp(-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Of components of one number each."""
        each = self.component_distribution.cdf(value.unsqueeze(-1))
        return (each * self.mixture_distribution.probs).sum(-1)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """One-hot draws whose gradient is that of the probabilities.

    Source: torch.distributions.OneHotCategoricalStraightThrough
    """

    has_rsample = True

    def rsample(self, sample_shape=()) -> Tensor:
        drawn = self.sample(sample_shape)
        return drawn + (self.probs - self.probs.detach())


class RelaxedOneHotCategorical(Distribution):
    """Points of the simplex, the closer to its corners the lower the temperature.

    Source: torch.distributions.RelaxedOneHotCategorical; Maddison, Mnih and Teh, "The concrete distribution" (2017)
    """

    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits, validate_args)
        self.temperature = temperature
        classes = (self._categorical._num_events,)
        super().__init__(self._categorical.batch_shape, classes, validate_args)

    probs = property(lambda self: self._categorical.probs, doc="Probabilities of the classes.")
    logits = property(lambda self: self._categorical.logits, doc="Their logarithms.")

    def rsample(self, sample_shape=()) -> Tensor:
        logits = self.logits
        u = ops.rand(self._extended(sample_shape), dtype=logits.dtype, device=logits.device)
        eps = dtypes.finfo(logits.dtype).eps
        gumbels = -(-u.clamp(eps / 4, 1 - eps / 2).log()).log()
        return ((logits + gumbels) / self.temperature).softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        classes = self.event_shape[0]
        t = self.temperature if isinstance(self.temperature, Tensor) else ops.tensor(float(self.temperature), dtype=self.logits.dtype)  # fmt: skip
        log = value.log()
        score = self.logits - t * log
        score = (score - score.logsumexp(-1, keepdim=True)).sum(-1) - log.sum(-1)
        constant = ops.tensor(float(classes), dtype=self.logits.dtype).lgamma()
        return score + constant + (classes - 1) * t.log()

    def __repr__(self) -> str:
        return f"RelaxedOneHotCategorical(temperature: {self.temperature}, logits: {self.logits.size()})"

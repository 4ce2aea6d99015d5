"""Distributions of whole numbers and of classes."""

from __future__ import annotations

from mezzo import dtypes, ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.distributions.distribution import Distribution, together
from mezzo.nn import functional as F


class Probabilities(Distribution):
    """One of probs and logits, from which the other follows."""

    @property
    def param_shape(self):
        """The shape of probs, or of logits."""
        given = self.__dict__.get("probs")
        return (self.logits if given is None else given).size()

    def expand(self, batch_shape, _instance=None) -> Distribution:
        name = "probs" if "probs" in self.__dict__ else "logits"
        value = self.__dict__[name]
        kept = value.shape[len(self.batch_shape) :]
        return type(self)(**{name: value.expand((*batch_shape, *kept))}, validate_args=False)

    def _one_of(self, probs, logits) -> Tensor:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        (value,) = together(probs if logits is None else logits)
        self.__dict__["probs" if logits is None else "logits"] = value
        return value

    def __getattr__(self, name: str):
        if name in ("probs", "logits"):
            made = self.__dict__[name] = self._from(name)
            return made
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class Bernoulli(Probabilities):
    """1 with probability probs, else 0. Source: torch.distributions.Bernoulli"""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean

    def __init__(self, probs=None, logits=None, validate_args: bool | None = None):
        value = self._one_of(probs, logits)
        super().__init__(value.shape, (), validate_args)

    def _from(self, name: str) -> Tensor:
        if name == "probs":
            return self.logits.sigmoid()
        return clamped_logits(self.probs)

    mean = property(lambda self: self.probs, doc="probs")
    variance = property(lambda self: self.probs * (1 - self.probs), doc="p (1 - p)")

    @property
    def mode(self) -> Tensor:
        """The more probable value, and NaN where both are alike."""
        likely = (self.probs >= 0.5).to(self.probs.dtype)
        return ops.where(self.probs == 0.5, float("nan"), likely)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = ops.arange(2, dtype=self.probs.dtype, device=self.probs.device)
        values = values.reshape((2, *[1] * len(self.batch_shape)))
        return values.expand((2, *self.batch_shape)) if expand else values

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            return ops.bernoulli(self.probs.expand(self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = ops.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


def clamped_logits(probs: Tensor) -> Tensor:
    """log(p / (1 - p)), with p held inside 0..1 by as much as the dtype tells from them."""
    inside = probs.clamp(*_inside(probs.dtype))
    return inside.log() - (-inside).log1p()


def _inside(dtype) -> tuple[float, float]:
    eps = dtypes.finfo(dtype).eps
    return eps, 1 - eps


_CHANCE = constraints.Predicate("above 0 and at most 1", lambda v: (v > 0) & (v <= 1))


class Geometric(Probabilities):
    """How many failures come before the first success of probability probs. Source: torch.distributions.Geometric"""

    arg_constraints = {
        "probs": _CHANCE,
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _from = Bernoulli._from

    def __init__(self, probs=None, logits=None, validate_args: bool | None = None):
        value = self._one_of(probs, logits)
        super().__init__(value.shape, (), validate_args)

    mean = property(lambda self: 1 / self.probs - 1, doc="1 / p - 1")
    variance = property(lambda self: (1 / self.probs - 1) / self.probs, doc="(1 - p) / p^2")

    def sample(self, sample_shape=()) -> Tensor:
        with no_grad():
            u = ops.rand(self._extended(sample_shape), dtype=self.probs.dtype, device=self.probs.device)  # fmt: skip
            return ((-u).log1p() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        failures = ops.where(value == 0, 0.0, value * (-self.probs).log1p())  # 0 * log(0) is 0 here
        return failures + self.probs.log()

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs  # fmt: skip


class Categorical(Probabilities):
    """One of the classes of the last axis. Source: torch.distributions.Categorical"""

    arg_constraints = {"probs": constraints.nonnegative, "logits": constraints.real}
    support = property(
        lambda self: constraints.integer_interval(0, self._num_events - 1),
        doc="The classes' numbers.",
    )

    def __init__(self, probs=None, logits=None, validate_args: bool | None = None):
        value = self._one_of(probs, logits)
        if value.dim() < 1:
            raise ValueError("`probs` or `logits` parameter must be at least one-dimensional.")
        if logits is None:
            self.probs = value / value.sum(-1, keepdim=True)
        else:
            self.logits = value - value.logsumexp(-1, keepdim=True)
        super().__init__(value.shape[:-1], (), validate_args)
        self._num_events, self._device = value.shape[-1], value.device

    def _from(self, name: str) -> Tensor:
        if name == "probs":
            return self.logits.softmax(-1)
        return self.probs.clamp(*_inside(self.probs.dtype)).log()

    mean = property(lambda self: self.logits.new_full(self.batch_shape, float("nan")), doc="NaN: classes have none")  # fmt: skip
    variance = mean
    mode = property(lambda self: self.probs.argmax(-1), doc="The most probable class.")

    def sample(self, sample_shape=()) -> Tensor:
        count = 1
        for n in sample_shape:
            count *= n
        with no_grad():
            flat = self.probs.reshape((-1, self._num_events))
            drawn = ops.multinomial(flat, count, True).t()
            return drawn.reshape(self._extended(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        index = value.to(dtypes.int64).unsqueeze(-1)
        shape = ops.broadcast_shapes(tuple(index.shape[:-1]), tuple(self.batch_shape))
        logits = self.logits.expand((*shape, self._num_events))
        return logits.gather(-1, index.expand((*shape, 1))).squeeze(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = ops.arange(self._num_events, device=self._device)
        values = values.reshape((-1, *[1] * len(self.batch_shape)))
        return values.expand((self._num_events, *self.batch_shape)) if expand else values

    def entropy(self) -> Tensor:
        least = dtypes.finfo(self.logits.dtype).min
        return -(self.logits.clamp(min=least) * self.probs).sum(-1)


class OneHotCategorical(Distribution):
    """A Categorical whose draws are one-hot vectors. Source: torch.distributions.OneHotCategorical"""

    support = constraints.one_hot

    def __init__(self, probs=None, logits=None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)  # fmt: skip

    probs = property(lambda self: self._categorical.probs, doc="Probabilities of the classes.")
    logits = property(lambda self: self._categorical.logits, doc="Their logarithms.")
    mean = probs
    variance = property(lambda self: self.probs * (1 - self.probs), doc="p (1 - p)")
    param_shape = property(lambda self: self._categorical.param_shape, doc="The shape of probs.")

    @property
    def mode(self) -> Tensor:
        """The most probable class, one-hot."""
        return F.one_hot(self._categorical.mode, self._categorical._num_events).to(self.probs.dtype)

    def expand(self, batch_shape, _instance=None) -> Distribution:
        wider = self._categorical.expand(batch_shape)
        name = "probs" if "probs" in wider.__dict__ else "logits"
        return type(self)(**{name: wider.__dict__[name]}, validate_args=False)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        size = self._categorical._num_events
        values = ops.eye(size, dtype=self.probs.dtype, device=self.probs.device)
        values = values.reshape((size, *[1] * len(self.batch_shape), size))
        return values.expand((size, *self.batch_shape, size)) if expand else values

    def sample(self, sample_shape=()) -> Tensor:
        drawn = self._categorical.sample(sample_shape)
        return F.one_hot(drawn, self._categorical._num_events).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def __repr__(self) -> str:
        return f"OneHotCategorical(probs: {self.probs.size()})"

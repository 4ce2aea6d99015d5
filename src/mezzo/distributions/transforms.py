"""Invertible functions of random variables. Source: torch.distributions.transforms"""

from __future__ import annotations

import math

from mezzo import ops
from mezzo.core.tensor import Tensor
from mezzo.distributions import constraints
from mezzo.nn import functional as F

__all__ = [
    "AffineTransform",
    "ComposeTransform",
    "ExpTransform",
    "SigmoidTransform",
    "SoftplusTransform",
    "TanhTransform",
    "Transform",
]


class Transform:
    """Subclass it and write _call(x), _inverse(y) and log_abs_det_jacobian(x, y).

    cache_size 1 remembers the last pair, so that the inverse of what was just computed is exact.
    """

    bijective = False
    domain = codomain = constraints.real

    def __init__(self, cache_size: int = 0):
        if cache_size not in (0, 1):
            raise ValueError(f"cache_size must be 0 or 1, and is {cache_size}.")
        self._cache_size = cache_size
        self._pair: tuple = (None, None)

    @property
    def inv(self) -> Transform:
        """The inverse."""
        return _Inverse(self)

    def __call__(self, x: Tensor) -> Tensor:
        if self._cache_size and x is self._pair[0]:
            return self._pair[1]
        y = self._call(x)
        if self._cache_size:
            self._pair = (x, y)
        return y

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size and y is self._pair[1]:
            return self._pair[0]
        x = self._inverse(y)
        if self._cache_size:
            self._pair = (x, y)
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define _call(x).")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define _inverse(y).")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx|"""
        raise NotImplementedError(f"{type(self).__name__} must define log_abs_det_jacobian(x, y).")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    bijective = True

    def __init__(self, forward: Transform):
        super().__init__()
        self._forward = forward
        self.domain, self.codomain = forward.codomain, forward.domain

    inv = property(lambda self: self._forward, doc="The transform itself.")

    def __call__(self, x: Tensor) -> Tensor:
        return self._forward._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._forward(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._forward.log_abs_det_jacobian(y, x)

    def __repr__(self) -> str:
        return f"{self._forward!r}.inv"


class ExpTransform(Transform):
    """exp(x)"""

    bijective = True
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class SigmoidTransform(Transform):
    """1 / (1 + exp(-x))"""

    bijective = True
    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.softplus(-x) - F.softplus(x)


class SoftplusTransform(Transform):
    """log(1 + exp(x))"""

    bijective = True
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return F.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.softplus(-x)


class TanhTransform(Transform):
    """tanh(x). With cache_size=1 the log-probability of a draw stays finite where tanh rounds to 1."""

    bijective = True
    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        # log(1 - tanh(x)^2), which would be -inf where tanh rounds to 1.
        return 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x))


class AffineTransform(Transform):
    """loc + scale x; the last event_dim axes are one event."""

    bijective = True

    def __init__(self, loc, scale, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            log = self.scale.abs().log().expand(x.shape)
        else:
            log = ops.full_like(x, math.log(abs(self.scale)))
        return log.sum(tuple(range(-self.event_dim, 0))) if self.event_dim else log


class ComposeTransform(Transform):
    """Several transforms, the first of the list first."""

    def __init__(self, parts, cache_size: int = 0):
        super().__init__(cache_size)
        self.parts = list(parts)

    bijective = property(lambda self: all(p.bijective for p in self.parts), doc="All are.")
    domain = property(lambda self: self.parts[0].domain if self.parts else constraints.real, doc="The first's.")  # fmt: skip
    codomain = property(lambda self: self.parts[-1].codomain if self.parts else constraints.real, doc="The last's.")  # fmt: skip

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part._inv_call(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        total, event = None, max((p.domain.event_dim for p in self.parts), default=0)
        for part in self.parts:
            after = part(x)
            term = sum_last(part.log_abs_det_jacobian(x, after), event - part.domain.event_dim)
            total, x = term if total is None else total + term, after
        return ops.zeros_like(x) if total is None else total

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts})"


def sum_last(x: Tensor, axes: int) -> Tensor:
    """The sum over the last axes."""
    return x.sum(tuple(range(-axes, 0))) if axes > 0 else x

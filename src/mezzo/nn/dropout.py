"""Dropout layers: active in training only."""

from __future__ import annotations

from mezzo.nn.layer import FunctionLayer


class _Dropout(FunctionLayer):
    p: float = 0.5
    inplace: bool = False
    shown = ("p", "inplace")

    def prepare(self, given):
        if not 0.0 <= given["p"] <= 1.0:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {given['p']}")
        return given

    def options(self) -> dict:
        return super().options() | {"training": self.training}


class Dropout(_Dropout, calls="dropout"):
    """Zeroes each element with probability p and scales the others by 1 / (1 - p)."""


class Dropout1d(_Dropout, calls="dropout1d"):
    """Zeroes whole channels of (N, C, L)."""


class Dropout2d(_Dropout, calls="dropout2d"):
    """Zeroes whole channels of (N, C, H, W)."""


class AlphaDropout(_Dropout, calls="alpha_dropout"):
    """Dropout that keeps mean and variance under SELU."""


class Dropout3d(_Dropout, calls="dropout3d"):
    """Zeroes whole channels of (N, C, D, H, W)."""


class FeatureAlphaDropout(_Dropout, calls="feature_alpha_dropout"):
    """AlphaDropout of whole channels."""

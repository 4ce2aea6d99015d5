"""Differentiation: backward, grad, Function, and the gradient modes."""

from __future__ import annotations

from mezzo.autograd.api import backward, grad
from mezzo.autograd.function import Function, once_differentiable
from mezzo.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = ["Function", "backward", "enable_grad", "grad", "inference_mode", "is_grad_enabled", "is_inference",
           "is_inference_mode_enabled", "no_grad", "once_differentiable", "set_grad_enabled"]  # fmt: skip

"""Differentiation: backward, grad, Function, and the gradient modes."""

from __future__ import annotations

from mezzo.autograd import functional
from mezzo.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
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
from mezzo.autograd.variable import Variable

__all__ = ["Function", "Variable", "backward", "detect_anomaly", "enable_grad", "functional", "grad", "inference_mode",
           "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "is_grad_enabled", "is_inference",
           "is_inference_mode_enabled", "no_grad", "once_differentiable", "set_detect_anomaly",
           "set_grad_enabled"]  # fmt: skip

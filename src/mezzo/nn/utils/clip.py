"""Clipping of gradients by norm or by value, in place.

`foreach` is PyTorch's choice between a loop and one kernel over all tensors; the result is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor


def _listed(tensors: Tensor | Iterable[Tensor], operation: str) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        return [tensors]
    found = list(tensors)
    for place, tensor in enumerate(found):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{operation}: element {place} of the parameters is a {type(tensor).__name__}; all "
                "must be Tensors."
            )
    return found


def _gradients(parameters, operation: str) -> list[Tensor]:
    return [p.grad for p in _listed(parameters, operation) if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors together, as if they were one vector; 0 if there are none."""
    tensors, norm_type = _listed(tensors, "get_total_norm"), float(norm_type)
    if not tensors:
        return ops.tensor(0.0)
    with no_grad():
        norms = [ops.vector_norm(t.detach(), norm_type) for t in tensors]
        device = norms[0].device
        stacked = ops.stack([n if n.device is device else n.to(device) for n in norms])
        total = ops.vector_norm(stacked, norm_type)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm "
            "anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale the gradients by max_norm / (total_norm + 1e-6) where that is below 1; else leave them untouched."""
    with no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        if not STATE.stack and factor.device.type == "cpu" and factor.item() == 1.0:
            return  # on other devices, and in traces, to look would cost more than a pass of ones
        for grad in _gradients(parameters, "clip_grads_with_norm_"):
            grad.mul_(factor if grad.device is factor.device else factor.to(grad.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their joint norm is at most max_norm; returns the norm before."""
    parameters = _listed(parameters, "clip_grad_norm_")
    grads = _gradients(parameters, "clip_grad_norm_")
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The former name of clip_grad_norm_."""
    warnings.warn(
        "`clip_grad_norm` is now deprecated in favor of `clip_grad_norm_`.",
        category=FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clamp every element of every gradient to [-clip_value, clip_value]."""
    clip_value = float(clip_value)
    with no_grad():
        for grad in _gradients(parameters, "clip_grad_value_"):
            grad.clamp_(min=-clip_value, max=clip_value)

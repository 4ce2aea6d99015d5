"""Function transforms: vmap, grad, vjp, jvp, Jacobians, modules as functions."""

from __future__ import annotations

from mezzo.func import forward_ad
from mezzo.func.control import cond, while_loop
from mezzo.func.derivatives import grad, grad_and_value, jvp, linearize, vjp
from mezzo.func.jacobians import hessian, jacfwd, jacrev
from mezzo.func.modules import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from mezzo.func.vmap import vmap

__all__ = ["cond", "forward_ad", "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
           "linearize", "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap", "while_loop"]  # fmt: skip

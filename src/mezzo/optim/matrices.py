"""Optimizers that know of matrices: Adafactor keeps row and column means, Muon makes steps orthogonal."""

from __future__ import annotations

import math

from mezzo import dtypes, ops
from mezzo.core import late
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError
from mezzo.optim.optimizer import Optimizer, check, factors, number, pick


class Adafactor(Optimizer):
    """Adam without moments: of matrices only the mean squares of rows and columns are kept.

    lr bounds the step relative to the parameter's size. Source: torch.optim.Adafactor; Shazeer and Stern, "Adafactor:
    adaptive learning rates with sublinear memory cost" (2018)
    """

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *, foreach=None,
                 maximize=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("negated beta2_decay", -beta2_decay, 0.0)
        check("epsilon1", 0.0 if eps[0] is None else eps[0], 0.0)
        check("epsilon2", eps[1], 0.0)
        check("clipping threshold d", d, 1.0)
        check("weight_decay value", weight_decay, 0.0)
        super().__init__(params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize})  # fmt: skip

    def update(self, group, params, grads):
        def numbers(count: int) -> tuple[float, ...]:
            lr = number(group["lr"])
            return (
                min(lr, 1 / count**0.5),
                count ** group["beta2_decay"],
                1 - lr * group["weight_decay"],
            )

        for at, found in self.advanced(params, numbers):
            for p, grad in zip(pick(params, at), pick(grads, at)):
                self._step_one(group, p, -grad if group["maximize"] else grad, *factors(found, p))

    def _step_one(self, group: dict, p: Tensor, grad: Tensor, rate, share, decay) -> None:
        eps1, eps2 = group["eps"]
        eps1 = dtypes.finfo(p.dtype).eps if eps1 is None else eps1
        size = p.norm() / p.numel() ** 0.5
        rate = size.clamp(min=eps2) * rate
        if group["weight_decay"]:
            p.mul_(decay)
        spread = self._mean_square(p, grad, share, eps1)
        step = grad * spread.clamp(min=eps1 * eps1).rsqrt()
        too_long = (step.norm() / (step.numel() ** 0.5 * group["d"])).clamp(min=1.0)
        p.sub_(step * (rate / too_long))

    def _mean_square(self, p: Tensor, grad: Tensor, share, eps: float) -> Tensor:
        """The running mean of the squared gradient; of matrices the product that has its rows' and columns' means."""
        squared = grad.square()
        if grad.dim() < 2:
            return self.kept(p, "variance").lerp_(squared, share)
        rows = self.kept(p, "row_var", lambda x: x.new_zeros((*x.shape[:-1], 1)))
        columns = self.kept(p, "col_var", lambda x: x.new_zeros((*x.shape[:-2], 1, x.shape[-1])))
        rows.lerp_(squared.mean(-1, keepdim=True), share)
        columns.lerp_(squared.mean(-2, keepdim=True), share)
        return rows @ columns / rows.mean(-2, keepdim=True).clamp(min=eps)


class Muon(Optimizer):
    """Momentum whose step is replaced by the nearest orthogonal matrix, roughly; for matrices only.

    adjust_lr_fn: "original" (None) scales wide steps by sqrt(max(1, rows / columns)), "match_rms_adamw" by
    0.2 sqrt(max(rows, columns)). Source: torch.optim.Muon; Jordan, "Muon: an optimizer for hidden layers" (2024)
    """

    def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
                 ns_coefficients=(3.4445, -4.7750, 2.0315), eps=1e-7, ns_steps=5, adjust_lr_fn=None):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("momentum value", momentum, 0.0)
        check("weight_decay value", weight_decay, 0.0)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ArgumentValueError(
                f"Muon: adjust_lr_fn is {adjust_lr_fn!r}; it must be None, 'original' or 'match_rms_adamw'."
            )
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                                  "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
                                  "adjust_lr_fn": adjust_lr_fn})  # fmt: skip
        for p in (p for group in self.param_groups for p in group["params"]):
            if p.dim() != 2:
                raise ArgumentValueError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {tuple(p.shape)}. Give "
                    "biases, embeddings and convolutions to AdamW."
                )

    def update(self, group, params, grads):
        momentum = group["momentum"]
        for p, grad in zip(params, grads):
            found = late.numbers(lambda shape=p.shape: _rates(group, *shape), 2)
            rate, decay = factors(found, p)
            buffer = self.kept(p, "momentum_buffer")
            buffer.lerp_(grad, 1 - momentum)
            step = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
            step = orthogonal_part(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
            p.mul_(decay)
            p.sub_(step.to(p.dtype) * rate)


def _rates(group: dict, rows: int, columns: int) -> tuple[float, float]:
    """Muon's rate for a matrix of that shape, and what the decay of weights leaves."""
    lr = number(group["lr"])
    if group["adjust_lr_fn"] == "match_rms_adamw":
        rate = lr * 0.2 * math.sqrt(max(rows, columns))
    else:
        rate = lr * math.sqrt(max(1, rows / columns))
    return rate, 1 - lr * group["weight_decay"]


def orthogonal_part(matrix: Tensor, coefficients, steps: int, eps: float) -> Tensor:
    """About U V^T of the singular value decomposition, by an odd polynomial applied repeatedly, in bfloat16.

    Source: Newton-Schulz iterations; the coefficients lift small singular values fast and leave all between about 0.7
    and 1.2 rather than at 1
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(dtypes.bfloat16)
    x = x.t() if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.t()
        x = ops.addmm(x, ops.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.t() if tall else x

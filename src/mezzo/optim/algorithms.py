"""SGD, Adam, AdamW, RMSprop, Adagrad: each step is one kernel over all parameters of a group."""

from __future__ import annotations

import math

from mezzo.core import late
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError
from mezzo.ops import steps
from mezzo.ops.create import full_like
from mezzo.optim.optimizer import Optimizer, check, number, pick


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum. Source: torch.optim.SGD"""

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False,
                 foreach=None, differentiable=False, fused=None):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("momentum value", momentum, 0.0)
        check("weight_decay value", weight_decay, 0.0)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentValueError("Nesterov momentum requires a momentum and zero dampening.")
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                                      "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
                                      "differentiable": differentiable, "fused": fused})  # fmt: skip

    def update(self, group, params, grads):
        numbers = late.numbers(lambda: (number(group["lr"]), group["weight_decay"]), 2)
        if not group["momentum"]:
            steps.sgd_step(params, grads, *numbers, group["maximize"])
            return
        numbers += late.numbers(lambda: (group["momentum"], group["dampening"]), 2)
        # The first step of a parameter copies its gradient into the buffer.
        fresh = ["momentum_buffer" not in self.state[p] for p in params]
        if not group["dampening"]:
            fresh = [False] * len(params)  # zeros give the same
        elif any(fresh):
            late.refuse_replay("the first step of SGD with dampening")
        for first in (True, False):
            at = [i for i, is_fresh in enumerate(fresh) if is_fresh == first]
            if at:
                chosen = pick(params, at)
                buffers = [self.kept(p, "momentum_buffer") for p in chosen]
                steps.sgd_momentum_step(chosen, pick(grads, at), buffers, *numbers,
                                        group["nesterov"], group["maximize"], first)  # fmt: skip


class Adam(Optimizer):
    """Adam. Source: torch.optim.Adam (Kingma & Ba, 2015)"""

    decoupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None,
                 maximize=False, capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("epsilon value", eps, 0.0)
        check("beta parameter at index 0", betas[0], 0.0, 1.0)
        check("beta parameter at index 1", betas[1], 0.0, 1.0)
        check("weight_decay value", weight_decay, 0.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                                      "maximize": maximize, "foreach": foreach, "capturable": capturable,
                                      "differentiable": differentiable, "fused": fused,
                                      "decoupled_weight_decay": decoupled_weight_decay or self.decoupled})  # fmt: skip

    def update(self, group, params, grads):
        names = ["exp_avg", "exp_avg_sq"] + (["max_exp_avg_sq"] if group["amsgrad"] else [])
        record = steps.amsgrad_step if group["amsgrad"] else steps.adam_step

        def numbers(count: int) -> tuple[float, ...]:
            beta1, beta2 = map(number, group["betas"])
            return (number(group["lr"]), beta1, beta2, group["weight_decay"], group["eps"], 1.0 - beta1**count,
                    math.sqrt(1.0 - beta2**count))  # fmt: skip

        for at, found in self.advanced(params, numbers):
            chosen = pick(params, at)
            moments = [[self.kept(p, name) for p in chosen] for name in names]
            record(
                chosen,
                pick(grads, at),
                *moments,
                *found,
                group["decoupled_weight_decay"],
                group["maximize"],
            )


class AdamW(Adam):
    """Adam with decoupled weight decay. Source: torch.optim.AdamW (Loshchilov & Hutter, 2019)"""

    decoupled = True

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        **options,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)


class RMSprop(Optimizer):
    """RMSprop. Source: torch.optim.RMSprop"""

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
                 capturable=False, foreach=None, maximize=False, differentiable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("epsilon value", eps, 0.0)
        check("momentum value", momentum, 0.0)
        check("weight_decay value", weight_decay, 0.0)
        check("alpha value", alpha, 0.0)
        super().__init__(params, {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                                      "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
                                      "maximize": maximize, "differentiable": differentiable})  # fmt: skip

    def update(self, group, params, grads):
        names = ["square_avg"] + (
            ["grad_avg", "momentum_buffer"] if group["momentum"] or group["centered"] else []
        )
        states = [[self.kept(p, name) for p in params] for name in names]

        def numbers(_count: int) -> tuple[float, ...]:
            return number(group["lr"]), group["alpha"], group["eps"], group["weight_decay"]

        for at, found in self.advanced(params, numbers):
            chosen = [pick(values, at) for values in (params, grads, *states)]
            if len(names) == 1:
                steps.rmsprop_plain_step(*chosen, *found, group["maximize"])
            else:
                momentum = late.numbers(lambda: (group["momentum"],), 1)
                steps.rmsprop_step(*chosen, *found, *momentum, group["centered"], group["maximize"])


class Adagrad(Optimizer):
    """Adagrad. Source: torch.optim.Adagrad"""

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10,
                 foreach=None, *, maximize=False, differentiable=False, fused=None):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("lr_decay value", lr_decay, 0.0)
        check("weight_decay value", weight_decay, 0.0)
        check("initial_accumulator_value value", initial_accumulator_value, 0.0)
        check("epsilon value", eps, 0.0)
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                                      "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
                                      "maximize": maximize, "differentiable": differentiable, "fused": fused})  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                self._begin(group, p)

    def _begin(self, group, p: Tensor) -> None:
        self.state[p].setdefault("step", 0)
        self.state[p].setdefault("sum", full_like(p, group["initial_accumulator_value"]).detach())

    def update(self, group, params, grads):
        for p in params:
            self._begin(group, p)

        def numbers(count: int) -> tuple[float, ...]:
            lr = number(group["lr"]) / (1 + (count - 1) * group["lr_decay"])
            return lr, group["eps"], group["weight_decay"]

        for at, found in self.advanced(params, numbers):
            sums = [self.state[params[i]]["sum"] for i in at]
            steps.adagrad_step(pick(params, at), pick(grads, at), sums, *found, group["maximize"])

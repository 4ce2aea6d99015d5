"""Adadelta, Adamax, NAdam, RAdam, ASGD, Rprop: each step is one kernel over all parameters of a group."""

from __future__ import annotations

import math

from mezzo.ops import more_steps as steps
from mezzo.ops.create import full_like
from mezzo.optim.optimizer import Optimizer, check, number, pick


def _check_betas(betas) -> None:
    check("beta parameter at index 0", betas[0], 0.0, 1.0)
    check("beta parameter at index 1", betas[1], 0.0, 1.0)


class _Moments(Optimizer):
    """An optimizer with state tensors of fixed names, whose numbers depend on the step count."""

    names: tuple[str, ...] = ("exp_avg", "exp_avg_sq")
    record = steps.radam_step
    decouples = False

    def numbers(self, group: dict, count: int) -> tuple[float, ...]:
        """What the kernel's numbers are at a step."""
        raise NotImplementedError

    def update(self, group, params, grads):
        options = (group["decoupled_weight_decay"],) if self.decouples else ()
        states = [[self.kept(p, name) for p in params] for name in self.names]
        for at, found in self.advanced(params, lambda count: self.numbers(group, count)):
            chosen = [pick(values, at) for values in (params, grads, *states)]
            self.record.apply((*chosen, *found, *options, group["maximize"]))


class Adadelta(_Moments):
    """Adadelta. Source: torch.optim.Adadelta (Zeiler, 2012)"""

    names, record = ("square_avg", "acc_delta"), steps.adadelta_step

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False,
                 maximize=False, differentiable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("rho value", rho, 0.0, 1.0 + 1e-12)
        check("epsilon value", eps, 0.0)
        check("weight_decay value", weight_decay, 0.0)
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                                      "capturable": capturable, "foreach": foreach, "differentiable": differentiable})  # fmt: skip

    def numbers(self, group, count):
        return number(group["lr"]), group["rho"], group["eps"], group["weight_decay"]


class Adamax(_Moments):
    """Adam in the infinity norm. Source: torch.optim.Adamax (Kingma & Ba, 2015)"""

    names, record = ("exp_avg", "exp_inf"), steps.adamax_step

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("epsilon value", eps, 0.0)
        _check_betas(betas)
        check("weight_decay value", weight_decay, 0.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
                                      "maximize": maximize, "differentiable": differentiable, "capturable": capturable})  # fmt: skip

    def numbers(self, group, count):
        beta1, beta2 = group["betas"]
        rate = number(group["lr"]) / (1 - beta1**count)
        return rate, beta1, beta2, group["eps"], group["weight_decay"]


class NAdam(_Moments):
    """Adam with Nesterov momentum. Source: torch.optim.NAdam (Dozat, 2016)"""

    record, decouples = steps.nadam_step, True

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
                 decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False, differentiable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("epsilon value", eps, 0.0)
        _check_betas(betas)
        check("weight_decay value", weight_decay, 0.0)
        check("momentum_decay value", momentum_decay, 0.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                      "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
                                      "maximize": maximize, "foreach": foreach, "capturable": capturable,
                                      "differentiable": differentiable})  # fmt: skip

    def numbers(self, group, count):
        lr, (beta1, beta2), decay = number(group["lr"]), group["betas"], group["momentum_decay"]

        def momentum(t: int) -> float:
            return beta1 * (1.0 - 0.5 * 0.96 ** (t * decay))

        product = math.prod(momentum(t) for t in range(1, count + 1))
        now = lr * (1 - momentum(count)) / (1 - product)
        ahead = lr * momentum(count + 1) / (1 - product * momentum(count + 1))
        wd = group["weight_decay"]
        return now, ahead, beta1, beta2, group["eps"], wd, 1 - lr * wd, math.sqrt(1 - beta2**count)


class RAdam(_Moments):
    """Rectified Adam. Source: torch.optim.RAdam (Liu et al., 2020)"""

    record, decouples = steps.radam_step, True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
                 foreach=None, maximize=False, capturable=False, differentiable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("epsilon value", eps, 0.0)
        _check_betas(betas)
        check("weight_decay value", weight_decay, 0.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                                      "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
                                      "decoupled_weight_decay": decoupled_weight_decay})  # fmt: skip

    def numbers(self, group, count):
        lr, (beta1, beta2), wd = number(group["lr"]), group["betas"], group["weight_decay"]
        second = 1 - beta2**count
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * count * beta2**count / second
        adapted, plain = 0.0, 1.0
        if length > 5.0:
            inside = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
            adapted, plain = math.sqrt(inside * second), 0.0
        rate = lr / (1 - beta1**count)
        return rate, beta1, beta2, group["eps"], wd, 1 - lr * wd, adapted, plain


class ASGD(_Moments):
    """Averaged stochastic gradient descent; the average is in state[p]["ax"].

    Source: torch.optim.ASGD (Polyak & Juditsky, 1992)
    """

    names, record = ("ax",), steps.asgd_step

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("weight_decay value", weight_decay, 0.0)
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                      "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                                      "capturable": capturable})  # fmt: skip

    def numbers(self, group, count):
        lr, lambd = number(group["lr"]), group["lambd"]
        eta = lr if count == 1 else lr / (1 + lambd * lr * (count - 1)) ** group["alpha"]
        mu = 1 / max(1, count - 1 - group["t0"])
        return 1 - lambd * eta, eta, mu, group["weight_decay"]


class Rprop(_Moments):
    """Resilient propagation. Source: torch.optim.Rprop (Riedmiller & Braun, 1993)"""

    names, record = ("prev", "step_size"), steps.rprop_step

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None,
                 maximize=False, differentiable=False):  # fmt: skip
        check("learning rate", lr, 0.0)
        check("eta values: the first", etas[0], 0.0, 1.0)
        check("eta values: the second", etas[1], 1.0)
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                                      "differentiable": differentiable, "capturable": capturable})  # fmt: skip

    def update(self, group, params, grads):
        for p in params:
            self.kept(p, "step_size", lambda x: full_like(x, number(group["lr"])).detach())
        super().update(group, params, grads)

    def numbers(self, group, count):
        return (*group["etas"], *group["step_sizes"])

"""Averages of weights over training: stochastic weight averaging and exponential moving averages.

Source: torch.optim.swa_utils; Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018)
"""

from __future__ import annotations

import copy
import itertools
import math

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.dtypes import int64
from mezzo.nn import Module
from mezzo.nn.normalization import _BatchNorm
from mezzo.optim.lr_base import LRScheduler

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _checked(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )
    return decay


def get_ema_avg_fn(decay: float = 0.999):
    """avg_fn of an exponential moving average."""
    _checked(decay)

    @no_grad()
    def average(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return average


def get_ema_multi_avg_fn(decay: float = 0.999):
    """multi_avg_fn of an exponential moving average."""
    _checked(decay)

    @no_grad()
    def average(ema_param_list, current_param_list, num_averaged):
        for ema, current in zip(ema_param_list, current_param_list):
            if ema.dtype.is_floating_point or ema.dtype.is_complex:
                ema.lerp_(current.to(ema.dtype), 1 - decay)
            else:
                ema.copy_(ema * decay + current * (1 - decay))

    return average


def get_swa_avg_fn():
    """avg_fn of the mean over all updates."""

    @no_grad()
    def average(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return average


def get_swa_multi_avg_fn():
    """multi_avg_fn of the mean over all updates."""

    @no_grad()
    def average(averaged_param_list, current_param_list, num_averaged):
        for averaged, current in zip(averaged_param_list, current_param_list):
            averaged.add_((current - averaged) / (num_averaged + 1))

    return average


class AveragedModel(Module):
    """A copy of a model, under `module`, that holds an average of its weights.

    update_parameters(model) takes the model's weights in; avg_fn(averaged, current, count) or
    multi_avg_fn(list, list, count) says how, by default with equal weights. use_buffers: average buffers too; else
    they are copied. Source: torch.optim.swa_utils.AveragedModel
    """

    def __init__(self, model: Module, device=None, avg_fn=None, multi_avg_fn=None, use_buffers: bool = False):  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ops.tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _averaged(self, model: Module) -> list[Tensor]:
        if self.use_buffers:
            return list(itertools.chain(model.parameters(), model.buffers()))
        return list(model.parameters())

    def update_parameters(self, model: Module) -> None:
        """Take the weights of `model` into the average; the first time they are the average."""
        own, new = self._averaged(self.module), self._averaged(model)
        new = [n.detach().to(o.device) for o, n in zip(own, new)]
        own = [o.detach() for o in own]
        count = int(self.n_averaged.item())
        if count == 0:
            for o, n in zip(own, new):
                o.copy_(n)
        elif self.avg_fn is None:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(own, new, self.n_averaged)
        else:
            for o, n in zip(own, new):
                o.copy_(self.avg_fn(o, n, self.n_averaged))
        if not self.use_buffers:
            for o, n in zip(self.module.buffers(), model.buffers()):
                o.detach().copy_(n.detach().to(o.device))
        self.n_averaged += 1


@no_grad()
def update_bn(loader, model: Module, device=None) -> None:
    """Compute the running statistics of batch normalisation anew, in one pass over the loader.

    A batch that is a tuple or list stands for its first entry. Source: torch.optim.swa_utils.update_bn
    """
    momenta = {}
    for layer in model.modules():
        if not isinstance(layer, _BatchNorm):
            continue
        layer.reset_running_stats()
        momenta[layer], layer.momentum = layer.momentum, None
    if not momenta:
        return
    training = model.training
    model.train()
    for batch in loader:
        input = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(input if device is None else input.to(device))
    for layer, momentum in momenta.items():
        layer.momentum = momentum
    model.train(training)


def _cosine(t: float) -> float:
    return (1 - math.cos(math.pi * t)) / 2


def _linear(t: float) -> float:
    return t


class SWALR(LRScheduler):
    """Go to the rate swa_lr in anneal_epochs steps, by a cosine or a line, and stay.

    Source: torch.optim.swa_utils.SWALR
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1):  # fmt: skip
        groups = optimizer.param_groups
        rates = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(groups)
        if len(rates) != len(groups):
            raise ValueError(
                f"swa_lr must have the same length as optimizer.param_groups: swa_lr has {len(rates)}, "
                f"optimizer.param_groups has {len(groups)}"
            )
        for rate, group in zip(rates, groups):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs, self._strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return _cosine(t) if self._strategy == "cos" else _linear(t)

    def get_lr(self) -> list:
        """From the rate of the step before, solved for the rate where the way began."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate = group["lr"]
            start = group["swa_lr"] if before == 1 else (rate - before * group["swa_lr"]) / (1 - before)  # fmt: skip
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates

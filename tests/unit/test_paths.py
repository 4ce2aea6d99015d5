"""PyTorch's module paths, as programs import from them."""

from __future__ import annotations

import pytest
import torch  # the oracle of which paths there are

import mezzo

IMPORTS = [
    "from torch.nn.modules.batchnorm import _BatchNorm, BatchNorm2d",
    "from torch.nn.modules.loss import _Loss, CrossEntropyLoss",
    "from torch.nn.modules.conv import _ConvNd, Conv2d",
    "from torch.nn.modules.utils import _pair, _single, _triple",
    "from torch.nn.modules import Module, Linear",
    "import torch.nn.modules.activation",
    "from torch.nn.parallel import DataParallel",
    "from torch.nn.utils.stateless import functional_call",
    "from torch.nn.utils.clip_grad import clip_grad_norm_",
    "from torch.utils.hooks import RemovableHandle",
    "from torch.utils.data.dataloader import default_collate, DataLoader",
    "from torch.distributions.normal import Normal",
    "from torch.distributions.transformed_distribution import TransformedDistribution",
    "from torch.autograd.profiler import record_function",
    "from torch.autograd.variable import Variable",
    "from torch.amp.grad_scaler import GradScaler",
    "from torch.amp.autocast_mode import autocast",
    "from torch.optim.lr_scheduler import _LRScheduler, LRScheduler",
    "from torch.optim.swa_utils import AveragedModel, SWALR, update_bn",
    "from torch.profiler import profile, record_function, ProfilerActivity, schedule, tensorboard_trace_handler",
    "from torch.utils.benchmark import Timer, Compare, Measurement",
    "from torch.nn.attention import sdpa_kernel, SDPBackend",
    "from torch.random import fork_rng",
    "import torch.nn.functional as F",
]


@pytest.mark.parametrize("line", IMPORTS)
def test_import(line):
    exec(line, {})
    exec(line.replace("torch", "mezzo", 1), {})


def test_what_is_found_there():
    assert mezzo.nn.modules.batchnorm._BatchNorm is mezzo.nn.BatchNorm1d.__mro__[1]
    assert isinstance(mezzo.nn.L1Loss(), mezzo.nn.modules.loss._Loss)
    assert isinstance(mezzo.nn.ConvTranspose1d(1, 1, 1), mezzo.nn.modules.conv._ConvNd)
    assert mezzo.nn.modules.utils._pair((1, 2)) == torch.nn.modules.utils._pair((1, 2))
    assert issubclass(mezzo.optim.lr_scheduler.StepLR, mezzo.optim.lr_scheduler._LRScheduler)


def test_data_parallel_is_transparent():
    found = []
    for m in (mezzo, torch):
        wrapped = m.nn.DataParallel(m.nn.Linear(2, 2))
        with m.no_grad():
            for p in wrapped.parameters():
                p.fill_(0.5)
        found.append((list(wrapped.state_dict()), wrapped(m.ones(1, 2)).tolist(), repr(wrapped)))
    assert found[0] == found[1]
    with pytest.raises(RuntimeError, match="device_ids"):
        mezzo.nn.DataParallel(mezzo.nn.Linear(1, 1), device_ids=[0, 1])

"""Optimizers and learning-rate schedules."""

from __future__ import annotations

from mezzo.optim import lr_scheduler, swa_utils
from mezzo.optim.adaptive import ASGD, Adadelta, Adamax, NAdam, RAdam, Rprop
from mezzo.optim.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from mezzo.optim.lbfgs import LBFGS
from mezzo.optim.matrices import Adafactor, Muon
from mezzo.optim.optimizer import Optimizer

__all__ = [
    "ASGD",
    "LBFGS",
    "Muon",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]

"""Optimizers and learning-rate schedules."""

from __future__ import annotations

from mezzo.optim import lr_scheduler
from mezzo.optim.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from mezzo.optim.optimizer import Optimizer

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]

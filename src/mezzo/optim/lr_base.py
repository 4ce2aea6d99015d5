"""The base of learning-rate schedulers: counting, writing, saving, and the warning about order.

Schedulers know nothing of tensors: they write `lr` (and some `momentum`) into an optimizer's
param_groups. Most compute the new rate from the current one, as PyTorch does, so that several can act
on one optimizer and a rate changed by hand stays changed.
"""

from __future__ import annotations

import functools
import types
import warnings
import weakref

from mezzo.core import late

EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
    "possible. Please use `scheduler.step()` to step the scheduler."
)
OPTIMIZER_FIRST = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them in the "
    "opposite order: `optimizer.step()` before `lr_scheduler.step()`, or the first value of the "
    "schedule is skipped. (A GradScaler that skips its first steps causes this too; then it is "
    "harmless.)"
)
STEP_REPLACED = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
    "Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`."
)


def set_value(group: dict, key: str, value) -> None:
    """Write a value into a param group; a rate held in a tensor is filled in place."""
    if hasattr(group[key], "fill_"):
        group[key].fill_(value)
    else:
        group[key] = value


def copied(number):
    """A copy of a rate that later in-place fills do not change."""
    return number.clone() if hasattr(number, "clone") else number


def per_group(optimizer, value, name: str) -> list:
    """One value for each param group, from one or from a list of as many."""
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"expected {count} values for {name}, got {len(value)}")
    return list(value)


def at_every_run(step):
    """A scheduler's step() as something that compiled code does at every run."""

    @functools.wraps(step)
    def stepped(self, *args, **kwargs):
        if late.tracer() is None:
            step(self, *args, **kwargs)
        else:
            before: list = []

            def go() -> None:
                before[:] = _snapshot(self)
                step(self, *args, **kwargs)

            late.effect(go, lambda: _restore(before))

    return stepped


def _snapshot(scheduler) -> list[tuple[dict, dict]]:
    """(attributes, what is in them) of a scheduler, those it is made of, and the param groups."""
    parts = [scheduler, *getattr(scheduler, "_schedulers", ())]
    found = [vars(part) for part in parts] + list(scheduler.optimizer.param_groups)
    return [(have, {k: copied(v) for k, v in have.items()}) for have in found]


def _restore(before: list[tuple[dict, dict]]) -> None:
    for have, was in before:
        have.clear()
        have.update(was)


def _watch_steps(optimizer) -> None:
    """Let the optimizer note that its step() was called, for the warning about order."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    owner, plain = weakref.ref(optimizer), optimizer.step.__func__

    @functools.wraps(plain)
    def step(*args, **kwargs):
        optimizer = owner()
        optimizer._opt_called = True
        return plain(optimizer, *args, **kwargs)

    step._wrapped_by_lr_sched = True
    optimizer.step = step


class LRScheduler:
    """Base: counts epochs and writes what get_lr() says."""

    def __init__(self, optimizer, last_epoch: int = -1):
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{place}] when resuming an "
                    "optimizer"
                )
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        if isinstance(getattr(optimizer, "step", None), types.MethodType):
            _watch_steps(optimizer)
        self._begin()

    def _begin(self) -> None:
        """The step that writes the first rate."""
        self._step_count = 0
        self._is_initial = True
        with late.untraced():
            self.step()
        self._is_initial = False

    def _undo(self) -> None:
        """Take back the count of the step that the constructor made."""
        self.last_epoch -= 1

    def get_lr(self) -> list:
        """The rates at last_epoch, one for each param group."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr()")

    def get_last_lr(self) -> list:
        """The rates written last. Compiled code is split here: what was written before is run."""
        late.look("get_last_lr")
        return self._last_lr

    @property
    def _groups(self) -> list[dict]:
        return self.optimizer.param_groups

    def _current(self) -> list:
        return [copied(group["lr"]) for group in self._groups]

    def _times(self, factor: float) -> list:
        return [group["lr"] * factor for group in self._groups]

    @at_every_run
    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch (or to the one given, which is deprecated)."""
        self._step_count += 1
        self._warn_about_order()
        if epoch is not None:
            warnings.warn(EPOCH_WARNING, UserWarning, stacklevel=3)
        self._advance(epoch)

    def _warn_about_order(self) -> None:
        step = getattr(self.optimizer, "step", None)
        if self._step_count != 2 or step is None:  # the first count is the constructor's
            return
        if not hasattr(step, "_wrapped_by_lr_sched"):
            warnings.warn(STEP_REPLACED, UserWarning, stacklevel=4)
        elif not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(OPTIMIZER_FIRST, UserWarning, stacklevel=4)

    def _advance(self, epoch: int | None) -> None:
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = self._closed_form() if hasattr(self, "_closed_form") else self.get_lr()
        self._write(rates)

    def _write(self, rates: list) -> None:
        for group, rate in zip(self._groups, rates):
            set_value(group, "lr", rate)
        self._last_lr = self._current()

    # ---- saving

    _not_saved: tuple[str, ...] = ()

    def state_dict(self) -> dict:
        """Everything but the optimizer."""
        hidden = {"optimizer", "_is_initial", *self._not_saved}
        return {k: v for k, v in self.__dict__.items() if k not in hidden}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what state_dict() gave."""
        self.__dict__.update(state_dict)

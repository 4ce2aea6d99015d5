"""GradScaler: losses scaled so that small gradients survive float16, steps with infinities skipped.

The observable behaviour is PyTorch's, state by state. Ours in addition: step() reports, bfloat16 and
complex-free gradients of any floating dtype but float16 unscale, closures work, and a scale
that sinks below a floor warns with the names of what overflowed.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import warnings
from collections import defaultdict
from typing import Any

from mezzo import devices, dtypes
from mezzo.autograd import no_grad
from mezzo.core import late
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, ArgumentValueError, GradientError
from mezzo.ops import steps
from mezzo.ops.create import full

MAX_SCALE = float(dtypes.finfo(dtypes.float32).max)


class OptState(enum.Enum):
    """Where an optimizer is within one iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


@dataclasses.dataclass(frozen=True)
class StepReport:
    """What scaler.step() did.

    skipped: a gradient was infinite or NaN, and the optimizer did not step. scale: the scale used. (While
    a step is compiled, both are tensors: return them to look at them.)
    overflowed: numbers of the parameters (in the optimizer's order) whose gradients were not finite.
    result: what optimizer.step returned.
    """

    skipped: bool | Tensor
    scale: float | Tensor
    overflowed: tuple[int, ...] = ()
    result: Any = None


class GradScaler:
    """Scales losses and unscales gradients, with a scale that follows what overflows.

    init_scale, growth_factor, backoff_factor, growth_interval: see update(). floor: below this scale, update()
    warns that training diverges. Source: torch.amp.GradScaler
    """

    def __init__(self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
                 backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True, *, floor: float = 1.0):  # fmt: skip
        self._device = devices.device(device).type
        self._enabled = enabled
        if enabled and self._device == "cuda":
            warnings.warn(
                "GradScaler: device 'cuda' was asked for, but CUDA is not available. Disabling. Use GradScaler('cpu').",
                UserWarning, stacklevel=2,
            )  # fmt: skip
            self._enabled = False
        if self._enabled:
            if not growth_factor > 1.0:
                raise AssertionError(
                    f"GradScaler: the growth factor must be > 1.0, and is {growth_factor}."
                )
            if not backoff_factor < 1.0:
                raise AssertionError(
                    f"GradScaler: the backoff factor must be < 1.0, and is {backoff_factor}."
                )
        self._init_scale, self._growth_factor, self._backoff_factor = (
            float(init_scale),
            growth_factor,
            backoff_factor,
        )
        self._growth_interval, self._init_growth_tracker, self._floor = growth_interval, 0, floor
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._optimizers: dict[int, dict] = defaultdict(_fresh)
        self._culprits: tuple[int, ...] = ()
        self._watched: float | None = None  # the scale before the last run of a compiled step

    # ---- scaling

    def _start(self) -> None:
        if self._scale is None:
            with late.untraced():
                self._scale = full((), self._init_scale, dtype=dtypes.float32)
                self._growth_tracker = full((), self._init_growth_tracker, dtype=dtypes.int32)

    def _need_scale(self, operation: str) -> None:
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(
                f"Attempted {operation} but _scale is None. This may indicate your script did not use scaler.scale(loss or outputs) "
                "earlier in the iteration."
            )

    def scale(self, outputs):
        """Multiply a tensor, or every tensor in nested lists and tuples, by the scale."""
        if not self._enabled:
            return outputs
        self._start()
        return self._scaled(outputs)

    def _scaled(self, value):
        if isinstance(value, Tensor):
            return value * self._scale.to(device=value.device)
        if isinstance(value, (list, tuple)):
            return type(value)(self._scaled(v) for v in value)
        if hasattr(value, "__iter__"):
            return map(self._scaled, value)
        raise ArgumentValueError("scale: outputs must be a Tensor or an iterable of Tensors.")

    # ---- unscaling

    def unscale_(self, optimizer) -> None:
        """Divide the optimizer's gradients by the scale, in place, and note infinities.

        Raises: GradientError if called twice, or after step(); ValueError for float16 gradients
        """
        if not self._enabled:
            return
        self._need_scale("unscale_")
        state = self._optimizers[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise GradientError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise GradientError("unscale_() is being called after step().")
        # Taken in float64, as PyTorch does.
        (inverse,) = late.numbers(lambda: (1.0 / float(self._scale.item()),), 1)
        state["found_inf_per_device"] = self._unscale(optimizer, inverse, allow_fp16=False)
        state["stage"] = OptState.UNSCALED

    def _unscale(self, optimizer, inverse: float, allow_fp16: bool) -> dict[str, Tensor]:
        grads, order = [], []
        position = 0
        for group in optimizer.param_groups:
            for p in group["params"]:
                grad = p.grad
                position += 1
                if grad is None:
                    continue
                if not allow_fp16 and grad.dtype is dtypes.float16:
                    raise ArgumentValueError(
                        "Attempting to unscale FP16 gradients. Keep the parameters in float32 and use autocast."
                    )
                grads.append(grad)
                order.append(position - 1)
        found = steps.unscale(grads, inverse) if grads else False
        if isinstance(found, Tensor):  # in a compiled step
            return {"cpu": found}
        self._culprits = tuple(i for i, g in zip(order, grads) if not _finite(g)) if found else ()
        return {"cpu": full((), float(found), dtype=dtypes.float32)} if grads else {}

    def _check_inf_per_device(self, optimizer) -> dict[str, Tensor]:
        self._need_scale("_check_inf_per_device")
        found = self._unscale(optimizer, 1.0, allow_fp16=True)
        self._optimizers[id(optimizer)]["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer) -> dict[str, Tensor]:
        return self._optimizers[id(optimizer)]["found_inf_per_device"]

    # ---- stepping

    def step(self, optimizer, *args, **kwargs):
        """optimizer.step() unless a gradient is infinite or NaN; unscales first if that was not done.

        Returns a StepReport (skipped, scale, overflowed, result); when disabled, what optimizer.step returns.
        A closure is called with autograd on; its loss must be unscaled by the caller's scale(loss).backward().
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            self._start()  # the closure is where scale() is called first
        self._need_scale("step")
        state = self._optimizers[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise GradientError("step() has already been called since the last update().")
        if "closure" in kwargs or args:
            return self._step_closure(optimizer, state, *args, **kwargs)
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._step_fused(optimizer, state, kwargs)
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if not state["found_inf_per_device"]:
            raise AssertionError(
                "No inf checks were recorded for this optimizer. Did backward() reach any of its parameters?"
            )
        return self._maybe(optimizer, state, args, kwargs)

    def _maybe(self, optimizer, state, args, kwargs) -> StepReport:
        if late.is_traced():
            (flag,) = state["found_inf_per_device"].values()
            with late.unless(flag):
                result = optimizer.step(*args, **kwargs)
            state["stage"] = OptState.STEPPED
            return StepReport(flag, self._scale, (), result)
        skipped = any(float(v.item()) for v in state["found_inf_per_device"].values())
        result = None if skipped else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return StepReport(
            skipped, float(self._scale.item()), self._culprits if skipped else (), result
        )

    def _step_closure(self, optimizer, state, closure=None, **kwargs):
        """Run the closure for its gradients, then step by them."""
        loss = closure()
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        report = self._maybe(optimizer, state, (), kwargs)
        return dataclasses.replace(report, result=loss)

    def _step_fused(self, optimizer, state, kwargs):
        """Optimizers that unscale and skip by themselves get grad_scale and found_inf."""
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            kwargs = {**kwargs, "grad_scaler": self}
        else:
            if state["stage"] is OptState.READY:
                self._check_inf_per_device(optimizer)
            values = list(state["found_inf_per_device"].values())
            optimizer.grad_scale = None if state["stage"] is OptState.UNSCALED else self._scale
            optimizer.found_inf = values[0] if values else full((), 0.0)
        result = optimizer.step(**kwargs)
        state["stage"] = OptState.STEPPED
        found = getattr(optimizer, "found_inf", None)
        for name in ("grad_scale", "found_inf"):
            if hasattr(optimizer, name):
                delattr(optimizer, name)
        skipped = found is not None and bool(found.item())
        return StepReport(
            skipped, float(self._scale.item()), self._culprits if skipped else (), result
        )

    # ---- the scale

    def update(self, new_scale=None) -> None:
        """Back off if any optimizer saw an infinity, grow after growth_interval steps without; or set new_scale.

        Raises: AssertionError if no optimizer was stepped or unscaled since the last update
        """
        if not self._enabled:
            return
        self._need_scale("update")
        if new_scale is not None:
            self._set_scale(new_scale)
        else:
            flags = [
                v for s in self._optimizers.values() for v in s["found_inf_per_device"].values()
            ]
            if late.is_traced() and flags:
                self._adapt_inside(flags)
                self._optimizers = defaultdict(_fresh)
                return
            found = [float(v.item()) for v in flags]
            if not found:
                raise AssertionError(
                    "No inf checks were recorded prior to update. Call scaler.step(optimizer) first."
                )
            self._adapt(sum(found) > 0)
        self._optimizers = defaultdict(_fresh)

    def _set_scale(self, new_scale) -> None:
        if isinstance(new_scale, (int, float)):
            self._scale.fill_(float(new_scale))
            return
        if not isinstance(new_scale, Tensor):
            raise ArgumentTypeError(
                f"update: new_scale is {type(new_scale).__name__}; it must be a float or a tensor."
            )
        reason = (
            "new_scale should be a float or a 1-element torch.FloatTensor with requires_grad=False."
        )
        if (
            new_scale.dtype is not dtypes.float32
            or new_scale.numel() != 1
            or new_scale.requires_grad
        ):
            raise AssertionError(reason)
        self._scale.copy_(new_scale.reshape(()))

    def _adapt(self, found_inf: bool) -> None:
        scale, tracker = float(self._scale.item()), int(self._growth_tracker.item())
        if found_inf:
            self._scale.fill_(scale * self._backoff_factor)
            self._growth_tracker.fill_(0)
            if scale * self._backoff_factor < self._floor <= scale:
                self._warn(f"Parameters that overflowed last: {list(self._culprits)}.")
            return
        if tracker + 1 == self._growth_interval:
            grown = scale * self._growth_factor
            if grown <= MAX_SCALE:
                self._scale.fill_(grown)
            self._growth_tracker.fill_(0)
        else:
            self._growth_tracker.fill_(tracker + 1)

    def _warn(self, more: str) -> None:
        warnings.warn(
            f"GradScaler: the scale fell below {self._floor:g}; gradients overflow even unscaled, so training "
            f"diverges. {more}", UserWarning, stacklevel=4,
        )  # fmt: skip

    def _watch(self) -> None:
        """Before each run of a compiled step: did the run before take the scale below the floor?"""
        scale, before = float(self._scale.item()), self._watched
        self._watched = scale
        if before is not None and scale < self._floor <= before:
            self._warn("Run the step without compile() to see which parameters overflow.")

    def _adapt_inside(self, flags: list[Tensor]) -> None:
        """_adapt as tensor operations, for compiled steps: nothing is read back."""
        late.effect(self._watch)
        found = flags[0] != 0
        for flag in flags[1:]:
            found = found | (flag != 0)
        scale, tracker = self._scale, self._growth_tracker
        due = tracker + 1 == self._growth_interval
        grown = scale * self._growth_factor
        grown = grown.where(due & (grown <= MAX_SCALE), scale)
        with no_grad():
            scale.copy_((scale * self._backoff_factor).where(found, grown))
            tracker.copy_((tracker + 1).where(~(found | due), 0))

    # ---- reading and saving

    def get_scale(self) -> float:
        """The scale, 1.0 when disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def get_growth_factor(self) -> float:
        """What the scale grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the scale grows by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale shrinks by."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the scale shrinks by."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many clean steps in a row make the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set how many clean steps in a row make the scale grow."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return (
            self._init_growth_tracker
            if self._growth_tracker is None
            else int(self._growth_tracker.item())
        )

    def is_enabled(self) -> bool:
        """False if all calls pass through."""
        return self._enabled

    def state_dict(self) -> dict:
        """Scale, factors, interval and tracker; empty when disabled."""
        if not self._enabled:
            return {}
        return {"scale": self.get_scale(), "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
                "growth_interval": self._growth_interval, "_growth_tracker": self._get_growth_tracker()}  # fmt: skip

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what state_dict() gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise GradientError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor, self._backoff_factor = (
            state_dict["growth_factor"],
            state_dict["backoff_factor"],
        )
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])

    def __getstate__(self):
        if self._enabled and self._optimizers:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after scaler.update()."
            )
        state = self.__dict__.copy()
        state.update(_init_scale=self.get_scale(), _init_growth_tracker=self._get_growth_tracker(), _scale=None,
                     _growth_tracker=None, _optimizers={})  # fmt: skip
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._optimizers = defaultdict(_fresh)


def _fresh() -> dict:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


def _finite(grad: Tensor) -> bool:
    return not steps.unscale([grad.detach().clone()], 1.0)

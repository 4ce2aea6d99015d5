"""Optimizer: parameter groups, state, hooks, state_dict. Subclasses say how a group of parameters steps."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mezzo import dtypes
from mezzo.autograd import enable_grad, no_grad
from mezzo.core import late
from mezzo.core.tape import Handle
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.ops.create import ones, zeros_like
from mezzo.ops.data import tensor
from mezzo.ops.steps import scale_all

required = object()


class Optimizer:
    """Base class. params: tensors, or dicts with "params" and options of their own.

    Source: torch.optim.Optimizer
    """

    def __init__(self, params, defaults: dict[str, Any]):
        self.defaults = defaults
        self._step_pre_hooks: dict = {}
        self._step_post_hooks: dict = {}
        if isinstance(params, Tensor):
            raise ArgumentTypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor. "
                "Write [tensor]."
            )
        self.state: dict[Tensor, dict] = defaultdict(dict)
        self.param_groups: list[dict] = []
        groups = list(params)
        if not groups:
            raise ArgumentValueError(
                "optimizer got an empty parameter list. Pass model.parameters()."
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict) -> None:
        """Add parameters with options of their own."""
        if not isinstance(group, dict):
            raise ArgumentTypeError(f"param_group must be a dict, but got {type(group).__name__}.")
        group = dict(group)
        params = group["params"]
        if isinstance(params, Tensor):
            group["params"] = [params]
        elif isinstance(params, (set, frozenset)):
            raise ArgumentTypeError(
                "optimizer parameters need to be organized in ordered collections, not in a set. Use a list."
            )
        else:
            group["params"] = [p[1] if isinstance(p, tuple) else p for p in params]
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise ArgumentTypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}."
                )
            if not p.is_leaf:
                raise ArgumentValueError(
                    "can't optimize a non-leaf Tensor. Pass the parameter, not a result computed from it."
                )
        for name, value in self.defaults.items():
            if value is required and name not in group:
                raise ArgumentValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}."
                )
            group.setdefault(name, value)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        if any(id(p) in known for p in group["params"]):
            raise ArgumentValueError("some parameters appear in more than one parameter group.")
        self.param_groups.append(group)

    # ---- stepping

    def update(self, group: dict, params: list[Tensor], grads: list[Tensor]) -> None:
        """Step the parameters of a group that have gradients."""
        raise NotImplementedError

    def step(self, closure: Callable | None = None):
        """Update the parameters from their gradients; returns the closure's loss if one is given."""
        for hook in list(self._step_pre_hooks.values()):
            hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                params = [p for p in group["params"] if p.grad is not None]
                if params:
                    self.update(group, params, [p.grad for p in params])
        for hook in list(self._step_post_hooks.values()):
            hook(self, (closure,), {})
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or zero them in place)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None  # without a look at what it was: a compiled step need not know
                elif p.grad is not None:
                    p.grad = p.grad.detach()
                    p.grad.zero_()

    def advanced(self, params: list[Tensor], numbers: Callable[[int], Sequence[float]]) -> list:
        """Advance each parameter's step count: [(indices of the parameters at one count, numbers(count))]."""
        found: dict[int, list[int]] = {}
        for i, p in enumerate(params):
            found.setdefault(self.state[p].get("step", 0), []).append(i)
        return [
            (at, late.numbers(functools.partial(self._count, pick(params, at), numbers, 1), len(numbers(1)),
                              functools.partial(self._count, pick(params, at), numbers, -1)))
            for at in found.values()
        ]  # fmt: skip

    def _count(self, params: list[Tensor], numbers: Callable, by: int) -> Sequence[float]:
        count = self.state[params[0]].get("step", 0) + by
        for p in params:
            self.state[p]["step"] = count
        return numbers(count) if by > 0 else ()

    def kept(self, p: Tensor, name: str, make: Callable[[Tensor], Tensor] = zeros_like) -> Tensor:
        """A tensor of a parameter's state, made at its first step."""
        state = self.state[p]
        if name not in state:
            with late.untraced():
                state[name] = make(p)
        return state[name]

    def register_step_pre_hook(self, hook) -> Handle:
        """Call hook(optimizer, args, kwargs) before each step."""
        return Handle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook) -> Handle:
        """Call hook(optimizer, args, kwargs) after each step."""
        return Handle(self._step_post_hooks, hook)

    # ---- saving

    def state_dict(self) -> dict:
        """State and options, parameters by number: PyTorch's format."""
        index = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        groups = [
            {
                **{name: v for name, v in g.items() if name != "params"},
                "params": [index[id(p)] for p in g["params"]],
            }
            for g in self.param_groups
        ]
        state = {
            index[id(p)]: {n: tensor(float(v)) if n == "step" else v for n, v in s.items()}
            for p, s in self.state.items() if id(p) in index
        }  # fmt: skip
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what state_dict() gave; parameters are matched by order.

        Raises: ArgumentValueError if the groups differ in number or size
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ArgumentValueError(
                "loaded state dict has a different number of parameter groups."
            )
        if any(len(s["params"]) != len(g["params"]) for s, g in zip(saved, self.param_groups)):
            raise ArgumentValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group."
            )
        ordered = [p for g in self.param_groups for p in g["params"]]
        by_id = dict(zip((i for g in saved for i in g["params"]), ordered))
        self.state = defaultdict(dict)
        for i, entries in state_dict["state"].items():
            p = by_id[i]
            self.state[p] = {name: _restored(name, value, p) for name, value in entries.items()}
        for group, loaded in zip(self.param_groups, saved):
            group.update({name: copy.deepcopy(v) for name, v in loaded.items() if name != "params"})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * bool(i)
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._step_pre_hooks, self._step_post_hooks = {}, {}


def _restored(name: str, value, p: Tensor):
    if name == "step":
        return int(value.item() if isinstance(value, Tensor) else value)
    if isinstance(value, Tensor):
        return value.to(
            dtype=p.dtype if p.is_floating_point() else value.dtype, device=p.device
        ).clone()
    return copy.deepcopy(value)


def check(name: str, value, low, high=None) -> None:
    """Refuse an option outside its range."""
    number = value.item() if isinstance(value, Tensor) else value
    inside = number >= low if high is None else low <= number < high
    if not inside:
        span = f"at least {low}" if high is None else f"in [{low}, {high})"
        raise ArgumentValueError(f"Invalid {name}: {value}; it must be {span}.")


def number(value) -> float:
    """An option that may be a tensor, as a float."""
    return float(value.item()) if isinstance(value, Tensor) else float(value)


def factors(numbers: Iterable, like: Tensor) -> list:
    """Numbers as operands of ordinary operations: in compiled code 0-d tensors that each run fills with them."""
    if not late.is_traced():
        return list(numbers)
    found = []
    for one in numbers:
        found.append(ones((), dtype=like.dtype if like.dtype.itemsize >= 4 else dtypes.float32))
        scale_all([found[-1]], one)
    return found


def pick(items: Iterable, indices: list[int]) -> list:
    """The items at the indices."""
    items = list(items)
    return items if len(indices) == len(items) else [items[i] for i in indices]

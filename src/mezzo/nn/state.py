"""state_dict and load_state_dict of modules.

What is loaded is checked as a whole: missing, unexpected and ill-sized entries end up in one error.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.nn.hooks import RemovableHandle
from mezzo.nn.parameter import Parameter

EXTRA_STATE = "_extra_state"


class _IncompatibleKeys(namedtuple("_IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict(strict=False) found missing and unexpected."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class Stateful:
    """The part of Module that saves and loads; Module supplies the dictionaries."""

    _version = 1

    # ---- extension points ------------------------------------------------------------------------

    def get_extra_state(self):
        """Override to store something besides parameters and buffers in the state_dict."""
        raise RuntimeError(
            f"{type(self).__name__}.get_extra_state: not defined; define it with set_extra_state."
        )

    def set_extra_state(self, state) -> None:
        """Override to take back what get_extra_state gave."""
        raise RuntimeError(
            f"{type(self).__name__}.set_extra_state: the state_dict holds extra state for this module "
            "and it does not define set_extra_state; define both."
        )

    def _has(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(Stateful, name)

    # ---- saving ----------------------------------------------------------------------------------

    def state_dict(self, *args, destination=None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers by their dotted names, sharing memory with the module.

        keep_vars keeps the tensors attached to the tape; otherwise they are detached.
        """
        if args:  # PyTorch's older positional form
            destination, prefix, keep_vars = (*args, *(destination, prefix, keep_vars)[len(args) :])
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook, public in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, metadata)
            if public and result is not None:
                raise RuntimeError(
                    "a state_dict post-hook must return None; change the dict in place."
                )
            destination = destination if result is None else result
        return destination

    def _save_to_state_dict(self, destination, prefix: str, keep_vars: bool) -> None:
        """Put this module's own entries (not its children's) into `destination`."""
        for name, tensor in self._own_state():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if self._has("get_extra_state"):
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _own_state(self):
        """(name, tensor) of the parameters and persistent buffers of this module alone."""
        buffers = (
            (n, b) for n, b in self._buffers.items() if n not in self._non_persistent_buffers_set
        )
        return [(n, t) for n, t in (*self._parameters.items(), *buffers) if t is not None]

    # ---- loading ---------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping, strict: bool = True, assign: bool = False):
        """Copy (or with assign=True, adopt) the tensors of `state_dict`.

        Raises: RuntimeError listing every missing, unexpected and ill-sized entry (sizes always,
        names if strict). Returns (missing_keys, unexpected_keys).
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"Expected state_dict to be dict-like, got {type(state_dict)}; pass what "
                "module.state_dict() or mezzo.load(path) returned."
            )
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata
        missing: list[str] = []
        unexpected: list[str] = []
        problems: list[str] = []
        _load_tree(self, state_dict, "", assign, (missing, unexpected, problems))
        if strict:
            named = (("Missing", missing), ("Unexpected", unexpected))
            problems[:0] = [f"{k} key(s) in state_dict: {_quoted(n)}. " for k, n in named if n]
        if problems:
            listing = "\n\t".join(problems)
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listing}"
            )
        return _IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        """Load this module's own entries; override to read older layouts."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = dict(self._own_state())
        for name, tensor in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            try:
                _load_one(self, name, tensor, state_dict[key], key, assign)
            except _Unfit as problem:
                error_msgs.append(str(problem))
        has_extra = self._has("set_extra_state")
        if has_extra and prefix + EXTRA_STATE in state_dict:
            self.set_extra_state(state_dict[prefix + EXTRA_STATE])
        elif has_extra:
            missing_keys.append(prefix + EXTRA_STATE)
        expected = {*own, EXTRA_STATE} if has_extra else own
        for key in state_dict:
            if key.startswith(prefix):
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else expected):
                    unexpected_keys.append(key)

    # ---- hooks -----------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook) -> RemovableHandle:
        """Call hook(module, prefix, keep_vars) before state_dict() collects."""
        return self._state_dict_pre_hooks.add(hook)

    def register_state_dict_post_hook(self, hook) -> RemovableHandle:
        """Call hook(module, state_dict, prefix, local_metadata) after; it may edit in place."""
        return self._add_state_dict_hook(hook, public=True)

    def _register_state_dict_hook(self, hook) -> RemovableHandle:
        return self._add_state_dict_hook(hook, public=False)

    def _add_state_dict_hook(self, hook, public: bool) -> RemovableHandle:
        handle = self._state_dict_hooks.add(hook)
        self._state_dict_hooks[handle.id] = (hook, public)
        return handle

    def register_load_state_dict_pre_hook(self, hook) -> RemovableHandle:
        """Call hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)."""
        return self._load_state_dict_pre_hooks.add(_WithModule(hook, self))

    def _register_load_state_dict_pre_hook(
        self, hook, with_module: bool = False
    ) -> RemovableHandle:
        return self._load_state_dict_pre_hooks.add(_WithModule(hook, self) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook) -> RemovableHandle:
        """Call hook(module, incompatible_keys) after loading; it may edit the two lists in place."""
        return self._load_state_dict_post_hooks.add(hook)


class _WithModule:
    """A hook with its module in front: a class, so that modules can be pickled and copied."""

    def __init__(self, hook, module):
        self.hook, self.module = hook, module

    def __call__(self, *args):
        return self.hook(self.module, *args)


class _Unfit(Exception):
    """An entry of the state_dict that cannot go into its tensor."""


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _load_tree(module, state_dict, prefix: str, assign: bool, found: tuple) -> None:
    """Load `module` and its children; `found` collects missing, unexpected and problems."""
    missing, unexpected, problems = found
    metadata = dict(getattr(state_dict, "_metadata", None) or {}).get(prefix[:-1], {})
    if assign:
        metadata = {**metadata, "assign_to_params_buffers": True}
    module._load_from_state_dict(state_dict, prefix, metadata, True, missing, unexpected, problems)
    for name, child in module._modules.items():
        if child is not None:
            start = f"{prefix}{name}."
            theirs = OrderedDict((k, v) for k, v in state_dict.items() if k.startswith(start))
            if hasattr(state_dict, "_metadata"):
                theirs._metadata = state_dict._metadata
            _load_tree(child, theirs, start, assign, found)
    keys = _IncompatibleKeys(missing, unexpected)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, keys) is not None:
            raise AssertionError(
                "a load_state_dict post-hook must return None; edit incompatible_keys in place."
            )


def _load_one(module, name: str, tensor: Tensor, value, key: str, assign: bool) -> None:
    """Put `value` into the parameter or buffer `name`."""
    if not isinstance(value, Tensor):
        raise _Unfit(
            f'While copying the parameter named "{key}", expected a Tensor from checkpoint but '
            f"received {type(value)}."
        )
    if tuple(value.shape) == (1,) and tuple(tensor.shape) == () and not assign:
        value = value[0]  # scalars of very old checkpoints
    if tuple(value.shape) != tuple(tensor.shape):
        raise _Unfit(
            f"size mismatch for {key}: copying a param with shape {_size(value)} from checkpoint, "
            f"the shape in current model is {_size(tensor)}."
        )
    if not assign:
        with no_grad():
            tensor.copy_(value)
        return
    if isinstance(tensor, Parameter) and not isinstance(value, Parameter):
        value = Parameter(value, requires_grad=tensor.requires_grad)
    elif isinstance(tensor, Parameter):
        value = value.requires_grad_(tensor.requires_grad)
    setattr(module, name, value)


def _size(tensor: Tensor) -> str:
    return str(list(tensor.shape))

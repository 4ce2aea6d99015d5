"""functional_call and stack_module_state: modules as functions of their parameters."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence

from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError
from mezzo.ops.join import stack


def _owner(module, name: str):
    """The submodule that holds a parameter or buffer, and its own name there."""
    *path, last = name.split(".")
    for part in path:
        module = getattr(module, part)
    return module, last


@contextlib.contextmanager
def _swapped(module, values: dict[str, Tensor], written: dict | None) -> Iterator[None]:
    """The module with some parameters and buffers replaced, restored whatever happens.

    written: gets what the call assigned in their place (self.count = self.count + 1).
    """
    kept: list[tuple[dict, str, object, str]] = []
    try:
        for name, value in values.items():
            holder, last = _owner(module, name)
            for table in (holder._parameters, holder._buffers):
                if last in table:
                    kept.append((table, last, table[last], name))
                    table[last] = value
                    break
        yield
    finally:
        for table, last, value, name in reversed(kept):
            if written is not None and name in written:
                written[name] = table[last]
            table[last] = value


def _checked(module, dicts) -> tuple[dict[str, Tensor], dict | None]:
    """One dict of all values, and the dict to write back into if one was given alone."""
    if isinstance(dicts, Mapping):
        return dict(dicts), dicts if isinstance(dicts, dict) else None
    if not isinstance(dicts, Sequence) or not all(isinstance(d, Mapping) for d in dicts):
        raise ArgumentValueError(
            "functional_call: Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(dicts).__name__}."
        )
    values: dict[str, Tensor] = {}
    for given in dicts:
        if twice := sorted(values.keys() & given.keys()):
            raise ArgumentValueError(
                f"functional_call: {twice} appeared in multiple dictionaries; which one counts is ambiguous."
            )
        values.update(given)
    return values, None


def _check_names(module, values: dict[str, Tensor], have: set[str], strict: bool) -> None:
    """Unknown names are an error if strict, else a warning: PyTorch says nothing, and typing errors stay unseen."""
    unknown, missing = sorted(values.keys() - have), sorted(have - values.keys())
    if strict and (unknown or missing):
        raise NamesError(
            f"functional_call: strict, and for {type(module).__name__} these are missing: {missing}; these are unexpected: "
            f"{unknown}."
        )
    if unknown:
        warnings.warn(
            f"functional_call: the module has no parameter or buffer {', '.join(map(repr, unknown))}, which are left out. "
            "Use the names of named_parameters() and named_buffers().",
            UserWarning,
            stacklevel=3,
        )


class NamesError(ArgumentValueError, RuntimeError):
    """Parameters and buffers do not match those of the module."""


def _names(module) -> dict[str, list[str]]:
    """For each name of a parameter or buffer all names that share it."""
    same: dict[int, list[str]] = {}
    for pairs in (module.named_parameters, module.named_buffers):
        for name, tensor in pairs(remove_duplicate=False):
            same.setdefault(id(tensor), []).append(name)
    return {name: group for group in same.values() for name in group}


def _tied(values: dict[str, Tensor], names: dict[str, list[str]]) -> dict[str, Tensor]:
    """Values for every name of a shared parameter, where one of its names was given."""
    full = dict(values)
    for name, value in values.items():
        group = names[name]
        if any(values.get(n, value) is not value for n in group):
            given = [n for n in group if n in values]
            raise ArgumentValueError(
                f"functional_call: got multiple values for keys {given}, which are tied. Consider using tie_weights=False."
            )
        full.update(dict.fromkeys(group, value))
    return full


def functional_call(
    module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """module(*args, **kwargs) with the given parameters and buffers in the place of its own.

    parameter_and_buffer_dicts: names (as in named_parameters) to tensors, or a sequence of such dicts. Buffers written
    in place are written; one that the call assigns anew goes into the dict, if it was given alone.
    Raises: ValueError for different values of tied weights, names that are in two dicts; with strict RuntimeError for
        missing or unknown names (else unknown ones are left out with a warning)
    Source: torch.func.functional_call
    """
    values, written = _checked(module, parameter_and_buffer_dicts)
    names = _names(module)
    _check_names(module, values, set(names), strict)
    values = {n: v for n, v in values.items() if n in names}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _swapped(module, _tied(values, names) if tie_weights else values, written):
        return module(*args, **(kwargs or {}))


def _stacked(models: Sequence, names: str) -> dict[str, Tensor]:
    tables = [dict(getattr(m, names)()) for m in models]
    found = {}
    for name in tables[0]:
        tensors = [t[name] for t in tables]
        if len({t.requires_grad for t in tensors}) > 1:
            raise NamesError(
                f"stack_module_state: Expected {name} from each model to have the same .requires_grad."
            )
        found[name] = stack([t.detach() for t in tensors]).requires_grad_(tensors[0].requires_grad)
    return found


def stack_module_state(models: Sequence) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of modules of one architecture, stacked along a new first axis: an ensemble for vmap.

    Raises: RuntimeError for no models, or models that differ in class, mode or requires_grad
    Source: torch.func.stack_module_state
    """
    if not models:
        raise NamesError("stack_module_state: Expected at least one model, got 0.")
    if any(type(m) is not type(models[0]) for m in models):
        raise NamesError("stack_module_state: Expected all models to be of the same class.")
    if len({m.training for m in models}) > 1:
        raise NamesError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    return _stacked(models, "named_parameters"), _stacked(models, "named_buffers")


def replace_all_batch_norm_modules_(root):
    """root, whose batch norms use the batch's statistics and keep no running ones (which vmap could not share).

    Source: torch.func.replace_all_batch_norm_modules_
    """
    for module in root.modules():
        kinds = {kind.__name__ for kind in type(module).__mro__}
        if "_BatchNorm" in kinds and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root

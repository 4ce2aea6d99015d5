"""functional_call and stack_module_state: modules as functions of their parameters."""

from __future__ import annotations

import contextlib
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
def _swapped(module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """The module with some parameters and buffers replaced, restored whatever happens."""
    kept: list[tuple[dict, str, object]] = []
    try:
        for name, value in values.items():
            holder, last = _owner(module, name)
            for table in (holder._parameters, holder._buffers):
                if last in table:
                    kept.append((table, last, table[last]))
                    table[last] = value
                    break
            else:
                raise ArgumentValueError(
                    f"functional_call: the module has no parameter or buffer '{name}'. "
                    "Use the names of named_parameters() and named_buffers()."
                )
        yield
    finally:
        for table, last, value in reversed(kept):
            table[last] = value


def _tied(module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values for every name of a shared parameter, where one of its names was given."""
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    full = dict(values)
    for group in names.values():
        given = [n for n in group if n in values]
        if given:
            for n in group:
                full.setdefault(n, values[given[0]])
    return full


def functional_call(
    module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """module(*args, **kwargs) with the given parameters and buffers in the place of its own.

    parameter_and_buffer_dicts: names (as in named_parameters) to tensors, or a sequence of such dicts.
    Raises: ArgumentValueError for unknown names; with strict also for missing ones
    Source: torch.func.functional_call
    """
    dicts = parameter_and_buffer_dicts
    values: dict[str, Tensor] = {}
    for given in dicts if isinstance(dicts, Sequence) else [dicts]:
        values.update(given)
    if strict:
        have = {n for n, _ in module.named_parameters()} | {n for n, _ in module.named_buffers()}
        if missing := sorted(have - set(values)):
            raise ArgumentValueError(
                f"functional_call: strict, and these are missing: {', '.join(missing)}."
            )
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _swapped(module, _tied(module, values) if tie_weights else values):
        return module(*args, **(kwargs or {}))


def stack_module_state(models: Sequence) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of modules of one architecture, stacked along a new first axis: an ensemble for vmap.

    Source: torch.func.stack_module_state
    """
    if not models:
        raise ArgumentValueError("stack_module_state: Expected at least one model, got 0.")
    if any(type(m) is not type(models[0]) for m in models):
        raise ArgumentValueError("stack_module_state: Expected models to all be of the same class.")
    if len({m.training for m in models}) > 1:
        raise ArgumentValueError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    parameters = {
        name: stack([dict(m.named_parameters())[name].detach() for m in models]).requires_grad_()
        for name, _ in models[0].named_parameters()
    }
    buffers = {
        name: stack([dict(m.named_buffers())[name] for m in models])
        for name, _ in models[0].named_buffers()
    }
    return parameters, buffers

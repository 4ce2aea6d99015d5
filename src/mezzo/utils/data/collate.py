"""From a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mezzo import dtypes, ops
from mezzo.core.tensor import Tensor


def default_convert(data):
    """NumPy arrays in nested lists, tuples and dicts as tensors; everything else as it is."""
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, np.ndarray | np.generic):
        return data if np.asarray(data).dtype.kind in "SUO" else ops.from_numpy(np.asarray(data))
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        parts = [default_convert(value) for value in data]
        return parts if type(data) is tuple else _like(data, parts)
    return data


def default_collate(batch: list):
    """Stack samples: tensors, arrays and numbers along a new first axis, within lists and dicts.

    Strings and bytes stay lists. Raises: TypeError for other types, with the place where they are.
    """
    return _collate(batch, "the sample")


def _collate(batch: Sequence, place: str):
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack(batch, place)
    if isinstance(first, np.ndarray | np.generic):
        return _stack_arrays(batch, place)
    if isinstance(first, bool):
        return ops.tensor(batch)
    if isinstance(first, float):
        return ops.tensor(
            batch, dtype=dtypes.float64
        )  # Python's floats are doubles: PyTorch keeps them
    if isinstance(first, int):
        return ops.tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        keys = {key: [sample[key] for sample in batch] for key in first}
        return _like(first, {k: _collate(part, f"{place}[{k!r}]") for k, part in keys.items()})
    if isinstance(first, Sequence):
        return _collate_sequences(batch, first, place)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first)} in {place}. Pass a collate_fn that knows it."
    )


def _collate_sequences(batch: list, first, place: str):
    sizes = {len(sample) for sample in batch}
    if len(sizes) > 1:
        raise RuntimeError(
            f"each element in list of batch should be of equal size; {place} has the sizes "
            f"{sorted(sizes)}."
        )
    parts = [_collate(part, f"{place}[{i}]") for i, part in enumerate(zip(*batch))]
    return parts if type(first) is tuple else _like(first, parts)


def _like(original, made):
    """`made` (a dict or list) in the type of `original`, if that can be built from it."""
    if isinstance(original, tuple) and hasattr(original, "_fields"):
        return type(original)(*made)
    try:
        return type(original)(made)
    except TypeError:  # such as range, or a mapping that needs other arguments
        return made


def _stack(batch: list, place: str) -> Tensor:
    shapes = {tensor.shape for tensor in batch}
    if len(shapes) > 1:
        shapes = set(map(tuple, shapes))
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but {place} has the shapes "
            f"{sorted(shapes)}. Pad or crop them in the dataset, or pass a collate_fn."
        )
    return ops.stack(batch, 0)


def _stack_arrays(batch: list, place: str) -> Tensor:
    arrays = [np.asarray(array) for array in batch]
    if arrays[0].dtype.kind in "SUO":
        raise TypeError(
            "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
            f"found an array of {arrays[0].dtype} in {place}. Pass a collate_fn that knows it."
        )
    if len({(array.dtype, array.shape) for array in arrays}) == 1:
        shape, kind = (len(arrays), *arrays[0].shape), dtypes.from_numpy(arrays[0].dtype)
        made = ops.empty(shape, dtype=kind)
        np.stack(arrays, out=made._array())
        return made
    return _stack([ops.from_numpy(np.ascontiguousarray(a).reshape(a.shape)) for a in arrays], place)

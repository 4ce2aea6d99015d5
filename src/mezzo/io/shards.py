"""Weights in several files, with an index that says which tensor is in which of them.

    {"metadata": {"total_size": bytes}, "weight_map": {name of a tensor: name of a file beside the index}}

Such as model.safetensors.index.json and pytorch_model.bin.index.json on model hubs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable

from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, FileFormatError
from mezzo.io import safe
from mezzo.io.atomic import replacing
from mezzo.io.layout import plan
from mezzo.io.saving import save_archive

SUFFIX = ".index.json"
_LIMIT = 256 << 20  # bytes of an index
_FILES = 100_000
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30}


def load(name: str, load_shard: Callable[[str], object]) -> dict[str, object]:
    """The tensors of all files that an index names."""
    folder = os.path.dirname(name)
    found: dict[str, object] = {}
    for shard, names in _read(name).items():
        path = os.path.join(folder, shard)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"load: {name!r} names the file {shard!r}, which is not beside it. Fetch all parts."
            )
        part = load_shard(path)
        missing = [n for n in names if not isinstance(part, dict) or n not in part]
        if missing:
            raise FileFormatError(
                f"load: {name!r} says that {missing[0][:80]!r} is in {shard!r}, and it is not there ("
                f"{len(missing)} such names). Index and parts are not of one model: fetch them again."
            )
        found.update(part)
    return found


def _read(name: str) -> dict[str, list[str]]:
    """{file: names of its tensors} of an index."""
    try:
        with open(name, "rb") as file:
            text = file.read(_LIMIT)
    except FileNotFoundError:
        raise FileNotFoundError(f"load: there is no file {name!r}.") from None
    try:
        index = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise FileFormatError(f"load: {name!r} is not JSON ({str(problem)[:100]}).") from None
    weights = index.get("weight_map") if type(index) is dict else None
    if type(weights) is not dict:
        raise FileFormatError(
            f"load: {name!r} is no index of weights: it has no 'weight_map' from tensors to files."
        )
    shards: dict[str, list[str]] = {}
    for tensor, shard in weights.items():
        if type(shard) is not str or not _is_plain(shard):
            raise FileFormatError(
                f"load: {name!r} puts {tensor[:80]!r} into {str(shard)[:80]!r}; it must be the name of a "
                "file of weights in the same folder."
            )
        shards.setdefault(shard, []).append(tensor)
    if len(shards) > _FILES:
        raise FileFormatError(f"load: {name!r} names {len(shards)} files, more than {_FILES}.")
    return shards


def _is_plain(shard: str) -> bool:
    """Whether it is the name of a file here, and not of another index."""
    return (
        bool(re.fullmatch(r"[^/\\:\0]+", shard))
        and shard not in (".", "..")
        and not shard.endswith(".json")
    )


def save(tensors: dict[str, Tensor], name: str, max_shard_size: int | str) -> None:
    """Write tensors to files of at most so many bytes, and their index.

    The files take their names when all of them are written, the index last. Tensors that share memory stay in one file, which may make it larger.
    """
    safe.check_flat(tensors, "save")
    limit = _bytes(max_shard_size)
    stem, kind = os.path.splitext(name.removesuffix(SUFFIX))
    if not kind:
        raise ArgumentValueError(
            f"save: {name!r} does not say in which format the parts are to be; call it e.g. "
            f"'model.safetensors{SUFFIX}' or 'pytorch_model.bin{SUFFIX}'."
        )
    groups = _groups(tensors, limit)
    weights: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        index = stack.enter_context(replacing(name))
        for number, group in enumerate(groups, 1):
            path = f"{stem}-{number:05d}-of-{len(groups):05d}{kind}"
            weights |= dict.fromkeys(group, os.path.basename(path))
            _write({key: tensors[key] for key in group}, stack.enter_context(replacing(path)), kind)
        total = sum(tensor.nbytes for tensor in tensors.values())
        places = {key: weights[key] for key in tensors}
        with open(index, "w", encoding="utf-8") as file:
            json.dump({"metadata": {"total_size": total}, "weight_map": places}, file, indent=2)
            file.write("\n")


def _write(part: dict[str, Tensor], path: str, kind: str) -> None:
    """Write the tensors of one file."""
    if kind == safe.SUFFIX:
        safe.write(part, path, {"format": "pt"})
        return
    with open(path, "wb") as file:
        save_archive(file, part)


def _groups(tensors: dict[str, Tensor], limit: int) -> list[list[str]]:
    """The names of each file, in order."""
    keys = list(tensors)
    segments, _ = plan([tensors[key].detach().cpu() for key in keys])
    groups: list[list[str]] = [[]]
    filled = 0
    for segment in segments:
        if groups[-1] and filled + segment.nbytes > limit:
            groups.append([])
            filled = 0
        groups[-1] += [keys[number] for number in sorted(segment.members)]
        filled += segment.nbytes
    return groups


def _bytes(size: int | str) -> int:
    """A number of bytes, also written as "5GB" (10**9) or "4GiB" (2**30)."""
    match = (
        re.fullmatch(r"\s*(\d+)\s*([KMG]I?|)B?\s*", size.upper()) if isinstance(size, str) else None
    )
    found = int(match[1]) * _UNITS[match[2]] if match else size
    if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
        raise ArgumentValueError(
            f"save: argument max_shard_size is {size!r}; it must be a number of bytes, or a str such as '5GB'."
        )
    return found

"""Configs: YAML files of the kind hydra reads, as nested dicts, and the modules they describe.

Understood: `defaults` with files of the same folder, references `${a.b}`, `_target_`, `_partial_`, `_args_`
and overrides `++a.b=value`. A `_target_` is looked up among the parts of SAM 2 by the last part of its
name, so that a config can build nothing else.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from mezzo import nn
from mezzo.errors import ArgumentTypeError, ArgumentValueError
from mezzo.models.sam2.base import SAM2Base
from mezzo.models.sam2.hiera import Hiera
from mezzo.models.sam2.image_encoder import FpnNeck, ImageEncoder
from mezzo.models.sam2.memory_attention import MemoryAttention, MemoryAttentionLayer
from mezzo.models.sam2.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from mezzo.models.sam2.positions import PositionEmbeddingSine
from mezzo.models.sam2.sam2_video_predictor import SAM2VideoPredictor
from mezzo.models.sam2.transformer import Attention, RoPEAttention

TARGETS = {
    part.__name__: part
    for part in (
        SAM2Base, SAM2VideoPredictor, ImageEncoder, Hiera, FpnNeck, PositionEmbeddingSine, MemoryAttention,
        MemoryAttentionLayer, Attention, RoPEAttention, MemoryEncoder, MaskDownSampler, Fuser, CXBlock,
        nn.GELU, nn.ReLU, nn.SiLU, nn.LayerNorm, nn.Identity,
    )
}  # fmt: skip
FOLDER = "configs"
_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_MAX_DEPTH = 64


class ConfigError(ArgumentValueError):
    """A config that is missing, is no config, or does not describe a model."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-6 is a number, as in the files that hydra reads, and no alias."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("aliases (*name) are not read; write the values out, or use ${a.b}.")
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def names() -> list[str]:
    """The names of the configs that come with mezzo."""
    found = []
    for folder in _shipped().iterdir():
        if folder.is_dir():
            files = [f.name for f in folder.iterdir() if "_hiera_" in f.name]
            found += [f"{FOLDER}/{folder.name}/{name}" for name in files]
    return sorted(found)


def _shipped():
    return resources.files("mezzo.models.sam2") / FOLDER


def _locate(config_file):
    """The file of a config: one of ours by name (with or without folder and ending), or else a path."""
    name = str(config_file).replace("\\", "/")
    parts = name.removeprefix("/").removeprefix(f"{FOLDER}/").split("/")
    stem = parts[-1].removesuffix(".yaml")
    for known in names():
        *_, folder, file = known.split("/")
        if file == f"{stem}.yaml" and parts[:-1] in ([], [folder]):
            return _shipped() / folder / file
    path = Path(config_file)
    if path.is_file():
        return path
    raise ConfigError(
        f"build_sam2: there is no config {name!r}, neither among those of mezzo ({', '.join(names())}) nor "
        "as a file; give one of these names or the path of a YAML file."
    )


def _read(file) -> dict:
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        raise ConfigError(
            f"build_sam2: {file.name} is not YAML: {str(problem)[:300]}; correct the file."
        ) from None
    except ConfigError as problem:
        raise ConfigError(f"build_sam2: {file.name}: {problem}") from None
    if not isinstance(found, dict):
        raise ConfigError(
            f"build_sam2: {file.name} holds a {type(found).__name__}; it must hold a mapping with an entry "
            "'model'."
        )
    return found


def merged(base, over) -> Any:
    """`over` on top of `base`: mappings entry by entry, everything else replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{k: merged(base[k], v) if k in base else v for k, v in over.items()}}


def _with_defaults(file, above: tuple[str, ...] = ()) -> dict:
    """A config on top of the files that its `defaults` name; they lie beside it."""
    if file.name in above:
        raise ConfigError(
            f"build_sam2: {' -> '.join((*above, file.name))}: defaults go in a circle."
        )
    own = _read(file)
    defaults = own.pop("defaults", ["_self_"])
    if not isinstance(defaults, list) or any(not isinstance(d, str) or "/" in d for d in defaults):
        raise ConfigError(
            f"build_sam2: {file.name}: defaults are {defaults!r}; they must be a list of names of files in "
            "the same folder, and _self_."
        )
    found: dict = {}
    for name in defaults if "_self_" in defaults else [*defaults, "_self_"]:
        if name == "_self_":
            found = merged(found, own)
            continue
        beside = _beside(file, f"{name.removesuffix('.yaml')}.yaml")
        found = merged(found, _with_defaults(beside, (*above, file.name)))
    return found


def _beside(file, name: str):
    other = file.parent / name if isinstance(file, Path) else _shipped() / "sam2.1" / name
    if not other.is_file():
        raise ConfigError(f"build_sam2: {file.name}: its default {name} is not in the same folder.")
    return other


def _resolved(node, root: dict, depth: int = 0) -> Any:
    """The node with its references replaced."""
    if depth > _MAX_DEPTH:
        raise ConfigError("build_sam2: references ${...} of the config go in a circle.")
    if isinstance(node, dict):
        return {k: _resolved(v, root, depth + 1) for k, v in node.items()}
    if isinstance(node, list):
        return [_resolved(v, root, depth + 1) for v in node]
    if not isinstance(node, str) or "${" not in node:
        return node
    whole = _REFERENCE.fullmatch(node)
    if whole:
        return _resolved(_lookup(root, whole[1]), root, depth + 1)
    text = _REFERENCE.sub(lambda m: str(_lookup(root, m[1])), node)
    return _resolved(text, root, depth + 1)


def _lookup(root: dict, path: str):
    at = root
    for part in path.strip().split("."):
        if isinstance(at, list) and part.isdigit() and int(part) < len(at):
            at = at[int(part)]
        elif isinstance(at, dict) and part in at:
            at = at[part]
        else:
            raise ConfigError(
                f"build_sam2: the config refers to ${{{path}}}, which it does not define. References name "
                "an entry from the top of the file, as in ${model.image_size}."
            )
    return at


def overridden(config: dict, override: str) -> dict:
    """The config with one entry changed: 'a.b=value', or '++a.b=value', which may also add."""
    path, sign, text = override.partition("=")
    steps = path.lstrip("+").split(".")
    if not sign or not all(steps):
        raise ConfigError(
            f"build_sam2: override {override!r} must look like '++model.image_size=1024'."
        )
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError:
        value = text
    for step in reversed(steps):
        value = {step: value}
    return merged(config, value)


def load(config_file, overrides=()) -> dict:
    """A config by name or path, with its defaults, overrides and references applied.

    Raises: ConfigError, which says what is wrong and where
    """
    config = _with_defaults(_locate(config_file))
    if not isinstance(config.get("model"), dict):
        raise ConfigError(
            f"build_sam2: {config_file} has no entry 'model' that is a mapping; its entries are "
            f"{', '.join(map(str, config)) or 'none'}."
        )
    for override in overrides:
        config = overridden(config, override)
    return _resolved(config, config)


def _part(target) -> type:
    name = str(target).rpartition(".")[2]
    if name not in TARGETS:
        raise ConfigError(
            f"build_sam2: the config asks for _target_ {target!r}, which is no part of SAM 2; known are "
            f"{', '.join(sorted(TARGETS))}."
        )
    return TARGETS[name]


def instantiate(node) -> Any:
    """The module that a node with `_target_` describes, its parts first; other nodes as they are.

    Raises: ConfigError for an unknown part, or one with missing, unknown or impossible options
    """
    if isinstance(node, list):
        return [instantiate(v) for v in node]
    if not isinstance(node, dict):
        return node
    if "_target_" not in node:
        return {k: instantiate(v) for k, v in node.items()}
    options = {k: v for k, v in node.items() if k not in _SPECIAL}
    deep = node.get("_recursive_", True)
    options = {k: instantiate(v) if deep else v for k, v in options.items()}
    part, args = _part(node["_target_"]), instantiate(node.get("_args_", []))
    if node.get("_partial_", False):
        return functools.partial(part, *args, **options)
    try:
        return part(*args, **options)
    except (TypeError, ArgumentTypeError) as problem:
        raise ConfigError(
            f"build_sam2: the config's options of {part.__name__} do not fit: {problem}. Given are "
            f"{', '.join(sorted(options)) or 'none'}."
        ) from None


_SPECIAL = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")

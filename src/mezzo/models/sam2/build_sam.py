"""SAM 2 from a config and a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import mezzo
from mezzo import nn
from mezzo.errors import ArgumentValueError
from mezzo.io import load_file
from mezzo.models.sam2 import config
from mezzo.models.sam2.base import SAM2Base
from mezzo.models.sam2.sam2_video_predictor import SAM2VideoPredictor

MODES = ("eval", "train")
_STABILITY = "++model.sam_mask_decoder_extra_args.dynamic_multimask_"
POSTPROCESSING = (
    f"{_STABILITY}via_stability=true",
    f"{_STABILITY}stability_delta=0.05",
    f"{_STABILITY}stability_thresh=0.98",
)
VIDEO_POSTPROCESSING = (
    *POSTPROCESSING,
    "++model.binarize_mask_from_pts_for_mem_enc=true",
    "++model.fill_hole_area=8",
)
_SHOWN = 20  # keys listed in an error


class CheckpointError(ArgumentValueError, RuntimeError):
    """A checkpoint that does not fit the model; the message lists what and names the likeliest config."""


def build_sam2(
    config_file,
    ckpt_path=None,
    device="cpu",
    mode: str = "eval",
    hydra_overrides_extra=(),
    apply_postprocessing: bool = True,
    weights_dtype=None,
    **kwargs,
) -> SAM2Base:
    """SAM 2 as a config describes it, with the weights of a checkpoint.

    config_file: the name of a config that comes with mezzo, such as "configs/sam2.1/sam2.1_hiera_l.yaml", or
        the path of a file of the same kind.
    ckpt_path: an official checkpoint (.pt, or its weights as .safetensors); None: random weights.
    mode: "eval" or "train".
    hydra_overrides_extra: changes of the config, as "++model.image_size=512".
    apply_postprocessing: fall back to the best of several masks where the single one is unstable.
    weights_dtype: bfloat16 or float16: keep the weights of linear and convolution layers in it, in half the
        memory, for a model that only runs under autocast in that dtype (the results are the same).

    Raises: ConfigError; CheckpointError if keys or shapes do not fit; FileNotFoundError
    Source: sam2.build_sam.build_sam2
    """
    extra = POSTPROCESSING if apply_postprocessing else ()
    overrides = (*extra, *hydra_overrides_extra)
    return _build("build_sam2", config_file, ckpt_path, device, mode, overrides, weights_dtype)


def build_sam2_video_predictor(
    config_file,
    ckpt_path=None,
    device="cpu",
    mode: str = "eval",
    hydra_overrides_extra=(),
    apply_postprocessing: bool = True,
    vos_optimized: bool = False,
    weights_dtype=None,
    **kwargs,
) -> SAM2VideoPredictor:
    """SAM 2 as a config describes it, with the weights of a checkpoint, to follow objects through videos.

    apply_postprocessing: as build_sam2; and masks that were clicked are remembered as certain, and holes of up to
        8 pixels of the low resolution mask are filled.
    vos_optimized: compile the image encoder. The first frame takes seconds longer, the following ones less time.
    The other arguments, and what is raised: as build_sam2.

    Source: sam2.build_sam.build_sam2_video_predictor
    """
    overrides = [
        "++model._target_=SAM2VideoPredictor",
        *(["++model.compile_image_encoder=true"] if vos_optimized else []),
        *(VIDEO_POSTPROCESSING if apply_postprocessing else ()),
        *hydra_overrides_extra,
    ]
    who = "build_sam2_video_predictor"
    return _build(who, config_file, ckpt_path, device, mode, overrides, weights_dtype)


def _build(who: str, config_file, ckpt_path, device, mode: str, overrides, weights_dtype):
    """The model of a config with overrides, with the weights of a checkpoint."""
    if mode not in MODES:
        raise ArgumentValueError(f"{who}: mode is {mode!r}; it must be 'eval' or 'train'.")
    described = config.load(config_file, overrides)
    if ckpt_path is None:
        model = config.instantiate(described["model"])
        _check_model(model)
        store_weights(model, weights_dtype)
    else:
        weights = read_checkpoint(ckpt_path)
        with mezzo.device(
            "meta"
        ):  # nothing is allocated or drawn at random: the checkpoint's tensors move in
            model = config.instantiate(described["model"])
        _check_model(model)
        load_weights(model, weights, str(config_file), weights_dtype)
    return model.to(device).train(mode == "train")


def _check_model(model) -> None:
    if not isinstance(model, SAM2Base):
        raise config.ConfigError(
            f"build_sam2: the config's model is a {type(model).__name__}; its _target_ must be SAM2Base."
        )


def read_checkpoint(path) -> Mapping:
    """The weights in a checkpoint, by name; what stands beside them (as `model`) is left out."""
    if str(path).endswith(".safetensors"):
        found = load_file(path)
    else:
        found = mezzo.load(path)
    if isinstance(found, Mapping) and isinstance(found.get("model"), Mapping):
        found = found["model"]
    if not isinstance(found, Mapping) or not found:
        raise CheckpointError(
            f"build_sam2: {path} holds a {type(found).__name__}; it must hold the weights by name, or a dict "
            "with them as 'model'."
        )
    return found


def _stored(model: SAM2Base, dtype) -> dict:
    """The layers whose weights autocast rounds to a low precision, by the names of these weights."""
    if dtype is None:
        return {}
    if dtype not in (mezzo.bfloat16, mezzo.float16):
        raise ArgumentValueError(
            f"build_sam2: weights_dtype is {dtype}; it must be mezzo.bfloat16 or mezzo.float16, or None for the "
            "dtype of the checkpoint."
        )
    layers = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    return {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if isinstance(module, layers)
    }


def store_weights(model: SAM2Base, dtype) -> None:
    """Keep the weights of linear and convolution layers in `dtype` (None: as they are).

    Autocast would round them on every use: under it results stay the same, in half the memory.
    """
    for module in _stored(model, dtype).values():
        old = module.weight
        module.weight = nn.Parameter(old.detach().to(dtype), requires_grad=old.requires_grad)


def load_weights(model: SAM2Base, weights: Mapping, config_name: str, dtype=None) -> None:
    """Let a model adopt the tensors of a state_dict, which must have exactly its names and shapes.

    dtype: as weights_dtype of build_sam2.
    """
    own = model.state_dict()
    missing = [k for k in own if k not in weights]
    unexpected = [k for k in weights if k not in own]
    odd = [
        f"{k} {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in weights and tuple(weights[k].shape) != tuple(own[k].shape)
    ]
    if missing or unexpected or odd:
        raise CheckpointError(_mismatch(missing, unexpected, odd, weights, config_name))
    low = _stored(model, dtype)
    keep = {k: v.to(dtype if k in low else own[k].dtype) for k, v in weights.items()}
    model.load_state_dict(keep, strict=True, assign=True)


def _mismatch(missing, unexpected, odd, weights: Mapping, config_name: str) -> str:
    parts = [f"build_sam2: the checkpoint does not fit the config {config_name}."]
    for what, keys in (
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape", odd),
    ):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            parts.append(f"{len(keys)} keys are {what}: {', '.join(keys[:_SHOWN])}{more}.")
    likely = likely_config(weights)
    if likely:
        parts.append(f"These look like the weights of {likely}.")
    else:
        parts.append("They look like none of the models whose configs come with mezzo.")
    return " ".join(parts)


def likely_config(weights: Mapping) -> str | None:
    """The config of ours whose trunk has this width and depth; None if there is none."""
    width = weights.get("image_encoder.trunk.pos_embed")
    prefix = "image_encoder.trunk.blocks."
    blocks = {k[len(prefix) :].partition(".")[0] for k in weights if k.startswith(prefix)}
    if width is None or len(width.shape) != 4:
        return None
    for name in config.names():
        trunk = config.load(name)["model"]["image_encoder"]["trunk"]
        depth = sum(trunk.get("stages", (2, 3, 16, 3)))
        if (trunk["embed_dim"], depth) == (width.shape[1], len(blocks)):
            known = "obj_ptr_tpos_proj.weight" in weights
            return name if known else f"SAM 2.0, not 2.1, in the size of {name}"
    return None

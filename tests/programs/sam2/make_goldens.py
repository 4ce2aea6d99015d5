"""Writes the goldens of SAM 2.1 with the official code under PyTorch, on weights drawn by rule.py.

    python tests/programs/sam2/make_goldens.py FOLDER [tiny small base+ large]

FOLDER holds the official package `sam2` (github.com/facebookresearch/sam2), with hydra-core, iopath, tqdm and
torchvision installed. What is kept is a sample of every block's output, of the feature maps and logits, and the
masks as bits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import rule  # noqa: E402
from sample import sample  # noqa: E402

CONFIGS = {
    "tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "base+": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}


def declare_kernels() -> None:
    """Let torchvision be imported where its kernels were built for another PyTorch: only its transforms are used."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    KEEP.append(library)


KEEP: list = []


def prepare() -> None:
    """Import torchvision, whatever it was built for."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        declare_kernels()


def build(size: str):
    """The official predictor with the rule's weights, and its outputs of every block as they come."""
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    model = build_sam2(CONFIGS[size], None, device="cpu")
    state = model.state_dict()
    model.load_state_dict(
        {k: torch.from_numpy(rule.weight(k, tuple(v.shape))) for k, v in state.items()}
    )
    return SAM2ImagePredictor(model), sorted((k, tuple(v.shape)) for k, v in state.items())


def masks_of(found: dict, prefix: str, predictor) -> None:
    """Every prompt's low resolution logits (sampled), scores and masks (bits)."""
    for name, prompt in rule.PROMPTS.items():
        masks, scores, logits = predictor.predict(**prompt)
        found[f"{prefix}/{name}/logits"] = sample(logits, 2048)
        found[f"{prefix}/{name}/scores"] = scores
        if prefix == "fp32" or name in ("point", "box"):
            found[f"{prefix}/{name}/masks"] = np.packbits(masks.astype(bool))
        if name == "point":
            again = {
                "point_coords": rule.POINTS[:1],
                "point_labels": [1],
                "mask_input": logits[1:2],
            }
            _, scores, logits = predictor.predict(**again)
            found[f"{prefix}/mask input/logits"] = sample(logits, 2048)
            found[f"{prefix}/mask input/scores"] = scores


def record(size: str) -> dict:
    """All goldens of a size."""
    torch.manual_seed(0)
    predictor, keys = build(size)
    found = {"keys": np.array([f"{k} {list(s)}" for k, s in keys])}
    hooks = [
        block.register_forward_hook(
            lambda _m, _i, out, i=i: found.__setitem__(f"block {i}", sample(out.numpy(), 512))
        )
        for i, block in enumerate(predictor.model.image_encoder.trunk.blocks)
    ]
    predictor.set_image(rule.image())
    for hook in hooks:
        hook.remove()
    found["input"] = sample(predictor._transforms(rule.image()).numpy(), 4096)
    for i, x in enumerate(predictor._features["high_res_feats"]):
        found[f"high_res_feats {i}"] = sample(x.numpy(), 4096)
    found["image_embed"] = sample(predictor._features["image_embed"].numpy(), 8192)
    masks_of(found, "fp32", predictor)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        predictor.set_image(rule.image())
        masks_of(found, "bf16", predictor)
    return found


def main() -> None:
    """Write the files named on the command line."""
    sys.path.insert(0, sys.argv[1])
    prepare()
    for size in sys.argv[2:] or list(CONFIGS):
        found = record(size)
        np.savez_compressed(HERE / f"{size}.npz", **found)
        for key, value in found.items():
            if value.dtype.kind == "f":
                print(
                    f"{size} {key}: {value.shape} rms {np.sqrt((value**2).mean()):.3g} max {np.abs(value).max():.3g}"
                )


if __name__ == "__main__":
    main()

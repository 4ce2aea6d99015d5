"""Writes video.npz: what SAM 2's own video predictor makes of the film's scenes, on weights drawn by rule.py.

    python tests/programs/sam2/make_video.py FOLDER

FOLDER holds the official package, with what make_goldens.py says. Holes are found here by flooding, so that the
official code's CUDA kernel for them is not needed.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import film  # noqa: E402
import make_goldens  # noqa: E402
from sample import sample  # noqa: E402


def flood(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (h, w) of the 8-connected parts of a mask (h, w), and at every pixel the area of its part."""
    height, width = inside.shape
    labels, areas, count = np.zeros((height, width), int), np.zeros((height, width), int), 0
    for start in zip(*np.nonzero(inside)):
        if labels[start]:
            continue
        count += 1
        part, todo = [], [start]
        labels[start] = count
        while todo:
            y, x = todo.pop()
            part.append((y, x))
            for at in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                if 0 <= at[0] < height and 0 <= at[1] < width and inside[at] and not labels[at]:
                    labels[at] = count
                    todo.append(at)
        areas[tuple(np.transpose(part))] = len(part)
    return labels, areas


def components(masks):
    """The official get_connected_components, by its description."""
    found = [flood(m.numpy()) for m in masks[:, 0]]
    return tuple(torch.from_numpy(np.stack(xs))[:, None] for xs in zip(*found))


def build(config: str, overrides: dict, changed: dict):
    """The official video predictor with the rule's weights."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from sam2 import build_sam

    if config == film.MICRO:
        described = OmegaConf.load(HERE / config)
        instead = {
            "model._target_": "sam2.sam2_video_predictor.SAM2VideoPredictor",
            "model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability": True,
            "model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta": 0.05,
            "model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh": 0.98,
            "model.binarize_mask_from_pts_for_mem_enc": True,
            "model.fill_hole_area": 8,
        }
        for key, value in {**instead, **overrides}.items():
            OmegaConf.update(described, key, value, force_add=True)
        OmegaConf.resolve(described)
        model = instantiate(described.model, _recursive_=True).eval()
    else:
        extra = [f"++{k}={v}" for k, v in overrides.items()]
        model = build_sam.build_sam2_video_predictor(
            config, None, device="cpu", hydra_overrides_extra=extra
        )
    weights = film.weights(model, changed)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    return model


def memories(state, found: dict) -> None:
    """Pointers, presence and memories that the state holds in the end."""
    for index, outputs in state["output_dict_per_obj"].items():
        for kind in ("cond", "non_cond"):
            for frame, out in outputs[f"{kind}_frame_outputs"].items():
                key = f"object {state['obj_idx_to_id'][index]} {kind} {frame}"
                memory = out["maskmem_features"].float().numpy()
                found[f"{key} pointer"] = sample(out["obj_ptr"].float().numpy(), 32)
                found[f"{key} memory"] = sample(memory, 64)
                found[f"{key} memory statistics"] = np.array([memory.mean(), memory.std()])


def main() -> None:
    """Play every scene."""
    sys.path.insert(0, sys.argv[1])
    make_goldens.prepare()
    from sam2.utils import misc

    warnings.simplefilter("ignore")
    misc.get_connected_components = components
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        film.write(Path(folder))
        scenes = {k: (*v, False) for k, v in film.SCENES.items()}
        scenes |= {
            k: (*film.SCENES[base][:3], steps, True) for k, (base, steps) in film.LOW.items()
        }
        for name, (config, overrides, changed, steps, low) in scenes.items():
            model, found = build(config, overrides, changed), {}
            region = torch.autocast("cpu", torch.bfloat16) if low else contextlib.nullcontext()
            with torch.inference_mode(), region:
                state = model.init_state(folder)
                film.play(model, state, steps, found, low)
            memories(state, found)
            for key, value in found.items():
                kept[f"{name}/{key}"] = value.astype(np.float32)
                if value.size:
                    print(f"{name}/{key}: {value.shape} rms {np.sqrt((value**2).mean()):.3g} {value.ravel()[:3]}")  # fmt: skip
    np.savez_compressed(HERE / "video.npz", **kept)


if __name__ == "__main__":
    main()

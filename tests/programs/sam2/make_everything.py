"""Write everything.json: what SAM 2's own automatic mask generator makes of the drawn scene and of a picture.

    python tests/programs/sam2/make_everything.py FOLDER_OF_THE_OFFICIAL_REPOSITORY

For the scene the network is replaced by scene.ScenePredictor; for the picture it is the small one of micro.yaml.
Needs what make_goldens.py needs, and pycocotools. Suppression is done here by its definition, so that
torchvision's kernels need not have been built for the torch at hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = {
    "default": {"points_per_side": 12},
    "crops": {"points_per_side": 10, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
    "loose": {"points_per_side": 7, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.2},
    "no_filters": {"points_per_side": 5, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0},
    "one_mask": {"points_per_side": 12, "multimask_output": False, "points_per_batch": 7},
    "m2m": {"points_per_side": 9, "use_m2m": True, "pred_iou_thresh": 0.71},
    "strict": {"points_per_side": 9, "pred_iou_thresh": 0.999},
    "near": {"points_per_side": 12, "box_nms_thresh": 0.3, "crop_n_layers": 1},
}
_OPEN = {
    "pred_iou_thresh": 0.0,
    "stability_score_offset": 0.2,
    "stability_score_thresh": 0.01,
    "box_nms_thresh": 1.0,  # noisy masks: every box is the whole image
}
NETWORK = {
    "network": {"points_per_side": 4, **_OPEN},
    "network m2m": {"points_per_side": 3, "use_m2m": True, **_OPEN},
    "network crops": {"points_per_side": 2, "crop_n_layers": 1, "crop_nms_thresh": 1.0, **_OPEN},
    "network one": {"points_per_side": 3, "multimask_output": False, **_OPEN},
}


def suppress(boxes, scores, categories, iou_threshold):
    """Greedy suppression: a box stays unless a better one that stays overlaps it by more."""
    import torch

    def area(box):
        return (box[2] - box[0]) * (box[3] - box[1])

    assert not categories.any()
    kept = []
    for row in torch.argsort(scores, descending=True, stable=True).tolist():
        for other in kept:
            low = torch.maximum(boxes[row, :2], boxes[other, :2])
            high = torch.minimum(boxes[row, 2:], boxes[other, 2:])
            shared = (high - low).clamp(min=0).prod()
            union = area(boxes[row]) + area(boxes[other]) - shared
            if (shared / union).item() > iou_threshold:
                break
        else:
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


def network():
    """The model of micro.yaml in the official code, with the rule's weights."""
    import rule
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    config = OmegaConf.load(HERE / "micro.yaml")
    OmegaConf.resolve(config)
    extra = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    model = instantiate(config.model, sam_mask_decoder_extra_args=extra, _recursive_=True).eval()
    state = model.state_dict()
    model.load_state_dict(
        {k: torch.from_numpy(rule.weight(k, tuple(v.shape))) for k, v in state.items()}
    )
    return model


def main() -> None:
    sys.path[:0] = [sys.argv[1], str(HERE)]
    import make_goldens
    import rule
    import torch

    make_goldens.declare_kernels()
    from sam2 import automatic_mask_generator as official
    from scene import ScenePredictor, draw

    official.batched_nms = suppress
    real = official.SAM2ImagePredictor
    found = {}

    def add(name: str, options: dict, model, image) -> None:
        made = official.SAM2AutomaticMaskGenerator(model, output_mode="coco_rle", **options)
        side = 128 if model is not None else 0
        made.predictor._bb_feat_sizes = [(side // n, side // n) for n in (4, 8, 16)]
        found[name] = made.generate(image)
        print(name, len(found[name]), [round(r["stability_score"], 3) for r in found[name]])

    official.SAM2ImagePredictor = lambda model, **options: ScenePredictor(torch)
    for name, options in CASES.items():
        add(name, options, None, draw())
    official.SAM2ImagePredictor = real
    model = network()
    for name, options in NETWORK.items():
        add(name, options, model, rule.image()[::8, ::8].copy())
    (HERE / "everything.json").write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

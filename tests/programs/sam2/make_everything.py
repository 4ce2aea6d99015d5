"""Write everything.json: what SAM 2's own automatic mask generator makes of the drawn scene.

    python tests/programs/sam2/make_everything.py FOLDER_OF_THE_OFFICIAL_REPOSITORY

Needs torch and pycocotools. The network is replaced by scene.ScenePredictor, torchvision by the few lines
that the generator calls, so that no build of it has to match torch's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

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


def stand_in_for_torchvision(torch) -> None:
    """torchvision.ops.boxes with greedy suppression by its definition."""

    def box_area(boxes):
        return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    def batched_nms(boxes, scores, categories, iou_threshold):
        assert not categories.any()
        kept = []
        for row in torch.argsort(scores, descending=True, stable=True).tolist():
            for other in kept:
                low = torch.maximum(boxes[row, :2], boxes[other, :2])
                high = torch.minimum(boxes[row, 2:], boxes[other, 2:])
                shared = (high - low).clamp(min=0).prod()
                union = box_area(boxes[[row]])[0] + box_area(boxes[[other]])[0] - shared
                if (shared / union).item() > iou_threshold:
                    break
            else:
                kept.append(row)
        return torch.tensor(kept, dtype=torch.int64)

    for name in ("torchvision", "torchvision.ops", "torchvision.ops.boxes"):
        sys.modules[name] = ModuleType(name)
    sys.modules["torchvision.ops.boxes"].batched_nms = batched_nms
    sys.modules["torchvision.ops.boxes"].box_area = box_area
    transforms = sys.modules["torchvision.transforms"] = ModuleType("torchvision.transforms")
    transforms.Normalize = transforms.Resize = transforms.ToTensor = None


def main() -> None:
    sys.path[:0] = [sys.argv[1], str(HERE)]
    import torch

    stand_in_for_torchvision(torch)
    from sam2 import automatic_mask_generator as official
    from scene import ScenePredictor, draw

    official.SAM2ImagePredictor = lambda model, **options: ScenePredictor(torch)
    found = {
        name: official.SAM2AutomaticMaskGenerator(None, output_mode="coco_rle", **options).generate(
            draw()
        )
        for name, options in CASES.items()
    }
    for name, records in found.items():
        print(name, len(records), [round(r["predicted_iou"], 3) for r in records])
    (HERE / "everything.json").write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

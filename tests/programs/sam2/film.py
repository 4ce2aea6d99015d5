"""A film, what a person does with it, and what is kept of the answers: the same for mezzo and the official code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

try:
    from . import rule
    from .sample import sample
except ImportError:  # as a script beside them
    import rule
    from sample import sample

COUNT, HEIGHT, WIDTH = 5, 120, 160
TINY = "configs/sam2.1/sam2.1_hiera_t.yaml"
MICRO = "micro.yaml"
SMALL_INPUT = {"model.image_size": 256}

# The rule's memories would be so large that attention to them saturates, and its presence always has one sign.
SCALES = {"memory_encoder.out_proj.weight": 0.1}
PRESENCE = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"  # in the tiny model
PRESENCE_SMALL = "sam_mask_decoder.pred_obj_score_head.bias"


def frames() -> list[np.ndarray]:
    """A window that moves over the rule's image: uint8 (HEIGHT, WIDTH, 3)."""
    image = rule.image()[::2, ::2]
    return [image[20 + 6 * t :][:HEIGHT, 90 - 9 * t :][:, :WIDTH].copy() for t in range(COUNT)]


def disc(x: float, y: float, radius: float) -> np.ndarray:
    """A mask (HEIGHT, WIDTH)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def points(frame: int, obj_id, *places, **more) -> tuple:
    """A step: points (x, y, label) on an object."""
    given = {"points": [p[:2] for p in places], "labels": [p[2] for p in places]} if places else {}
    return "add_new_points_or_box", {"frame_idx": frame, "obj_id": obj_id, **given, **more}


def mask(frame: int, obj_id, found: np.ndarray) -> tuple:
    """A step: a mask of an object."""
    return "add_new_mask", {"frame_idx": frame, "obj_id": obj_id, "mask": found}


def follow(**how) -> tuple:
    """A step: propagation."""
    return "propagate_in_video", how


CLICKS = [
    points(0, 1, (20, 60, 1)),
    points(0, 2, (120, 70, 0), box=[95, 40, 150, 110]),
    points(0, 1, (35, 30, 0), (10, 80, 1), clear_old_points=False),
    follow(),
    points(3, 1, (60, 60, 0)),
    points(2, 2, (0.5, 0.25, 1), normalize_coords=False),
    follow(start_frame_idx=2),
    points(4, 7, (80, 100, 1)),
    follow(start_frame_idx=3, reverse=True),
]
MASKS = [
    mask(2, "a", disc(60, 60, 30)),
    points(3, "b", (130, 90, 1)),
    mask(4, "c", disc(0, 0, 0)),  # not in the frame
    follow(start_frame_idx=2, reverse=True),
    follow(start_frame_idx=1, max_frame_num_to_track=2),
    ("clear_all_prompts_in_frame", {"frame_idx": 3, "obj_id": "b"}),
    points(3, "b", (130, 90, 1), (30, 90, 0)),
    mask(3, "a", disc(100, 60, 20)[::2, ::2]),
    ("remove_object", {"obj_id": "a"}),
    ("remove_object", {"obj_id": "nobody"}),
    follow(),
]
FEW = [points(0, 1, (20, 60, 1)), mask(0, 2, disc(120, 70, 25)), follow(max_frame_num_to_track=3)]
SCENES = {
    "clicks": (TINY, SMALL_INPUT, {PRESENCE: 2.0}, CLICKS),
    "masks": (TINY, SMALL_INPUT, {PRESENCE: 2.0}, MASKS),
    "hiding": (TINY, SMALL_INPUT, {PRESENCE: -3.4}, FEW),
    "many options": (
        MICRO,
        {
            "model.non_overlap_masks": True,
            "model.non_overlap_masks_for_mem_enc": True,
            "model.num_maskmem": 4,
            "model.memory_temporal_stride_for_eval": 2,
            "model.max_cond_frames_in_attn": 2,
            "model.use_signed_tpos_enc_to_obj_ptrs": True,
            "model.soft_no_obj_ptr": True,
            "model.add_all_frames_to_correct_as_cond": True,
            "model.multimask_output_in_sam": True,
            "model.multimask_output_for_tracking": True,
            "model.multimask_max_pt_num": 2,
            "model.use_multimask_token_for_obj_ptr": True,
            "model.sigmoid_scale_for_mem_enc": 20.0,
            "model.sigmoid_bias_for_mem_enc": -10.0,
        },
        {PRESENCE_SMALL: 5.6},
        [*CLICKS, mask(1, 2, disc(40, 40, 30)), points(3, 2, (50, 60, 1)), follow()],
    ),
    "other options": (
        MICRO,
        {
            "model.use_mask_input_as_output_without_sam": False,
            "model.add_tpos_enc_to_obj_ptrs": False,
            "model.max_obj_ptrs_in_encoder": 3,
            "model.no_obj_embed_spatial": True,
            "model.only_obj_ptrs_in_the_past_for_eval": True,
            "model.fixed_no_obj_ptr": True,
            "model.use_mlp_for_obj_ptr_proj": True,
            "model.iou_prediction_use_sigmoid": True,
            "model.fill_hole_area": 30,
        },
        {PRESENCE_SMALL: 5.1},
        MASKS,
    ),
}
LOW = {"clicks low": ("clicks", FEW)}  # under autocast in bfloat16


def write(folder: Path) -> None:
    """The film as a folder: without loss, since Pillow looks at what a file holds and not at its name."""
    from PIL import Image

    for number, frame in enumerate(frames()):
        Image.fromarray(frame).save(folder / f"{number:05d}.jpg", format="PNG")


def weight(model, name: str, changed: dict) -> np.ndarray | None:
    """The rule's weight of that name for a model, as an array; None if the model has none."""
    found = model.state_dict().get(name)
    if found is None:
        return None
    drawn = rule.weight(name, tuple(found.shape)) * np.float32(SCALES.get(name, 1))
    return drawn + np.float32(changed.get(name, 0))


def weights(model, changed: dict) -> dict:
    """All of the rule's weights for a model, by name."""
    return {name: weight(model, name, changed) for name in model.state_dict()}


class Recorder:
    """What the parts of a predictor return, in the order in which they are called."""

    def __init__(self, predictor, found: dict, low: bool = False):
        self.found, self.counts, self.hooks = found, {}, []
        self.few = 56 if low else 112
        watched = {"attention": predictor.memory_attention, "memory": predictor.memory_encoder}
        layers = predictor.memory_attention.layers
        watched |= {f"attention layer {i}": layer for i, layer in enumerate(layers)}
        for name, module in watched.items():
            self.hooks.append(module.register_forward_hook(self._keeper(name)))
        decoder = predictor.sam_mask_decoder
        self.hooks.append(decoder.register_forward_hook(self._decoder))

    def _number(self, name: str) -> int:
        self.counts[name] = self.counts.get(name, -1) + 1
        return self.counts[name]

    def _keeper(self, name: str):
        def keep(module, arguments, out) -> None:
            out = out["vision_features"] if isinstance(out, dict) else out
            key = f"{name} {self._number(name)}"
            few = self.few // 2 if "layer" in name else self.few
            self.found[key] = sample(out.float().numpy(), few)

        return keep

    def _decoder(self, module, arguments, out) -> None:
        number = self._number("decoder")
        self.found[f"scores {number}"] = out[1].float().numpy()
        self.found[f"presence {number}"] = out[3].float().numpy()

    def result(self, step: int, number: int, frame: int, ids, logits) -> None:
        """One result of a step."""
        key = f"step {step}.{number} frame {frame} objects {' '.join(map(str, ids))}"
        self.found[key] = sample(logits.float().numpy(), self.few * len(ids))

    def stop(self) -> None:
        for hook in self.hooks:
            hook.remove()


def play(predictor, state, steps: list, found: dict, low: bool = False) -> None:
    """Do the steps of a scene, and keep the answers."""
    recorder = Recorder(predictor, found, low)
    for step, (method, arguments) in enumerate(steps):
        answer = getattr(predictor, method)(state, **arguments)
        if method == "propagate_in_video":
            for number, result in enumerate(answer):
                recorder.result(step, number, *result)
        elif method == "remove_object":
            ids, changed = answer
            found[f"step {step} leaves {' '.join(map(str, ids))}"] = np.zeros(0, np.float32)
            for number, (frame, logits) in enumerate(changed):
                recorder.result(step, number, frame, ids, logits)
        else:
            recorder.result(step, 0, *answer)
    recorder.stop()

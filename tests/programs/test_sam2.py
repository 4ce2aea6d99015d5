"""SAM 2.1 against goldens of the official code on weights that both draw by tests/programs/sam2/rule.py."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import mezzo
from mezzo.models.sam2 import SAM2ImagePredictor, build_sam2
from programs.sam2 import rule
from programs.sam2.sample import sample

GOLDENS = Path(__file__).parent / "sam2"
CONFIGS = {"tiny": "t", "small": "s", "base+": "b+", "large": "l"}
REST = pytest.mark.skipif(
    "MEZZO_TEST_LARGE" not in os.environ,
    reason="takes minutes and 3 GB; set MEZZO_TEST_LARGE=1 to run it",
)
NEAR_ZERO = 0.05  # of the logits' rms: where rounding to 8 bits may turn a pixel
FP32, BF16 = 1e-4, 0.03


def config(size: str) -> str:
    return f"configs/sam2.1/sam2.1_hiera_{CONFIGS[size]}.yaml"


def bits(packed: np.ndarray, count: int) -> np.ndarray:
    return np.unpackbits(packed)[:count].astype(bool)


class Run:
    """A predictor with the rule's weights, what it found, and what the official code found."""

    def __init__(self, size: str):
        self.golden = np.load(GOLDENS / f"{size}.npz")
        model = build_sam2(config(size))
        shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
        self.keys = sorted(f"{k} {list(s)}" for k, s in shapes.items())
        weights = {k: mezzo.from_numpy(rule.weight(k, s)) for k, s in shapes.items()}
        model.load_state_dict(weights, assign=True)
        self.predictor, self.found = SAM2ImagePredictor(model), {}
        self._embed()
        self._predict("fp32")
        with mezzo.inference_mode(), mezzo.autocast("cpu", dtype=mezzo.bfloat16):
            self.predictor.set_image(rule.image())
            self._predict("bf16")

    def _embed(self) -> None:
        found, predictor = self.found, self.predictor
        found["input"] = sample(predictor._transforms(rule.image()).numpy(), 4096)
        blocks = predictor.model.image_encoder.trunk.blocks

        def keep(i):
            return lambda _m, _a, out: found.__setitem__(f"block {i}", sample(out.numpy(), 512))

        hooks = [block.register_forward_hook(keep(i)) for i, block in enumerate(blocks)]
        predictor.set_image(rule.image())
        for hook in hooks:
            hook.remove()
        found["image_embed"] = sample(predictor.get_image_embedding().numpy(), 8192)
        for i, x in enumerate(predictor._features["high_res_feats"]):
            found[f"high_res_feats {i}"] = sample(x.numpy(), 4096)

    def _predict(self, prefix: str) -> None:
        for name, prompt in rule.PROMPTS.items():
            logits = self._keep(prefix, name, prompt)
            if name == "point":
                again = {"point_coords": rule.POINTS[:1], "point_labels": [1]}
                self._keep(prefix, "mask input", again | {"mask_input": logits[1:2]})

    def _keep(self, prefix: str, name: str, prompt: dict) -> np.ndarray:
        masks, scores, logits = self.predictor.predict(**prompt, return_logits=True)
        self.found[f"{prefix}/{name}/masks"] = masks
        self.found[f"{prefix}/{name}/scores"] = scores
        self.found[f"{prefix}/{name}/logits"] = sample(logits, 2048)
        return logits

    def check(self, key: str, tolerance: float) -> None:
        """The largest difference, relative to the largest value."""
        mine, theirs = self.found[key], self.golden[key]
        assert mine.shape == theirs.shape
        error = np.abs(mine - theirs).max() / np.abs(theirs).max()
        assert error <= tolerance, f"{key} differs by {error:.2g} of its largest value"

    def iou(self, key: str, near: float) -> float:
        """Of the masks, where our logits are not within `near` of 0."""
        logits = self.found[key]
        theirs = bits(self.golden[key], logits.size).reshape(logits.shape)
        sure = np.abs(logits) > near
        mine, theirs = (logits > 0) & sure, theirs & sure
        assert 0.05 < mine.mean() < 0.95, "a mask of nearly nothing or everything shows nothing"
        return (mine & theirs).sum() / (mine | theirs).sum()


@pytest.fixture(
    scope="module", params=["tiny", *[pytest.param(s, marks=REST) for s in list(CONFIGS)[1:]]]
)
def run(request):
    return Run(request.param)


def test_names_and_shapes_are_the_official_ones(run):
    assert run.keys == sorted(run.golden["keys"].tolist())


def test_every_block_is_the_official_one(run):
    run.check("input", 1e-5)
    blocks = [k for k in run.golden.files if k.startswith("block")]
    assert len(blocks) == len(run.predictor.model.image_encoder.trunk.blocks)
    for key in sorted(blocks, key=lambda k: int(k.split()[1])):
        run.check(key, FP32)


def test_feature_maps_are_the_official_ones(run):
    for key in ("high_res_feats 0", "high_res_feats 1", "image_embed"):
        run.check(key, FP32)


@pytest.mark.parametrize("name", [*rule.PROMPTS, "mask input"])
def test_predictions_are_the_official_ones(run, name):
    run.check(f"fp32/{name}/logits", FP32)
    run.check(f"fp32/{name}/scores", FP32)
    if name != "mask input":
        assert run.iou(f"fp32/{name}/masks", 1e-3) == 1.0


@pytest.mark.parametrize("name", [*rule.PROMPTS, "mask input"])
def test_predictions_in_bfloat16_agree(run, name):
    run.check(f"bf16/{name}/logits", BF16)
    run.check(f"bf16/{name}/scores", BF16)
    if name in ("point", "box"):
        near = NEAR_ZERO * float(np.sqrt((run.golden[f"bf16/{name}/logits"] ** 2).mean()))
        assert run.iou(f"bf16/{name}/masks", near) >= 0.99


def test_bfloat16_is_really_used(run):
    assert run.predictor.get_image_embedding().dtype is mezzo.float32  # the coarser map is added
    assert run.predictor._features["high_res_feats"][0].dtype is mezzo.bfloat16

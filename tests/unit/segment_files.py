"""What the tests of `mezzo segment` run on: a checkpoint of a few channels, and a real photo."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from matplotlib import cbook
from PIL import Image

import mezzo
from mezzo.models.sam2 import SAM2ImagePredictor, build_sam2

FOLDER = Path(__file__).resolve().parents[1] / "programs" / "sam2"
CONFIG = FOLDER / "micro.yaml"
SIZE = (100, 117)  # of the photo


def weights() -> dict:
    """The state_dict of the small model, the same every time."""
    spec = importlib.util.spec_from_file_location("rule", FOLDER / "rule.py")
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    state = build_sam2(CONFIG).state_dict()
    return {k: mezzo.from_numpy(rule.weight(k, tuple(v.shape))) for k, v in state.items()}


def checkpoint(folder: Path) -> Path:
    """The weights as a file."""
    path = folder / "micro.safetensors"
    mezzo.io.save_file(weights(), path)
    return path


def photo(path: Path) -> Path:
    """Grace Hopper, 1984, as matplotlib ships her: a photo in the public domain, scaled down."""
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS).save(path)
    return path


def predictor(checkpoint: Path) -> SAM2ImagePredictor:
    """The predictor that the command uses, for comparison."""
    return SAM2ImagePredictor(build_sam2(CONFIG, checkpoint))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)

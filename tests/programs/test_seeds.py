"""Every code block of the tutorials in seeds.py runs, and what its text says comes out."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from PIL import Image

import mezzo
from mezzo import nn
from mezzo.models.sam2 import build_sam2
from programs.sam2.rule import image
from programs.seeds import BLOCKS, SAM2, Block, port


def _run(block: Block) -> None:
    space = {"torch": mezzo, "nn": nn, "np": np}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for part in (block.supply, port(block.text, mezzo.cuda.is_available()), block.expect):
            exec(compile(part, block.name, "exec"), space)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.name)
def test_block(block):
    mezzo.manual_seed(0)
    if block.raises is None:
        _run(block)
        return
    with pytest.raises(block.raises, match=block.message):
        _run(block)


def test_sam2(tmp_path):
    """Only its paths change: its predict has no prompt, and says so; with a point the program goes on."""
    mezzo.manual_seed(0)
    config, checkpoint, photo = "sam2.1_hiera_t.yaml", tmp_path / "tiny.pt", tmp_path / "cars.jpg"
    mezzo.save({"model": build_sam2(config).state_dict()}, checkpoint)
    Image.fromarray(image()).save(photo)
    text = SAM2.text
    for old, new in (
        ("../checkpoints/sam2.1_hiera_large.pt", checkpoint),
        ("sam2.1_hiera_l.yaml", config),
        ("notebooks/images/cars.jpg", photo),
    ):
        assert old in text
        text = text.replace(old, str(new))
    with pytest.raises(SAM2.raises, match=SAM2.message), pytest.warns(UserWarning, match="CUDA"):
        _run(dataclasses.replace(SAM2, text=text))
    asked = text.replace('predict("")', "predict([[200, 150]], [1])")
    with pytest.warns(UserWarning, match="CUDA is not available"):
        _run(dataclasses.replace(SAM2, text=asked, expect="assert masks.shape == (3, 480, 640)"))


def test_cuda_without_a_gpu_says_what_to_do():
    with pytest.raises(AssertionError, match="cuda.is_available"):
        mezzo.tensor([1.0], device="cuda")
    with pytest.raises(RuntimeError, match="device='cpu'"):
        mezzo.ones(2).cuda()

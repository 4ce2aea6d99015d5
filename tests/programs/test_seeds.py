"""Every code block of the tutorials in seeds.py runs, and what its text says comes out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import mezzo
from mezzo import nn
from programs.seeds import BLOCKS, Block, port


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


def test_cuda_without_a_gpu_says_what_to_do():
    with pytest.raises(AssertionError, match="cuda.is_available"):
        mezzo.tensor([1.0], device="cuda")
    with pytest.raises(RuntimeError, match="device='cpu'"):
        mezzo.ones(2).cuda()

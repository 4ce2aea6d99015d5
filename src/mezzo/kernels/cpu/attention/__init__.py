"""Fused attention: softmax(q k^T scale + mask) v in tiles; scores never reach memory.

forward also gives the logarithm of each row's sum of exponentials; backward makes the weights anew from it.
"""

from __future__ import annotations

from mezzo.kernels.cpu.attention.api import Plan, plan
from mezzo.kernels.cpu.attention.block import Matrix, Sizes

__all__ = ["Matrix", "Plan", "Sizes", "plan"]

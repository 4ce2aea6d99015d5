"""Contractions whose operands are read through tables: convolutions without a copy of the patches.

direct.py and weights.py serve most convolutions of two dimensions better, from one copy of the image; what they leave comes here.

An axis is a table of byte offsets and coordinates; an element of an operand lies at the sum of the
offsets of its row and its k, and is zero where the sum of the coordinates leaves the image. Forward, both
backward products and the transposed convolution are all of this form (core/families/convolution.py).
"""

from __future__ import annotations

from mezzo.kernels.cpu.conv.api import Part, Plan, plan, summed
from mezzo.kernels.cpu.conv.axes import Axis, Operand

__all__ = ["Axis", "Operand", "Part", "Plan", "plan", "summed"]

"""Small regions of binary masks, filled and removed."""

from __future__ import annotations

import numpy as np

from mezzo.errors import ArgumentValueError
from mezzo.models.sam2.components import label


def remove_small_regions(
    mask: np.ndarray, area_thresh: float, mode: str
) -> tuple[np.ndarray, bool]:
    """Fill holes, or remove islands, of less than area_thresh pixels.

    mode "holes" sets small regions that are not set; "islands" clears small regions that are, but never
    the largest. Regions touch at corners too. Shapes: mask bool (h, w). Returns the mask and whether it changed.
    """
    if mode not in ("holes", "islands"):
        raise ArgumentValueError(
            f"remove_small_regions: argument mode is {mode!r}; it must be 'holes' or 'islands'."
        )
    holes = mode == "holes"
    labels, areas = label(np.logical_xor(holes, mask))
    small = areas < area_thresh
    if not small.any():
        return np.asarray(mask, bool), False
    if holes:
        return np.logical_or(mask, np.append(False, small)[labels]), True
    if small.all():
        small[int(np.argmax(areas))] = False
    return np.append(False, ~small)[labels], True

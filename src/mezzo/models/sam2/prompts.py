"""Points and boxes as they are given, checked and made tensors; what is wrong with them, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import mezzo
from mezzo.errors import ArgumentValueError

LABELS = {-1.0, 0.0, 1.0, 2.0, 3.0}  # padding, beside the object, on it, two corners of a box


class PromptError(ArgumentValueError, AssertionError):
    """A prompt that is none, or does not fit the image."""


@dataclass(frozen=True)
class Asked:
    """For messages: who was asked, how its arguments are called, and what a prompt is to it."""

    who: str
    hint: str
    points: str = "point_coords"
    labels: str = "point_labels"


def read_numbers(value, name: str, asked: Asked):
    """A prompt as a float32 tensor of finite numbers."""
    if isinstance(value, mezzo.Tensor):
        value = value.detach().float().cpu().numpy()
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        shown = repr(value)[:60]
        raise PromptError(
            f"{asked.who}: {name} is {shown} ({type(value).__name__}), which is no array of numbers; "
            f"{asked.hint}"
        ) from None
    if not np.isfinite(array).all():
        raise PromptError(
            f"{asked.who}: {name} has values that are not finite; give finite numbers."
        )
    return mezzo.from_numpy(np.ascontiguousarray(array))


def read_points(coords, labels, asked: Asked):
    """Points (b, n, 2) float32 and their labels (b, n) int32; (n, 2) and (n,) are one prompt."""
    coords = read_numbers(coords, asked.points, asked)
    if labels is None:
        raise PromptError(
            f"{asked.who}: {asked.points} came without {asked.labels}; give a label for every point: 1 on "
            "the object, 0 beside it."
        )
    labels = read_numbers(labels, asked.labels, asked)
    if coords.ndim not in (2, 3) or coords.shape[-1] != 2:
        raise PromptError(
            f"{asked.who}: {asked.points} has shape {tuple(coords.shape)}; it must be (n, 2), x and y of "
            "each point, or (b, n, 2)."
        )
    if tuple(labels.shape) != tuple(coords.shape[:-1]):
        raise PromptError(
            f"{asked.who}: {asked.labels} has shape {tuple(labels.shape)}; it must be "
            f"{tuple(coords.shape[:-1])}, a label for every point."
        )
    if not coords.shape[-2]:
        raise PromptError(f"{asked.who}: {asked.points} has no points; {asked.hint}")
    known = set(np.unique(labels.numpy()).tolist())
    if not known <= LABELS:
        raise PromptError(
            f"{asked.who}: {asked.labels} has the values {sorted(known)}; they must be 1 (on the object) or "
            "0 (beside it)."
        )
    labels = labels.to(mezzo.int32)
    return (coords[None], labels[None]) if coords.ndim == 2 else (coords, labels)


def read_boxes(box, size: tuple[int, int], pixels: bool, asked: Asked):
    """Boxes (b, 4) float32 as x0, y0, x1, y1 within an image of `size` (h, w); (4,) is one."""
    boxes = read_numbers(box, "box", asked)
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4:
        raise PromptError(
            f"{asked.who}: box has shape {tuple(boxes.shape)}; it must be (4,), x0, y0, x1, y1, or (b, 4)."
        )
    boxes = boxes.reshape(-1, 4)
    if bool(((boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])).any()):
        raise PromptError(
            f"{asked.who}: box is {boxes.tolist()}; it must be x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, "
            "the top left corner first."
        )
    check_inside(boxes.reshape(-1, 2, 2), size, pixels, "box", asked)
    return boxes


def check_inside(points, size: tuple[int, int], pixels: bool, name: str, asked: Asked) -> None:
    """Raise for points (..., 2) beside an image of `size` (h, w); its right and lower edges count as inside.

    pixels: the points are in pixels, else in the unit square.
    """
    width, height = (size[1], size[0]) if pixels else (1, 1)
    x, y = points[..., 0], points[..., 1]
    beside = (x < 0) | (x > width) | (y < 0) | (y > height)
    if not bool(beside.any()):
        return
    odd = points[beside].tolist()[:4]
    what = "pixels" if pixels else "the unit square (normalize_coords=False)"
    raise PromptError(
        f"{asked.who}: {name} has points outside the image: {odd}; x must be within 0 and {width}, y "
        f"within 0 and {height}, in {what}."
    )

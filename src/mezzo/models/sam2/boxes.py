"""Boxes, point grids and crops of automatic mask generation. NumPy only; boxes are (x0, y0, x1, y1)."""

from __future__ import annotations

import itertools
import math

import numpy as np

from mezzo.errors import ArgumentValueError


def build_point_grid(points_per_side: int) -> np.ndarray:
    """The centres of a square grid over [0, 1] x [0, 1], row by row.

    Shapes: -> float64 (points_per_side ** 2, 2), each point (x, y)
    """
    side = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(side, side)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def build_all_layer_point_grids(
    points_per_side: int, layers: int, downscale: int
) -> list[np.ndarray]:
    """A grid for the image and one for each layer of crops, with downscale times fewer points a side.

    Raises: ValueError if the deepest layer would have no points.
    """
    sides = [int(points_per_side / downscale**layer) for layer in range(layers + 1)]
    if sides[-1] < 1:
        raise ArgumentValueError(
            f"SAM2AutomaticMaskGenerator: points_per_side {points_per_side} scaled down by "
            f"crop_n_points_downscale_factor {downscale} for {layers} layers of crops leaves no points; "
            "raise points_per_side or lower crop_n_layers."
        )
    return [build_point_grid(side) for side in sides]


def generate_crop_boxes(
    im_size: tuple[int, int], layers: int, overlap_ratio: float
) -> tuple[list[list[int]], list[int]]:
    """The boxes of the whole image, then of layers of crops: layer i has 2**i crops a side.

    im_size: (height, width). Neighbouring crops of the first layer share overlap_ratio of the shorter
    side; deeper layers share less in proportion. Returns the boxes in pixels and the layer of each.
    """
    height, width = im_size
    boxes, numbers = [[0, 0, width, height]], [0]
    for layer in range(1, layers + 1):
        side = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / side))
        crop_w = math.ceil((overlap * (side - 1) + width) / side)
        crop_h = math.ceil((overlap * (side - 1) + height) / side)
        for column, row in itertools.product(range(side), range(side)):
            x, y = column * (crop_w - overlap), row * (crop_h - overlap)
            boxes.append([x, y, min(x + crop_w, width), min(y + crop_h, height)])
            numbers.append(layer)
    return boxes, numbers


def is_box_near_crop_edge(
    boxes: np.ndarray, crop_box: list[int], whole: list[int], atol: float = 20.0
) -> np.ndarray:
    """Whether a side of a box lies within atol pixels of its crop's edge but not of the image's.

    Shapes: boxes (n, 4) in the crop's frame -> bool (n,). Such masks are cut off by the crop.
    """
    boxes = uncrop_boxes_xyxy(boxes, crop_box).astype(np.float32)
    near_crop = np.abs(boxes - np.asarray(crop_box, np.float32)) <= atol
    near_image = np.abs(boxes - np.asarray(whole, np.float32)) <= atol
    return np.asarray((near_crop & ~near_image).any(axis=1))


def uncrop_boxes_xyxy(boxes: np.ndarray, crop_box: list[int]) -> np.ndarray:
    """Boxes (n, 4) moved from the crop's frame to the image's."""
    x, y = crop_box[:2]
    return boxes + np.array([x, y, x, y], boxes.dtype)


def uncrop_points(points: np.ndarray, crop_box: list[int]) -> np.ndarray:
    """Points (n, 2) moved from the crop's frame to the image's."""
    return points + np.array(crop_box[:2], points.dtype)


def uncrop_masks(masks: np.ndarray, crop_box: list[int], height: int, width: int) -> np.ndarray:
    """Masks (n, h, w) of a crop placed in the image, False outside."""
    x0, y0, x1, y1 = crop_box
    if (x0, y0, x1, y1) == (0, 0, width, height):
        return masks
    placed = np.zeros((len(masks), height, width), masks.dtype)
    placed[:, y0:y1, x0:x1] = masks
    return placed


def box_xyxy_to_xywh(box: np.ndarray) -> np.ndarray:
    """(x0, y0, x1, y1) as (x, y, width, height), in the last axis."""
    box = np.array(box)
    box[..., 2:] -= box[..., :2]
    return box


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Shapes: boxes (n, 4) -> (n,)"""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Non-maximum suppression: the best boxes, none overlapping a better one by more than iou_threshold.

    Shapes:  boxes (n, 4), scores (n,) -> int64 (kept,), indices in descending order of score
    Equal scores keep their order; a NaN score comes last. Computed in float32. Source: torchvision.ops.nms
    """
    boxes = np.asarray(boxes, np.float32)
    scores = np.asarray(scores, np.float32)
    order = np.argsort(-scores, kind="stable")
    limit = np.float64(iou_threshold)  # as a Python float it would be rounded to float32
    areas = box_area(boxes)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[order, :2])
        other = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(other - corner, 0), axis=1)
        with np.errstate(invalid="ignore"):  # two empty boxes: 0 / 0 is no overlap
            overlap = shared / (areas[best] + areas[order] - shared)
        order = order[~(overlap > limit)]
    return np.array(kept, np.int64)

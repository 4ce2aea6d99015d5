"""From images to the model's input, and from its masks back to the image."""

from __future__ import annotations

import numpy as np

import mezzo
from mezzo import nn
from mezzo.models.sam2.components import small_parts
from mezzo.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, per channel
FILLED = 10.0  # the logit, above or below the threshold, of pixels that post-processing turns


class SAM2Transforms(nn.Module):
    """Scales images to a square of `resolution` pixels and masks back; fills holes, removes sprinkles."""

    def __init__(
        self,
        resolution: int,
        mask_threshold: float,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
    ):
        super().__init__()
        self.resolution, self.mask_threshold = resolution, mask_threshold
        self.max_hole_area, self.max_sprinkle_area = max_hole_area, max_sprinkle_area
        self.mean, self.std = list(MEAN), list(STD)

    def forward(self, image: np.ndarray):
        """An image (h, w, 3), uint8 or floats in [0, 1] -> (3, resolution, resolution), normalised"""
        pixels = mezzo.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
        pixels = pixels.float()
        if image.dtype == np.uint8:
            pixels = pixels / 255
        if tuple(pixels.shape[1:]) != (self.resolution, self.resolution):
            size = (self.resolution, self.resolution)
            pixels = F.interpolate(
                pixels[None], size, mode="bilinear", align_corners=False, antialias=True
            )[0]
        mean, std = (mezzo.tensor(x)[:, None, None] for x in (self.mean, self.std))
        return (pixels - mean) / std

    def forward_batch(self, img_list: list):
        """Images (h, w, 3) of any sizes -> (b, 3, resolution, resolution)"""
        return mezzo.stack([self(image) for image in img_list])

    def transform_coords(self, coords, normalize: bool = False, orig_hw=None):
        """Points (..., 2), x first, in pixels of the model's input.

        normalize: they are in pixels of an image of size orig_hw (h, w); else they lie in the unit square.
        """
        if normalize:
            if orig_hw is None:
                raise ValueError("transform_coords: normalize=True needs orig_hw, the size (h, w).")
            height, width = orig_hw
            coords = coords / mezzo.tensor(
                [width, height], dtype=coords.dtype, device=coords.device
            )
        return coords * self.resolution

    def transform_boxes(self, boxes, normalize: bool = False, orig_hw=None):
        """Boxes (..., 4) as (x0, y0, x1, y1) -> corners (b, 2, 2) in pixels of the model's input"""
        return self.transform_coords(boxes.reshape(-1, 2, 2), normalize, orig_hw)

    def _cleaned(self, masks):
        """Small holes filled and small islands removed: (b, m, h, w) logits."""
        logits = masks.numpy().copy()
        for plane in logits.reshape(-1, *logits.shape[-2:]):
            inside = plane > self.mask_threshold
            if self.max_hole_area > 0:
                plane[small_parts(~inside, self.max_hole_area)] = self.mask_threshold + FILLED
            if self.max_sprinkle_area > 0:
                plane[small_parts(inside, self.max_sprinkle_area)] = self.mask_threshold - FILLED
        return mezzo.from_numpy(logits)

    def postprocess_masks(self, masks, orig_hw):
        """Logits (b, m, h, w) at the image's size: (b, m, *orig_hw) float32"""
        masks = masks.float()
        if self.max_hole_area > 0 or self.max_sprinkle_area > 0:
            masks = self._cleaned(masks)
        return F.interpolate(masks, tuple(orig_hw), mode="bilinear", align_corners=False)

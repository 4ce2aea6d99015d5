"""SAM 2: masks of the objects of an image or a video, from points, boxes or masks.

    from mezzo.models.sam2 import SAM2AutomaticMaskGenerator, SAM2ImagePredictor, build_sam2
    from mezzo.models.sam2 import build_sam2_video_predictor

Source: Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024)
"""

from __future__ import annotations

from mezzo.models.sam2.build_sam import build_sam2, build_sam2_video_predictor
from mezzo.models.sam2.everything import SAM2AutomaticMaskGenerator
from mezzo.models.sam2.sam2_image_predictor import SAM2ImagePredictor
from mezzo.models.sam2.sam2_video_predictor import SAM2VideoPredictor

__all__ = [
    "SAM2AutomaticMaskGenerator",
    "SAM2ImagePredictor",
    "SAM2VideoPredictor",
    "build_sam2",
    "build_sam2_video_predictor",
]

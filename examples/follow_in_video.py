"""An object followed through a video with SAM 2.1: click on it in the first frame, get an animation in which it is tinted.

    python examples/follow_in_video.py frames/ sam2.1_hiera_tiny.pt --point 320,210 --out followed.gif

The frames are a folder of JPEG files, 00000.jpg, 00001.jpg, ..., or an MP4 file (pip install 'mezzo[video]').
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image

import mezzo as torch
from mezzo.models.sam2 import build_sam2_video_predictor

TINT = np.array([30, 144, 255])


def tinted(pixels: np.ndarray, mask: np.ndarray) -> Image.Image:
    """A picture (h, w, 3) with half of the tint where the mask (h, w) is."""
    mixed = np.where(mask[..., None], (pixels + TINT) / 2, pixels)
    return Image.fromarray(mixed.astype(np.uint8))


def main(arguments: list[str] | None = None) -> None:
    """Follow the object and write the animation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", help="folder of JPEG files, or an MP4 file")
    parser.add_argument("checkpoint")
    parser.add_argument("--config", default="configs/sam2.1/sam2.1_hiera_t.yaml")
    parser.add_argument("--point", default="320,210", help="x,y on the object in the first frame")
    parser.add_argument("--out", default="followed.gif")
    options = parser.parse_args(arguments)

    predictor = build_sam2_video_predictor(options.config, options.checkpoint)
    point = [float(number) for number in options.point.split(",")]
    pictures = []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        state = predictor.init_state(options.frames)
        predictor.add_new_points_or_box(state, 0, obj_id=1, points=[point], labels=[1])
        size = state["video_width"], state["video_height"]
        for frame, _, logits in predictor.propagate_in_video(state):
            mask = logits[0, 0].numpy() > 0
            pixels = np.asarray(Image.fromarray(state["images"].pixels(frame)).resize(size))
            pictures.append(tinted(pixels, mask))
            print(f"frame {frame}: {mask.mean():.1%} of the pixels", flush=True)
    pictures[0].save(options.out, save_all=True, append_images=pictures[1:], duration=80, loop=0)


if __name__ == "__main__":
    main()

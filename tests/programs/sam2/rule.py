"""Weights and an image that everyone computes alike, without a file: the inputs of the goldens.

Every tensor is drawn by Philox from a key that is made of its name. Scales keep activations alive through
the depth of the network: variance one per branch, so that a mistake cannot hide in saturation.
"""

from __future__ import annotations

import hashlib

import numpy as np

HEIGHT, WIDTH = 480, 640
POINTS = np.array([[200.0, 150.0], [450.5, 300.25], [31.0, 440.0]], np.float32)
BOX = np.array([120.0, 80.0, 420.0, 360.0], np.float32)
PROMPTS = {
    "point": {"point_coords": POINTS[:1], "point_labels": [1]},
    "points": {"point_coords": POINTS, "point_labels": [1, 0, 1], "multimask_output": False},
    "box": {"box": BOX, "multimask_output": False},
    "box and point": {"box": BOX, "point_coords": POINTS[:1], "point_labels": [0]},
    "many": {"point_coords": POINTS[:, None], "point_labels": np.array([[1], [1], [0]])},
    "boxes": {"box": np.stack([BOX, BOX + 40]), "multimask_output": False},
}


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers of mean 0 and variance 1, float32."""
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "little")
    count = int(np.prod(shape, dtype=np.int64))
    raw = np.random.Philox(key=key).random_raw((count + 1) // 2).view(np.uint32)[:count]
    numbers = (raw >> 8).astype(np.float32) * np.float32(2**-24) - np.float32(0.5)
    numbers *= np.float32(12**0.5)
    return numbers.reshape(shape)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of that name in the state_dict."""
    numbers = uniform(name, shape)
    last = name.rpartition(".")[2]
    if name.endswith("gaussian_matrix"):
        return numbers
    if last == "gamma":
        return 0.5 + 0.1 * numbers
    if last == "bias":
        return 0.1 * numbers
    if last == "weight" and len(shape) == 1:
        return 1 + 0.1 * numbers  # of a norm
    if last != "weight" or shape[0] == 1 or "tokens" in name:
        return 0.5 * numbers  # a learned vector
    transposed = "output_upscaling" in name
    fan_in = shape[0] if transposed else int(np.prod(shape[1:]))
    gain = (
        0.3 if "hypernetworks" in name and ".2." in name else 1.2
    )  # logits within the clamp at 32
    return np.float32(gain / fan_in**0.5) * numbers


def image() -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: discs and a box on a slope, with noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    planes = np.stack([x * 0.3, y * 0.4, (x + y) * 0.15], -1)
    for cx, cy, radius, colour in ((200, 150, 90, (220, 40, 60)), (450, 300, 120, (30, 180, 90))):
        planes[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = colour
    planes[380:470, 20:160] = (240, 230, 120)
    noise = 12 * uniform("image noise", planes.shape)
    return np.clip(np.rint(planes + noise), 0, 255).astype(np.uint8)

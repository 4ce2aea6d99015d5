"""A drawn scene, and a predictor that segments it exactly: known masks for the automatic generator.

The same arithmetic in NumPy answers mezzo and PyTorch, so that everything but the network is compared.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

SIDE = 1024  # the frame of the model's coordinates
LOW = 256


def draw(height: int = 150, width: int = 210) -> np.ndarray:
    """uint8 (h, w, 3). Red holds the number of the object, green of its part, blue how sure one can be."""
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = 150

    def place(inside, object_number: int, sure: int) -> None:
        image[inside] = (object_number, object_number * 2, sure)

    place((x - 45) ** 2 + (y - 40) ** 2 < 30**2, 1, 240)  # a disc
    image[(x - 45) ** 2 + (y - 40) ** 2 < 12**2, 1] = 3  # with a core
    place((abs(x - 130) < 35) & (abs(y - 45) < 25), 2, 225)  # a plate
    place((x - 60) / 2 + (y - 105) > 0, 3, 210)  # the ground, at the image's edge
    place((abs(x - 165) < 14) & (abs(y - 115) < 14), 4, 250)  # a box on it
    place((abs(x - 60) < 3) & (y > 80) & (y < 140), 5, 100)  # a pole that one cannot be sure of
    image[(x % 29 < 2) & (y % 23 < 2) & (image[..., 0] == 2), 0] = 0  # specks in the plate
    return image


def blur(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean over a square window, edges repeated; float64."""
    for axis in (0, 1):
        pads = [(reach + 1, reach) if axis == n else (0, 0) for n in (0, 1)]
        sums = np.pad(values.astype(np.float64), pads, mode="edge").cumsum(axis)
        size = values.shape[axis]
        ends = np.arange(size) + 2 * reach + 1
        values = (sums.take(ends, axis) - sums.take(ends - 2 * reach - 1, axis)) / (2 * reach + 1)
    return values


class ScenePredictor:
    """Has the predictor's methods that the automatic generator calls; `lib` is mezzo or torch."""

    def __init__(self, lib):
        self.lib = lib
        self.device = "cpu"
        self._transforms = SimpleNamespace(
            transform_coords=self._coords, postprocess_masks=self._to_image
        )
        self.calls: list[int] = []  # points decoded at a time
        self.sizes: list[int] = []  # masks brought to the size of the image at a time
        self.image = None

    def set_image(self, image: np.ndarray) -> None:
        self.image = image

    def reset_predictor(self) -> None:
        self.image = None

    def _coords(self, coords, normalize=False, orig_hw=None):
        size = self.lib.tensor([[orig_hw[1], orig_hw[0]]], dtype=self.lib.float32)
        return coords / size * SIDE

    def _predict(self, point_coords, point_labels, mask_input=None, return_logits=False, **options):
        """As the official generator calls it."""
        assert return_logits
        low, scores = self._logits(point_coords, point_labels, mask_input=mask_input, **options)
        return self._to_image(low, self.image.shape[:2]), scores, low.clip(-32, 32)

    def _logits(self, point_coords, point_labels, mask_input=None, multimask_output=True):
        height, width = self.image.shape[:2]
        points = point_coords.numpy()[:, 0].astype(np.float64) / SIDE * (width, height)
        self.calls.append(len(points))
        assert np.all(point_labels.numpy() == 1)
        if mask_input is not None:
            low = mask_input.numpy()
            assert low.shape == (len(points), 1, LOW, LOW) and not multimask_output
            assert np.abs(low).max() <= 32
            scores = 0.7 + 0.3 * (low > 0).mean((-2, -1))
        else:
            answers = [self._answer(int(x), int(y)) for x, y in points]
            logits = np.stack([logit for logit, _ in answers])
            scores = np.array([score for _, score in answers])
            if not multimask_output:
                logits, scores = logits[:, 1:2], scores[:, 1:2]
            low = logits[:, :, self._rows(height, LOW)][..., self._rows(width, LOW)]
        return tuple(self.lib.from_numpy(v.astype(np.float32)) for v in (low, scores))

    def _to_image(self, logits, orig_hw):
        """Repeated, not interpolated: exact on both sides."""
        assert logits.shape[1], "interpolation takes no empty images"
        self.sizes.append(logits.shape[1])
        rows, columns = (self._rows(LOW, size) for size in orig_hw)
        return self.lib.from_numpy(np.ascontiguousarray(logits.numpy()[:, :, rows][..., columns]))

    @staticmethod
    def _rows(size: int, wanted: int) -> np.ndarray:
        return ((np.arange(wanted) + 0.5) * size / wanted).astype(int)

    def _answer(self, x: int, y: int):
        objects, parts, sure = np.moveaxis(self.image, -1, 0)
        part = blur(parts == parts[y, x], 1) * 80 - 40
        thing = blur(objects == objects[y, x], 1) * 16 - 8
        group = blur((objects > 0) == (objects[y, x] > 0), 4) * 3 - 1.5  # soft: unstable
        score = sure[y, x] / 255
        return np.stack([part, thing, group]), score * np.array([0.97, 1.0, 0.93]) + x * 1e-5

"""The picture of a result: masks tinted and outlined on the photo, prompts drawn."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

TINT = 0.45  # how much of a mask's colour covers the photo
DIM = 0.62  # brightness of what no mask covers, where one object was asked for
FIRST_HUE, GOLDEN = 0.58, 0.618034  # steps of the golden section keep neighbouring numbers apart
YES, NO = (46, 204, 113), (235, 64, 52)  # markers of points on and beside the object
_FINE = 4  # markers are drawn so many times larger, then scaled down: PIL draws hard edges


def color(number: int) -> tuple[int, int, int]:
    """The colour of mask `number`, counted from 0: bright, and unlike the ones just before."""
    hue = (FIRST_HUE + number * GOLDEN) % 1
    strength = (0.85, 0.6, 0.72)[number % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, strength, 1.0))
    return red, green, blue


def draw(
    photo: np.ndarray,
    masks: Iterable[np.ndarray],
    points: Sequence[tuple[float, float, int]] = (),
    box: tuple[float, float, float, float] | None = None,
    dim: np.ndarray | None = None,
) -> Image.Image:
    """The photo with masks, points and a box on it.

    Shapes:  photo uint8 (h, w, 3); masks bool (h, w) each, later ones are drawn over earlier ones
    points: (x, y, label), label 1 on the object and 0 beside it.
    dim: a mask outside of which the photo is darkened, so that one object stands out.
    """
    canvas = photo.astype(np.float32)
    line = max(2.0, min(photo.shape[:2]) / 260)
    if dim is not None:
        canvas *= (DIM + (1 - DIM) * soften(dim, line))[..., None]
    for number, mask in enumerate(masks):
        _tint(canvas, mask, color(number), line)
    picture = Image.fromarray(canvas.clip(0, 255).round().astype(np.uint8))
    if box is not None:
        _draw_box(picture, box, line)
    for x, y, label in points:
        _draw_point(picture, x, y, label, 4.5 * line)
    return picture


def soften(mask: np.ndarray, line: float) -> np.ndarray:
    """The mask with smooth edges about `line` pixels wide: float32 from 0 to 1, one half at the edge."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    blurred = image.filter(ImageFilter.GaussianBlur(line))
    return np.asarray(blurred, np.float32) / 255


def _tint(canvas: np.ndarray, mask: np.ndarray, tone: tuple[int, int, int], line: float) -> None:
    """Colour a mask and draw its outline, within its box alone: most masks are small."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return
    margin = int(3 * line) + 2
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    window = np.s_[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]
    part, soft = canvas[window], soften(mask[window], line)[..., None]
    # Across a straight edge blurred by s the mask rises by 0.4 / s a pixel: this is the distance to the
    # edge, up to 1.25 s.
    distance = np.abs(soft - 0.5) * line / 0.4
    halo = np.clip(0.9 * line - distance, 0, 1) * 0.75
    edge = np.clip(0.5 * line + 0.5 - distance, 0, 1)
    for target, amount in ((tone, TINT * soft), ((255, 255, 255), halo), (tone, edge)):
        part += (np.array(target, np.float32) - part) * amount


def _draw_box(picture: Image.Image, box, line: float) -> None:
    """A box with a light halo, so that it shows on any photo."""
    pen = ImageDraw.Draw(picture)
    x0, y0, x1, y1 = (round(v) for v in box)
    thick = max(2, round(line))
    for grow, tone in ((max(1, thick // 2), (255, 255, 255)), (0, (255, 176, 0))):
        pen.rectangle(
            (x0 - grow, y0 - grow, x1 + grow, y1 + grow), outline=tone, width=thick + 2 * grow
        )


def _draw_point(picture: Image.Image, x: float, y: float, label: int, radius: float) -> None:
    """A round marker: green with a plus on the object, red with a minus beside it."""
    side = 2 * int(radius + 3)
    big = Image.new("RGBA", (side * _FINE, side * _FINE))
    pen = ImageDraw.Draw(big)
    middle, r = side * _FINE / 2, radius * _FINE

    def disc(size: float, tone) -> None:
        pen.ellipse((middle - size, middle - size, middle + size, middle + size), fill=tone)

    disc(r + _FINE, (0, 0, 0, 110))
    disc(r, (255, 255, 255, 255))
    disc(0.78 * r, (*(YES if label else NO), 255))
    arm, half = 0.45 * r, 0.11 * r
    pen.rectangle((middle - arm, middle - half, middle + arm, middle + half), fill="white")
    if label:
        pen.rectangle((middle - half, middle - arm, middle + half, middle + arm), fill="white")
    marker = big.resize((side, side), Image.Resampling.LANCZOS)
    picture.paste(marker, (round(x - side / 2), round(y - side / 2)), marker)

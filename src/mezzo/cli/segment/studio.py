"""The photos and the model behind the page: knows nothing of HTTP but the status of a problem."""

from __future__ import annotations

import contextlib
import io
import json
import math
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import click
import numpy as np
from PIL import Image

import mezzo
from mezzo.cli import precision
from mezzo.cli.segment import overlay, photos, prompts, report, run
from mezzo.errors import MezzoError
from mezzo.models.sam2 import SAM2ImagePredictor, rle

MAX_UPLOAD = 32 << 20  # bytes of a photo
MAX_PHOTOS = 4  # kept at a time; the one unused for longest goes
MAX_POINTS = 64
SHOWN = 1600  # pixels of the longer side of what the page shows
GRIDS = (8, 16, 24, 32)  # points a side for everything


class Problem(Exception):
    """Something the visitor can mend, with the HTTP status that says so."""

    def __init__(self, text: str, status: int = 400):
        super().__init__(text)
        self.status = status


@dataclass
class Entry:
    """A photo, embedded."""

    photo: np.ndarray  # uint8 (h, w, 3)
    shown: tuple[int, int]  # height and width of the picture on the page
    jpeg: bytes
    predictor: SAM2ImagePredictor
    done: tuple[int, int] = (0, 0)
    everything: list[run.Found] = field(default_factory=list)


class Studio:
    """Embeds photos and answers prompts, one at a time, from whichever thread asks."""

    def __init__(self, model, config: str, dtype: str):
        self.model, self.config, self.dtype = model, config, dtype
        self._photos: OrderedDict[str, Entry] = OrderedDict()
        self._model_lock = threading.Lock()
        self._photos_lock = threading.Lock()

    def state(self) -> dict:
        """What the page shows of the server."""
        return {
            "model": self.config.rpartition("/")[2].removesuffix(".yaml"),
            "dtype": self.dtype,
            "max_upload": MAX_UPLOAD,
            "grids": GRIDS,
        }

    def add(self, content: bytes) -> dict:
        """Embed a photo: its key, its size in pixels and that of its picture, and the seconds it took.

        Raises: Problem for what is no image, or too large a one
        """
        if not content:
            raise Problem("the photo is empty: 0 bytes arrived")
        try:
            photo = photos.as_bytes(photos.decode(content, "the photo"))
        except click.UsageError as problem:
            raise Problem(problem.message) from None
        height, width = photo.shape[:2]
        scale = min(1.0, SHOWN / max(height, width))
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        picture = Image.fromarray(photo).resize((shown[1], shown[0]), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=90)
        entry = Entry(photo, shown, file.getvalue(), SAM2ImagePredictor(self.model))
        start = time.perf_counter()
        with self._computing():
            entry.predictor.set_image(photo)
        key = secrets.token_urlsafe(9)
        with self._photos_lock:
            self._photos[key] = entry
            while len(self._photos) > MAX_PHOTOS:
                self._photos.popitem(last=False)
        size = {"width": width, "height": height, "shown": {"width": shown[1], "height": shown[0]}}
        return {"id": key, **size, "seconds": time.perf_counter() - start}

    def picture(self, key: str) -> bytes:
        """The photo as the page shows it, JPEG."""
        return self._entry(key).jpeg

    def progress(self, key: str) -> dict:
        """How far segmenting everything is."""
        done, total = self._entry(key).done
        return {"done": done, "total": total}

    def predict(self, question: dict) -> dict:
        """Masks of points and a box, best first."""
        entry, prompt = self._read(question)
        start = time.perf_counter()
        with self._computing():
            found = run.predict(entry.predictor, prompt)
        return self._answer(entry, found, time.perf_counter() - start)

    def everything(self, question: dict) -> dict:
        """Masks of all there is, largest first."""
        entry = self._entry(question.get("id"))
        side = question.get("points_per_side", GRIDS[1])
        if side not in GRIDS:
            raise Problem(f"points_per_side is {side!r}; it must be one of {GRIDS}")
        prompt = run.Prompt(everything=True, options={"points_per_side": side})

        def advance(done: int, total: int) -> None:
            entry.done = (done, total)

        entry.done = (0, side * side)
        start = time.perf_counter()
        with self._computing():
            entry.everything = run.everything(self.model, entry.photo, prompt, advance)
        return self._answer(entry, entry.everything, time.perf_counter() - start)

    def result(self, question: dict) -> bytes:
        """The picture to keep, PNG at the photo's own size: masks and prompts drawn."""
        if question.get("everything"):
            entry = self._entry(question.get("id"))
            masks, prompt = [found.mask for found in entry.everything], run.Prompt()
        else:
            entry, prompt = self._read(question)
            with self._computing():
                found = run.predict(entry.predictor, prompt)
            chosen = question.get("chosen", 0)
            if not isinstance(chosen, int) or not 0 <= chosen < len(found):
                raise Problem(f"chosen is {chosen!r}; it must be from 0 to {len(found) - 1}")
            masks = [found[chosen].mask]
        dim = None if question.get("everything") else masks[0]
        file = io.BytesIO()
        overlay.draw(entry.photo, masks, prompt.points, prompt.box, dim).save(file, "PNG")
        return file.getvalue()

    @staticmethod
    def parse(content: bytes) -> dict:
        """The JSON object of a request."""
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise Problem("the request is not JSON") from None
        if not isinstance(found, dict):
            raise Problem(f"the request is a JSON {type(found).__name__}; it must be an object")
        return found

    @contextlib.contextmanager
    def _computing(self):
        """The model for one thread at a time, in the precision of the page."""
        try:
            with self._model_lock, mezzo.inference_mode(), precision.autocast(self.dtype):
                yield
        except MezzoError as problem:
            raise Problem(str(problem)) from problem

    def _entry(self, key) -> Entry:
        with self._photos_lock:
            if not isinstance(key, str) or key not in self._photos:
                raise Problem(
                    f"the photo is no longer here: the {MAX_PHOTOS} last ones are kept. Drop it again",
                    404,
                )
            self._photos.move_to_end(key)
            return self._photos[key]

    def _read(self, question: dict) -> tuple[Entry, run.Prompt]:
        """The photo and the prompt of a request, checked."""
        entry = self._entry(question.get("id"))
        points = question.get("points") or []
        if not isinstance(points, list) or len(points) > MAX_POINTS:
            raise Problem(f"points must be a list of at most {MAX_POINTS} points")
        found = []
        for point in points:
            x, y, label = _numbers(point, 3, "a point must be [x, y, label]")
            if label not in (0, 1):
                raise Problem(f"the label of a point is {label:g}; it must be 1 or 0")
            found.append((x, y, int(label)))
        box = question.get("box")
        if box is not None:
            x0, y0, x1, y1 = _numbers(box, 4, "box must be [x0, y0, x1, y1]")
            if not (x0 < x1 and y0 < y1):
                raise Problem(f"box is {box}; its left upper corner comes first")
            box = (x0, y0, x1, y1)
        if box is None and not any(label for *_, label in found):
            raise Problem("no prompt: click on the object, or drag a box around it")
        try:
            height, width = entry.photo.shape[:2]
            prompts.check_inside(found, box, width, height, "the photo")
        except click.UsageError as problem:
            raise Problem(problem.message) from None
        return entry, run.Prompt(tuple(found), box)

    def _answer(self, entry: Entry, found: list[run.Found], seconds: float) -> dict:
        """Masks as run lengths at the size of the picture on the page, row by row."""
        height, width = entry.photo.shape[:2]
        rows = (np.arange(entry.shown[0]) + 0.5) * height / entry.shown[0]
        columns = (np.arange(entry.shown[1]) + 0.5) * width / entry.shown[1]
        pick = np.ix_(rows.astype(int), columns.astype(int))
        return {
            "seconds": seconds,
            "masks": [
                {
                    "score": each.score,
                    "area": each.area,
                    "text": report.describe(each, height * width),
                    "color": overlay.color(0 if len(found) <= 3 else number),
                    # Of the transposed mask, because the page fills its pixels row by row.
                    "runs": rle.mask_to_rle(each.mask[pick].T[None])[0]["counts"],
                }
                for number, each in enumerate(found)
            ],
        }


def _numbers(values, count: int, wanted: str) -> tuple[float, ...]:
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(type(v) in (int, float) and math.isfinite(v) for v in values)
    ):
        raise Problem(f"{wanted}, {count} numbers")
    return tuple(float(v) for v in values)

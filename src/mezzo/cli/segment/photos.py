"""Which photos a command was given, read and checked before any work begins."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from mezzo.cli.segment import prompts
from mezzo.models.sam2.images import read_image

MAX_PIXELS = 100_000_000  # three masks of as many logits take 1.2 GB
MAX_FILE = 1 << 30  # bytes
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


def gather(given: tuple[Path, ...]) -> list[Path]:
    """The image files that are named, and those in the folders that are, each once, in order.

    Raises: click.UsageError for a path that leads nowhere, or a folder without images
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise click.UsageError(
                    f"the folder {str(path)!r} holds no images ({', '.join(SUFFIXES)})."
                )
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise click.UsageError(f"there is no file or folder {str(path)!r}.")
    return list(found)


def check(paths: list[Path], points, box) -> None:
    """Decode every photo once, so that a bad one among many is told before the first is segmented.

    Raises: click.UsageError that names all that cannot be read, or a prompt that lies outside
    """
    bad = []
    for path in paths:
        try:
            height, width = read(path).shape[:2]
        except click.UsageError as problem:
            bad.append(problem.message)
            continue
        prompts.check_inside(points, box, width, height, str(path))
    if bad:
        raise click.UsageError("\n".join(bad))


def read(path: Path) -> np.ndarray:
    """A photo as uint8 or float32 (h, w, 3), upright, in RGB.

    Raises: click.UsageError that says what is wrong with the file
    """
    if not path.is_file():
        raise click.UsageError(f"{path}: there is no such file.")
    if path.stat().st_size > MAX_FILE:
        raise click.UsageError(
            f"{path}: {path.stat().st_size >> 20:,} MiB; an image file of at most {MAX_FILE >> 20:,} MiB "
            "is read. Scale the photo down first."
        )
    return decode(path.read_bytes(), str(path))


def decode(content: bytes, name: str) -> np.ndarray:
    """As read, from the bytes of a file."""
    try:
        return read_image(content, name, MAX_PIXELS)
    except (OSError, ValueError) as problem:
        raise click.UsageError(str(problem)) from None


def as_bytes(photo: np.ndarray) -> np.ndarray:
    """A photo as uint8, whatever its depth was."""
    if photo.dtype == np.uint8:
        return photo
    return (photo * 255).clip(0, 255).round().astype(np.uint8)

"""Results as files: pictures, masks as .npz, masks as COCO's JSON. A file is there whole, or not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import click
import numpy as np
from PIL import Image

import mezzo
from mezzo.cli.segment.run import Outcome
from mezzo.io.atomic import replacing
from mezzo.models.sam2 import rle

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def check_targets(paths: list[Path], out: Path | None, masks: Path | None, batch: bool) -> None:
    """Raise UsageError for places where the results cannot go; they are looked at before any work."""
    kinds = (("--out", out, tuple(PICTURES)), ("--masks", masks, (".npz", ".json")))
    for option, target, suffixes in kinds:
        if target is None:
            continue
        if batch and target.suffix.lower() != ".json":
            if target.suffix and not target.is_dir():
                raise click.UsageError(
                    f"{option}: {len(paths)} photos give as many results: name a folder, not "
                    f"{str(target)!r}."
                )
            if target.exists() and not target.is_dir():
                raise click.UsageError(f"{option}: {str(target)!r} is a file; name a folder.")
        else:
            _check_file(option, target, suffixes)
        if not target.parent.is_dir():
            raise click.UsageError(
                f"{option}: the folder {str(target.parent)!r} does not exist; make it, or choose another."
            )
    for target in (out, masks):
        if target is not None and any(same(target, path) for path in paths):
            raise click.UsageError(f"{str(target)!r} is the photo itself; write somewhere else.")


def _check_file(option: str, target: Path, suffixes: tuple[str, ...]) -> None:
    if target.is_dir():
        raise click.UsageError(f"{option}: {str(target)!r} is a folder; name a file.")
    if target.suffix.lower() not in suffixes:
        raise click.UsageError(
            f"{option}: {str(target)!r} must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}."
        )


def same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file."""
    return one.exists() and other.exists() and one.samefile(other)


def names(paths: list[Path]) -> list[str]:
    """A name for the results of each photo: its own without suffix, numbered if taken."""
    taken: set[str] = set()
    found = []
    for path in paths:
        name, number = path.stem, 1
        while name in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name)
        found.append(name)
    return found


def picture(image: Image.Image, path: Path) -> None:
    """Write a picture in the format its suffix names."""
    options = {"quality": 92} if PICTURES[path.suffix.lower()] != "PNG" else {}
    with replacing(path) as temporary:
        image.save(temporary, PICTURES[path.suffix.lower()], **options)


def arrays(outcome: Outcome, path: Path) -> None:
    """Masks as .npz: masks bool (n, h, w), scores float32 (n,), areas int64 (n,), boxes int64 (n, 4).

    Boxes are x0, y0, x1, y1, the first and last column and row that the mask has.
    """
    height, width = outcome.size
    found = outcome.masks
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file,
    ):
        with file.open("masks.npy", "w", force_zip64=True) as member:
            shape = {"descr": "|b1", "fortran_order": False, "shape": (len(found), height, width)}
            np.lib.format.write_array_header_1_0(member, shape)
            for each in found:  # one at a time: hundreds of masks of a large photo fill gigabytes
                member.write(np.ascontiguousarray(each.mask).data)
        for name, values in (
            ("scores", np.array([each.score for each in found], np.float32)),
            ("areas", np.array([each.area for each in found], np.int64)),
            ("boxes", np.array([each.box for each in found], np.int64).reshape(-1, 4)),
        ):
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def coco(outcomes: list[Outcome], path: Path) -> None:
    """Masks of any number of photos as COCO's JSON of annotations; it has a score for each besides."""
    images, annotations = [], []
    for number, outcome in enumerate(outcomes, 1):
        height, width = outcome.size
        images.append(
            {"id": number, "file_name": outcome.path.name, "width": width, "height": height}
        )
        for found in outcome.masks:
            x0, y0, x1, y1 = found.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": rle.coco_encode_rle(found.runs),
                    "area": found.area,
                    "bbox": [x0, y0, x1 - x0 + 1, y1 - y0 + 1] if found.area else [0, 0, 0, 0],
                    "iscrowd": 0,
                    "score": found.score,
                }
            )
    content = {
        "info": {"description": f"masks by mezzo {mezzo.__version__} segment"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "object"}],
    }
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file)

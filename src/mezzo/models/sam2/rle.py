"""Binary masks as run lengths (COCO's RLE), as boxes and as areas. NumPy only."""

from __future__ import annotations

import numpy as np

from mezzo.errors import ArgumentValueError, ShapeError

_FIRST = 48  # the character "0": six bits a character, from "0" to "o"


def mask_to_rle(masks: np.ndarray) -> list[dict]:
    """Uncompressed run lengths of each mask, column by column, as COCO writes them.

    Shapes:  masks bool (n, h, w) -> n dicts {"size": [h, w], "counts": lengths}, beginning with the
             run that is not set (0 if the first pixel is set)
    """
    masks = np.asarray(masks, bool)
    if masks.ndim != 3:
        raise ShapeError(f"mask_to_rle: masks have shape {masks.shape}; they must be (n, h, w).")
    _, height, width = masks.shape
    found = []
    for mask in masks:
        line = np.ascontiguousarray(mask.T).reshape(-1)
        change = np.flatnonzero(line[1:] != line[:-1]) + 1
        counts = np.diff(change, prepend=0, append=line.size).tolist()
        if line.size and line[0]:
            counts.insert(0, 0)
        found.append({"size": [height, width], "counts": counts})
    return found


def rle_to_mask(rle: dict) -> np.ndarray:
    """The mask of run lengths, uncompressed or COCO's string.

    Shapes:  {"size": [h, w], "counts": ...} -> bool (h, w)
    Raises:  ValueError if the runs do not add up to h * w
    """
    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        counts = decode_counts(counts)
    counts = np.asarray(counts, np.int64)
    if (counts < 0).any() or counts.sum() != height * width:
        raise ArgumentValueError(
            f"rle_to_mask: the runs cover {counts.sum()} pixels; for size [{height}, {width}] they "
            f"must cover {height * width}."
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def area_from_rle(rle: dict) -> int:
    """The number of set pixels of uncompressed run lengths."""
    return sum(rle["counts"][1::2])


def coco_encode_rle(rle: dict) -> dict:
    """Uncompressed run lengths with their counts as COCO's string, which JSON holds."""
    return {"size": list(rle["size"]), "counts": encode_counts(rle["counts"])}


def encode_counts(counts: list[int]) -> str:
    """Run lengths as COCO's string.

    From the fourth on, a run is written as its difference to the run two before, in groups of five
    bits, lowest first: a sixth bit says that more follow, and the last group carries the sign.
    Source: the COCO API, rleToString.
    """
    text = bytearray()
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(_FIRST + group + (32 if more else 0))
    return text.decode("ascii")


def decode_counts(text: str | bytes) -> list[int]:
    """The run lengths of COCO's string, the inverse of encode_counts.

    Raises: ValueError for characters outside the code, or a string that ends within a number.
    """
    raw = text.encode("utf-8") if isinstance(text, str) else text
    counts: list[int] = []
    value = shift = 0
    for place, byte in enumerate(raw):
        group = byte - _FIRST
        if not 0 <= group < 64:
            raise ArgumentValueError(
                f"decode_counts: byte {byte} at place {place} is not in COCO's code of run lengths, "
                "which has the characters '0' to 'o'."
            )
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ArgumentValueError("decode_counts: the string ends within a number: it is cut off.")
    return counts


def batched_mask_to_box(masks: np.ndarray) -> np.ndarray:
    """The smallest and largest column and row of each mask, (x0, y0, x1, y1), all inclusive.

    Shapes:  masks bool (..., h, w) -> int64 (..., 4); an empty mask has the box 0, 0, 0, 0
    """
    masks = np.asarray(masks, bool)
    height, width = masks.shape[-2:]
    if not masks.size:
        return np.zeros((*masks.shape[:-2], 4), np.int64)
    columns, rows = (np.asarray(masks.any(axis=k)) for k in (-2, -1))
    edges = [
        columns.argmax(-1),
        rows.argmax(-1),
        width - 1 - columns[..., ::-1].argmax(-1),
        height - 1 - rows[..., ::-1].argmax(-1),
    ]
    return np.stack(edges, axis=-1) * np.any(rows, axis=-1, keepdims=True)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks of one shape; 1 if both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0

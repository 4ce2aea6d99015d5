"""One model, one precision, many photos: what `mezzo segment` computes and measures."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

import mezzo
from mezzo import amp, cpu
from mezzo.cli import precision
from mezzo.errors import MezzoError, OutOfMemoryError
from mezzo.kernels.cpu import target
from mezzo.models.sam2 import SAM2AutomaticMaskGenerator, SAM2ImagePredictor, build_sam2, rle
from mezzo.models.sam2.build_sam import likely_config, read_checkpoint
from mezzo.models.sam2.config import names

POINTS_PER_BATCH = 16  # of everything: 64 are no faster on a CPU and take 1 GiB more
STEPS = 2  # of a photo with a prompt: embed it, find the masks
DTYPES = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Prompt:
    """What to segment: an object by points (x, y, label) and a box, or everything."""

    points: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, float, float, float] | None = None
    everything: bool = False
    options: dict = field(default_factory=dict)  # of SAM2AutomaticMaskGenerator

    @property
    def is_ambiguous(self) -> bool:
        """One click may mean a part, an object or a group: the model then gives three readings."""
        return len(self.points) == 1 and self.box is None


@dataclass(frozen=True)
class Found:
    """One mask: its run lengths, the model's estimate of its IoU, and what follows from the mask."""

    runs: dict
    score: float
    box: tuple[int, int, int, int]  # first and last column and row
    stability: float | None = None

    @property
    def mask(self) -> np.ndarray:
        """bool (h, w)"""
        return rle.rle_to_mask(self.runs)

    @property
    def area(self) -> int:
        """In pixels."""
        return rle.area_from_rle(self.runs)


@dataclass
class Outcome:
    """What one photo gave, best mask first, and what it cost."""

    path: Path
    size: tuple[int, int]  # height, width
    masks: list[Found]
    seconds: float  # for everything
    embed_seconds: float | None = None  # of which set_image took this; None where crops mix the two
    peak_bytes: int = 0  # of tensors: the weights, and what the work took at most
    ran: dict[str, dict[str, int]] = field(default_factory=dict)  # the ledger's counts


def choose_dtype(name: str) -> str:
    """What "auto" means here: bf16 where the processor multiplies it itself, else fp32."""
    host = target.host()
    if name != "auto":
        return name
    return "bf16" if host.has_avx512_bf16 or host.has_amx_bf16 else "fp32"


def open_model(checkpoint: Path, config: str | None, dtype: str):
    """The model for a precision, and the name of its config, which is guessed from the weights unless given.

    Weights that a low precision rounds anyway are kept rounded: the same results in half the memory.

    Raises: click.UsageError for files that are no checkpoint, or fit no config
    """
    try:
        if config is None:
            config = guess_config(checkpoint)
        low = None if dtype == "fp32" else precision.DTYPES[dtype]
        return build_sam2(config, checkpoint, weights_dtype=low), config
    except OutOfMemoryError:
        raise
    except (MezzoError, OSError, ValueError) as problem:
        raise click.UsageError(str(problem)) from None


def guess_config(checkpoint: Path) -> str:
    """The config whose shapes the weights have.

    Raises: click.UsageError if it is none of those that come with mezzo
    """
    weights = read_checkpoint(checkpoint)
    likely = likely_config(weights)
    if likely in names():
        return likely
    known = ", ".join(names())
    if likely is None:
        keys = ", ".join(list(weights)[:3])
        raise click.UsageError(
            f"{checkpoint} holds {len(weights)} weights ({keys}, ...), which are not those of a model "
            f"whose config comes with mezzo ({known}). Is it a SAM 2 checkpoint? If so, name its config: "
            "--config PATH."
        )
    raise click.UsageError(
        f"{checkpoint} looks like {likely}; the configs that come with mezzo are {known}. Name the "
        "checkpoint's own: --config PATH."
    )


def segment(
    model,
    path: Path,
    photo: np.ndarray,
    prompt: Prompt,
    dtype: str,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Segment one photo in a precision and measure it.

    progress: called with work done and work in all, where everything is segmented
    """
    before = cpu.memory_allocated()
    cpu.reset_peak_memory_stats()
    with mezzo.inference_mode(), precision.autocast(dtype), amp.ledger() as book:
        start = time.perf_counter()
        if prompt.everything:
            embedded, masks = None, everything(model, photo, prompt, progress)
        else:
            predictor = SAM2ImagePredictor(model)
            predictor.set_image(photo)
            embedded = time.perf_counter() - start
            if progress is not None:
                progress(1, STEPS)
            masks = predict(predictor, prompt)
        seconds = time.perf_counter() - start
    return Outcome(
        path,
        photo.shape[:2],
        masks,
        seconds,
        embedded,
        weights_bytes(model) + cpu.max_memory_allocated() - before,
        book.counts(),
    )


def predict(predictor: SAM2ImagePredictor, prompt: Prompt) -> list[Found]:
    """The masks of a prompt on the image that is set, best first: three for a single point, else one."""
    points = np.array([p[:2] for p in prompt.points], np.float32) if prompt.points else None
    labels = np.array([p[2] for p in prompt.points], np.int32) if prompt.points else None
    masks, scores, _ = predictor.predict(
        points,
        labels,
        box=None if prompt.box is None else np.array(prompt.box, np.float32),
        multimask_output=prompt.is_ambiguous,
    )
    masks = masks.astype(bool)
    order = np.argsort(-scores, kind="stable")
    runs, boxes = rle.mask_to_rle(masks), rle.batched_mask_to_box(masks)
    return [Found(runs[n], float(scores[n]), tuple(boxes[n].tolist())) for n in order]


def everything(model, photo: np.ndarray, prompt: Prompt, progress) -> list[Found]:
    """All masks, the largest first, so that in a picture the small ones lie above."""
    generator = SAM2AutomaticMaskGenerator(
        model,
        points_per_batch=POINTS_PER_BATCH,
        output_mode="uncompressed_rle",
        **prompt.options,
    )
    found = []
    for record in generator.generate(photo, progress=progress):
        x, y, width, height = (int(v) for v in record["bbox"])
        box = (x, y, x + width, y + height)
        score, stable = record["predicted_iou"], record["stability_score"]
        found.append(Found(record["segmentation"], score, box, stable))
    return sorted(found, key=lambda each: -each.area)


def weights_bytes(model) -> int:
    """What the weights take, be they in memory of ours or mapped from the file."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def process_peak() -> int:
    """Bytes of memory that the whole process had at most, as the system counts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

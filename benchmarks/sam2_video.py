"""SAM 2.1 following an object, against the official code: both go through the same film in turn, frame by frame.

    python benchmarks/sam2_video.py --official FOLDER [--size tiny] [--dtypes float32 bfloat16] [--frames 10] [--threads 2]
        [--clock wall|cpu]

FOLDER holds the official package `sam2`, with what it needs installed. Weights are those of the tests. Times are medians
over the frames from the eighth on, when as many memories are attended to as ever. With --clock cpu and one thread the
processor's time is compared, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import mezzo
from mezzo.models.sam2 import build_sam2_video_predictor

GOLDENS = Path(__file__).resolve().parents[1] / "tests" / "programs" / "sam2"
CONFIGS = {"tiny": "t", "small": "s", "base+": "b+", "large": "l"}
PARTS = ("image_encoder.trunk", "memory_attention", "sam_mask_decoder", "memory_encoder")
NO_HOLES = ["++model.fill_hole_area=0"]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WARM = 7


def ours(film, config: str, vos: bool):
    """mezzo's predictor with the tests' weights. Holes are left, as the official code leaves them without CUDA."""
    model = build_sam2_video_predictor(config, hydra_overrides_extra=NO_HOLES, vos_optimized=vos)
    weights = {k: mezzo.from_numpy(v) for k, v in film.weights(model, {film.PRESENCE: 4.0}).items()}
    model.load_state_dict(weights, assign=True)
    return model


def official(film, config: str):
    """The official predictor with the same weights."""
    from sam2.build_sam import build_sam2_video_predictor as build

    model = build(config, None, device="cpu", hydra_overrides_extra=NO_HOLES)
    weights = film.weights(model, {film.PRESENCE: 4.0})
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    return model


class Stopwatch:
    """Seconds that the parts of a model take, by name, for every call."""

    def __init__(self, model, clock):
        self.clock = clock
        self.found = {name: [] for name in PARTS}
        for name in PARTS:
            part = model.get_submodule(name)
            part.register_forward_pre_hook(lambda *_: self.begun.append(clock()))
            part.register_forward_hook(lambda *_, name=name: self.stop(name))
        self.begun: list[float] = []

    def stop(self, name: str) -> None:
        self.found[name].append(self.clock() - self.begun.pop())

    def median(self, name: str) -> float:
        late = self.found[name][WARM:]
        return float(np.median(late)) if late else float("nan")


@contextlib.contextmanager
def region(library, dtype: str):
    """inference_mode, and autocast unless in float32."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(library.inference_mode())
        if dtype != "float32":
            stack.enter_context(library.autocast("cpu", dtype=getattr(library, dtype)))
        yield


def begin(model, library, folder: str, dtype: str):
    """A propagation that waits for its first frame."""
    with region(library, dtype):
        state = model.init_state(folder)
        model.add_new_points_or_box(state, 0, 1, points=[[200.0, 150.0]], labels=[1])
    return model.propagate_in_video(state)


def compare(film, options, dtype: str, folder: str) -> None:
    """Print the rows of one dtype."""
    clock = CLOCKS[options.clock]
    config = f"configs/sam2.1/sam2.1_hiera_{CONFIGS[options.size]}.yaml"
    sides = [(ours(film, config, options.vos), mezzo), (official(film, config), torch)]
    watches = [Stopwatch(model, clock) for model, _ in sides]
    runs = [begin(model, library, folder, dtype) for model, library in sides]
    times: list[list[float]] = [[], []]
    agreement = []
    for _ in range(options.frames):
        masks = []
        for run, (_, library), found in zip(runs, sides, times):
            start = clock()
            with region(library, dtype):
                _, _, logits = next(run)
            found.append(clock() - start)
            masks.append(logits.float().numpy() > 0)
        agreement.append((masks[0] == masks[1]).mean())
    rows = {"a frame": [float(np.median(t[WARM:])) for t in times]}
    rows |= {name: [watch.median(name) for watch in watches] for name in PARTS}
    for name, (own, other) in rows.items():
        print(
            f"| {options.size} | {dtype} | {name} | {own:.3f} s | {other:.3f} s | {other / own:.2f} |"
        )
    print(f"pixels on which both agree: {min(agreement):.4f} at least\n", flush=True)


def main() -> None:
    """Parse the options and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--official", required=True, help="folder with the official package")
    parser.add_argument("--size", default="tiny", choices=list(CONFIGS))
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--vos", action="store_true", help="mezzo with vos_optimized")
    options = parser.parse_args()
    sys.path[:0] = [str(GOLDENS), options.official]
    importlib.import_module("make_goldens").prepare()
    film, rule = importlib.import_module("film"), importlib.import_module("rule")
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    mezzo.set_num_threads(options.threads)
    print(f"{options.threads} threads, {options.clock} time, load {os.getloadavg()[0]:.1f}\n")
    print("| size | dtype | part | mezzo | PyTorch | ratio |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for t in range(options.frames):
            frame = rule.image()[:, 4 * t :][:, :560]
            Image.fromarray(frame).save(f"{folder}/{t:05d}.jpg", quality=95)
        for dtype in options.dtypes:
            compare(film, options, dtype, folder)


if __name__ == "__main__":
    main()

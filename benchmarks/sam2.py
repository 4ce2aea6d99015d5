"""SAM 2.1 against the official code: set_image and predict, alternating in one process; peak memory of mezzo.

    python benchmarks/sam2.py --official FOLDER [--sizes tiny large] [--threads 2] [--repeat 5] [--clock wall|cpu] [--compile]

FOLDER holds the official package `sam2`, with what it needs installed. Weights and image are those of the tests. With
--clock cpu and one thread the processor's time is compared, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

import mezzo
from mezzo.models.sam2 import SAM2ImagePredictor, build_sam2

GOLDENS = Path(__file__).resolve().parents[1] / "tests" / "programs" / "sam2"
CONFIGS = {"tiny": "t", "small": "s", "base+": "b+", "large": "l"}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PROMPT = ([[200.0, 150.0]], [1])
PROMPTS = 5  # that each image is asked


def ours(rule, size: str, compiled: bool) -> SAM2ImagePredictor:
    """mezzo's predictor with the tests' weights."""
    name = f"configs/sam2.1/sam2.1_hiera_{CONFIGS[size]}.yaml"
    flag = f"++model.compile_image_encoder={compiled}"
    model = build_sam2(name, hydra_overrides_extra=[flag])
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    # copies, as a loaded checkpoint is: panels of memory that NumPy may write are not kept
    weights = {k: mezzo.from_numpy(rule.weight(k, s)).clone() for k, s in shapes.items()}
    model.load_state_dict(weights, assign=True)
    return SAM2ImagePredictor(model)


def region(library, dtype: str):
    """inference_mode, and autocast unless in float32."""
    stack = contextlib.ExitStack()
    stack.enter_context(library.inference_mode())
    if dtype != "float32":
        stack.enter_context(library.autocast("cpu", dtype=getattr(library, dtype)))
    return stack


def once(predictor, library, dtype: str, image, clock) -> tuple[float, float]:
    """Seconds of set_image, and of predict: the median of several prompts."""
    with region(library, dtype):
        times = [clock()]
        predictor.set_image(image)
        for _ in range(PROMPTS):
            times.append(clock())
            predictor.predict(np.array(PROMPT[0]), np.array(PROMPT[1]))
        steps = np.diff([*times, clock()])
        return float(steps[0]), float(np.median(steps[1:]))


def peak(predictor, dtype: str, image) -> tuple[float, float]:
    """MiB that mezzo held at most during set_image and predict, and that it held before."""
    predictor.reset_predictor()
    mezzo.cpu.reset_peak_memory_stats()
    before = mezzo.cpu.memory_allocated()
    once(predictor, mezzo, dtype, image, time.perf_counter)
    return mezzo.cpu.max_memory_allocated() / 2**20, before / 2**20


def compare(size: str, options, golden_maker, rule) -> None:
    """Print the rows of one size."""
    image, clock = rule.image(), CLOCKS[options.clock]
    own, official = ours(rule, size, options.compile), golden_maker.build(size)[0]
    for dtype in options.dtypes:
        sides = [(own, mezzo), (official, torch)]
        cold, _ = once(*sides[0], dtype, image, time.perf_counter)
        once(*sides[1], dtype, image, time.perf_counter)
        samples = np.array(
            [[once(*side, dtype, image, clock) for side in sides] for _ in range(options.repeat)]
        )
        (set_own, ask_own), (set_other, ask_other) = np.median(samples, 0)
        held, before = peak(own, dtype, image)
        print(
            f"| {size} | {dtype} | {set_own:.2f} s | {set_other:.2f} s | {set_other / set_own:.2f} "
            f"| {ask_own * 1e3:.0f} ms | {ask_other * 1e3:.0f} ms | {ask_other / ask_own:.2f} "
            f"| {cold:.1f} s | {held - before:.0f} MiB |",
            flush=True,
        )


def main() -> None:
    """Parse the options and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--official", required=True, help="folder with the official package")
    parser.add_argument("--sizes", nargs="+", default=["tiny", "large"], choices=list(CONFIGS))
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--compile", action="store_true", help="compile mezzo's image encoder")
    options = parser.parse_args()
    sys.path[:0] = [str(GOLDENS), options.official]
    golden_maker, rule = importlib.import_module("make_goldens"), importlib.import_module("rule")
    golden_maker.prepare()
    torch.set_num_threads(options.threads)
    mezzo.set_num_threads(options.threads)
    how = "compiled" if options.compile else "eager"
    print(
        f"{how}, {options.threads} threads, {options.clock} time, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| size | dtype | set_image: mezzo | PyTorch | ratio | predict: mezzo | PyTorch | ratio | first image | memory beside the weights |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        compare(size, options, golden_maker, rule)


if __name__ == "__main__":
    main()

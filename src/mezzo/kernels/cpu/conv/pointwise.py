"""Convolutions of one pixel to few channels, of bfloat16 images whose channels are innermost, on tile registers.

    out[p, o] = bias[o] + sum over c of weight[o, c] image[p, c]

Each element of the image is used for so few products that reading it is most of the work. So it is read once, where it lies:
a row of tiles takes all columns of 16 places, and meanwhile the lines of places to come are asked for.
"""

from __future__ import annotations

import ctypes

import numpy as np

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.plan import SERIAL_WORK, parts, up
from mezzo.kernels.cpu.contract.scheme import scheme
from mezzo.kernels.cpu.conv import direct
from mezzo.kernels.cpu.conv.direct_words import WORDS
from mezzo.kernels.cpu.conv.pointwise_ir import PLACES, module

MOST_ELEMENTS = 1 << 14  # of a weight that stays in the first cache
LEAST_COLUMNS = 17  # a single register of sums would wait for itself
DEPTH = 32  # channels of a step
TASKS = 16  # for each thread
LEAST_PLACES = 1024


def plan(
    image: direct.Image, out: direct.Image, weight: direct.Weight, channels: int, outs: int, compute: str, *,
    bias: str | None = None, bias_step: int = 0, threads: int = 1,
) -> direct.Plan | None:  # fmt: skip
    """The plan, or None if another way serves better. Images may be views whose pixels are evenly apart, as far as memory goes."""
    n, high, wide = out.sizes
    places = n * high * wide
    if compute != "bf16" or image.storage != "bf16" or image.turned or out.turned:
        return None
    chosen = scheme(image.storage, weight.storage, out.storage, compute, bias)
    if chosen.method != "amx" or places < LEAST_PLACES or not _even(image) or not _even(out):
        return None
    if not channels or channels % DEPTH or outs < LEAST_COLUMNS:
        return None
    if channels * outs > MOST_ELEMENTS:
        return None
    tiles, panels = -(-places // PLACES), -(-outs // chosen.tile_columns)
    serial = threads <= 1 or places * channels * outs < SERIAL_WORK
    tap = np.zeros(1, np.int64)
    words = dict.fromkeys(WORDS, 0) | {
        "serial": int(serial), "lanes": 1 if serial else threads, "images": 1, "images_each": 1, "groups": 1, "outs": outs,
        "rows": tiles, "rows_each": parts(tiles, max(1, tiles // (TASKS * threads))), "width": places,
        "panels": panels, "panels_each": panels, "channels": channels, "blocks": channels // DEPTH, "length": DEPTH,
        "image_first": image.first, "image_w": image.steps[2], "out_first": out.first, "out_w": out.steps[2],
        "run_lanes": DEPTH // 2, "taps": 1, "tap_at": tap.ctypes.data, "bias_step": bias_step,
        "w_column": weight.column, "w_channel": weight.channel, "panel_bytes": chosen.panel_b.nbytes(channels),
    }  # fmt: skip
    loaded, made = jit.load(module(chosen, direct.reading(weight, channels, outs))), direct.Plan()
    words["at_panels"] = up(panels * chosen.tile_columns * 4, direct.LINE)
    made.workspace_bytes = words["at_panels"] + panels * words["panel_bytes"] + 4 * direct.LINE
    block = (ctypes.c_int64 * len(WORDS))(*[words[name] for name in WORDS])
    made._alive = [block, tap]
    made.plan, made.address, made.block = made, loaded.address("direct"), ctypes.addressof(block)
    made.keeper = None
    return made


def _even(image: direct.Image) -> bool:
    """Whether all pixels of all images are one step apart."""
    (n, high, wide), (image_n, image_h, image_w) = image.sizes, image.steps
    return (high == 1 or image_h == wide * image_w) and (n == 1 or image_n == high * wide * image_w)

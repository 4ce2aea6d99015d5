"""What keeping packed weights brings in inference_mode: calls with and without, in alternation.

python benchmarks/kept.py [threads]
"""

from __future__ import annotations

import functools
import statistics
import sys
import time

import mezzo

F = mezzo.nn.functional
LINEAR = [(rows, 1024, 1024) for rows in (1, 4, 16, 64, 256, 1024)]
IMAGES = [((1, 512, 7, 7), (512, 512, 3, 3), 1), ((1, 2048, 7, 7), (512, 2048, 1, 1), 0),
          ((8, 256, 14, 14), (256, 256, 3, 3), 1), ((1, 64, 56, 56), (64, 64, 3, 3), 1)]  # fmt: skip


def measure(call) -> tuple[float, float]:
    """Median seconds under no_grad, which packs at every call, and in inference_mode."""
    times: tuple[list, list] = ([], [])
    for turn in range(32):
        for mode, found in zip((mezzo.no_grad, mezzo.inference_mode), times):
            with mode():
                start = time.perf_counter()
                call()
                found.append(time.perf_counter() - start)
        if turn == 1:  # compiled and packed
            times[0].clear(), times[1].clear()
    return statistics.median(times[0]), statistics.median(times[1])


def show(name: str, call) -> None:
    """One line."""
    plain, kept = measure(call)
    print(f"{name:55} {plain * 1e6:9.0f} us {kept * 1e6:9.0f} us {plain / kept:6.2f}")


def main() -> None:
    """Linear layers and convolutions, in float32 and under bfloat16 autocast."""
    mezzo.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(f"{'':55} {'every call':>12} {'once':>12} ratio")
    for low in (False, True):
        name = "bf16 autocast" if low else "fp32"
        for m, n, k in LINEAR:
            x, w, b = mezzo.randn(m, k), mezzo.randn(n, k), mezzo.randn(n)
            with mezzo.autocast("cpu", enabled=low):
                show(f"linear {m}x{k} by {n}, {name}", functools.partial(F.linear, x, w, b))
        for shape, weight, padding in IMAGES:
            x, w = mezzo.randn(*shape), mezzo.randn(*weight)
            size = "x".join(map(str, shape))
            with mezzo.autocast("cpu", enabled=low):
                show(f"conv2d {weight[2]}x{weight[3]} of {size}, {name}", functools.partial(F.conv2d, x, w, padding=padding))  # fmt: skip


if __name__ == "__main__":
    main()

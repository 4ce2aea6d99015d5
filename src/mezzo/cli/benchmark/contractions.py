"""Matrix products, convolutions and attention."""

from __future__ import annotations

import functools
from types import ModuleType

from mezzo.cli.benchmark.rows import SIZES, Call, Row, backward, jax_normal, jitted, normal

MATMUL_GOAL = {"fp32": 2.2, "bf16": 1.0, "fp16": 80.0}


def _product(lib: ModuleType, shape_a, shape_b, dtype: str, turned: str = "") -> Call:
    """a @ b; operands named in `turned` are transposes of what lies in memory."""
    a, b = normal(lib, *shape_a, dtype=dtype), normal(lib, *shape_b, dtype=dtype)
    if "a" in turned:
        a = normal(lib, *shape_a[:-2], shape_a[-1], shape_a[-2], dtype=dtype).mT
    if "b" in turned:
        b = normal(lib, *shape_b[:-2], shape_b[-1], shape_b[-2], dtype=dtype).mT
    return lambda: a @ b


def _chosen(lib: ModuleType, size: int, precision: str) -> Call:
    """A square product of float32 as exact as the setting asks; a row's processes are its own."""
    lib.set_float32_matmul_precision(precision)
    return _product(lib, (size, size), (size, size), "fp32")


def _jax_product(jax: ModuleType, shape_a, shape_b, dtype: str) -> Call:
    a, b = jax_normal(jax, *shape_a, dtype=dtype), jax_normal(jax, *shape_b, dtype=dtype)
    return jitted(jax, lambda a, b: a @ b, a, b)


def _matmul(name, m, n, k, dtype, goal, group="matmul", batch=1, turned="") -> Row:
    lead = (batch,) if batch > 1 else ()
    a, b = (*lead, m, k), (*lead, k, n)
    moved = SIZES[dtype] * batch * (m * k + k * n + m * n)
    return Row(
        f"{name}, {dtype}",
        group,
        functools.partial(_product, shape_a=a, shape_b=b, dtype=dtype, turned=turned),
        goal,
        2.0 * m * n * k * batch,
        moved,
        dtype,
        None if turned else functools.partial(_jax_product, shape_a=a, shape_b=b, dtype=dtype),
    )


def matmuls() -> list[Row]:
    """Square, skinny, batched, transposed and small products."""
    found = []
    for dtype, sizes in (("fp32", (512, 1024, 2048, 4096)), ("bf16", (512, 1024, 2048, 4096)),
                         ("fp16", (512, 1024, 2048))):  # fmt: skip
        for size in sizes:
            name = f"matmul {size}"
            found.append(_matmul(name, size, size, size, dtype, MATMUL_GOAL[dtype]))
    for precision in ("high", "medium"):
        for size in (1024, 2048):
            build = functools.partial(_chosen, size=size, precision=precision)
            name, moved = f"matmul {size}, fp32, precision {precision}", 12.0 * size**2
            found.append(Row(name, "matmul", build, None, 2.0 * size**3, moved, "bf16"))
    for dtype in ("fp32", "bf16"):
        goal = MATMUL_GOAL[dtype]
        found += [
            _matmul("skinny 4096x64x576", 4096, 64, 576, dtype, goal),
            _matmul("skinny 64x4096x1024", 64, 4096, 1024, dtype, goal),
            _matmul("long k 256x256x65536, a.T", 256, 256, 65536, dtype, goal, turned="a"),
            _matmul("batched 64 of 128x128x128", 128, 128, 128, dtype, goal, batch=64),
            _matmul("batched 48 of 512x512x64, b.T", 512, 512, 64, dtype, goal, batch=48, turned="b"),
            _matmul("a @ b.T 1024", 1024, 1024, 1024, dtype, goal, turned="b"),
            _matmul("a.T @ b 1024", 1024, 1024, 1024, dtype, goal, turned="a"),
            _matmul("matrix-vector 4096", 4096, 1, 4096, dtype, 1.2, "small matmul"),
            _matmul("vector-matrix 4096", 1, 4096, 4096, dtype, 1.2, "small matmul"),
        ]  # fmt: skip
        found += [
            _matmul(f"matmul {size}", size, size, size, dtype, 1.2, "small matmul")
            for size in (8, 16, 32, 64, 128)
        ]
    return found


# name: input channels, output channels, side, kernel, stride, groups (of a batch of 8)
CONVOLUTIONS = {
    "3x3": (64, 64, 56, 3, 1, 1),
    "1x1": (256, 64, 56, 1, 1, 1),
    "7x7 stride 2": (3, 64, 224, 7, 2, 1),
    "depthwise 3x3": (128, 128, 56, 3, 1, 128),
    "grouped 3x3": (128, 128, 28, 3, 1, 4),
}


def _convolution(lib: ModuleType, shape: tuple, dtype: str, last: bool, back: bool) -> Call:
    inner, outer, side, kernel, stride, groups = shape
    x = normal(lib, 8, inner, side, side, dtype=dtype)
    w = normal(lib, outer, inner // groups, kernel, kernel, dtype=dtype)
    if last:
        x, w = (t.to(memory_format=lib.channels_last) for t in (x, w))
    x.requires_grad_(back), w.requires_grad_(back)

    def forward():
        return lib.nn.functional.conv2d(x, w, stride=stride, padding=kernel // 2, groups=groups)

    return backward(lib, forward(), [x, w]) if back else forward


def convolutions() -> list[Row]:
    """Each kind, both memory formats, forward and both gradients."""
    found = []
    for dtype in ("fp32", "bf16"):
        for name, shape in CONVOLUTIONS.items():
            inner, outer, side, kernel, stride, groups = shape
            out = (side // stride) ** 2 * outer * 8
            flops = 2.0 * out * kernel**2 * inner // groups
            moved = SIZES[dtype] * (8 * inner * side**2 + out + outer * inner // groups * kernel**2)
            for last in (False, True):
                for back in (False, True):
                    title = (f"conv2d {name}{' backward' if back else ''}, "
                             f"{'channels_last' if last else 'NCHW'}, {dtype}")  # fmt: skip
                    build = functools.partial(
                        _convolution, shape=shape, dtype=dtype, last=last, back=back
                    )
                    times = 2 if back else 1
                    group = "conv2d backward" if back else "conv2d"
                    found.append(Row(title, group, build, 1.0, times * flops, times * moved, dtype))
    return found


def _attention(lib: ModuleType, shape, dtype: str, how: str, back: bool) -> Call:
    length = shape[2]
    q, k, v = (normal(lib, *shape, dtype=dtype, grad=back) for _ in range(3))
    options = {
        "plain": {},
        "causal": {"is_causal": True},
        "dropout": {"dropout_p": 0.1},
        "mask": {"attn_mask": lib.rand(length, length) > 0.1},
    }[how]

    def forward():
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, **options)

    return backward(lib, forward(), [q, k, v]) if back else forward


def attentions() -> list[Row]:
    """Two shapes, plain, causal, with a mask and with dropout; forward and backward."""
    found = []
    for dtype, goal in (("fp32", 2.2), ("bf16", 4.0)):
        for shape in ((4, 8, 512, 64), (1, 16, 4096, 64)):
            batch, heads, length, depth = shape
            for how in ("plain", "causal", "mask", "dropout"):
                flops = 4.0 * batch * heads * length**2 * depth * (0.5 if how == "causal" else 1)
                moved = SIZES[dtype] * 4.0 * batch * heads * length * depth
                for back in (False, True):
                    title = (f"attention {'x'.join(map(str, shape))} {how}"
                             f"{' backward' if back else ''}, {dtype}")  # fmt: skip
                    build = functools.partial(
                        _attention, shape=shape, dtype=dtype, how=how, back=back
                    )
                    times = 2.5 if back else 1
                    found.append(
                        Row(title, "attention", build, goal, times * flops, times * moved, dtype)
                    )
    return found

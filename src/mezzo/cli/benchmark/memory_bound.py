"""Work that memory limits: elementwise operations, row operations, reductions, indexing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType

from mezzo.cli.benchmark.rows import (
    MILLION,
    SIZES,
    Call,
    Row,
    backward,
    jax_normal,
    jitted,
    normal,
)

WIDE = 16 * MILLION


def _over(lib: ModuleType, make: Callable, shapes: tuple, dtype: str, back: bool) -> Call:
    """make(lib, *operands) -> output, over normal operands; back: its backward pass instead."""
    operands = [normal(lib, *shape, dtype=dtype, grad=back) for shape in shapes]
    if back:
        return backward(lib, make(lib, *operands), operands)
    return lambda: make(lib, *operands)


def _jax_over(jax: ModuleType, make: Callable, shapes: tuple, dtype: str) -> Call:
    operands = [jax_normal(jax, *shape, dtype=dtype) for shape in shapes]
    return jitted(jax, functools.partial(make, jax), *operands)


def _row(name, group, make, *shapes, goal, nbytes, dtype="fp32", back=False, jax=None) -> Row:
    build = functools.partial(_over, make=make, shapes=shapes, dtype=dtype, back=back)
    theirs = jax and functools.partial(_jax_over, make=jax, shapes=shapes, dtype=dtype)
    title = f"{name}{' backward' if back else ''}, {dtype}"
    return Row(title, group, build, goal, 0.0, nbytes, dtype, theirs)


def elementwise() -> list[Row]:
    """Maps over 16M elements."""
    found = []
    for dtype in ("fp32", "bf16"):
        size = SIZES[dtype] * WIDE

        def row(name, make, moved, *shapes, jax=None, dtype=dtype, size=size):
            return _row(f"{name}, 16M", "elementwise", make, *(shapes or ((WIDE,),)), goal=4.0,
                        nbytes=moved * size, dtype=dtype, jax=jax)  # fmt: skip

        two = ((WIDE,), (WIDE,))
        found += [
            row("a + b", lambda lib, a, b: a + b, 3, *two, jax=lambda jax, a, b: a + b),
            row("a * b", lambda lib, a, b: a * b, 3, *two, jax=lambda jax, a, b: a * b),
            row("gelu", lambda lib, a: lib.nn.functional.gelu(a), 2,
                jax=lambda jax, a: jax.nn.gelu(a, approximate=False)),
            row("tanh", lambda lib, a: lib.tanh(a), 2, jax=lambda jax, a: jax.numpy.tanh(a)),
            row("where(a > 0, a, b)", lambda lib, a, b: lib.where(a > 0, a, b), 3, *two,
                jax=lambda jax, a, b: jax.numpy.where(a > 0, a, b)),
        ]  # fmt: skip
    found += [
        _row("cast fp32 to bf16, 16M", "elementwise", lambda lib, a: a.to(lib.bfloat16), (WIDE,),
             goal=4.0, nbytes=6 * WIDE),
        _row("cast bf16 to fp32, 16M", "elementwise", lambda lib, a: a.to(lib.float32), (WIDE,),
             goal=4.0, nbytes=6 * WIDE, dtype="bf16"),
    ]  # fmt: skip
    return found


SQUARE = (4096, 4096)


def _batch_norm(lib: ModuleType, shape: tuple, last: bool, back: bool) -> Call:
    x = normal(lib, *shape)
    if last:
        x = x.to(memory_format=lib.channels_last)
    x.requires_grad_(back)
    w, b = (normal(lib, shape[1], grad=back) for _ in range(2))

    def forward():
        return lib.nn.functional.batch_norm(x, None, None, w, b, training=True)

    return backward(lib, forward(), [x, w, b]) if back else forward


def _cross_entropy(lib: ModuleType, rows: int, classes: int, dtype: str, back: bool) -> Call:
    x = normal(lib, rows, classes, dtype=dtype, grad=back)
    target = lib.randint(0, classes, (rows,))

    def forward():
        return lib.nn.functional.cross_entropy(x, target)

    return backward(lib, forward(), [x]) if back else forward


def row_operations() -> list[Row]:
    """Softmax, norms and losses, forward and backward."""
    found = []
    for back in (False, True):
        # backward reads g and one saved tensor and writes one
        moved = (3 if back else 2) * WIDE
        for dtype in ("fp32", "bf16"):

            def row(name, make, *shapes, back=back, moved=moved, dtype=dtype, jax=None):
                return _row(name, "row operations", make, *shapes, goal=3.0, back=back,
                            nbytes=moved * SIZES[dtype], dtype=dtype, jax=jax)  # fmt: skip

            side = (SQUARE[1],)
            found += [
                row("softmax 4096x4096", lambda lib, x: x.softmax(-1), SQUARE,
                    jax=None if back else lambda jax, x: jax.nn.softmax(x)),
                row("log_softmax 4096x4096", lambda lib, x: x.log_softmax(-1), SQUARE,
                    jax=None if back else lambda jax, x: jax.nn.log_softmax(x)),
                row("layer_norm 4096x4096",
                    lambda lib, x, w, b: lib.nn.functional.layer_norm(x, (4096,), w, b),
                    SQUARE, side, side),
                row("rms_norm 4096x4096",
                    lambda lib, x, w: lib.nn.functional.rms_norm(x, (4096,), w), SQUARE, side),
                row("group_norm 32x64x64x64, 8 groups",
                    lambda lib, x, w, b: lib.nn.functional.group_norm(x, 8, w, b),
                    (32, 64, 64, 64), (64,), (64,), moved=moved / 2),
            ]  # fmt: skip
            for rows, classes in ((4096, 4096), (65536, 32)):
                name = f"cross_entropy {rows}x{classes}{' backward' if back else ''}, {dtype}"
                build = functools.partial(
                    _cross_entropy, rows=rows, classes=classes, dtype=dtype, back=back
                )
                size = (2 if back else 1) * rows * classes * SIZES[dtype]
                found.append(Row(name, "row operations", build, 3.0, 0.0, size, dtype))
        for last in (False, True):
            shape = (32, 64, 56, 56)
            name = (f"batch_norm 32x64x56x56{' backward' if back else ''}, "
                    f"{'channels_last' if last else 'NCHW'}, fp32")  # fmt: skip
            build = functools.partial(_batch_norm, shape=shape, last=last, back=back)
            size = (5 if back else 3) * 4 * 32 * 64 * 56 * 56
            found.append(Row(name, "row operations", build, 3.0, 0.0, size))
    return found


def reductions() -> list[Row]:
    """Sums and searches over any axis, running sums and sorting."""
    whole = 4 * WIDE
    sort_shape, sort_bytes = (4096, 1024), 4 * 4096 * 1024

    def row(name, make, nbytes=whole, shape=SQUARE, jax=None):
        return _row(f"{name} {'x'.join(map(str, shape))}", "reductions", make, shape, goal=1.5,
                    nbytes=nbytes, jax=jax)  # fmt: skip

    return [
        row("sum", lambda lib, x: x.sum(), jax=lambda jax, x: x.sum()),
        row("sum(0)", lambda lib, x: x.sum(0), jax=lambda jax, x: x.sum(0)),
        row("sum(1)", lambda lib, x: x.sum(1), jax=lambda jax, x: x.sum(1)),
        row("sum(1)", lambda lib, x: x.sum(1), shape=(64, 512, 512)),
        row("sum((0, 2, 3))", lambda lib, x: x.sum((0, 2, 3)), shape=(64, 64, 64, 64)),
        row("mean(0)", lambda lib, x: x.mean(0)),
        row("var(1)", lambda lib, x: x.var(1), jax=lambda jax, x: x.var(1)),
        row("var(0)", lambda lib, x: x.var(0)),
        row("amax(1)", lambda lib, x: x.amax(1)),
        row("max(1)", lambda lib, x: x.max(1)),
        row("argmax(1)", lambda lib, x: x.argmax(1), jax=lambda jax, x: x.argmax(1)),
        row("argmax(0)", lambda lib, x: x.argmax(0)),
        row("norm", lambda lib, x: lib.linalg.vector_norm(x)),
        row("logsumexp(1)", lambda lib, x: x.logsumexp(1)),
        row("cumsum(1)", lambda lib, x: x.cumsum(1), 2 * whole, jax=lambda jax, x: x.cumsum(1)),
        row("cumsum(0)", lambda lib, x: x.cumsum(0), 2 * whole),
        row("sort(1)", lambda lib, x: x.sort(1), 4 * sort_bytes, sort_shape),
        row("argsort(1)", lambda lib, x: x.argsort(1), 3 * sort_bytes, sort_shape),
        row("topk(10)", lambda lib, x: x.topk(10), sort_bytes, sort_shape,
            jax=lambda jax, x: jax.lax.top_k(x, 10)),
    ]  # fmt: skip


def _indexing(lib: ModuleType, how: str, back: bool) -> Call:
    """Over a table of 65536 rows of 256; 65536 indices, in no order."""
    rows, width = 65536, 256
    table = normal(lib, rows, width, grad=back)
    index = lib.randint(0, rows, (rows,))
    inside = lib.randint(0, width, (rows, width))
    across = lib.randint(0, rows, (rows, width))
    zeros = lib.zeros(rows, width)
    source = normal(lib, rows, width)
    forward = {
        "index_select": lambda: lib.index_select(table, 0, index),
        "gather(1)": lambda: table.gather(1, inside),
        "gather(0)": lambda: table.gather(0, across),
        "scatter_add(1)": lambda: zeros.scatter_add(1, inside, source),
        "scatter_add(0)": lambda: zeros.scatter_add(0, across, source),
        "index_add": lambda: zeros.index_add(0, index, source),
        "embedding": lambda: lib.nn.functional.embedding(index, table),
        "cat(0)": lambda: lib.cat([source, zeros], 0),
        "cat(1)": lambda: lib.cat([source, zeros], 1),
    }[how]
    return backward(lib, forward(), [table]) if back else forward


def indexing() -> list[Row]:
    """Gathers, scatters, embeddings and joins."""
    whole = 4 * 65536 * 256
    return [
        Row(f"{how} 65536x256{' backward' if back else ''}, fp32", "indexing",
            functools.partial(_indexing, how=how, back=back), 1.5, 0.0, moved * whole)
        for how, moved, back in (
            ("index_select", 2, False), ("index_select", 2, True),
            ("gather(1)", 4, False), ("gather(1)", 4, True), ("gather(0)", 4, False),
            ("scatter_add(1)", 5, False), ("scatter_add(0)", 5, False), ("index_add", 4, False),
            ("embedding", 2, False), ("embedding", 2, True), ("cat(0)", 4, False),
            ("cat(1)", 4, False),
        )
    ]  # fmt: skip

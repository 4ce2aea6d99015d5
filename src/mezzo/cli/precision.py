"""The three precisions the demo compares, as autocast and GradScaler see them."""

from __future__ import annotations

import mezzo
from mezzo import amp

DTYPES = {"fp32": mezzo.float32, "bf16": mezzo.bfloat16, "fp16": mezzo.float16}


def autocast(precision: str):
    """The region a step runs in: off for fp32, where everything keeps its dtype."""
    dtype = mezzo.bfloat16 if precision == "fp32" else DTYPES[precision]
    return mezzo.autocast("cpu", dtype=dtype, enabled=precision != "fp32")


def scaler(precision: str):
    """A GradScaler, at work only for fp16: bfloat16 has the range of float32 and needs none."""
    return amp.GradScaler("cpu", enabled=precision == "fp16", growth_interval=200)


def step(scaler, optimizer) -> bool:
    """Take an optimizer step through the scaler; True if it was skipped because of an Inf or NaN."""
    report = scaler.step(optimizer)
    skipped = report.skipped if scaler.is_enabled() else False
    scaler.update()
    return bool(skipped)


def rows(books: list[dict[str, dict[str, int]]]) -> list[tuple[str, ...]]:
    """What ran in which dtype: rows of (operations, dtypes in the first book, in the second, ...).

    A book is a ledger's counts, by operation and dtype. Operations treated alike share a row.
    Integers (labels, indices) are left out: no precision changes them.
    """
    floats = {str(dtype).rpartition(".")[2] for dtype in DTYPES.values()}
    alike: dict[tuple[str, ...], list[str]] = {}
    for operation in sorted(set().union(*books)):
        dtypes = tuple(
            ", ".join(sorted(floats & {d.rpartition(".")[2] for d in book.get(operation, {})}))
            for book in books
        )
        if any(dtypes):
            alike.setdefault(dtypes, []).append(operation)
    return [(", ".join(operations), *dtypes) for dtypes, operations in alike.items()]

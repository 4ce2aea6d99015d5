"""Iteration spaces: which axes merge, which runs innermost. Strides here count bytes."""

from __future__ import annotations

from collections.abc import Sequence

Table = list[list[int]]


def coalesce(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], Table]:
    """Order the axes innermost first by the first operand's strides and merge those that run on.

    Returns sizes and, for each operand, strides; both innermost first, at least one axis.
    """
    order = sorted(
        (i for i, s in enumerate(shape) if s != 1),
        key=lambda i: (abs(strides[0][i]) if strides[0][i] else 1 << 62, -i),
    )
    sizes: list[int] = []
    table: Table = [[] for _ in strides]
    for i in order:
        steps = [st[i] for st in strides]
        if sizes and all(t[-1] * sizes[-1] == step for t, step in zip(table, steps)):
            sizes[-1] *= shape[i]
            continue
        sizes.append(shape[i])
        for t, step in zip(table, steps):
            t.append(step)
    if not sizes:
        return [1], [[0] for _ in strides]
    return sizes, table

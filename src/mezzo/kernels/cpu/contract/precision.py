"""How exactly products of float32 are computed: one choice for the whole process, which plans depend on.

    highest   in full: float32's accuracy
    high      each number as two bfloat16 terms: 16 significant bits
    medium    each number as one bfloat16: 8 significant bits

Sums are float32 in all of them. A processor, or a product too small, that gains nothing from less computes in full.
"""

from __future__ import annotations

from mezzo.kernels.cpu import pool

HIGHEST, HIGH, MEDIUM = PRECISIONS = ("highest", "high", "medium")
_chosen = [HIGHEST]


def get() -> str:
    """The present choice."""
    return _chosen[0]


def choose(precision: str) -> None:
    """Compute products planned from now on this way."""
    _chosen[0] = precision
    pool.changed()


def settings() -> tuple:
    """All that is chosen for a process and that a plan may depend on beside its arguments."""
    return pool.get_num_threads(), _chosen[0]

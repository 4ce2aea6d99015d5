"""The default random numbers' state: seeds, and stretches that leave it as it was. Source: torch.random"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from mezzo.ops.random import (
    DEFAULT as default_generator,
)
from mezzo.ops.random import (
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]  # fmt: skip


@contextlib.contextmanager
def fork_rng(
    devices: Iterable | None = None, enabled: bool = True, device_type: str = "cuda"
) -> Iterator[None]:
    """Inside, random numbers are drawn as they will; outside, as if nothing had been drawn.

    devices and device_type name further devices' generators; what runs here has one for all.
    Source: torch.random.fork_rng
    """
    if not enabled:
        yield
        return
    kept = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(kept)

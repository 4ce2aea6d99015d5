"""Which elements of a large tensor are kept and compared."""

from __future__ import annotations

import numpy as np


def sample(array: np.ndarray, count: int) -> np.ndarray:
    """About `count` elements of an array, spread over all of it in steps of a prime number's distance."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.size <= count:
        return flat.astype(np.float32)
    places = (np.arange(count, dtype=np.int64) * (flat.size // count * 2 + 1) * 7919) % flat.size
    return flat[places].astype(np.float32)

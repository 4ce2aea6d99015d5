"""What every test shares: a cache folder of its own, no GPU tests where there is no GPU."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import pytest

# Set before any test imports mezzo. A stable folder, so that xdist's workers and a second run share
# what was compiled, but never the user's own cache.
_CACHE = Path(tempfile.gettempdir()) / f"mezzo-tests-{os.environ.get('USER', 'user')}"
os.environ.setdefault("MEZZO_CACHE_DIR", str(_CACHE))

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture
def settled() -> None:
    """For what counts memory: nothing that earlier tests left is let go meanwhile, and no larger block of theirs is lent."""
    from mezzo import cpu

    gc.collect()
    cpu.empty_cache()


def pytest_collection_modifyitems(config, items):
    """Skip tests marked gpu, with the reason, on a machine without one."""
    if Path("/proc/driver/nvidia/version").exists():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none"))

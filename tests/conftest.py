"""What every test shares: a cache folder of its own, no GPU tests where there is no GPU."""

from __future__ import annotations

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


def pytest_collection_modifyitems(config, items):
    """Leave out tests marked gpu on a machine without one: deselected and counted, not skipped."""
    if Path("/proc/driver/nvidia/version").exists():
        return
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if gpu:
        config.hook.pytest_deselected(items=gpu)
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]

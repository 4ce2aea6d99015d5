"""The object cache on disk: compiled kernels, found again by a hash of what they were made from.

A folder of the user's own (MEZZO_CACHE_DIR, or the system's cache folder). Files are written
whole or not at all, carry a digest that is checked on load, and are trimmed oldest first. Where
the folder cannot be used, compiled kernels live in memory only, and that is said once.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import warnings
from pathlib import Path

_MAGIC = b"mezzo-o1"
_DIGEST = 32
_SUFFIX = ".o"
LIMIT_BYTES = 512 << 20
_TRIM_EVERY = 64  # writes between two looks at the total size

_lock = threading.Lock()
_state: dict[str, object] = {"opened": None, "folder": None, "writes": 0, "reason": ""}


def folder() -> Path | None:
    """The folder in use, made and checked on first use; None where there is none."""
    wanted = os.environ.get("MEZZO_CACHE_DIR") or ""
    if _state["opened"] != wanted:
        with _lock:
            if _state["opened"] != wanted:
                _state["folder"] = _open(Path(wanted) if wanted else None)
                _state["opened"] = wanted
    return _state["folder"]  # type: ignore[return-value]


def key(*parts: str) -> str:
    """The name of an object: a hash of everything that it depends on."""
    digest = _sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def read(name: str) -> bytes | None:
    """The object of that key; None if absent. A damaged file is removed."""
    where = folder()
    if where is None:
        return None
    path = where / (name + _SUFFIX)
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + _DIGEST
    body = data[head:]
    if data[: len(_MAGIC)] == _MAGIC and _sha256(body).digest() == data[len(_MAGIC) : head]:
        return body
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def write(name: str, data: bytes) -> None:
    """Store an object. A disk that refuses is warned about once and costs nothing else."""
    where = folder()
    if where is None or _state["reason"]:
        return
    temporary = None
    try:
        import tempfile  # with what only the writing of files needs: `import mezzo` does without

        handle, temporary = tempfile.mkstemp(dir=where, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + _sha256(data).digest() + data)
        os.replace(temporary, where / (name + _SUFFIX))
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if not _state["reason"]:  # what is already there can still be read
            _refuse(where, str(error))
        return
    _state["writes"] += 1  # type: ignore[operator]
    if _state["writes"] % _TRIM_EVERY == 1:  # type: ignore[operator]
        trim()


def trim(limit: int = LIMIT_BYTES) -> int:
    """Remove the oldest objects until the folder holds at most `limit` bytes; how many went."""
    entries = sorted(_entries(), key=lambda entry: entry[1])
    total = sum(size for _, _, size in entries)
    removed = 0
    for path, _, size in entries:
        if total <= limit:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
        removed += 1
    return removed


def clear() -> int:
    """Remove every cached object; how many there were. Kernels already loaded keep running."""
    return trim(limit=-1)


def info() -> dict[str, object]:
    """Where the cache is, how many objects and bytes it holds, and why not if it is off."""
    where = folder()
    entries = _entries()
    return {
        "folder": None if where is None else str(where),
        "objects": len(entries),
        "bytes": sum(size for _, _, size in entries),
        "limit": LIMIT_BYTES,
        "reason": _state["reason"],
    }


def _entries() -> list[tuple[Path, float, int]]:
    where = folder()
    found = []
    if where is not None:
        with contextlib.suppress(OSError):
            for path in where.glob("*" + _SUFFIX):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    found.append((path, status.st_mtime, status.st_size))
    return found


def _sha256(data: bytes = b""):
    import hashlib

    return hashlib.sha256(data)


def _usual_place() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("mezzo", appauthor=False)) / "objects"


def _open(wanted: Path | None) -> Path | None:
    where = wanted or _usual_place()
    try:
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = where.stat()
    except OSError as error:
        return _refuse(where, str(error))
    if hasattr(os, "getuid"):
        # Code is loaded from here: nobody else may own it or write into it.
        if status.st_uid != os.getuid():
            return _refuse(where, "it belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            try:
                where.chmod(0o700)
            except OSError as error:
                return _refuse(where, f"others may write into it, and it cannot be closed: {error}")
    _state["reason"] = ""
    return where


def _refuse(where: Path, reason: str) -> None:
    _state["reason"] = reason
    warnings.warn(
        f"mezzo: the kernel cache {where} is not used ({reason}); kernels are compiled again in "
        "every process. Set MEZZO_CACHE_DIR to a folder of your own.",
        RuntimeWarning,
        stacklevel=2,
    )

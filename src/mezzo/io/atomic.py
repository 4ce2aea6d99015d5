"""Writing a file so that its name always means a whole file: the old one or the new one."""

from __future__ import annotations

import contextlib
import os


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path`; on leaving without an exception it takes the place of `path`.

    The bytes are on the disk before the name changes; after an exception nothing is left.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"save: the folder {folder!r} does not exist; create it first.")
    if os.path.isdir(target):
        raise IsADirectoryError(f"save: {target!r} is a folder; give the name of a file.")
    temporary = os.path.join(folder, f".{name}.{os.urandom(6).hex()}.tmp")
    try:
        # Made here, so that the permissions follow the umask as for any new file.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Put the new name on the disk too, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):  # some network file systems refuse
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

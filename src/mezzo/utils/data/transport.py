"""Objects between processes over a pipe: small ones as bytes, large ones through shared memory.

Arrays and tensors are taken out of the pickle (protocol 5). Where the system has anonymous memory files,
their bytes go into one whose descriptor travels over the pipe: nothing has a name, so nothing can be
left behind, and the receiver maps the memory without a copy. Elsewhere they follow through the pipe.

Here and in workers.py multiprocessing is imported where it is used: programs without workers, and
`import mezzo` itself, should not pay for it.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import struct

import ml_dtypes
import numpy as np

from mezzo import ops
from mezzo.core.tensor import Tensor

HAS_MEMORY_FILES = hasattr(os, "memfd_create")  # where it is, pipes carry descriptors too
LARGE = 1 << 16  # bytes: below this a copy through the pipe is cheaper than a mapping
_ALIGN = 64


class _Pickler(pickle.Pickler):
    """Tensors become arrays, whose bytes are collected and not written."""

    def reducer_override(self, obj):
        if not isinstance(obj, Tensor):
            return NotImplemented
        array = obj.detach().cpu().numpy()
        if array.dtype.kind == "V" or array.dtype.isbuiltin != 1:  # such as bfloat16: as its bits
            bits = np.ascontiguousarray(array).reshape(array.shape).view(f"u{array.itemsize}")
            return _tensor_of_bits, (type(obj), bits, array.dtype.name, obj.requires_grad)
        array = np.ascontiguousarray(array).reshape(array.shape)
        return _tensor, (type(obj), array, obj.requires_grad)


def _tensor(kind: type, array: np.ndarray, requires_grad: bool) -> Tensor:
    if not array.flags.writeable:
        array = array.copy()
    made = ops.from_numpy(array)
    if kind is not Tensor:
        return kind(made, requires_grad)
    return made.requires_grad_(requires_grad) if requires_grad else made


def _tensor_of_bits(kind: type, bits: np.ndarray, name: str, requires_grad: bool) -> Tensor:
    return _tensor(kind, bits.view(getattr(ml_dtypes, name)), requires_grad)


def send(connection, obj) -> None:
    """Write an object to a pipe."""
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    _Pickler(file, protocol=5, buffer_callback=buffers.append).dump(obj)
    views = [buffer.raw() for buffer in buffers]
    sizes = [view.nbytes for view in views]
    total = sum(_padded(size) for size in sizes)
    shared = HAS_MEMORY_FILES and total >= LARGE
    head = struct.pack(f"<?I{len(sizes)}Q", shared, len(sizes), *sizes)
    if not shared:
        connection.send_bytes(head + file.getvalue())
        for view in views:
            connection.send_bytes(view)
        return
    from multiprocessing import reduction

    descriptor = _memory_file(views, total)
    try:
        connection.send_bytes(head + file.getvalue())
        reduction.send_handle(connection, descriptor, None)
    finally:
        os.close(descriptor)


def receive(connection):
    """Read an object from a pipe; EOFError when the other side is gone."""
    message = connection.recv_bytes()
    shared, count = struct.unpack_from("<?I", message)
    sizes = struct.unpack_from(f"<{count}Q", message, 5)
    body = memoryview(message)[5 + 8 * count :]
    if not shared:
        buffers = [bytearray(connection.recv_bytes()) for _ in sizes]
        return pickle.loads(body, buffers=buffers)
    from multiprocessing import reduction

    descriptor = reduction.recv_handle(connection)
    try:
        memory = memoryview(mmap.mmap(descriptor, sum(map(_padded, sizes))))
    finally:
        os.close(descriptor)
    buffers, start = [], 0
    for size in sizes:
        buffers.append(memory[start : start + size])
        start += _padded(size)
    return pickle.loads(body, buffers=buffers)


def _memory_file(views: list[memoryview], total: int) -> int:
    """An anonymous file holding the views one after another; the caller closes it."""
    descriptor = os.memfd_create("mezzo-batch", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, total)
        start = 0
        for view in views:
            done = 0
            while done < view.nbytes:
                done += os.pwrite(descriptor, view[done:], start + done)
            start += _padded(view.nbytes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _padded(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN

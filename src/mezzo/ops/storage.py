"""Storage objects as PyTorch shows them: the whole memory behind a tensor, as bytes or as elements."""

from __future__ import annotations

import numpy as np

from mezzo import devices, dtypes
from mezzo.core.layout import dense
from mezzo.core.tensor import Tensor, array_over, empty, tensor_method
from mezzo.errors import ArgumentTypeError


class UntypedStorage:
    """The bytes that a tensor and its views share.

    Source: torch.UntypedStorage
    """

    def __init__(self, tensor: Tensor):
        self._block, self.device = tensor.storage, tensor.device
        self._bytes = tensor.layout.extent()[1] if self._block is None else self._block.nbytes

    def nbytes(self) -> int:
        """Bytes of the whole memory."""
        return self._bytes

    size = nbytes

    def __len__(self) -> int:
        return self._bytes

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._block.ptr if self._block is not None else 0

    def as_bytes(self) -> Tensor:
        """A uint8 tensor over the whole memory."""
        made = empty(dense((0,), dtypes.uint8, self.device))
        made.layout = dense((self._bytes,), dtypes.uint8, self.device)
        if self._block is not None:
            made.storage, made.ptr = self._block, self._block.ptr
        return made

    def to(self, device) -> UntypedStorage:
        """The same bytes on a device; the storage itself if they are there."""
        moved = self.as_bytes().to(device)
        return self if moved.device is self.device else type(self)._of(self, moved)

    def cpu(self) -> UntypedStorage:
        """The same bytes in the processor's memory."""
        return self.to("cpu")

    def cuda(self, device=None) -> UntypedStorage:
        """The same bytes on a CUDA device."""
        return self.to("cuda" if device is None else devices.device("cuda", device))

    @staticmethod
    def _of(like: UntypedStorage, moved: Tensor) -> UntypedStorage:
        made = object.__new__(type(like))
        made.__dict__.update(like.__dict__)
        made._block, made.device = moved.storage, moved.device
        return made

    def _array(self) -> np.ndarray:
        if self._block is None:
            raise ArgumentTypeError(
                f"storage: memory on device '{self.device}' has no values to read."
            )
        return array_over(
            self._block, self._block.ptr, dense((self._bytes,), dtypes.uint8, devices.cpu)
        )

    def tolist(self) -> list[int]:
        """The bytes as ints."""
        return self._array().tolist()

    def __getitem__(self, index):
        return self._array()[index].tolist()

    def __setitem__(self, index, value):
        self._array()[index] = value
        self._block.kept = None  # what was packed of it is out of date, and no version says so

    def __repr__(self) -> str:
        return f"UntypedStorage(device={self.device}) of size {self._bytes}"


class TypedStorage(UntypedStorage):
    """The elements that a tensor and its views share.

    Source: torch.TypedStorage
    """

    def __init__(self, tensor: Tensor):
        super().__init__(tensor)
        self.dtype = tensor.dtype

    def size(self) -> int:
        """Elements of the whole memory."""
        return self._bytes // self.dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        made = object.__new__(UntypedStorage)
        made._block, made.device, made._bytes = self._block, self.device, self._bytes
        return made

    def _array(self) -> np.ndarray:
        return super()._array()[: self.size() * self.dtype.itemsize].view(self.dtype.numpy)

    def __repr__(self) -> str:
        return f"TypedStorage(dtype={self.dtype}, device={self.device}) of size {self.size()}"


@tensor_method
def untyped_storage(self) -> UntypedStorage:
    """The memory behind the tensor, as bytes."""
    return UntypedStorage(self)

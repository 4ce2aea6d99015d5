"""map_location: on which device what was saved on another one comes to lie."""

from __future__ import annotations

from mezzo.core.tensor import Tensor
from mezzo.devices import cpu, device, meta, usable
from mezzo.errors import ArgumentTypeError, CudaNotAvailableError, DeviceError
from mezzo.ops.storage import UntypedStorage


class Placement:
    """What map_location says: None, a device, {saved: wanted}, or function(storage, saved) -> storage."""

    def __init__(self, map_location):
        self.function = None
        self.table: dict[str, object] = {}
        self.fixed: device | None = None
        if isinstance(map_location, dict):
            self.table = {str(saved): wanted for saved, wanted in map_location.items()}
        elif isinstance(map_location, str | device | int) and not isinstance(map_location, bool):
            self.fixed = usable(map_location, "load")
        elif callable(map_location):
            self.function = map_location
        elif map_location is not None:
            raise ArgumentTypeError(
                f"load: argument map_location is a {type(map_location).__name__}; it must be None, a "
                "device such as 'cpu', a dict from saved to wanted devices, or a function."
            )

    def target(self, location: str) -> device | None:
        """The device for what was saved on `location`; None if a function decides when it is read."""
        if self.function is not None:
            return None
        return self.fixed or _available(self.table.get(location, location))

    def put(self, base: Tensor, location: str) -> Tensor:
        """The bytes of a storage, which are in the processor's memory, where they are wanted."""
        if self.function is None:
            where = self.target(location)
            return base if where is cpu else base.to(where)
        chosen = self.function(UntypedStorage(base), location)
        if chosen is None:
            where = _available(location)
            return base if where is cpu else base.to(where)
        if not isinstance(chosen, UntypedStorage):
            raise ArgumentTypeError(
                f"load: the function map_location returned a {type(chosen).__name__}; it must return the "
                "storage it was given, such a storage on another device, or None."
            )
        return chosen.as_bytes()

    def move(self, tensor: Tensor, location: str = "cpu") -> Tensor:
        """A tensor that is in the processor's memory, where it is wanted."""
        if self.function is None:
            where = self.target(location)
            return tensor if where is cpu else tensor.to(where)
        base = self.put(UntypedStorage(tensor).as_bytes(), location)
        if base.ptr == tensor.storage.ptr:
            return tensor
        return base.view(tensor.dtype).as_strided(
            tensor.shape, tensor.stride(), tensor.storage_offset()
        )


def _available(where) -> device:
    """The device called so; the error says how to bring the data elsewhere."""
    advice = "Load it with map_location='cpu'."
    try:
        found = usable(where, "load")
    except CudaNotAvailableError:
        raise CudaNotAvailableError(
            f"load: it was saved on device '{where}', and this build of mezzo runs no CUDA. {advice}"
        ) from None
    except DeviceError:
        raise DeviceError(
            f"load: it was saved on device {str(where)[:40]!r}, which mezzo does not have. {advice}"
        ) from None
    return meta if found.type == "meta" else found

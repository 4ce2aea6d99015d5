"""autocast: an interpreter that chooses the dtype an operation computes in, from the records' classes.

Beneath it everything sees ordinary calls: casts are recorded, batched and traced like any operation.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

from mezzo import dtypes
from mezzo.core.record import Composite, Record, update_bound
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.dtypes import FLOAT
from mezzo.errors import ArgumentValueError, DeviceError, GradientError
from mezzo.ops.copy import cast

_LOW = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
_BANNED = {
    "binary_cross_entropy": "binary_cross_entropy_with_logits (or BCEWithLogitsLoss), which takes the values before the sigmoid",
}


class _Region:
    """The interpreter of one autocast region."""

    __slots__ = ("cache", "device", "dtype", "enabled", "outer")
    rank = 1

    def __init__(self, device: str, dtype, enabled: bool, cache: dict | None, outer: bool):
        self.device, self.dtype, self.enabled, self.cache, self.outer = (
            device,
            dtype,
            enabled,
            cache,
            outer,
        )

    # ---- interpreter

    def process(self, record: Record, args: tuple):
        """Cast by the record's class, then call beneath."""
        kind = getattr(record.cast, self.device) if self.enabled else "keep"
        if kind == "keep":
            return self._pass(record, args)
        return _CLASSES[kind](self, record, args)

    def process_update(self, record: Record, target: Tensor, args: tuple):
        """In-place calls are left alone."""
        return update_bound(record, args)

    def read(self, tensor: Tensor, operation: str) -> Tensor:
        """Values may be read."""
        return tensor

    def _pass(self, record: Record, args: tuple):
        """No class of its own: the body of a composite still runs under autocast."""
        if not isinstance(record, Composite):
            return record.apply(args)
        STATE.stack.append(self)
        try:
            return record.run(args)
        finally:
            STATE.stack.pop()

    # ---- casting

    def eligible(self, value) -> bool:
        """Floating tensors on the region's device, never float64."""
        return (
            isinstance(value, Tensor)
            and value.dtype.category == FLOAT
            and value.dtype is not dtypes.float64
            and (value.device.type == self.device or value.device.type == "meta")
        )

    def cast_all(self, args: tuple, to) -> tuple:
        """Every eligible tensor in dtype `to`, inside lists too."""
        return tuple(
            type(a)(self.cast_all(tuple(a), to)) if isinstance(a, (tuple, list)) and a and isinstance(a[0], Tensor)
            else self.cast_one(a, to) for a in args
        )  # fmt: skip

    def absorbable(self, value):
        """An operand of a contraction: casting it may be left to the packing unless the tape would keep it."""
        if not self.eligible(value) or value.dtype is self.dtype:
            return value
        kept = STATE.grad and value.auto is not None and value.auto.node is not None
        if value.dtype is dtypes.float32 and not kept:
            return value
        return cast(value, self.dtype)

    def cast_one(self, value, to):
        """A tensor in dtype `to`; leaves that require grad are cast once per region and version."""
        if not self.eligible(value) or value.dtype is to:
            return value
        remembers = (
            self.cache is not None and value.dtype is dtypes.float32 and value.base is None
            and value.auto is not None and value.auto.requires_grad and value.auto.node is None
        )  # fmt: skip
        if not remembers:
            return cast(value, to)
        key = (id(value), to, STATE.grad, len(STATE.stack))
        found = self.cache.get(key)
        if found is None or found[0] is not value or found[1] != value._version:
            found = self.cache[key] = (value, value._version, cast(value, to))
        return found[2]


def _low(region: _Region, record: Record, args: tuple):
    absorb = getattr(record, "absorb", None)
    if absorb is not None:
        return absorb(region, args)
    return record.apply(region.cast_all(args, region.dtype))


def _fp32(region: _Region, record: Record, args: tuple):
    return record.apply(region.cast_all(args, dtypes.float32))


def _set_dtype(region: _Region, record: Record, args: tuple):
    at = record.names.index("dtype")
    first = args[record.operands[0]]
    if args[at] is None and region.eligible(first):
        args = (*args[:at], dtypes.float32, *args[at + 1 :])
    return record.apply(args)


def _promote(region: _Region, record: Record, args: tuple):
    flat = [v for a in args for v in (a if isinstance(a, (tuple, list)) else (a,))]
    have = [v.dtype for v in flat if region.eligible(v)]
    if not have:
        return record.apply(args)
    to = functools.reduce(dtypes.promote_types, have)
    return record.apply(region.cast_all(args, to))


def _banned(region: _Region, record: Record, args: tuple):
    raise GradientError(
        f"{record.name}: not safe under autocast for {region.device}: its gradient overflows in low precision. "
        f"Use {_BANNED[record.name]}."
    )


_CLASSES: dict[str, Callable] = {
    "low": _low, "fp32": _fp32, "set_dtype": _set_dtype, "append_dtype": _set_dtype, "promote": _promote,
    "banned": _banned,
}  # fmt: skip


def region_for(device: str) -> _Region | None:
    """The innermost region of a device type, or None."""
    for interpreter in reversed(STATE.stack):
        if isinstance(interpreter, _Region) and interpreter.device == device:
            return interpreter
    return None


class autocast:
    """Run the operations inside in mixed precision: a context manager and a decorator.

    device_type: "cpu" or "cuda". dtype: bfloat16 on the CPU, float16 on CUDA by default. enabled=False inside
    another region: operations run in their inputs' dtypes. cache_enabled: leaves are cast once per region.
    Source: torch.autocast
    """

    def __init__(
        self, device_type: str, dtype=None, enabled: bool = True, cache_enabled: bool | None = None
    ):
        if not isinstance(device_type, str):
            raise ArgumentValueError(
                f"autocast: Expected `device_type` of type `str`, got: `{type(device_type).__name__}`. Write 'cpu' or 'cuda'."
            )
        if device_type not in _LOW:
            raise DeviceError(
                f"autocast: User specified an unsupported autocast device_type '{device_type}'; it must be 'cpu' or 'cuda'."
            )
        self.device, self.fast_dtype = device_type, dtype or get_autocast_dtype(device_type)
        self.cache_enabled = True if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda":
            warnings.warn(
                "User provided device_type of 'cuda', but CUDA is not available. Disabling",
                UserWarning,
                stacklevel=2,
            )
            enabled = False
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(
                f"In CPU autocast, but the target dtype {self.fast_dtype} is not supported. Disabling autocast. "
                "CPU Autocast only supports dtype of mezzo.bfloat16, mezzo.float16 currently.",
                UserWarning, stacklevel=2,
            )  # fmt: skip
            enabled = False
        self._enabled = enabled
        self._entered: list[_Region] = []

    def __enter__(self):
        outer = region_for(self.device)
        cache: dict | None = {} if self.cache_enabled else None
        if outer is not None and outer.cache is not None and self.cache_enabled:
            cache = outer.cache
        region = _Region(self.device, self.fast_dtype, self._enabled, cache, outer is None)
        self._entered.append(_Shadowing(region, outer) if outer is not None else region)
        STATE.push(self._entered[-1])
        return self

    def __exit__(self, *exception):
        region = self._entered.pop()
        STATE.stack.remove(region)
        if region.outer and region.cache is not None:
            region.cache.clear()
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return wrapped


class _Shadowing(_Region):
    """An inner region: while it decides, the outer region of its device does not."""

    __slots__ = ("shadowed",)

    def __init__(self, region: _Region, shadowed: _Region):
        super().__init__(region.device, region.dtype, region.enabled, region.cache, region.outer)
        self.shadowed = shadowed

    def process(self, record: Record, args: tuple):
        """Decide alone: the region outside is set aside for this call."""
        stack = STATE.stack
        if self.shadowed not in stack:
            return super().process(record, args)
        at = stack.index(self.shadowed)
        stack.remove(self.shadowed)
        try:
            return super().process(record, args)
        finally:
            stack.insert(at, self.shadowed)


_DEFAULT: dict = {}


def get_autocast_dtype(device_type: str):
    """The dtype autocast uses for a device type. Source: torch.get_autocast_dtype"""
    region = region_for(device_type)
    if region is not None and region.enabled:
        return region.dtype
    return _DEFAULT.get(device_type, _LOW[device_type])


def get_autocast_cpu_dtype():
    """The dtype autocast uses on the CPU. Source: torch.get_autocast_cpu_dtype"""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype():
    """The dtype autocast uses on CUDA devices. Source: torch.get_autocast_gpu_dtype"""
    return get_autocast_dtype("cuda")


def is_autocast_cpu_enabled() -> bool:
    """True inside an enabled region for the CPU. Source: torch.is_autocast_cpu_enabled"""
    return is_autocast_enabled("cpu")


def set_autocast_dtype(device_type: str, dtype) -> None:
    """Set the default dtype for a device type. Source: torch.set_autocast_dtype"""
    _DEFAULT[device_type] = dtype


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """True inside an enabled region of that device type. Source: torch.is_autocast_enabled"""
    region = region_for(device_type)
    return region is not None and region.enabled


def is_autocast_available(device_type: str) -> bool:
    """True for device types that have autocast. Source: torch.amp.is_autocast_available"""
    return device_type in _LOW


def custom_fwd(fwd=None, *, device_type: str, cast_inputs=None):
    """Decorate forward of an autograd.Function: see docs/autocast.md. Source: torch.amp.custom_fwd"""
    if not isinstance(device_type, str):
        raise ArgumentValueError(
            f"custom_fwd: Expected `device_type` of type `str`, got: `{type(device_type).__name__}`."
        )
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def wrapped(*args, **kwargs):
        region = region_for(device_type)
        args[0]._dtype = get_autocast_dtype(device_type)
        args[0]._fwd_used_autocast = region is not None and region.enabled
        if cast_inputs is None or not args[0]._fwd_used_autocast:
            return fwd(*args, **kwargs)
        args[0]._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            cast_args = [_cast_any(a, device_type, cast_inputs) for a in args]
            return fwd(
                *cast_args, **{k: _cast_any(v, device_type, cast_inputs) for k, v in kwargs.items()}
            )

    return wrapped


def custom_bwd(bwd=None, *, device_type: str):
    """Decorate backward of an autograd.Function: it runs with forward's autocast state. Source: torch.amp.custom_bwd"""
    if not isinstance(device_type, str):
        raise ArgumentValueError(
            f"custom_bwd: Expected `device_type` of type `str`, got: `{type(device_type).__name__}`."
        )
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def wrapped(*args, **kwargs):
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return wrapped


def _cast_any(value, device_type: str, dtype):
    if isinstance(value, Tensor):
        fits = (
            value.is_floating_point()
            and value.device.type == device_type
            and value.dtype is not dtypes.float64
        )
        return value.to(dtype) if fits else value
    if isinstance(value, (tuple, list)):
        return type(value)(_cast_any(v, device_type, dtype) for v in value)
    if isinstance(value, dict):
        return {k: _cast_any(v, device_type, dtype) for k, v in value.items()}
    return value

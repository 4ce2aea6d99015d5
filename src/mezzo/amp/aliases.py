"""mezzo.cuda.amp and mezzo.cpu.amp: the older names, with PyTorch's deprecation warnings."""

from __future__ import annotations

import functools
import warnings

from mezzo.amp import autocast as device_autocast
from mezzo.amp.autocast import custom_bwd, custom_fwd
from mezzo.amp.scaler import GradScaler
from mezzo.dtypes import bfloat16, float16


def _warn(old: str, new: str) -> None:
    warnings.warn(
        f"`mezzo.{old}` is deprecated. Please use `mezzo.{new}` instead.",
        FutureWarning,
        stacklevel=3,
    )


class cuda_autocast(device_autocast):
    """autocast("cuda") under its older name. Source: torch.cuda.amp.autocast"""

    def __init__(self, enabled: bool = True, dtype=float16, cache_enabled: bool = True):
        _warn("cuda.amp.autocast(args...)", "amp.autocast('cuda', args...)")
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class cpu_autocast(device_autocast):
    """autocast("cpu") under its older name. Source: torch.cpu.amp.autocast"""

    def __init__(self, enabled: bool = True, dtype=bfloat16, cache_enabled: bool = True):
        _warn("cpu.amp.autocast(args...)", "amp.autocast('cpu', args...)")
        super().__init__("cpu", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class cuda_scaler(GradScaler):
    """GradScaler("cuda") under its older name. Source: torch.cuda.amp.GradScaler"""

    def __init__(
        self,
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        _warn("cuda.amp.GradScaler(args...)", "amp.GradScaler('cuda', args...)")
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )


class cpu_scaler(GradScaler):
    """GradScaler("cpu") under its older name. Source: torch.cpu.amp.GradScaler"""

    def __init__(
        self,
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        _warn("cpu.amp.GradScaler(args...)", "amp.GradScaler('cpu', args...)")
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def _older(function, name: str):
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        _warn(f"cuda.amp.{name}(args...)", f"amp.{name}(args..., device_type='cuda')")
        return function(*args, device_type="cuda", **kwargs)

    return wrapped


cuda_custom_fwd, cuda_custom_bwd = (
    _older(custom_fwd, "custom_fwd"),
    _older(custom_bwd, "custom_bwd"),
)

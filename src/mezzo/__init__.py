"""mezzo: a deep-learning framework with PyTorch's API and mixed precision at its heart."""

# ruff: noqa: E402, F401  (the public names; functions come from the records, see ops.namespace)
from __future__ import annotations

import gc
import importlib
import math

# What an import makes stays: looking for garbage among it takes a sixth of the import's time.
_collects = gc.isenabled()
gc.disable()
import sys

from mezzo import (
    amp,
    autograd,
    backends,
    compiler,
    cpu,
    cuda,
    distributed,
    dtypes,
    func,
    jit,
    nn,
    ops,
    optim,
    paths,
    profiler,
    random,
    testing,
    utils,
)
from mezzo.amp.autocast import (
    autocast,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_dtype,
)
from mezzo.amp.scaler import GradScaler
from mezzo.autograd import (
    enable_grad,
    inference_mode,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from mezzo.compiler import compile
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.devices import device, get_default_device, set_default_device
from mezzo.dtypes import (
    bfloat16,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from mezzo.errors import LinAlgError, OutOfMemoryError
from mezzo.func import cond, vmap, while_loop
from mezzo.io import load, save
from mezzo.kernels.cpu.pool import get_num_threads, set_num_threads
from mezzo.ops.access import from_dlpack
from mezzo.ops.copy import channels_last, contiguous_format, memory_format, preserve_format
from mezzo.ops.data import as_tensor, asarray, from_numpy, frombuffer, scalar_tensor, tensor
from mezzo.ops.info import (
    can_cast,
    is_complex,
    is_floating_point,
    is_nonzero,
    is_same_size,
    is_signed,
    is_storage,
    is_tensor,
    numel,
    result_type,
    typename,
)
from mezzo.ops.legacy import set_default_tensor_type
from mezzo.ops.printing import set_printoptions
from mezzo.ops.random import (
    Generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from mezzo.settings import STRIDED as strided
from mezzo.settings import (
    are_deterministic_algorithms_enabled,
    get_float32_matmul_precision,
    get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)
from mezzo.testing import gradcheck, gradgradcheck

__version__ = "0.1.0"

half, double, short, long = float16, float64, int16, int64
cfloat, cdouble = complex64, complex128
float, int, bool = float32, int32, dtypes.bool_

autograd.gradcheck, autograd.gradgradcheck = gradcheck, gradgradcheck
autograd.forward_ad = sys.modules["mezzo.autograd.forward_ad"] = func.forward_ad
pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None

paths.spell_out()

globals().update(ops.namespace("mezzo"))
globals().update(ops.MODULES["legacy"].TYPES)
default_generator = ops.MODULES["random"].DEFAULT
fft, linalg, special = ops.place("fft"), ops.place("linalg"), ops.place("special")
linalg.LinAlgError = LinAlgError


_LATER = {
    "sparse": "there are no sparse tensors",
}


if _collects:
    # Into the oldest generation without a look: else the next object that is made pays for all of them.
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
    gc.enable()


# Packages that are loaded when somebody asks for them: few programs do.
_ON_DEMAND = ("distributions",)


def __getattr__(name: str):
    if name in _ON_DEMAND:
        return importlib.import_module(f"mezzo.{name}")
    why = _LATER.get(name, "if PyTorch has it, docs/coverage.md tells what mezzo has")
    raise AttributeError(f"module 'mezzo' has no attribute {name!r}: {why}.")


def __dir__():
    return sorted({*globals(), *_ON_DEMAND})

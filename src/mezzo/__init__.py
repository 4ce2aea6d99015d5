"""mezzo: a deep-learning framework with PyTorch's API and mixed precision at its heart."""

from __future__ import annotations

from mezzo import amp, autograd, compiler, func, ops
from mezzo.amp.autocast import (
    autocast,
    get_autocast_dtype,
    is_autocast_available,
    is_autocast_enabled,
    set_autocast_dtype,
)
from mezzo.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.devices import device
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
from mezzo.func import vmap
from mezzo.ops.access import from_dlpack
from mezzo.ops.create import as_tensor, from_numpy, scalar_tensor, tensor

__version__ = "0.1.0"

globals().update(ops.namespace("mezzo"))

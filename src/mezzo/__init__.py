"""mezzo: a deep-learning framework with PyTorch's API and mixed precision at its heart."""

from __future__ import annotations

from mezzo import ops
from mezzo.core.layout import Size
from mezzo.core.tensor import Tensor
from mezzo.devices import device
from mezzo.dtypes import *  # noqa: F403

globals().update(ops.namespace("mezzo"))
tensor, as_tensor, from_numpy, scalar_tensor = ops.tensor, ops.as_tensor, ops.from_numpy, ops.scalar_tensor

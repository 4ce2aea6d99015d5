"""mezzo.cuda.amp: the older names of autocast and GradScaler for CUDA."""

from __future__ import annotations

from mezzo.amp.aliases import cuda_autocast as autocast
from mezzo.amp.aliases import cuda_custom_bwd as custom_bwd
from mezzo.amp.aliases import cuda_custom_fwd as custom_fwd
from mezzo.amp.aliases import cuda_scaler as GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]

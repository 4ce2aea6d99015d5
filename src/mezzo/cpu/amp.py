"""mezzo.cpu.amp: the older names of autocast and GradScaler for the CPU."""

from __future__ import annotations

from mezzo.amp.aliases import cpu_autocast as autocast
from mezzo.amp.aliases import cpu_scaler as GradScaler

__all__ = ["GradScaler", "autocast"]

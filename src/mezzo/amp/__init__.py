"""Mixed precision: autocast, GradScaler, the ledger."""

from __future__ import annotations

from mezzo.amp.autocast import autocast, custom_bwd, custom_fwd, is_autocast_available
from mezzo.amp.ledger import ledger
from mezzo.amp.scaler import GradScaler, StepReport

__all__ = [
    "GradScaler",
    "StepReport",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "is_autocast_available",
    "ledger",
]

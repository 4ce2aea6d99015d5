"""What users test with: assert_close, gradcheck, gradgradcheck, opcheck."""

from __future__ import annotations

from mezzo.testing.comparison import assert_close, tolerances
from mezzo.testing.gradients import GradcheckError, gradcheck, gradgradcheck
from mezzo.testing.opcheck import CHECKS, OpCheckError, opcheck
from mezzo.testing.samples import materialise

__all__ = [
    "CHECKS",
    "GradcheckError",
    "OpCheckError",
    "assert_close",
    "gradcheck",
    "gradgradcheck",
    "materialise",
    "opcheck",
    "tolerances",
]

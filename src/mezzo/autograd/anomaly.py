"""Anomaly detection: the backward pass stops at the operation whose derivative gives NaN first."""

from __future__ import annotations

import warnings

from mezzo.core.state import STATE


class set_detect_anomaly:
    """Check every gradient for NaN: acts at once, and restores as a context manager.

    Source: torch.autograd.set_detect_anomaly
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self._previous = (STATE.anomaly, STATE.check_nan)
        STATE.anomaly, STATE.check_nan = bool(mode), bool(check_nan)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        STATE.anomaly, STATE.check_nan = self._previous


class detect_anomaly(set_detect_anomaly):
    """Check every gradient for NaN inside the context.

    Source: torch.autograd.detect_anomaly
    """

    def __init__(self, check_nan: bool = True):
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )
        self._wanted = check_nan

    def __enter__(self):
        super().__init__(True, self._wanted)
        return self


def is_anomaly_enabled() -> bool:
    """True while gradients are checked. Source: torch.is_anomaly_enabled"""
    return STATE.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """True if NaN is what is checked for. Source: torch.is_anomaly_check_nan_enabled"""
    return STATE.check_nan

"""assert_close: are two trees of tensors equal up to rounding, and where not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mezzo import dtypes
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError

# PyTorch's: about the square root of the rounding unit for the small types.
_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
    dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7),
}


def tolerances(*have: dtypes.dtype) -> tuple[float, float]:
    """(rtol, atol) that assert_close uses for these dtypes: the widest of them."""
    pairs = [_TOLERANCES.get(d, (0.0, 0.0)) for d in have]
    return max(r for r, _ in pairs), max(a for _, a in pairs)


def assert_close(actual, expected, *, allow_subclasses: bool = True, rtol: float | None = None,
                 atol: float | None = None, equal_nan: bool = False, check_device: bool = True,
                 check_dtype: bool = True, check_layout: bool = True, check_stride: bool = False, msg=None):  # fmt: skip
    """Raise AssertionError unless |actual - expected| <= atol + rtol * |expected| everywhere.

    Takes tensors, NumPy arrays, numbers, None, and sequences and mappings of them. Tolerances come from the
    dtype unless both are given. The message counts the mismatches and names the worst and its index.
    Source: torch.testing.assert_close
    """
    if (rtol is None) != (atol is None):
        raise ArgumentValueError(
            "assert_close: rtol and atol must both be specified or both be left out."
        )
    options = {
        "rtol": rtol, "atol": atol, "equal_nan": equal_nan, "device": check_device, "dtype": check_dtype,
        "stride": check_stride, "subclasses": allow_subclasses,
    }  # fmt: skip
    problem = _difference(actual, expected, "", options)
    if problem:
        raise AssertionError(_worded(msg, problem))


def _worded(msg, problem: str) -> str:
    if isinstance(msg, str):
        return msg
    return msg(problem) if isinstance(msg, Callable) else problem


def _difference(actual, expected, where: str, options: dict) -> str:
    """What differs first, in words; empty if nothing does."""
    if isinstance(expected, dict) or isinstance(actual, dict):
        return _mappings(actual, expected, where, options)
    if isinstance(expected, (tuple, list)) or isinstance(actual, (tuple, list)):
        return _sequences(actual, expected, where, options)
    if actual is None or expected is None:
        return (
            "" if actual is expected else f"None mismatch: {actual!r} is not {expected!r}{where}."
        )
    if not options["subclasses"] and type(actual) is not type(expected):
        return (
            f"Types {type(actual).__name__} and {type(expected).__name__} are not the same{where}."
        )
    return _tensors(actual, expected, where, options)


def _mappings(actual, expected, where, options) -> str:
    if (
        not (isinstance(actual, dict) and isinstance(expected, dict))
        or actual.keys() != expected.keys()
    ):
        return f"The keys of the mappings do not match{where}: {actual!r:.80} and {expected!r:.80}."
    found = (_difference(actual[k], expected[k], f"{where} at key {k!r}", options) for k in actual)
    return next((f for f in found if f), "")


def _sequences(actual, expected, where, options) -> str:
    both = isinstance(actual, (tuple, list)) and isinstance(expected, (tuple, list))
    if not both or len(actual) != len(expected):
        have = [
            len(v) if isinstance(v, (tuple, list)) else type(v).__name__ for v in (actual, expected)
        ]
        return f"The length of the sequences mismatch{where}: {have[0]} != {have[1]}."
    found = (
        _difference(a, e, f"{where} at item {i}", options)
        for i, (a, e) in enumerate(zip(actual, expected))
    )
    return next((f for f in found if f), "")


def _attributes(actual, expected, where, options) -> str:
    if tuple(actual.shape) != tuple(expected.shape):
        return f"The values for attribute 'shape' do not match{where}: {list(actual.shape)} != {list(expected.shape)}."
    if not (isinstance(actual, Tensor) and isinstance(expected, Tensor)):
        return ""
    pairs = (
        ("device", actual.device, expected.device),
        ("dtype", actual.dtype, expected.dtype),
        ("stride", actual.layout.strides, expected.layout.strides),
    )
    for name, a, e in pairs:
        if options[name] and a != e:
            return f"The values for attribute '{name}' do not match{where}: {a} != {e}."
    return ""


def _tensors(actual, expected, where, options) -> str:
    scalars = not isinstance(actual, Tensor) and not hasattr(actual, "shape")
    a, e = (v if hasattr(v, "shape") else np.asarray(v) for v in (actual, expected))
    problem = _attributes(a, e, where, options)
    if problem or (isinstance(a, Tensor) and a.is_meta):
        return problem
    have = [
        v.dtype if isinstance(v, Tensor) else dtypes._BY_NUMPY.get(v.dtype, dtypes.int64)
        for v in (a, e)
    ]
    rtol, atol = (
        tolerances(*have) if options["rtol"] is None else (options["rtol"], options["atol"])
    )
    x, y = (_plain(v) for v in (a, e))
    with np.errstate(all="ignore"):
        gap = np.abs(x - y)
        close = (x == y) | (gap <= atol + rtol * np.abs(y)) & np.isfinite(y)
        if options["equal_nan"]:
            close |= np.isnan(x) & np.isnan(y)
        if close.all():
            return ""
        relative = np.where(x == y, 0, gap / np.abs(y))
    return _report(x, y, close, gap, relative, rtol, atol, where, scalars)


def _plain(value) -> np.ndarray:
    """Values in a type wide enough to subtract without overflow or wrapping."""
    array = value.detach()._array() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array.astype(
        np.float64 if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 else np.longdouble
    )


def _report(x, y, close, gap, relative, rtol, atol, where, scalars) -> str:
    if scalars:
        return f"Scalars are not close{where}!\n\nExpected {y[()]} but got {x[()]}.\nAbsolute difference: {gap[()]} (up to {atol} allowed)\nRelative difference: {relative[()]} (up to {rtol} allowed)"
    wrong = int((~close).sum())
    kind = "equal" if rtol == atol == 0 else "close"
    lines = [
        f"Tensor-likes are not {kind}{where}!",
        "",
        f"Mismatched elements: {wrong} / {close.size} ({100 * wrong / close.size:.1f}%)",
    ]
    for name, values, limit in (("absolute", gap, atol), ("relative", relative, rtol)):
        among = np.where(close, -1, np.where(np.isnan(values), np.inf, values))
        at = tuple(int(i) for i in np.unravel_index(np.argmax(among), among.shape))
        lines.append(
            f"Greatest {name} difference: {float(np.abs(values[at]))} at index {at} (up to {limit} allowed): "
            f"got {x[at]}, expected {y[at]}"
        )
    return "\n".join(lines)

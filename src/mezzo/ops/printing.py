"""How tensors print: PyTorch's layout, digits and suffixes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mezzo import dtypes
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.errors import ArgumentTypeError, ArgumentValueError


@dataclasses.dataclass
class Options:
    """Settings of set_printoptions."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


OPTIONS = Options()
_PROFILES = {
    "default": Options(),
    "short": Options(precision=2, edgeitems=2),
    "full": Options(threshold=math.inf),
}


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Set how tensors print. Source: torch.set_printoptions"""
    if profile is not None:
        if profile not in _PROFILES:
            raise ArgumentValueError(
                f"set_printoptions: profile is {profile!r}; it must be one of {', '.join(_PROFILES)}."
            )
        OPTIONS.__dict__.update(_PROFILES[profile].__dict__)
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    OPTIONS.__dict__.update({k: v for k, v in given.items() if v is not None})
    OPTIONS.sci_mode = sci_mode


class _Format:
    """How to write the numbers of one tensor: all alike, padded to one width."""

    def __init__(self, values: np.ndarray, kind: int):
        self.kind, self.integral, self.scientific, self.width = kind, True, False, 1
        flat = values.ravel()
        if kind != dtypes.FLOAT:
            self.width = max((len(self.write(v)) for v in flat), default=1)
            return
        finite = flat[np.isfinite(flat) & (flat != 0)].astype(np.float64)
        if finite.size:
            magnitude = np.abs(finite)
            low, high = float(magnitude.min()), float(magnitude.max())
            self.integral = bool((finite == np.ceil(finite)).all())
            wide = high / low > 1000.0 or high > 1.0e8
            self.scientific = wide if self.integral else wide or low < 1.0e-4
            if self.integral and not high / low > 1000.0 and not high > 1.0e8:
                self.scientific = False
        if OPTIONS.sci_mode is not None:
            self.scientific = OPTIONS.sci_mode
        # Like PyTorch, zeros, infinities and NaN do not count for the width.
        self.width = max((len(self.write(float(v))) for v in finite), default=1)

    def write(self, value) -> str:
        """One number, unpadded."""
        if self.kind != dtypes.FLOAT:
            return str(bool(value)) if self.kind == dtypes.BOOL else str(value)
        if not math.isfinite(value):
            return f"{value:.0f}" if self.integral and not self.scientific else str(value)
        if self.scientific:
            return f"{value:.{OPTIONS.precision}e}"
        return f"{value:.0f}." if self.integral else f"{value:.{OPTIONS.precision}f}"

    def padded(self, value) -> str:
        """One number at the common width."""
        return self.write(value).rjust(self.width)


class _ComplexFormat:
    """Real and imaginary parts, each with a format of its own."""

    def __init__(self, values: np.ndarray):
        self.real, self.imag = (
            _Format(values.real, dtypes.FLOAT),
            _Format(np.abs(values.imag), dtypes.FLOAT),
        )
        self.width = self.real.width + self.imag.width + 2

    def padded(self, value) -> str:
        """a+bj."""
        sign = (
            "-" if value.imag < 0 or (value.imag == 0 and math.copysign(1, value.imag) < 0) else "+"
        )
        return f"{self.real.padded(value.real)}{sign}{self.imag.write(abs(value.imag)).lstrip()}j"


def _vector(values, form, indent: int, summarize: bool) -> str:
    per_line = max(1, (OPTIONS.linewidth - indent) // (form.width + 2))
    edge = OPTIONS.edgeitems
    if summarize and len(values) > 2 * edge:
        items = (
            [form.padded(v) for v in values[:edge]]
            + [" ..."]
            + [form.padded(v) for v in values[-edge:]]
        )
    else:
        items = [form.padded(v) for v in values]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(array: np.ndarray, form, indent: int, summarize: bool) -> str:
    if array.ndim == 0:
        return form.padded(array[()])
    if array.ndim == 1:
        return _vector(array, form, indent, summarize)
    edge = OPTIONS.edgeitems
    if summarize and len(array) > 2 * edge:
        parts = [_nested(a, form, indent + 1, summarize) for a in array[:edge]]
        parts += ["..."] + [_nested(a, form, indent + 1, summarize) for a in array[-edge:]]
    else:
        parts = [_nested(a, form, indent + 1, summarize) for a in array]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that will be printed: edges only, along every axis."""
    edge = OPTIONS.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * edge:
            array = np.take(array, [*range(edge), *range(size - edge, size)], axis)
    return array


def _values(tensor: Tensor, indent: int) -> str:
    array = tensor._array()
    if tensor.dtype in (dtypes.float16, dtypes.bfloat16):
        array = array.astype(np.float32)
    summarize = array.size > OPTIONS.threshold
    kept = _shown(array) if summarize else array
    form = _ComplexFormat(kept) if tensor.dtype.is_complex else _Format(kept, tensor.dtype.category)
    return _nested(array, form, indent, summarize)


def to_text(tensor: Tensor, name: str = "tensor") -> str:
    """The tensor as repr shows it."""
    prefix = f"{name}("
    suffixes = []
    if tensor.device.type != "cpu":
        suffixes.append(f"device='{tensor.device}'")
    default = (
        dtypes.Defaults.float_dtype,
        dtypes.int64,
        dtypes.bool_,
        dtypes.Defaults.float_dtype.to_complex(),
    )
    if tensor.is_meta:
        body = "..."
        suffixes.append(f"size={tuple(tensor.shape)}")
    elif tensor.level is None:
        if tensor.numel() == 0 and tensor.ndim != 1:
            suffixes.append(f"size={tuple(tensor.shape)}")
        body = "[]" if tensor.numel() == 0 else _values(tensor, len(prefix))
    else:
        body = f"<{tensor.dtype.name}{list(tensor.shape)} inside {tensor.level.name}>"
    hidden = tensor.dtype in default and not (
        tensor.numel() == 0 and tensor.dtype is not default[0]
    )
    if not hidden:
        suffixes.append(f"dtype={tensor.dtype!r}")
    if tensor.requires_grad:
        node = tensor.grad_fn
        suffixes.append("requires_grad=True" if node is None else f"grad_fn=<{node.name()}>")
    return _joined(prefix + body, suffixes, len(prefix))


def _joined(text: str, suffixes: list[str], indent: int) -> str:
    last = len(text) - text.rfind("\n") - 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"


@tensor_method
def __repr__(self) -> str:
    return to_text(self)


@tensor_method
def __format__(self, spec: str) -> str:
    if self.ndim == 0 and not self.is_meta:
        return format(self.item(), spec)
    if spec:
        raise ArgumentTypeError(
            f"format: unsupported format string {spec!r} for a Tensor of shape {list(self.shape)}. Format its items."
        )
    return str(self)

"""Data types: what an element is, how large, and into which type two of them combine.

A dtype is a singleton. Promotion follows PyTorch's lattice: bool < integers < floats < complex;
between categories the higher category wins and keeps its own width.
"""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np

from mezzo.errors import ArgumentTypeError

BOOL, INTEGER, FLOAT, COMPLEX = 0, 1, 2, 3


class dtype:
    """An element type, such as mezzo.float32.

    Attributes: name, itemsize (bytes), category (BOOL, INTEGER, FLOAT, COMPLEX), bits, is_signed,
    numpy (the NumPy dtype with the same bytes), ir (its name in the kernel IR).
    """

    __slots__ = ("category", "index", "ir", "is_signed", "itemsize", "name", "numpy")

    def __init__(self, name, category, numpy_type, ir, is_signed=True):
        self.name, self.category, self.ir, self.is_signed = name, category, ir, is_signed
        self.numpy = np.dtype(numpy_type)
        self.itemsize = self.numpy.itemsize
        self.index = len(ALL)
        ALL.append(self)

    @property
    def is_floating_point(self) -> bool:
        """True for float16, bfloat16, float32 and float64."""
        return self.category == FLOAT

    @property
    def is_complex(self) -> bool:
        """True for complex64 and complex128."""
        return self.category == COMPLEX

    def to_real(self) -> dtype:
        """The dtype of the real part."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def to_complex(self) -> dtype:
        """The complex dtype whose parts have this dtype."""
        return {float32: complex64, float64: complex128}.get(self, complex64)

    def __repr__(self) -> str:
        return f"mezzo.{self.name}"

    def __reduce__(self):
        return (by_name, (self.name,))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


ALL: list[dtype] = []

bool_ = dtype("bool", BOOL, np.bool_, "b8", is_signed=False)
uint8 = dtype("uint8", INTEGER, np.uint8, "u8", is_signed=False)
int8 = dtype("int8", INTEGER, np.int8, "i8")
int16 = dtype("int16", INTEGER, np.int16, "i16")
int32 = dtype("int32", INTEGER, np.int32, "i32")
int64 = dtype("int64", INTEGER, np.int64, "i64")
float16 = dtype("float16", FLOAT, np.float16, "f16")
bfloat16 = dtype("bfloat16", FLOAT, ml_dtypes.bfloat16, "bf16")
float32 = dtype("float32", FLOAT, np.float32, "f32")
float64 = dtype("float64", FLOAT, np.float64, "f64")
complex64 = dtype("complex64", COMPLEX, np.complex64, "c64")
complex128 = dtype("complex128", COMPLEX, np.complex128, "c128")

ALIASES = {
    "bool": bool_, "half": float16, "float": float32, "double": float64, "short": int16,
    "int": int32, "long": int64, "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip
_BY_NAME = {d.name: d for d in ALL} | ALIASES
_BY_NUMPY = {d.numpy: d for d in ALL}


class Defaults:
    """Process-wide settings of dtypes. changed: called after one was set."""

    float_dtype = float32
    changed: list = []


def by_name(name: str) -> dtype:
    """The dtype called `name` ("float32", "half", ...)."""
    return _BY_NAME[name]


def from_numpy(numpy_dtype) -> dtype:
    """The dtype with the same bytes as a NumPy dtype; TypeError where there is none."""
    found = _BY_NUMPY.get(np.dtype(numpy_dtype))
    if found is None:
        have = ", ".join(str(n) for n in _BY_NUMPY)
        raise TypeError(
            f"from_numpy: NumPy dtype {np.dtype(numpy_dtype)} has no mezzo dtype; it must be one of "
            f"{have}. Convert it first with array.astype(...)."
        )
    return found


def promote_types(a: dtype, b: dtype) -> dtype:
    """The dtype that holds values of both, by PyTorch's table."""
    return _TABLE[a.index][b.index]


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category != b.category:
        low, high = (a, b) if a.category < b.category else (b, a)
        if high is complex64 and low is float64:
            return complex128
        return high
    if a.category == INTEGER:
        if a.is_signed == b.is_signed:
            return a if a.itemsize >= b.itemsize else b
        unsigned, signed = (a, b) if b.is_signed else (b, a)
        if signed.itemsize > unsigned.itemsize:
            return signed
        return by_name(f"int{min(unsigned.itemsize * 16, 64)}")
    if a.itemsize == b.itemsize:  # float16 with bfloat16
        return float32
    return a if a.itemsize > b.itemsize else b


_TABLE = [[_promote(a, b) for b in ALL] for a in ALL]


def of_scalar(value) -> dtype:
    """The dtype a Python number has by default: bool, int64, the default float or its complex."""
    if isinstance(value, bool | np.bool_):
        return bool_
    if isinstance(value, int | np.integer):
        return int64
    if isinstance(value, float | np.floating):
        return Defaults.float_dtype
    return Defaults.float_dtype.to_complex()


_BY_TYPE = {bool: bool_, int: int64, float: float64, complex: complex128}


def resolve(given, operation: str) -> dtype:
    """The dtype that an argument names: a dtype, or one of Python's number types."""
    if isinstance(given, dtype):
        return given
    found = _BY_TYPE.get(given) if isinstance(given, type) else None
    if found is None:
        raise ArgumentTypeError(
            f"{operation}: argument dtype is {given!r}; it must be a mezzo.dtype such as mezzo.float32."
        )
    return found


def get_default_dtype() -> dtype:
    """The floating dtype that new tensors of Python floats get."""
    return Defaults.float_dtype


def set_default_dtype(d: dtype) -> None:
    """Set the floating dtype that new tensors of Python floats get.

    Raises: TypeError unless d is a floating dtype.
    """
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"set_default_dtype: got {d!r}; it must be a floating dtype.")
    Defaults.float_dtype = d
    for told in Defaults.changed:
        told()


class finfo:
    """Limits of a floating dtype: bits, eps, max, min, tiny, smallest_normal, resolution, dtype."""

    def __init__(self, type: dtype | None = None):
        type = type or Defaults.float_dtype
        if not isinstance(type, dtype) or type.category < FLOAT:
            raise TypeError(
                f"finfo: got {type!r}; it must be a floating dtype. Use iinfo for integers."
            )
        info = ml_dtypes.finfo(type.to_real().numpy)
        self.bits, self.dtype = type.to_real().itemsize * 8, type.name
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        # NumPy rounds its own to the dtype; PyTorch tells the power of ten.
        self.resolution = 10.0 ** -int(-math.log10(self.eps))

    def __repr__(self) -> str:
        fields = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return (
            f"finfo({', '.join(f'{f}={getattr(self, f):g}' for f in fields)}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: bits, min, max, dtype."""

    def __init__(self, type: dtype):
        if not isinstance(type, dtype) or type.category != INTEGER:
            raise TypeError(f"iinfo: got {type!r}; it must be an integer dtype.")
        info = np.iinfo(type.numpy)
        self.bits, self.min, self.max, self.dtype = (
            info.bits,
            int(info.min),
            int(info.max),
            type.name,
        )

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

"""Where mezzo differs from PyTorch on purpose or for now: each with its reason.

The tests compare these tables with what they find, both ways: a gap that closed must leave its table.
"""

from __future__ import annotations

# operation -> {dtype: reason}: PyTorch takes the dtype, mezzo refuses it.
_INTEGER_CONV = "a convolution of integers is a mistake more often than a wish: convert to float"
_EMPTY = "PyTorch multiplies matrices of bool only where there is nothing to compute"
REFUSED: dict[str, dict[str, str]] = {
    **dict.fromkeys(("linear", "matmul", "mm", "product"), {"bool": _EMPTY}),
    "conv1d": dict.fromkeys(("int64", "int32", "uint8"), _INTEGER_CONV),
    "conv2d": dict.fromkeys(("int64", "int32", "uint8"), _INTEGER_CONV),
    "conv3d": dict.fromkeys(("int64", "int32", "uint8"), _INTEGER_CONV),
    "conv_transpose1d": {"int64": _INTEGER_CONV},
    "conv_transpose2d": {"int64": _INTEGER_CONV},
    "conv_transpose3d": {"int64": _INTEGER_CONV},
}

# operation -> {dtype: reason}: mezzo takes a dtype that PyTorch refuses for more than a missing kernel.
_PLAIN = "PyTorch has no kernel for bool here; what it means is plain"
ACCEPTED: dict[str, dict[str, str]] = {
    "bucketize": {"bool": _PLAIN},
    "kthvalue": {"bool": _PLAIN},
    "median": {"bool": _PLAIN},
    "nanmedian": {"bool": _PLAIN},
    "scatter_reduce": {"bool": _PLAIN},
    "searchsorted": {"bool": _PLAIN},
    "trace": {"bool": _PLAIN},
}

# operation -> reason: strides of the result are not compared with PyTorch's.
STRIDES: dict[str, str] = {}

# operation -> reason: the result depends on how the inputs lie in memory, by its meaning.
MEMORY: dict[str, str] = {
    "as_strided": "reads the memory, not the elements",
    "strided_view": "reads the memory, not the elements",
    "view": "exists only where the memory allows it",
    "view_as": "exists only where the memory allows it",
    "view_shape": "exists only where the memory allows it",
}

# operation -> reason: the result cannot be known without values.
_COUNTED = "its shape is the number of elements found"
VALUE_DEPENDENT: dict[str, str] = dict.fromkeys(
    ("argwhere", "bincount", "masked_select", "nonzero", "unique", "unique_consecutive"), _COUNTED
)

# operation -> reason: the dtype under autocast differs from PyTorch's.
AUTOCAST: dict[str, str] = {}

# operation -> reason: signature differs from PyTorch's.
SIGNATURES: dict[str, str] = {}

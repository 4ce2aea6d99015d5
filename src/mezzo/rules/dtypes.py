"""Dtype rules: which dtype an operation computes in and which it returns.

A rule takes the operands as (dtype, kind) with kind "tensor" (has axes), "zero" (0-d tensor) or
"number" (Python number) and returns (compute dtype, result dtype).
"""

from __future__ import annotations

from collections.abc import Sequence

from mezzo import dtypes
from mezzo.dtypes import BOOL, COMPLEX, FLOAT, INTEGER, dtype, promote_types
from mezzo.errors import DTypeError, Fact, InvertError, UnsupportedDTypeError

Operand = tuple[dtype, str]


def result_type(operands: Sequence[Operand]) -> dtype:
    """PyTorch's promotion: axes before 0-d before numbers, unless the weaker has a higher category."""
    best: dict[str, dtype | None] = {"tensor": None, "zero": None, "number": None}
    for have, kind in operands:
        known = best[kind]
        best[kind] = have if known is None else promote_types(known, have)
    result = best["tensor"]
    for kind in ("zero", "number"):
        other = best[kind]
        if other is None:
            continue
        if result is None:
            result = other
        elif other.category > result.category:
            result = _lift(result, other, kind)
    return result


def _lift(strong: dtype, weak: dtype, kind: str) -> dtype:
    if weak.category == COMPLEX and strong.category == FLOAT:
        return promote_types(strong.to_complex(), dtypes.complex64)
    if kind == "number" and weak.category == FLOAT:
        return dtypes.Defaults.float_dtype
    return weak


def promote(operands: Sequence[Operand]):
    """Compute and return in the promoted dtype."""
    result = result_type(operands)
    return result, result


def int_to_float(operands: Sequence[Operand]):
    """As promote; integers and bool become the default float."""
    result = result_type(operands)
    if result.category < FLOAT:
        result = dtypes.Defaults.float_dtype
    return result, result


def compare(operands: Sequence[Operand]):
    """Compute in the promoted dtype, return bool."""
    return result_type(operands), dtypes.bool_


def truth(operands: Sequence[Operand]):
    """Compute in bool, return bool."""
    return dtypes.bool_, dtypes.bool_


def float_only(operands: Sequence[Operand]):
    """Floating operands only."""
    result = result_type(operands)
    if result.category != FLOAT:
        raise Fact(
            UnsupportedDTypeError,
            f"does not take {result.name}; it needs a floating dtype",
            "Convert with x.float().",
        )
    return result, result


def no_bool(operands: Sequence[Operand]):
    """As promote; bool is refused, as PyTorch refuses it."""
    result = result_type(operands)
    if result.category == BOOL:
        raise Fact(UnsupportedDTypeError, "does not take bool", "Use logical_xor, ~x or x.int().")
    return result, result


def integral(operands: Sequence[Operand]):
    """Integers and bool only (bitwise operations)."""
    result = result_type(operands)
    if result.category > INTEGER:
        raise Fact(
            UnsupportedDTypeError, f"does not take {result.name}; it needs an integer or bool dtype"
        )
    return result, result


def inverted(operands: Sequence[Operand]):
    """Integers and bool only, of the operator ~."""
    result = result_type(operands)
    if result.category > INTEGER:
        raise Fact(
            InvertError,
            f"~ (operator.invert) is only implemented on integer and bool tensors, and this is {result.name}",
            "Use x == 0 for a mask of zeros, or 1 - x.",
        )
    return result, result


def integers(operands: Sequence[Operand]):
    """Integers only, without bool (shifts)."""
    result = result_type(operands)
    if result.category != INTEGER:
        raise Fact(UnsupportedDTypeError, f"does not take {result.name}; it needs an integer dtype")
    return result, result


def scaled(operands: Sequence[Operand], named: dict):
    """As promote; a fractional alpha needs a floating result."""
    result = result_type(operands)
    if isinstance(named["alpha"], float) and result.category < FLOAT:
        raise Fact(
            DTypeError,
            f"argument alpha must not be a floating point number for integral input tensors, and is {named['alpha']}",
            "Convert the tensors with x.float().",
        )
    return result, result


def number_to_float(operands: Sequence[Operand]):
    """As int_to_float; bool is refused."""
    no_bool(operands)
    return int_to_float(operands)

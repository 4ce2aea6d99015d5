"""Vector maths: one MATH or MATH2 node as an expression of primitive nodes.

Each function takes and gives expressions of f32 or f64 and has no branches, so it costs the same for
every element. docs/vecmath.md states the error bounds; tests/unit/test_vecmath.py asserts them.
Functions of vecmath_exp, _log, _trig, _pow and _special work in the type of their argument;
those listed in IN_F64 compute an f32 in f64, being too rare to deserve tables of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.errors import KernelError
from mezzo.kernels.cpu import (
    vecmath_exp,
    vecmath_log,
    vecmath_pow,
    vecmath_special,
    vecmath_trig,
)
from mezzo.kernels.ir import FLOATS, Expr, cast


def _in_f64(function: Callable[..., Expr]) -> Callable[..., Expr]:
    """The function of an f32 as that of the f64 of the same value, rounded once."""

    def build(x: Expr) -> Expr:
        return cast(function(cast(x, "f64")), x.type)

    build.__name__, build.__doc__ = function.__name__, function.__doc__
    return build


def _erfinv(x: Expr) -> Expr:
    """Inverse error function."""
    wide = vecmath_special.erfinv_f64(cast(x, "f64"), refine=x.type == "f64")
    return cast(wide, x.type)


FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "exp": vecmath_exp.exp,
    "exp2": vecmath_exp.exp2,
    "expm1": vecmath_exp.expm1,
    "log": vecmath_log.log,
    "log2": vecmath_log.log2,
    "log10": vecmath_log.log10,
    "log1p": vecmath_log.log1p,
    "sin": vecmath_trig.sin,
    "cos": vecmath_trig.cos,
    "tan": vecmath_trig.tan,
    "asin": vecmath_trig.asin,
    "acos": vecmath_trig.acos,
    "atan": vecmath_trig.atan,
    "sinh": _in_f64(vecmath_exp.sinh),
    "cosh": _in_f64(vecmath_exp.cosh),
    "tanh": vecmath_exp.tanh,
    "asinh": _in_f64(vecmath_log.asinh),
    "acosh": _in_f64(vecmath_log.acosh),
    "atanh": _in_f64(vecmath_log.atanh),
    "erf": vecmath_special.erf,
    "erfc": vecmath_special.erfc,
    "erfinv": _erfinv,
    "lgamma": vecmath_special.lgamma,
    "digamma": _in_f64(vecmath_special.digamma_f64),
    "sigmoid": vecmath_exp.sigmoid,
    "log_sigmoid": vecmath_exp.log_sigmoid,
    "softplus": vecmath_exp.softplus,
    "normal_cdf": vecmath_special.normal_cdf,
}
FUNCTIONS2: dict[str, Callable[[Expr, Expr], Expr]] = {
    "pow": vecmath_pow.pow,
    "atan2": vecmath_trig.atan2,
}
# Exact, so without a bound.
EXACT: dict[str, Callable[[Expr, Expr], Expr]] = {"rem": vecmath_pow.remainder}


def expand(expr: Expr) -> Expr:
    """The same value without nodes of ir.MATH and ir.MATH2 (libm calls may stay)."""
    function = FUNCTIONS.get(expr.op) or FUNCTIONS2.get(expr.op) or EXACT.get(expr.op)
    if function is None:
        raise KernelError(f"vecmath: {expr.op!r} is not a function of ir.MATH or ir.MATH2.")
    if expr.type not in FLOATS:
        raise KernelError(
            f"vecmath: {expr.op} of {expr.type}; it needs f32 or f64. Cast the argument first."
        )
    return function(*expr.args)

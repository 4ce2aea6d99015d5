"""The kernel IR: scalar expressions over the elements of buffers, and the functions that build them.

A kernel body is an expression DAG. `load` reads an operand and converts it to its compute type;
what the loop nest does with the expression (map, reduce, row) is the business of whoever emits it.
Compute types: b1 (truth), u8 i8 i16 i32 i64, f32 f64. Storage types add b8, f16 and bf16, which
exist only in memory. Modules use it as `from mezzo.kernels import ir as k`.

    expr  ::= load(i) | scalar(i) | const | index | unary(expr) | binary(expr, expr)
            | select(cond, expr, expr) | fma(expr, expr, expr) | cast(expr)
            | scaled(expr, n, the same expr * 2**n without an instruction for it)
            | row_sum(expr) | row_max(expr) | row_min(expr) | row_size
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.errors import KernelError

COMPUTE = {"b8": "b1", "u8": "u8", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64",
           "f16": "f32", "bf16": "f32", "f32": "f32", "f64": "f64"}  # fmt: skip
SIZE = {"b8": 1, "u8": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8,
        "f16": 2, "bf16": 2, "f32": 4, "f64": 8}  # fmt: skip
FLOATS = ("f32", "f64")
ROW_OPS = ("row_sum", "row_max", "row_min")


class Expr:
    """A node of an expression: operation, arguments, compute type, and an attribute."""

    __slots__ = ("args", "attr", "op", "type")

    def __init__(self, op: str, args: tuple[Expr, ...], type: str, attr=None):
        self.op, self.args, self.type, self.attr = op, args, type, attr

    @property
    def is_float(self) -> bool:
        """True for f32 and f64."""
        return self.type in FLOATS

    def __repr__(self) -> str:
        inside = [repr(a) for a in self.args] + ([] if self.attr is None else [str(self.attr)])
        return f"{self.op}.{self.type}({', '.join(inside)})"

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return sub(self, other)

    def __rsub__(self, other):
        return sub(other, self)

    def __mul__(self, other):
        return mul(self, other)

    def __rmul__(self, other):
        return mul(other, self)

    def __truediv__(self, other):
        return div(self, other)

    def __rtruediv__(self, other):
        return div(other, self)

    def __neg__(self):
        return neg(self)

    def __and__(self, other):
        return _binary("and", self, other)

    def __or__(self, other):
        return _binary("or", self, other)

    def __xor__(self, other):
        return _binary("xor", self, other)

    def __invert__(self):
        return Expr("not", (self,), self.type)

    def __lshift__(self, other):
        return _binary("shl", self, other)

    def __rshift__(self, other):
        return _binary("shr", self, other)

    def __lt__(self, other):
        return _compare("lt", self, other)

    def __le__(self, other):
        return _compare("le", self, other)

    def __gt__(self, other):
        return _compare("gt", self, other)

    def __ge__(self, other):
        return _compare("ge", self, other)

    def eq(self, other) -> Expr:
        """self == other, as an expression."""
        return _compare("eq", self, other)

    def ne(self, other) -> Expr:
        """self != other, as an expression; true where either is NaN."""
        return _compare("ne", self, other)


# ---- leaves


def load(index: int, storage: str) -> Expr:
    """The element of operand `index`, converted from its storage type to its compute type."""
    return Expr("load", (), COMPUTE[storage], index)


def scalar(index: int, type: str) -> Expr:
    """Runtime scalar number `index` of the launch; floats arrive as f64, the rest as i64."""
    return Expr("scalar", (), type, index)


def const(value, type: str) -> Expr:
    """A literal."""
    return Expr("const", (), type, value)


def index() -> Expr:
    """The linear index (i64) of the output element, in row-major order."""
    return Expr("index", (), "i64")


def row_size(type: str = "f32") -> Expr:
    """The length of the row, in row kernels."""
    return Expr("row_size", (), type)


# ---- building


def lift(value, type: str) -> Expr:
    """value itself if it is an expression, else a literal of that type."""
    return value if isinstance(value, Expr) else const(value, type)


def _pair(a, b) -> tuple[Expr, Expr]:
    a = lift(a, b.type) if not isinstance(a, Expr) else a
    b = lift(b, a.type)
    if a.type != b.type:
        raise KernelError(
            f"kernel IR: operands have types {a.type} and {b.type}; cast one of them."
        )
    return a, b


def _binary(op: str, a, b) -> Expr:
    a, b = _pair(a, b)
    return Expr(op, (a, b), a.type)


def _compare(op: str, a, b) -> Expr:
    a, b = _pair(a, b)
    return Expr(op, (a, b), "b1")


def add(a, b) -> Expr:
    """a + b; truth values: or."""
    a, b = _pair(a, b)
    return Expr("or" if a.type == "b1" else "add", (a, b), a.type)


def sub(a, b) -> Expr:
    """a - b; truth values: exclusive or."""
    a, b = _pair(a, b)
    return Expr("xor" if a.type == "b1" else "sub", (a, b), a.type)


def mul(a, b) -> Expr:
    """a * b; truth values: and."""
    a, b = _pair(a, b)
    return Expr("and" if a.type == "b1" else "mul", (a, b), a.type)


def div(a, b) -> Expr:
    """a / b for floats; integers divide towards zero."""
    return _binary("div", a, b)


def rem(a, b) -> Expr:
    """The remainder with the sign of a (C's fmod and %)."""
    return _binary("rem", a, b)


def minimum(a, b) -> Expr:
    """The smaller; NaN if either is."""
    a, b = _pair(a, b)
    return a & b if a.type == "b1" else Expr("min", (a, b), a.type)


def maximum(a, b) -> Expr:
    """The larger; NaN if either is."""
    a, b = _pair(a, b)
    return a | b if a.type == "b1" else Expr("max", (a, b), a.type)


def neg(x: Expr) -> Expr:
    """-x."""
    return Expr("neg", (x,), x.type)


def fma(a: Expr, b, c) -> Expr:
    """a * b + c with one rounding."""
    return Expr("fma", (a, lift(b, a.type), lift(c, a.type)), a.type)


def where(condition: Expr, a, b) -> Expr:
    """a where the condition holds, else b."""
    a, b = _pair(a, b)
    return Expr("select", (condition, a, b), a.type)


def cast(x: Expr, type: str) -> Expr:
    """x converted to another compute type; to b1: x != 0."""
    if x.type == type:
        return x
    if type == "b1":
        return x.ne(0)
    return Expr("cast", (x,), type)


def bitcast(x: Expr, type: str) -> Expr:
    """The bits of x as another type of the same size."""
    return x if x.type == type else Expr("bitcast", (x,), type)


def round_to(x: Expr, storage: str) -> Expr:
    """x rounded to a storage type and read back, as a store and a load would."""
    return Expr("round_to", (x,), x.type, storage) if storage in ("f16", "bf16") else x


def shift_right_logical(x: Expr, count) -> Expr:
    """x >> count, filling with zeros."""
    return _binary("lshr", x, count)


def mul_high_u32(a: Expr, b) -> tuple[Expr, Expr]:
    """The high and low 32 bits of the product of two 32-bit values held in i64."""
    product = a * b
    return shift_right_logical(product, 32), product & 0xFFFFFFFF


def is_nan(x: Expr) -> Expr:
    """x is not a number."""
    return x.ne(x)


def unary(op: str):
    """A builder for the one-argument operation `op`, which keeps the type."""

    def build(x: Expr) -> Expr:
        return Expr(op, (x,), x.type)

    build.__name__ = op
    build.__doc__ = f"{op}(x), element by element."
    return build


# Primitive on every machine.
abs, sqrt, floor, ceil, trunc, rint = map(unary, ("abs", "sqrt", "floor", "ceil", "trunc", "rint"))

# Expanded by each target (kernels/cpu/vecmath.py): the names of MATH.
MATH = ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan",
        "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "lgamma", "digamma",
        "sigmoid", "log_sigmoid", "softplus", "normal_cdf")  # fmt: skip
(exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan, asin, acos, atan,
 sinh, cosh, tanh, asinh, acosh, atanh, erf, erfc, erfinv, lgamma, digamma,
 sigmoid, log_sigmoid, softplus, normal_cdf) = map(unary, MATH)  # fmt: skip
MATH2 = ("pow", "atan2")


def pow(a, b) -> Expr:
    """a to the power b, with C's special cases."""
    return _binary("pow", a, b)


def atan2(a, b) -> Expr:
    """The angle of the point (b, a)."""
    return _binary("atan2", a, b)


def copysign(a, b) -> Expr:
    """The magnitude of a with the sign of b."""
    return _binary("copysign", a, b)


# ---- row reductions: scalars of the row, usable in later expressions


def row_sum(x: Expr) -> Expr:
    """The sum over the row."""
    return Expr("row_sum", (x,), x.type)


def row_max(x: Expr) -> Expr:
    """The largest of the row; NaN if any is."""
    return Expr("row_max", (x,), x.type)


def row_min(x: Expr) -> Expr:
    """The smallest of the row; NaN if any is."""
    return Expr("row_min", (x,), x.type)


def walk(roots: tuple[Expr, ...]) -> list[Expr]:
    """Every node below the roots once, arguments before users."""
    seen: set[int] = set()
    order: list[Expr] = []
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))
    return order


def substitute(roots: tuple[Expr, ...], change: Callable[[Expr], Expr | None]) -> tuple[Expr, ...]:
    """The expressions with leaves replaced: change(leaf) gives the replacement, or None to keep it."""
    made: dict[int, Expr] = {}
    for node in walk(roots):
        if not node.args:
            made[id(node)] = change(node) or node
            continue
        args = tuple([made[id(a)] for a in node.args])
        same = all(a is b for a, b in zip(args, node.args))
        made[id(node)] = node if same else Expr(node.op, args, node.type, node.attr)
    return tuple([made[id(r)] for r in roots])


def structure(roots: tuple[Expr, ...]) -> tuple:
    """A hashable description: equal for expressions that compute the same in the same way."""
    numbers: dict[tuple, int] = {}
    at: dict[int, int] = {}
    for node in walk(roots):
        value = repr(node.attr) if isinstance(node.attr, float) else node.attr  # 0.0 is not -0.0
        key = (node.op, node.type, value.__class__, value, *[at[id(a)] for a in node.args])
        at[id(node)] = numbers.setdefault(key, len(numbers))
    return (*numbers, *[at[id(r)] for r in roots])

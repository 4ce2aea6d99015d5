"""Errors of the vector maths in units in the last place, special cases, and native code.

`python tests/unit/test_vecmath.py` measures anew and rewrites the table in docs/vecmath.md.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch

from mezzo.errors import KernelError
from mezzo.kernels import ir
from mezzo.kernels.cpu import vecmath
from mezzo.kernels.cpu.entry import launch
from mezzo.kernels.cpu.maps import MapKernel

NUMPY = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "b1": np.bool_}
FLOATS = ("f32", "f64")
INF, NAN = math.inf, math.nan
PAGE = Path(__file__).parents[2] / "docs/vecmath.md"

# Largest errors in ulp that the tests allow, for f32 and f64. The page is generated from these.
# digamma and lgamma have zeros where only the absolute error is bounded: ulp of max(|y|, 1).
BOUNDS = {
    "exp": (1.05, 1.0), "exp2": (1.0, 1.0), "expm1": (1.6, 1.6), "log": (1.0, 1.0),
    "log2": (1.0, 1.0), "log10": (1.0, 1.0), "log1p": (1.0, 1.0), "sin": (1.5, 1.0),
    "cos": (1.5, 1.0), "tan": (2.5, 2.0), "asin": (1.0, 1.0), "acos": (1.0, 1.0),
    "atan": (1.25, 2.0), "sinh": (1.0, 2.0), "cosh": (1.0, 2.0), "tanh": (2.25, 2.25),
    "asinh": (1.0, 2.0), "acosh": (1.0, 2.0), "atanh": (1.0, 2.0), "erf": (2.0, 2.0),
    "erfc": (5.0, 5.0), "erfinv": (2.0, 2.0), "lgamma": (2.0, 3.0), "digamma": (1.0, 8.0),
    "sigmoid": (2.5, 2.5), "log_sigmoid": (2.0, 2.0), "softplus": (2.0, 2.0),
    "normal_cdf": (4.5, 4.5), "pow": (1.0, 1.0), "atan2": (2.0, 2.0),
}  # fmt: skip

# Where random points are taken besides those of random bits.
USUAL = {
    "exp": (-110, 95), "exp2": (-155, 130), "expm1": (-20, 90), "log1p": (-1, 3), "asin": (-1, 1),
    "acos": (-1, 1), "sinh": (-92, 92), "cosh": (-92, 92), "acosh": (1, 4), "atanh": (-1, 1),
    "erf": (-5, 5), "erfc": (-6, 11), "erfinv": (-1, 1), "lgamma": (0, 40), "digamma": (-20, 40),
    "sigmoid": (-110, 30), "log_sigmoid": (-40, 110), "softplus": (-110, 40),
    "normal_cdf": (-15, 9), "log": (0, 3), "log2": (0, 3), "log10": (0, 3), "tanh": (-10, 10),
}  # fmt: skip
WIDER = {"exp": 7.9, "exp2": 8.1, "expm1": 7.9, "sinh": 7.7, "cosh": 7.7, "sigmoid": 6.8,
         "log_sigmoid": 6.8, "softplus": 6.8, "erfc": 2.45, "normal_cdf": 2.5}  # fmt: skip


# ---- a reference interpreter of expressions, on NumPy arrays


def fma_f64(a, b, c):
    """a * b + c, rounded (nearly always) once: the product exact, the sum with its error."""
    (ma, ea), (mb, eb) = np.frexp(a), np.frexp(b)  # so that splitting cannot overflow

    def split(m):
        big = m * 134217729.0
        high = big - (big - m)
        return high, m - high

    (ah, al), (bh, bl) = split(ma), split(mb)
    rounded = ma * mb
    error = np.ldexp(al * bl - (((rounded - ah * bh) - al * bh) - ah * bl), ea + eb)
    product = a * b
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)
    exact = total + (lost + error)
    return np.where(np.isfinite(exact), exact, total)


def fma_f32(a, b, c):
    """a * b + c through f64, where the product is exact."""
    wide = np.float64(a) * np.float64(b) + np.float64(c)
    return wide.astype(np.float32)


UFUNCS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "abs": np.abs, "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
    "rint": np.rint, "copysign": np.copysign, "select": np.where, "min": np.minimum,
    "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "not": np.invert, "shl": np.left_shift, "shr": np.right_shift, "eq": np.equal,
    "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal,
}  # fmt: skip


def _lgamma(v: float) -> float:
    if v == -INF or v == 0:
        return INF
    try:
        return math.lgamma(v)
    except ValueError:  # a pole
        return INF


LIBM = {"lgamma": np.frompyfunc(_lgamma, 1, 1)}


def evaluate(root: ir.Expr, *inputs: np.ndarray) -> np.ndarray:
    """The value of an expression for arrays of operands, node by node."""
    values: dict[int, np.ndarray] = {}
    size = inputs[0].size
    with np.errstate(all="ignore"):
        for node in ir.walk((root,)):
            values[id(node)] = _node(node, [values[id(a)] for a in node.args], inputs, size)
    return values[id(root)]


def _node(node, args, inputs, size):
    kind = NUMPY[node.type]
    if node.op == "load":
        return inputs[node.attr]
    if node.op == "const":
        wrapped = node.attr
        if node.type in ("i32", "i64"):
            bits = 32 if node.type == "i32" else 64
            wrapped = (node.attr + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        return np.full(size, wrapped, kind)
    if node.op == "fma":
        return (fma_f32 if node.type == "f32" else fma_f64)(*args)
    if node.op == "cast":
        return args[0].astype(kind)
    if node.op == "bitcast":
        return args[0].view(kind)
    if node.op == "scaled":
        return args[2]  # what the product with the power of two must be, bit for bit
    if node.op == "lshr":
        unsigned = np.uint32 if node.type == "i32" else np.uint64
        return (args[0].view(unsigned) >> args[1].view(unsigned)).view(kind)
    if node.op == "libm":
        return LIBM[node.attr](args[0].astype(np.float64)).astype(kind)
    result = UFUNCS[node.op](*args)
    assert result.dtype == kind, f"{node.op} gave {result.dtype}, not {kind}"
    return result


def expression(name: str, type: str) -> ir.Expr:
    """The node `name` of loads."""
    count = 2 if name in ir.MATH2 else 1
    return ir.Expr(name, tuple(ir.load(i, type) for i in range(count)), type)


def by_interpreter(name: str, type: str, *inputs):
    return evaluate(vecmath.expand(expression(name, type)), *inputs)


def by_native_code(name: str, type: str, *inputs):
    inputs = [np.ascontiguousarray(i) for i in inputs]
    out = np.empty(inputs[0].size, NUMPY[type])
    kernel = MapKernel([type] * len(inputs), [type], [expression(name, type)], [])
    address = kernel.address("flat", "c" * (len(inputs) + 1))
    launch(address, out.size, out.ctypes.data, *(i.ctypes.data for i in inputs))
    return out


# ---- references


def _softplus(x):
    return mpmath.log1p(mpmath.exp(x)) if x < 0 else x + mpmath.log1p(mpmath.exp(-x))


def _erfinv(x):
    # mpmath's own loses accuracy near one: refine it.
    if abs(x) >= 1:
        return mpmath.mpf(x) * INF if abs(x) == 1 else mpmath.nan
    y = mpmath.erfinv(mpmath.mpf(x))
    for _ in range(2):
        y -= (mpmath.erf(y) - x) * mpmath.exp(y * y) * mpmath.sqrt(mpmath.pi) / 2
    return y


def _lgamma_mp(x):
    return mpmath.log(abs(mpmath.gamma(x))) if x < 0 else mpmath.loggamma(x)


def _erfc(x):
    # mpmath's fails for huge arguments.
    return mpmath.mpf(0 if x > 0 else 2) if abs(x) > 100 else mpmath.erfc(x)


EXACT = {
    "erfc": _erfc,
    "exp2": lambda x: mpmath.power(2, x), "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "log10": lambda x: mpmath.log(x) / mpmath.log(10), "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": _softplus, "log_sigmoid": lambda x: -_softplus(-x), "pow": mpmath.power,
    "normal_cdf": lambda x: _erfc(-x / mpmath.sqrt(2)) / 2, "erfinv": _erfinv,
    "lgamma": _lgamma_mp,
}  # fmt: skip
# Good to much more than f32, and fast.
LONG = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.where(x < 0, 0, x) + np.log1p(np.exp(-np.abs(x))),
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power, "atan2": np.arctan2,
    "erf": np.frompyfunc(math.erf, 1, 1), "erfc": np.frompyfunc(math.erfc, 1, 1),
    "normal_cdf": np.frompyfunc(lambda x: math.erfc(-float(x) / math.sqrt(2)) / 2, 1, 1),
}  # fmt: skip
LONG["log_sigmoid"] = lambda x: -LONG["softplus"](-x)
FEW = ("erfinv", "digamma", "lgamma")  # mpmath even for f32


def mp_reference(name: str, *inputs) -> list:
    """Exact values by mpmath; NaN where the function is not real."""
    function = EXACT.get(name) or getattr(mpmath, "psi" if name == "digamma" else name)
    values = []
    for arguments in zip(*inputs):
        numbers = [mpmath.mpf(float(a)) for a in arguments]
        # Sines of large numbers and tails need digits beyond those of the result.
        with mpmath.workprec(120 + (1100 if abs(numbers[0]) > 1e15 and name in TRIG else 0)):
            try:
                value = function(0, *numbers) if name == "digamma" else function(*numbers)
                real = isinstance(value, mpmath.mpf)
            except (ValueError, ZeroDivisionError):
                real, value = False, mpmath.nan
            values.append(value if real else mpmath.nan)
    return values


TRIG = ("sin", "cos", "tan")


def reference(name: str, type: str, *inputs):
    """(value rounded to the type, function giving got - value as f64)."""
    if type == "f32" and name not in FEW:
        wide = [i.astype(np.longdouble) for i in inputs]
        with np.errstate(all="ignore"):
            exact = (LONG.get(name) or getattr(np, name))(*wide).astype(np.longdouble)
            return exact.astype(np.float32), lambda got: (got.astype(np.longdouble) - exact).astype(
                float
            )
    exact = mp_reference(name, *inputs)
    rounded = np.array([_round(v, type) for v in exact], NUMPY[type])

    def difference(got):
        return np.array([float(mpmath.mpf(float(g)) - v) if mpmath.isfinite(v) else NAN
                         for g, v in zip(got, exact)])  # fmt: skip

    return rounded, difference


def _round(value, type: str) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(float(value))) if type == "f32" else float(value)


def ulp_errors(name: str, type: str, got: np.ndarray, *inputs) -> np.ndarray:
    """Errors in ulp of the exact value; infinite where only one is NaN or infinite."""
    expected, difference = reference(name, type, *inputs)
    unit_at = np.maximum(np.abs(expected), 1) if name in ("digamma", "lgamma") else expected
    with np.errstate(all="ignore"):
        errors = np.abs(difference(got)) / np.spacing(np.abs(unit_at)).astype(float)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    either = ~(np.isfinite(got) & np.isfinite(expected))
    return np.where(either, np.where(same, 0.0, INF), errors)


def points(name: str, type: str) -> list[np.ndarray]:
    """Random bits over the whole range, and random numbers where the function is busy."""
    random = np.random.default_rng([ord(c) for c in name])
    many = 12000 if type == "f32" and name not in FEW else 300
    integer, bits = (np.int32, 32) if type == "f32" else (np.int64, 64)
    columns = []
    for _ in range(2 if name in ir.MATH2 else 1):
        raw = random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), many, dtype=np.int64)
        wild = raw.astype(integer).view(NUMPY[type])
        low, high = USUAL.get(name, (-10, 10))
        factor = WIDER.get(name, 1) if type == "f64" else 1
        busy = random.uniform(low * factor, high * factor, many)
        columns.append(np.concatenate([wild, busy.astype(NUMPY[type])]))
    if name == "pow":
        columns[0][many:] = np.abs(columns[0][many:])
    if name == "atan2":
        columns[1][many:] *= 100
    if name in ("digamma", "lgamma"):  # far negative values are all poles in floating point
        columns[0] = np.where(columns[0] < -1e4, -columns[0], columns[0])
    return [c[~np.isnan(c)] if len(columns) == 1 else np.nan_to_num(c, nan=2.0) for c in columns]


def worst(name: str, type: str) -> tuple[float, list[float]]:
    """The largest error of native code over the sampled points, and where."""
    inputs = points(name, type)
    errors = ulp_errors(name, type, by_native_code(name, type, *inputs), *inputs)
    at = int(errors.argmax())
    return float(errors[at]), [float(i[at]) for i in inputs]


ALL = [(name, type) for name in BOUNDS for type in FLOATS]
SPECIAL = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30]


def special_values(type: str) -> np.ndarray:
    """Zeros, infinities, NaN, small numbers, and the ends of the range."""
    limits = np.finfo(NUMPY[type])
    ends = [limits.max, limits.tiny, limits.smallest_subnormal, limits.eps]
    return np.array(SPECIAL + ends + [-e for e in ends], NUMPY[type])


def assert_alike(got, expected, about: str):
    """NaN, infinity and the sign of zero equal; the rest close."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=about)
    fine = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[fine]), np.signbit(expected[fine]), err_msg=about)
    np.testing.assert_allclose(got[fine], expected[fine], rtol=1e-6, atol=0, err_msg=about)


# ---- tests


def test_every_function_has_a_bound():
    assert set(BOUNDS) == set(ir.MATH) | set(ir.MATH2) == {*vecmath.FUNCTIONS, *vecmath.FUNCTIONS2}


@pytest.mark.parametrize("name, type", ALL)
def test_error_of_native_code(name, type):
    error, where = worst(name, type)
    assert error <= BOUNDS[name][type == "f64"], [w.hex() for w in where]


@pytest.mark.parametrize("name, type", ALL)
def test_native_code_is_what_the_expression_says(name, type):
    inputs = [i[::7] for i in points(name, type)]
    native, interpreted = by_native_code(name, type, *inputs), by_interpreter(name, type, *inputs)
    # The interpreter's f64 fma may round twice, and its subnormals may be off by one.
    tight = {"f32": 1e-6, "f64": 1e-13}[type]
    least = float(np.finfo(NUMPY[type]).tiny)
    np.testing.assert_allclose(native, interpreted, rtol=tight, atol=least)


@pytest.mark.parametrize("name, type", [(n, t) for n in ir.MATH for t in FLOATS])
def test_special_values_are_those_of_pytorch(name, type):
    x = special_values(type)
    got = by_native_code(name, type, x)
    assert_alike(got, pytorch(name, x), f"{name} of {x}")


def pytorch(name: str, x: np.ndarray) -> np.ndarray:
    """PyTorch's function in f64, rounded to the type of x; zeros keep their sign."""
    wide = torch.from_numpy(x.astype(np.float64))
    named = {"normal_cdf": torch.special.ndtr, "log_sigmoid": lambda v: -softplus(-v)}
    softplus = lambda v: v.clamp(min=0) + torch.log1p(torch.exp(-v.abs()))
    named["softplus"] = softplus
    named["log1p"] = lambda v: torch.from_numpy(np.log1p(v.numpy()))  # torch's loses subnormals
    with np.errstate(all="ignore"):
        return (named.get(name) or getattr(torch, name))(wide).numpy().astype(x.dtype)


@pytest.mark.parametrize("type", FLOATS)
@pytest.mark.parametrize("name", ir.MATH2)
def test_special_pairs_are_those_of_c(name, type):
    x = special_values(type)
    a, b = (np.ascontiguousarray(g.ravel()) for g in np.meshgrid(x, x))
    function = {"pow": np.power, "atan2": np.arctan2}[name]
    with np.errstate(all="ignore"):
        expected = function(a.astype(np.float64), b.astype(np.float64)).astype(NUMPY[type])
    assert_alike(by_native_code(name, type, a, b), expected, f"{name} of {a}, {b}")


@pytest.mark.parametrize("type", FLOATS)
def test_powers_of_two_are_exact(type):
    low, high = {"f32": (-149, 128), "f64": (-1074, 1024)}[type]
    k = np.arange(low, high).astype(NUMPY[type])
    powers = np.ldexp(np.ones(k.size, NUMPY[type]), k.astype(int))
    np.testing.assert_array_equal(by_native_code("exp2", type, k), powers)
    np.testing.assert_array_equal(by_native_code("log2", type, powers), k)


@pytest.mark.parametrize(
    "x, sine",
    [  # the double nearest to a multiple of pi/2, and others known to be hard
        (math.ldexp(6381956970095103, 797), 1.0),
        (math.ldexp(6381956970095103, 797) * 2, None),
        (float.fromhex("0x1.6ac5b262ca1ffp+849"), None),
        (1e22, -0.8522008497671888),
        (1.7976931348623157e308, 0.004961954789184062),
    ],
)
def test_hard_cases_of_argument_reduction(x, sine):
    values = np.array([x, -x])
    for name in ("sin", "cos", "tan"):
        got = by_native_code(name, "f64", values)
        assert ulp_errors(name, "f64", got, values).max() <= BOUNDS[name][1]
    if sine is not None:
        assert abs(by_native_code("sin", "f64", values)[0] - sine) < 1e-15


@pytest.mark.parametrize("type", FLOATS)
def test_an_element_does_not_depend_on_its_neighbours(type):
    x = np.linspace(-30, 30, 67).astype(NUMPY[type])
    x[[3, 40, 66]] = 1e20, -3e15, np.inf
    for name in ("sin", "cos", "tan", "exp", "log"):
        together = by_native_code(name, type, x)
        alone = np.concatenate([by_native_code(name, type, x[i : i + 1]) for i in range(x.size)])
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("type", FLOATS)
def test_ranges_are_kept(type):
    x = np.linspace(-40, 40, 20011).astype(NUMPY[type])
    for name, low, high in (("tanh", -1, 1), ("erf", -1, 1), ("sigmoid", 0, 1), ("sin", -1, 1),
                            ("cos", -1, 1), ("normal_cdf", 0, 1), ("erfc", 0, 2)):  # fmt: skip
        got = by_native_code(name, type, x)
        assert got.min() >= low and got.max() <= high, name


def test_what_is_not_a_function_is_refused():
    x = ir.load(0, "f32")
    with pytest.raises(KernelError, match="'add' is not a function"):
        vecmath.expand(x + x)
    with pytest.raises(KernelError, match="exp of i32; it needs f32 or f64"):
        vecmath.expand(ir.exp(ir.load(0, "i32")))


# ---- the page


def bounds_table() -> str:
    """The table of docs/vecmath.md."""
    rows = ["| function | f32 | f64 |", "|---|---|---|"]
    for name, (single, double) in sorted(BOUNDS.items()):
        rows.append(f"| `{name}` | {single} | {double} |")
    return "\n".join(rows)


def test_the_page_states_these_bounds():
    assert bounds_table() in PAGE.read_text(), "run python tests/unit/test_vecmath.py"


def rewrite_page() -> None:
    """Put the bounds into the page, and print what was measured."""
    for name, type in ALL:
        error, where = worst(name, type)
        print(f"{name:12s} {type}  {error:6.3f} ulp at {where}")
    text = re.sub(
        r"\| function \| f32[^\n]*\n(\|[^\n]*\n)*", bounds_table() + "\n", PAGE.read_text()
    )
    PAGE.write_text(text)


if __name__ == "__main__":
    rewrite_page()

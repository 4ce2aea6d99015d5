"""Fit the polynomials of kernels/cpu/vecmath*.py and write kernels/cpu/vecmath_tables.py.

Every table is a minimax polynomial (Remez exchange on a Chebyshev grid, 60 digits, mpmath) of a
function of which the leading behaviour has been divided out. Coefficients are rounded to the
table's type from the lowest power up, and the rest is fitted again after each rounding, so that
later coefficients absorb the rounding of earlier ones.

    python tools/fit_polynomials.py            # rewrite the tables; prints the error of each
    python tools/fit_polynomials.py EXP LOG    # only show these
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

mp.dps = 60
OUTPUT = Path(__file__).parent.parent / "src/mezzo/kernels/cpu/vecmath_tables.py"
ROUND = {"f32": lambda v: mpf(float(np.float32(float(v)))), "f64": lambda v: mpf(float(v))}


@dataclass(frozen=True)
class Fit:
    """Approximate `function` on [low, high]; `weight` turns its error into one of the result."""

    name: str
    text: str
    function: Callable
    weight: Callable
    low: object
    high: object
    degrees: dict[str, int]


def solve(points, values, weights, fixed, degree):
    """The free coefficients and the levelled error through len(points) = degree-len(fixed)+2."""
    first, size = len(fixed), len(points)
    matrix, right = mp.matrix(size, size), mp.matrix(size, 1)
    for i, (x, y, w) in enumerate(zip(points, values, weights)):
        for j in range(first, degree + 1):
            matrix[i, j - first] = x**j
        matrix[i, size - 1] = (-1) ** i / w
        right[i] = y - sum(c * x**j for j, c in enumerate(fixed))
    solution = mp.lu_solve(matrix, right)
    return [solution[i] for i in range(size - 1)], abs(solution[size - 1])


def extremes(errors, count):
    """Indices of `count` alternating extremes of a sampled error curve, the largest kept."""
    groups: list[int] = []
    for i, e in enumerate(errors):
        if groups and (e > 0) == (errors[groups[-1]] > 0):
            if abs(e) > abs(errors[groups[-1]]):
                groups[-1] = i
        else:
            groups.append(i)
    while len(groups) > count:
        groups.pop(0 if abs(errors[groups[0]]) < abs(errors[groups[-1]]) else -1)
    return groups


def least_squares(grid, values, weights, fixed, degree):
    """Weighted least squares on the Chebyshev grid: near minimax, whatever is fixed."""
    first, size = len(fixed), degree + 1 - len(fixed)
    rows = mp.matrix(len(grid), size)
    right = mp.matrix(len(grid), 1)
    for i, (x, y, w) in enumerate(zip(grid, values, weights)):
        for j in range(size):
            rows[i, j] = w * x ** (first + j)
        right[i] = w * (y - sum(c * x**j for j, c in enumerate(fixed)))
    solution = mp.lu_solve(rows.T * rows, rows.T * right)
    return list(fixed) + [solution[i] for i in range(size)]


def remez(grid, values, weights, fixed, degree):
    """Minimax coefficients on the grid with the lowest ones fixed, and the largest error.

    With coefficients fixed on an interval around zero the exchange may not exist: least squares
    is what is left then.
    """

    def errors_of(coefficients):
        return [
            w * (mp.polyval(coefficients[::-1], x) - y) for x, y, w in zip(grid, values, weights)
        ]

    count = degree - len(fixed) + 2
    best = list(fixed) if count == 1 else least_squares(grid, values, weights, fixed, degree)
    best_error = max(abs(e) for e in errors_of(best))
    if count == 1:
        return best, best_error
    chosen = [round((len(grid) - 1) * i / (count - 1)) for i in range(count)]
    for _ in range(8):
        pick = [[column[i] for i in chosen] for column in (grid, values, weights)]
        free, level = solve(*pick, fixed, degree)
        coefficients = list(fixed) + free
        errors = errors_of(coefficients)
        worst = max(abs(e) for e in errors)
        if worst < best_error:
            best, best_error = coefficients, worst
        chosen = extremes(errors, count)
        if worst < level * mpf("1.02") or len(chosen) < count:
            break
    return best, best_error


def fit(task: Fit, type: str):
    """Rounded coefficients, lowest power first, and log2 of the largest weighted error."""
    low, high, degree = mpf(task.low), mpf(task.high), task.degrees[type]
    size = 24 * (degree + 2)
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (i + mpf(1) / 2) / size)
            for i in range(size)]  # fmt: skip
    values = [task.function(x) for x in grid]
    weights = [task.weight(x) for x in grid]
    fixed: list = []
    while len(fixed) <= degree:
        coefficients, worst = remez(grid, values, weights, fixed, degree)
        fixed.append(ROUND[type](coefficients[len(fixed)]))
    _, worst = remez(grid, values, weights, fixed, degree)
    return [float(c) for c in fixed], float(mp.log(worst, 2))


def erfcx(u):
    """exp(u*u) * erfc(u)."""
    return mp.exp(u * u) * mp.erfc(u)


def tail_argument(t, k):
    """The u for which t == (u - k) / (u + k)."""
    return k * (1 + t) / (1 - t)


def inverse_erf_of(w):
    """erfinv(x) / x for the x with w == -log((1 - x) * (1 + x))."""
    x = mp.sqrt(-mp.expm1(-w))
    guess = mp.sqrt(w) if w > 3 else x * mp.sqrt(mp.pi) / 2
    y = guess
    for _ in range(60):
        # Newton on erfc, in logarithms where x is close to one: it converges from either side.
        value = mp.erfc(y)
        target = -mp.expm1(mp.log1p(-mp.exp(-w)) / 2)
        step = (mp.log(value) - mp.log(target)) * value * mp.exp(y * y) * mp.sqrt(mp.pi) / 2
        y += step
        if abs(step) < mpf(10) ** -50 * abs(y):
            break
    return y / x


def asin_rest(z):
    s = mp.sqrt(z)
    return (mp.asin(s) - s) / (s * z)


def atan_rest(z):
    s = mp.sqrt(z)
    return (mp.atan(s) - s) / (s * z)


def sin_rest(z):
    r = mp.sqrt(z)
    return (mp.sin(r) - r) / (r * z)


def erf_rest(z):
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def log_rest(z):
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / (s * z)


LN2 = mp.log(2)
# The centres of two fits, where the function happens to be almost a number of the type: then
# rounding the constant coefficient costs nothing.
ERFCX_K = {"f32": 2.875, "f64": 3.828125}
ERFCX_END = {"f32": 10.1, "f64": 27.3}
NORMAL_K = {"f32": 3.90625, "f64": 5.296875}
NORMAL_END = {"f32": 14.3, "f64": 38.7}
TASKS = [
    Fit("EXP", "(exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2",
        lambda r: (mp.exp(r) - 1 - r) / r**2, lambda r: r**2 / mp.exp(r),
        -LN2 / 2 * mpf("1.001"), LN2 / 2 * mpf("1.001"), {"f32": 4, "f64": 10}),
    Fit("EXP2", "(2^r - 1) / r on |r| <= 1/2",
        lambda r: mp.expm1(r * LN2) / r, lambda r: r, -mpf("0.5"), mpf("0.5"),
        {"f32": 5, "f64": 11}),
    Fit("LOG1P", "(log(1 + f) - f + f^2/2) / f^3 on -1/3 <= f <= sqrt(2) - 1",
        lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, lambda f: f**3 / mp.log1p(f),
        -mpf(1) / 3, mp.sqrt(2) - 1, {"f32": 8}),
    Fit("LOG_S", "(log((1+s)/(1-s)) - 2s) / s^3 in z = s^2, |s| <= 3 - 2 sqrt(2)",
        log_rest, lambda z: z / 2, 0, (3 - 2 * mp.sqrt(2)) ** 2 * mpf("1.001"), {"f64": 6}),
    Fit("SIN", "(sin(r) - r) / r^3 in z = r^2, |r| <= pi/4",
        sin_rest, lambda z: z, 0, (mp.pi / 4) ** 2 * mpf("1.002"), {"f32": 2, "f64": 5}),
    Fit("COS", "(cos(r) - 1 + r^2/2) / r^4 in z = r^2, |r| <= pi/4",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2,
        0, (mp.pi / 4) ** 2 * mpf("1.002"), {"f32": 2, "f64": 5}),
    Fit("ASIN", "(asin(s) - s) / s^3 in z = s^2, |s| <= 1/2",
        asin_rest, lambda z: z, 0, mpf("0.25"), {"f32": 4, "f64": 12}),
    Fit("ATAN", "(atan(s) - s) / s^3 in z = s^2, |s| <= tan(pi/8)",
        atan_rest, lambda z: z, 0, mp.tan(mp.pi / 8) ** 2 * mpf("1.001"), {"f32": 4, "f64": 11}),
    Fit("ATAN_UNIT", "(atan(s) - s) / s^3 in z = s^2, |s| <= 1",
        atan_rest, lambda z: z * mp.sqrt(z) / mp.atan(mp.sqrt(z)), 0, 1, {"f32": 8}),
    Fit("ERF", "erf(x) / x - 1 in z = x^2, |x| <= 1",
        erf_rest, lambda z: 1, 0, 1, {"f32": 6, "f64": 12}),
    Fit("ERF_HIGH", "erf(x) in x - 2.4375, 1 <= x <= 3.9375",
        lambda d: mp.erf(d + mpf("2.4375")), lambda d: 1, -mpf("1.4375"), mpf("1.5"), {"f32": 15}),
    Fit("ERFCX", "exp(u^2) erfc(u) (u + K) in t = (u - K) / (u + K), 0 <= u <= ERFCX_END",
        None, lambda t: 1, -1, None, {"f32": 10, "f64": 22}),
    Fit("NORMAL_TAIL", "exp(a^2/2) normal_cdf(-a) (a + K) in t = (a-K)/(a+K), 0 <= a <= NORMAL_END",
        None, lambda t: 1, -1, None, {"f32": 10, "f64": 22}),
    Fit("ERFINV_MIDDLE", "erfinv(x) / x in w - 3, w = -log(1 - x^2) <= 6",
        lambda d: inverse_erf_of(d + 3), lambda d: 1, -3, 3, {"f64": 12}),
    Fit("ERFINV_TAIL", "erfinv(x) / x in sqrt(w) - 3.2, 6 <= w <= 16",
        lambda d: inverse_erf_of((d + mpf("3.2")) ** 2), lambda d: mpf("0.4"),
        mp.sqrt(6) - mpf("3.2"), mpf(4) - mpf("3.2"), {"f64": 9}),
    Fit("ERFINV_FAR", "erfinv(x) / x in sqrt(w) - 5, 16 <= w <= 36.8",
        lambda d: inverse_erf_of((d + 5) ** 2), lambda d: mpf("0.25"),
        mpf(-1), mpf("1.07"), {"f64": 8}),
]  # fmt: skip


def of_type(task: Fit, type: str) -> Fit:
    """The task with what depends on the type: erfcx ends where erfc underflows."""
    if task.name == "ERFCX":
        k, end, shrink, half = mpf(ERFCX_K[type]), mpf(ERFCX_END[type]), 1, 1
    elif task.name == "NORMAL_TAIL":
        k, end, shrink, half = (mpf(NORMAL_K[type]), mpf(NORMAL_END[type]), mp.sqrt(mpf("0.5")),
                                mpf("0.5"))  # fmt: skip
    else:
        return task

    def function(t):
        a = tail_argument(t, k)
        return half * erfcx(a * shrink) * (a + k)

    return replace(task, function=function, high=(end - k) / (end + k), low=mpf(-1))


def constants() -> list[str]:
    """Multi-part constants: pi/2 and ln 2 for argument reduction, 1/(2 pi) in chunks."""
    lines = []
    named = {"PI_2": mp.pi / 2, "LN2": LN2, "LOG2_E": 1 / LN2, "LOG10_E": 1 / mp.log(10),
             "LOG10_2": mp.log(2, 10), "SQRT_1_2": mp.sqrt(mpf("0.5"))}  # fmt: skip
    for name, value in named.items():
        lines.append(f"# {name} as a sum of three numbers, largest first.")
        lines.append(f"{name} = {{")
        for type in ROUND:
            parts, rest = [], value
            for _ in range(3):
                parts.append(ROUND[type](rest))
                rest -= parts[-1]
            body = ", ".join(repr(float(p)) for p in parts)
            lines.append(f'    "{type}": ({body}),')
        lines.append("}")
    lines.append("# The centre K and the end of ERFCX.")
    lines += [f"ERFCX_K = {ERFCX_K}", f"ERFCX_END = {ERFCX_END}"]
    lines.append("# The centre K and the end of NORMAL_TAIL.")
    lines += [f"NORMAL_K = {NORMAL_K}", f"NORMAL_END = {NORMAL_END}"]
    with mp.workprec(1600):
        for name, bits, count, shift in (("TURN_29", 29, 8, 0), ("TURN_53", 53, 24, 300)):
            scale = mpf(2) ** shift
            rest, parts = scale / (2 * mp.pi), []
            if shift:
                lines += ["# The pieces below are multiplied by this.",
                          f"{name}_SCALE = 2.0**{shift}"]  # fmt: skip
            for i in range(count):
                unit = scale * mpf(2) ** (-bits * (i + 1))
                parts.append(float(mp.floor(rest / unit) * unit))
                rest -= mpf(parts[-1])
            body = ",\n    ".join(repr(p) for p in parts)
            lines.append(f"# 1/(2 pi) in {count} pieces of {bits} bits, highest first.")
            lines.append(f"{name} = (\n    {body},\n)")
    return lines


def main(names: list[str]) -> None:
    """Fit all tasks, or show the named ones."""
    lines = ['"""Coefficients of the vector maths: generated by tools/fit_polynomials.py.',
             "", "Lowest power first. Each comment says what is approximated and log2 of the",
             'largest relative error this leaves in the result, before rounding errors."""',
             "", "from __future__ import annotations", ""]  # fmt: skip
    for task in TASKS:
        if names and task.name not in names:
            continue
        rows, notes = [], []
        for type in task.degrees:
            coefficients, error = fit(of_type(task, type), type)
            notes.append(f"{type} 2^{error:.1f}")
            rows.append(f'    "{type}": (\n'
                        + "".join(f"        {c!r},\n" for c in coefficients) + "    ),\n")  # fmt: skip
            print(task.name, notes[-1], "degree", task.degrees[type], flush=True)
        lines += [f"# {task.text}.", f"# Error: {', '.join(notes)}.",
                  f"{task.name} = {{\n{''.join(rows)}}}"]  # fmt: skip
    if not names:
        OUTPUT.write_text("\n".join(lines + constants()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

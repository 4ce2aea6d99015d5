"""What a known call learns of values while it runs: numbers that it returns, and sizes of its results.

A row of CALLS whose kernel is null says with its second word what is to be done: TAKE reads a number from memory,
SIZED makes memory of as many elements as such a number says. Both have their own words behind their third.
"""

from __future__ import annotations

from mezzo.core.short.runs import call_objects, count_as, counted
from mezzo.core.short.words import (
    LAYOUT_BASE,
    differ,
    drop,
    field,
    item_at,
    leave,
    own,
    same,
    setting,
    slot,
)
from mezzo.kernels.cpu.contract.writer import Function, Program

SMALL = 1024  # bytes up to which size classes are multiples of 64
# How numbers lie in memory: (kind, how it becomes 64 bits).
_LOADS = {"b8": ("i8", "zext"), "u8": ("i8", "zext"), "i8": ("i8", "sext"), "i16": ("i16", "sext"),
          "i32": ("i32", "sext"), "i64": ("i64", ""), "f32": ("float", "fpext"), "f64": ("double", "")}  # fmt: skip
CODES = {name: code for code, name in enumerate(_LOADS)}
NUMBERS = ("bool of int", "bool of float", "int of int", "float of float", "float of int")


def number_code(dtype: str, kind: type) -> int | None:
    """How a number of that dtype (of the kernel IR) becomes a Python number; None where Python must do it."""
    name = f"{kind.__name__} of {'float' if dtype[0] == 'f' else 'int'}"
    return NUMBERS.index(name) + 1 if dtype in CODES and name in NUMBERS else None


def write_sized(program: Program) -> None:
    """The functions take, sized and number."""
    for write in (_take, _sized, _number):
        write(program)


def _take(program: Program) -> None:
    """@take(run, words) -> 0 with the number in the run, or 1 where it is out of bounds.

    words: [base, offset, how it lies, where it goes, least, most].
    """
    with program.function("take", "ptr %run, ptr %words", "i64") as f:
        base = f.load("i64", item_at(f, "%run", f.load("i64", "%words")))
        address = f.add(base, field(f, "i64", "%words", 8))
        at, code = f.let(f"inttoptr i64 {address} to ptr"), field(f, "i64", "%words", 16)
        found = f.variable("i64", 0)
        for which, (kind, how) in enumerate(_LOADS.values()):
            with f.when(f.compare("eq", code, which)):
                value = f.load(kind, at)
                if kind in ("float", "double"):
                    wide = f.let(f"{how} {kind} {value} to double") if how else value
                    value = f.let(f"bitcast double {wide} to i64")
                elif how:
                    value = f.let(f"{how} {kind} {value} to i64")
                f.store("i64", value, found)
        value = f.load("i64", found)
        f.store("i64", value, item_at(f, "%run", field(f, "i64", "%words", 24)))
        least, most = field(f, "i64", "%words", 32), field(f, "i64", "%words", 40)
        inside = f.both(f.compare("sle", least, value), f.compare("sle", value, most))
        leave(f, "i64", f.select(inside, 0, 1))
        f.do("unreachable")


def _sized(program: Program) -> None:
    """@sized(run, words) -> 0, or 2 after an error: memory for a layout that Python makes of a number.

    words: [which block, where the number is, what makes the layout, version, which layout].
    """
    with program.function("sized", "ptr %run, ptr %words", "i64") as f:
        which, at = f.load("i64", "%words"), field(f, "i64", "%words", 8)
        count = f.call("PyLong_FromLongLong", "ptr", f"i64 {f.load('i64', item_at(f, '%run', at))}")
        layout = call_objects(f, field(f, "ptr", "%words", 16), count)
        drop(f, count)
        leave(f, "i64", 2, same(f, layout, "null"))
        f.store("ptr", layout, item_at(f, f.at("%run", 8 * LAYOUT_BASE), field(f, "i64", "%words", 32)))  # fmt: skip
        nbytes = slot(f, layout, "layout_nbytes")
        size = f.call("PyLong_AsLongLong", "i64", f"ptr {nbytes}")
        unit = f.let(f"lshr i64 {f.add(f.max(size, 1), 63)}, 6")
        bucket, ready = f.variable("ptr", "null"), f.variable("i64", 0)
        table = f.let(f"inttoptr i64 {setting(f, 'small')} to ptr")
        small = f.both(f.compare("sle", size, SMALL), differ(f, table, "null"))
        with f.when(small):
            found = f.load("ptr", item_at(f, table, unit))
            f.store("ptr", found, bucket)
            f.store("i64", field(f, "i64", found, 16), ready)
        had = f.load("i64", ready)
        row = f.array(40)
        for offset, kind, value in ((0, "ptr", f.load("ptr", bucket)), (8, "ptr", nbytes), (24, "i64", 0),
                                    (32, "ptr", field(f, "ptr", "%words", 24))):  # fmt: skip
            f.store(kind, value, f.at(row, offset))
        made = f.call("block", "i64", "ptr %run", f"ptr {row}", f"i64 {which}")
        leave(f, "i64", 2, f.compare("eq", made, 0))
        with f.unless(f.compare("eq", had, 0)):
            now = f.add(counted(f, "allocated"), f.mul(unit, 64))
            count_as(f, "allocated", now)
            with f.when(f.compare("sgt", now, counted(f, "peak"))):
                count_as(f, "peak", now)
        leave(f, "i64", 0)
        f.do("unreachable")


def _number(program: Program) -> None:
    """@number(run, how, at) -> a Python number of the number that lies in the run; null after an error."""
    with program.function("number", "ptr %run, i64 %how, i64 %at", "ptr") as f:
        bits = f.load("i64", item_at(f, "%run", "%at"))
        double = f.let(f"bitcast i64 {bits} to double")
        for how, name in enumerate(NUMBERS, 1):
            with f.when(f.compare("eq", "%how", how)):
                leave(f, "ptr", _made(f, name, bits, double))
        leave(f, "ptr", "null")
        f.do("unreachable")


def _made(f: Function, name: str, bits: str, double: str) -> str:
    kind, _, source = name.split()
    if kind == "bool":
        test = "fcmp une double {}, 0.0" if source == "float" else "icmp ne i64 {}, 0"
        true = f.let(test.format(double if source == "float" else bits))
        return own(f, f.select(true, "@_Py_TrueStruct", "@_Py_FalseStruct", "ptr"))
    if kind == "int":
        return f.call("PyLong_FromLongLong", "ptr", f"i64 {bits}")
    value = double if source == "float" else f.let(f"sitofp i64 {bits} to double")
    return f.call("PyFloat_FromDouble", "ptr", f"double {value}")

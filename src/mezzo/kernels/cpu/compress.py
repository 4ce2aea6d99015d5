"""Elements where a mask is true, one behind another: counted first, then moved.

    count   counts[unit] = how many are true in a unit, counts[units] = in all
    where   row[k], column[k] = the place of the k-th true element, in lines of `width` elements; columns that are null
            lie behind the rows
    lengths out[k] = how far it is from the k-th true element of a vector to the next, or to the end
    pick    out[k] = x[place of the k-th]
    put     out[i] = x[i], or source[k] at the place of the k-th

Units are chunks of the mask; a unit begins behind the true ones of those before it. With AVX-512 the chosen lanes of a vector are
stored at once. Elsewhere, and for other sizes, nothing branches on an element: each is written, and the next one in its place
if its mask was false; what lies behind the last goes to the stack. Sixteen places that are all false are passed over.

    args  = [block, mask, counts] (count), [.., out] (lengths), [.., rows, columns] (where), [.., out, x] (pick), [.., out, x, source] (put)
    block = WORDS; all dense; mask: b8, counts: i64
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit, target
from mezzo.kernels.cpu.contract.lanes import load_some, splat, store_some, wide
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.emit import LANES

WORDS = ("units", "serial", "size", "chunk", "width")
FURTHER = {
    "count": 0,
    "lengths": 1,
    "where": 2,
    "pick": 2,
    "put": 3,
}  # pointers of each kind behind the counts


@functools.cache
def address(kind: str, item: int = 8) -> int:
    """The native entry; item: bytes of an element that is moved."""
    program = Program()
    with program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
        _units(f, kind, 8 * item)
    with program.function("kernel", "ptr %args", linkage="") as f:
        block = f.load("ptr", "%args", 8)
        units = f.load("i64", block, 8)
        f.share("body", "%args", units, f.load("i64", f.at(block, 8), 8))
        if kind == "count":
            counts = f.load("ptr", f.at("%args", 16), 8)
            f.store("i64", _sum(f, counts, units), f.at(counts, f.mul(units, 8)), 8)
        if kind == "lengths":
            _differences(f, block, units)
    return jit.load(program.text()).address("kernel")


def _differences(f: Function, block: str, units: str) -> None:
    """Places become distances to the next."""
    counts, out = (f.load("ptr", f.at("%args", 8 * i), 8) for i in (2, 3))
    total = f.load("i64", f.at(counts, f.mul(units, 8)), 8)
    size = f.load("i64", f.at(block, 8 * WORDS.index("size")), 8)
    last = f.sub(total, 1)
    with f.loop(0, last) as i:
        here = f.at(out, f.mul(i, 8))
        f.store("i64", f.sub(f.load("i64", f.at(here, 8), 8), f.load("i64", here, 8)), here, 8)
    some = f.compare("sge", last, 0)
    with f.when(some):
        end = f.at(out, f.mul(last, 8))
        f.store("i64", f.sub(size, f.load("i64", end, 8)), end, 8)


def _sum(f: Function, counts: str, units: str) -> str:
    """What the first units counted."""
    total = f.variable("i64", 0)
    f.store("i64", 0, total)
    with f.loop(0, units) as i:
        f.store("i64", f.add(f.load("i64", total), f.load("i64", f.at(counts, f.mul(i, 8)), 8)), total)  # fmt: skip
    return f.load("i64", total)


def _units(f: Function, kind: str, bits: int) -> None:
    block = f.load("ptr", "%args", 8)
    word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
    slots = 2 + FURTHER[kind]
    mask, counts, *further = (f.load("ptr", f.at("%args", 8 * i), 8) for i in range(1, slots + 1))
    with f.loop("%begin", "%end") as unit:
        first = f.mul(unit, word["chunk"])
        last = f.min(f.add(first, word["chunk"]), word["size"])
        here = f.at(counts, f.mul(unit, 8))
        if kind == "lengths":
            further *= 2  # a vector is one line: its rows, which are all 0, are overwritten
        if kind == "where":
            rows, columns = further
            total = f.load("i64", f.at(counts, f.mul(word["units"], 8)), 8)
            given = f.let(f"icmp ne ptr {columns}, null")
            further = [rows, f.select(given, columns, f.at(rows, f.mul(total, 8)), "ptr")]
        if kind == "count":
            f.store("i64", _counted(f, mask, first, last), here, 8)
        else:
            at = f.variable("i64")
            begin = _sum(f, counts, unit)
            f.store("i64", begin, at)
            end = f.add(begin, f.load("i64", here, 8))
            _moved(f, kind, (mask, *further), (first, last), at, end, word["width"], bits)


def _moved(f: Function, kind: str, pointers, span, at, end, width, bits) -> None:
    """A unit's elements."""
    first, last = span
    with f.loop(first, last, LANES) as i:
        stop = f.min(f.add(i, LANES), last)
        some = _some(f, pointers[0], i, f.sub(last, i))
        if kind == "put":
            if _has_vectors(bits):
                _put_vector(f, pointers, i, f.sub(last, i), at, some, bits)
            else:
                _put(f, pointers, i, stop, at, end, bits)
        else:
            with f.when(f.let(f"icmp ne i{LANES} {some}, 0")):
                _gathered(f, kind, pointers, (i, stop, last), at, end, width, bits, some)


def _gathered(f: Function, kind: str, pointers, places, at, end, width, bits, some) -> None:
    """LANES places of which some are true: together where the processor closes ranks and lines are long enough."""
    i, stop, last = places
    if kind == "pick":
        if _has_vectors(bits):
            _pick_vector(f, pointers, i, f.sub(last, i), at, some, bits)
        else:
            _pick(f, pointers, i, stop, at, end, bits)
    elif _has_vectors(64):
        long = f.compare("sge", width, LANES)
        with f.when(long):
            _where_vector(f, pointers, i, at, width, some)
        with f.unless(long):
            _where(f, pointers, i, stop, at, end, width)
    else:
        _where(f, pointers, i, stop, at, end, width)


def _has_vectors(bits: int) -> bool:
    """Whether the processor packs the chosen lanes of a vector, and spreads them."""
    return target.host().has_avx512 and bits in (32, 64)


def _packed(f: Function, value: str, to: str, some: str, bits: int) -> None:
    """Store the chosen lanes, one behind another."""
    kind, true = wide(f"i{bits}", LANES), wide("i1", LANES)
    name = f"llvm.masked.compressstore.v{LANES}i{bits}"
    f.program.declares.add(f"declare void @{name}({kind}, ptr, {true})")
    lanes = f.let(f"bitcast i{LANES} {some} to {true}")
    f.do(f"call void @{name}({kind} {value}, ptr align {bits // 8} {to}, {true} {lanes})")


def _go_on(f: Function, at: str, some: str) -> None:
    found = f.intrinsic(f"llvm.ctpop.i{LANES}", f"i{LANES}", (f"i{LANES}", some))
    f.store("i64", f.add(f.load("i64", at), f.let(f"zext i{LANES} {found} to i64")), at)


def _pick_vector(f: Function, pointers, i, count, at, some, bits) -> None:
    _, out, x = pointers
    item = bits // 8
    value = load_some(f, f.at(x, f.mul(i, item)), f"i{bits}", LANES, count)
    _packed(f, value, f.at(out, f.mul(f.load("i64", at), item)), some, bits)
    _go_on(f, at, some)


def _put_vector(f: Function, pointers, i, count, at, some, bits) -> None:
    _, out, x, source = pointers
    item, kind, true = bits // 8, wide(f"i{bits}", LANES), wide("i1", LANES)
    here = f.mul(i, item)
    old = load_some(f, f.at(x, here), f"i{bits}", LANES, count)
    name = f"llvm.masked.expandload.v{LANES}i{bits}"
    f.program.declares.add(f"declare {kind} @{name}(ptr, {true}, {kind})")
    lanes = f.let(f"bitcast i{LANES} {some} to {true}")
    begin = f.at(source, f.mul(f.load("i64", at), item))
    new = f.let(f"call {kind} @{name}(ptr align {item} {begin}, {true} {lanes}, {kind} {old})")
    store_some(f, new, f.at(out, here), f"i{bits}", LANES, count)
    _go_on(f, at, some)


def _where_vector(f: Function, pointers, i, at, width, some) -> None:
    """In lines of LANES elements or more LANES places lie in two lines at most."""
    _, rows, columns = pointers
    longs, true = wide("i64", LANES), wide("i1", LANES)
    numbers = ", ".join(f"i64 {lane}" for lane in range(LANES))
    size = splat(f, "i64", width, LANES)
    row = splat(f, "i64", f.div(i, width), LANES)
    column = f.let(f"add {longs} {splat(f, 'i64', f.rem(i, width), LANES)}, <{numbers}>")
    beyond = f.let(f"icmp sge {longs} {column}, {size}")
    turned = f.let(f"sub {longs} {column}, {size}")
    column = f.let(f"select {true} {beyond}, {longs} {turned}, {longs} {column}")
    row = f.let(f"add {longs} {row}, {f.let(f'zext {true} {beyond} to {longs}')}")
    begin = f.mul(f.load("i64", at), 8)
    _packed(f, row, f.at(rows, begin), some, 64)
    _packed(f, column, f.at(columns, begin), some, 64)
    _go_on(f, at, some)


def _some(f: Function, mask: str, i: str, count: str) -> str:
    """Which of LANES places are true, as bits."""
    raw = load_some(f, f.at(mask, i), "u8", LANES, count)
    true = f.let(f"icmp ne {wide('i8', LANES)} {raw}, zeroinitializer")
    return f.let(f"bitcast {wide('i1', LANES)} {true} to i{LANES}")


def _counted(f: Function, mask: str, first: str, last: str) -> str:
    total = f.variable("i64")
    f.store("i64", 0, total)
    with f.loop(first, last, LANES) as i:
        some = _some(f, mask, i, f.sub(last, i))
        found = f.intrinsic(f"llvm.ctpop.i{LANES}", f"i{LANES}", (f"i{LANES}", some))
        f.store("i64", f.add(f.load("i64", total), f.let(f"zext i{LANES} {found} to i64")), total)
    return f.load("i64", total)


def _true(f: Function, mask: str, i: str) -> str:
    return f.let(f"icmp ne i8 {f.load('i8', f.at(mask, i), 1)}, 0")


def _slot(f: Function, base: str, at: str, end: str, item: int) -> str:
    """Where the next element goes: to the stack if all of the unit are there."""
    spare = f.variable("i64")
    inside = f.compare("slt", at, end)
    return f.select(inside, f.at(base, f.mul(at, item)), spare, "ptr")


def _where(f, pointers, i, stop, at, end, width) -> None:
    mask, rows, columns = pointers
    row, column = f.variable("i64"), f.variable("i64")
    f.store("i64", f.div(i, width), row)
    f.store("i64", f.rem(i, width), column)
    with f.loop(i, stop) as j:
        r, c, k = f.load("i64", row), f.load("i64", column), f.load("i64", at)
        f.store("i64", r, _slot(f, rows, k, end, 8), 8)
        f.store("i64", c, _slot(f, columns, k, end, 8), 8)
        f.store("i64", f.add(k, f.let(f"zext i1 {_true(f, mask, j)} to i64")), at)
        after = f.add(c, 1)
        wraps = f.compare("eq", after, width)
        f.store("i64", f.select(wraps, 0, after), column)
        f.store("i64", f.add(r, f.let(f"zext i1 {wraps} to i64")), row)


def _pick(f, pointers, i, stop, at, end, bits) -> None:
    mask, out, x = pointers
    with f.loop(i, stop) as j:
        k = f.load("i64", at)
        value = f.load(f"i{bits}", f.at(x, f.mul(j, bits // 8)), bits // 8)
        f.store(f"i{bits}", value, _slot(f, out, k, end, bits // 8), bits // 8)
        f.store("i64", f.add(k, f.let(f"zext i1 {_true(f, mask, j)} to i64")), at)


def _put(f, pointers, i, stop, at, end, bits) -> None:
    mask, out, x, source = pointers
    item, kind = bits // 8, f"i{bits}"
    with f.loop(i, stop) as j:
        k, here = f.load("i64", at), f.mul(j, item)
        true = _true(f, mask, j)
        new = f.load(kind, _slot(f, source, k, end, item), item)
        old = f.load(kind, f.at(x, here), item)
        f.store(kind, f.select(true, new, old, kind), f.at(out, here), item)
        f.store("i64", f.add(k, f.let(f"zext i1 {true} to i64")), at)

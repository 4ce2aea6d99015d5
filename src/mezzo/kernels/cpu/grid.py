"""Images and volumes read between their elements, at the places of a grid, and the ways back.

    sample   out[c, p] = sum over corners of weight[corner, p] image[c, corner of p]
    spread   its transpose: image[c, corner of p] += weight[corner, p] grad[c, p]
    pull     out[p, axis] = sum over c and corners of d weight / d coordinate image[c, corner of p] grad[c, p]

Corners are the elements that take part in one value: 1 (nearest), 2 an axis (linear) or 4 (cubic). Weights are products of
one factor for each axis; `order` says how often each factor is differentiated by the coordinate, so derivatives of any
order are these three again. Some places at a time have the elements' positions (-1: outside) and weights put into a table, which
all channels then read: sample and pull gather LANES places at once; spread adds place by place, so that its sums have one
order, in planes of the thread's own memory that begin behind an element for what lies outside.

    args  = [block, scratch, out, grid, image] (sample), [.., grad] (spread), [.., image, grad] (pull)
    block = WORDS: chunk: places of a table; parts: units of an image; group: channels of a unit of spread; plane: elements of
            its planes; own: bytes of scratch for each thread. grid (n, places, axes), grad and out are dense
"""

from __future__ import annotations

import dataclasses
import functools
import itertools

from mezzo.kernels import ir as k
from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.contract.lanes import constant, load_some, mask, splat, store_some, wide
from mezzo.kernels.cpu.contract.writer import Function, Program
from mezzo.kernels.cpu.conv.direct_weight import elements_at
from mezzo.kernels.cpu.emit import LANES, LLVM, STORED, Emitter
from mezzo.kernels.ir import COMPUTE, SIZE, Expr

WORDS = ("units", "serial", "channels", "places", "chunk", "parts", "group", "plane", "own", "image_step", "channel_step",
         "size_0", "size_1", "size_2", "step_0", "step_1", "step_2")  # fmt: skip
CORNERS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
DEGREE = {
    "nearest": 0,
    "bilinear": 1,
    "bicubic": 3,
}  # of the weights: their next derivative is zero
_CUBIC = -0.75


@dataclasses.dataclass(frozen=True)
class Reading:
    """How places are read: axes of the image, mode, padding_mode, align_corners, derivatives by axis."""

    axes: int
    mode: str
    padding: str
    align: bool
    order: tuple[int, ...]

    @property
    def corners(self) -> int:
        """Elements that take part in one value."""
        return CORNERS[self.mode] ** self.axes

    def further(self, axis: int) -> tuple[int, ...]:
        """The order of derivatives with one more by an axis."""
        return tuple(n + (i == axis) for i, n in enumerate(self.order))


# ---- positions and weights, as expressions: load(axis) is a coordinate, scalar(axis) a size, scalar(3 + axis) a step


def _reflected(at: Expr, size: Expr, align: bool) -> tuple[Expr, Expr]:
    """The place seen in mirrors at both ends, and the sign of its derivative."""
    low, span = (0.0, size - 1) if align else (-0.5, size)
    far = at - low
    back = far < 0
    far = k.abs(far)
    turns = k.floor(far / span)
    extra = k.fma(-turns, span, far)
    odd = (turns - k.floor(turns * 0.5) * 2).ne(0)
    there = k.where(odd, span - extra, extra) + low
    flat = span.eq(0)
    sign = k.where(back, k.where(odd, k.const(1.0, at.type), -1.0), k.where(odd, k.const(-1.0, at.type), 1.0))  # fmt: skip
    return k.where(flat, k.const(0.0, at.type), there), k.where(flat, k.const(0.0, at.type), sign)


def _inside(at: Expr, size: Expr, padding: str, align: bool) -> tuple[Expr, Expr | None]:
    """The place that a padding mode reads, and the factor of its derivative (None: 1)."""
    if padding == "zeros":
        return at, None
    zero, last, sign = k.const(0.0, at.type), size - 1, None
    if padding == "reflection":
        at, sign = _reflected(at, size, align)
    moves = (at > zero) & (at < last)
    at = k.where(at > zero, at, zero)  # what is no number reads the first element
    at = k.where(at < last, at, last)
    return at, k.where(moves, sign if sign is not None else k.const(1.0, at.type), zero)


def _polynomial(coefficients: list[float], x: Expr, order: int) -> Expr:
    """The derivative of that order of a polynomial, highest power first."""
    for _ in range(order):
        top = len(coefficients) - 1
        coefficients = [c * (top - i) for i, c in enumerate(coefficients[:-1])]
    total = k.const(coefficients[0] if coefficients else 0.0, x.type)
    for c in coefficients[1:]:
        total = k.fma(total, x, k.const(c, x.type))
    return total


def _factors(mode: str, t: Expr, order: int) -> list[Expr]:
    """The factors of an axis at offset t behind the element below, differentiated `order` times."""
    if mode == "bilinear":
        return [_polynomial([-1.0, 1.0], t, order), _polynomial([1.0, 0.0], t, order)]
    a, turn = _CUBIC, -1.0 if order % 2 else 1.0
    near, far = [a + 2, -(a + 3), 0.0, 1.0], [a, -5 * a, 8 * a, -4 * a]
    found = [
        _polynomial(p, x, order) for p, x in ((far, t + 1), (near, t), (near, 1 - t), (far, 2 - t))
    ]
    return found[:2] + [f * turn for f in found[2:]]


def _axis(reading: Reading, axis: int, order: int, type: str) -> list[tuple[Expr, Expr | None]]:
    """(position, factor) of the elements of one axis that take part; no factor is 1."""
    size = k.scalar(axis, type)
    half = (size - 1) * 0.5 if reading.align else size * 0.5
    at = (k.load(axis, type) + 1) * half
    at = at if reading.align else at - 0.5
    if reading.mode == "nearest":
        return [(k.rint(_inside(at, size, reading.padding, reading.align)[0]), None)]
    slope = half
    if reading.mode == "bilinear":
        at, moves = _inside(at, size, reading.padding, reading.align)
        slope = half if moves is None else half * moves
    low = k.floor(at)
    factors = _factors(reading.mode, at - low, order)
    for _ in range(order):
        factors = [f * slope for f in factors]
    if reading.mode == "bilinear":
        return [(low, factors[0]), (low + 1, factors[1])]
    return [
        (_inside(low + (i - 1), size, reading.padding, reading.align)[0], f)
        for i, f in enumerate(factors)
    ]


def _positions(reading: Reading, type: str, index: str) -> list[Expr]:
    """Each corner's distance from the image's first element, in elements; -1 outside."""
    zero, found = k.const(0.0, type), []
    axes = [_axis(reading, axis, 0, type) for axis in range(reading.axes)]
    for axis, taps in enumerate(axes):
        last, known = k.scalar(axis, type) - 1, []
        for at, _ in taps:
            there = (at >= zero) & (at <= last)
            step = k.scalar(3 + axis, index)
            known.append((there, k.cast(k.where(there, at, zero), index) * step))
        found.append(known)
    corners = []
    for corner in itertools.product(*found):
        there, at = corner[0]
        for also, more in corner[1:]:
            there, at = there & also, at + more
        corners.append(k.where(there, at, k.const(-1, index)))
    return corners


def _weights(reading: Reading, order: tuple[int, ...], type: str) -> list[Expr]:
    """Each corner's weight."""
    axes = [[f for _, f in _axis(reading, i, n, type)] for i, n in enumerate(order)]
    found = []
    for corner in itertools.product(*axes):
        known = [f for f in corner if f is not None]
        total = known[0] if known else k.const(1.0, type)
        for f in known[1:]:
            total = total * f
        found.append(total)
    return found


# ---- the kernels


class _Writer:
    """Writes one kernel: kind, storage type of its tensors, how places are read, type of positions."""

    def __init__(self, kind: str, storage: str, reading: Reading, index: str):
        self.kind, self.storage, self.reading, self.index = kind, storage, reading, index
        self.type = COMPUTE[storage]
        self.size, self.item = SIZE[self.type], SIZE[storage]
        self.program = Program()

    def text(self) -> str:
        """The module."""
        with self.program.function("body", "ptr %args, i64 %begin, i64 %end, i64 %worker") as f:
            self._units(f)
        with self.program.function("kernel", "ptr %args", linkage="") as f:
            block = f.load("ptr", "%args", 8)
            f.share("body", "%args", f.load("i64", block, 8), f.load("i64", f.at(block, 8), 8))
        return self.program.text()

    def _units(self, f: Function) -> None:
        block = f.load("ptr", "%args", 8)
        self.word = {name: f.load("i64", f.at(block, 8 * i), 8) for i, name in enumerate(WORDS)}
        names = {"sample": ("out", "grid", "image"), "spread": ("out", "grid", "grad"),
                 "pull": ("out", "grid", "image", "grad")}[self.kind]  # fmt: skip
        self.base = {name: f.load("ptr", f.at("%args", 16 + 8 * i), 8) for i, name in enumerate(names)}  # fmt: skip
        scratch = f.load("ptr", f.at("%args", 8), 8)
        own = f.at(scratch, f.mul("%worker", self.word["own"]))
        column = f.mul(self.word["chunk"], SIZE[self.index])
        self.column = {"at": column, "weight": f.mul(self.word["chunk"], self.size)}
        corners = self.reading.corners
        weights = f.at(own, f.mul(column, corners))
        self.tables = {"at": own, "weight": weights}
        self.planes = f.at(weights, f.mul(self.column["weight"], corners))
        with f.loop("%begin", "%end") as unit:
            image, part = (how(unit, self.word["parts"]) for how in (f.div, f.rem))
            if self.kind == "spread":
                self._spread(f, image, part)
            else:
                first = f.mul(part, self.word["chunk"])
                count = f.min(self.word["chunk"], f.sub(self.word["places"], first))
                (self._sample if self.kind == "sample" else self._pull)(f, image, first, count)

    def _emitter(self, f: Function, coordinates: list[str]) -> Emitter:
        def leaf(node: Expr) -> str:
            if node.op == "load":
                return coordinates[node.attr]
            word = self.word[f"size_{node.attr}" if node.attr < 3 else f"step_{node.attr - 3}"]
            to = LLVM[node.type]
            if node.type in ("f32", "f64"):
                word = f.let(f"sitofp i64 {word} to {to}")
            elif node.type == "i32":
                word = f.let(f"trunc i64 {word} to i32")
            return splat(f, to, word, LANES)

        return Emitter(f.lines, f.program.declares, LANES, f.name("e") + "_", leaf)

    def _coordinates(self, f: Function, image: str, first: str, i: str, count: str) -> list[str]:
        """LANES places' coordinates, by axis of the image; the grid has the last axis first."""
        axes = self.reading.axes
        place = f.add(f.add(f.mul(image, self.word["places"]), first), i)
        here = f.at(self.base["grid"], f.mul(place, axes * self.item))
        there = mask(f, f.sub(count, i), LANES)
        steps = ", ".join(f"i64 {lane * axes * self.item}" for lane in range(LANES))
        found = []
        for axis in range(axes):
            line = f.at(here, (axes - 1 - axis) * self.item)
            raw = elements_at(f, line, f"<{steps}>", self.storage, LANES, there)
            found.append(self._plain(f).decode(raw, self.storage))
        return found

    def _plain(self, f: Function, lanes: int = LANES) -> Emitter:
        return Emitter(f.lines, f.program.declares, lanes, f.name("e") + "_", lambda node: "")

    def _slot(self, f: Function, table: str, corner: int, i: str) -> str:
        size = SIZE[self.index] if table == "at" else self.size
        return f.at(self.tables[table], f.add(f.mul(self.column[table], corner), f.mul(i, size)))

    def _table(self, f: Function, image: str, first: str, count: str) -> None:
        """Positions and weights of `count` places; pull has zeros for weights, for its sums."""
        kind, places = wide(LLVM[self.type], LANES), wide(LLVM[self.index], LANES)
        with f.loop(0, count, LANES) as i:
            e = self._emitter(f, self._coordinates(f, image, first, i, count))
            positions = _positions(self.reading, self.type, self.index)
            for corner, expr in enumerate(positions):
                f.store(places, e.value(expr), self._slot(f, "at", corner, i), SIZE[self.index])
            weights: list = [None] * len(positions)
            if self.kind != "pull":
                weights = _weights(self.reading, self.reading.order, self.type)
            for corner, expr in enumerate(weights):
                value = "zeroinitializer" if expr is None else e.value(expr)
                f.store(kind, value, self._slot(f, "weight", corner, i), self.size)

    def _elements(self, f: Function, plane: str, corner: int, i: str) -> str:
        """LANES places' elements at one corner, zeros outside."""
        places = wide(LLVM[self.index], LANES)
        at = f.load(places, self._slot(f, "at", corner, i), SIZE[self.index])
        there = f.let(f"icmp sge {places} {at}, {constant(LLVM[self.index], 0, LANES)}")
        if self.item == 2:
            steps = at
            if self.index == "i32":
                steps = f.let(f"sext {places} {at} to {wide('i64', LANES)}")
            steps = f.let(f"shl {wide('i64', LANES)} {steps}, {constant('i64', 1, LANES)}")
            return self._plain(f).decode(elements_at(f, plane, steps, self.storage, LANES, there), self.storage)  # fmt: skip
        vector, kind = wide(STORED[self.storage], LANES), STORED[self.storage]
        name = f"llvm.masked.gather.v{LANES}{'f32' if self.item == 4 else 'f64'}.v{LANES}p0"
        f.program.declares.add(f"declare {vector} @{name}(<{LANES} x ptr>, <{LANES} x i1>, {vector})")  # fmt: skip
        pointers = f.let(f"getelementptr {kind}, ptr {plane}, {places} {at}")
        return f.let(
            f"call {vector} @{name}(<{LANES} x ptr> align {self.item} {pointers}, <{LANES} x i1> {there}, "
            f"{vector} zeroinitializer)"
        )

    def _plane(self, f: Function, image: str, channel: str) -> str:
        """Where a plane of the image begins."""
        words = f.mul(image, self.word["image_step"]), f.mul(channel, self.word["channel_step"])
        return f.at(self.base["image"], f.add(*words))

    def _line(self, f: Function, name: str, image: str, channel: str, place: str) -> str:
        """Where a place of a dense tensor (n, channels, places) lies."""
        line = f.add(f.mul(image, self.word["channels"]), channel)
        return f.at(self.base[name], f.mul(f.add(f.mul(line, self.word["places"]), place), self.item))  # fmt: skip

    def _sample(self, f: Function, image: str, first: str, count: str) -> None:
        self._table(f, image, first, count)
        kind = wide(LLVM[self.type], LANES)
        with f.loop(0, self.word["channels"]) as channel:
            plane = self._plane(f, image, channel)
            line = self._line(f, "out", image, channel, first)
            with f.loop(0, count, LANES) as i:
                e, total = self._plain(f), "zeroinitializer"
                for corner in range(self.reading.corners):
                    value = self._elements(f, plane, corner, i)
                    weight = f.load(kind, self._slot(f, "weight", corner, i), self.size)
                    total = e.call("fma", LLVM[self.type], value, weight, total)
                raw = e.encode(total, self.storage)
                store_some(f, raw, f.at(line, f.mul(i, self.item)), self.storage, LANES, f.sub(count, i))  # fmt: skip

    def _pull(self, f: Function, image: str, first: str, count: str) -> None:
        self._table(f, image, first, count)
        kind = wide(LLVM[self.type], LANES)
        with f.loop(0, self.word["channels"]) as channel:
            plane = self._plane(f, image, channel)
            line = self._line(f, "grad", image, channel, first)
            with f.loop(0, count, LANES) as i:
                e = self._plain(f)
                raw = load_some(f, f.at(line, f.mul(i, self.item)), self.storage, LANES, f.sub(count, i))  # fmt: skip
                grad = e.decode(raw, self.storage)
                for corner in range(self.reading.corners):
                    slot = self._slot(f, "weight", corner, i)
                    value = self._elements(f, plane, corner, i)
                    total = e.call("fma", LLVM[self.type], value, grad, f.load(kind, slot, self.size))  # fmt: skip
                    f.store(kind, total, slot, self.size)
        axes = self.reading.axes
        found = f.variable(f"[{axes * LANES} x {LLVM[self.type]}]")
        with f.loop(0, count, LANES) as i:
            e = self._emitter(f, self._coordinates(f, image, first, i, count))
            for axis in range(axes):
                total = "zeroinitializer"
                weights = _weights(self.reading, self.reading.further(axis), self.type)
                for corner, expr in enumerate(weights):
                    value = f.load(kind, self._slot(f, "weight", corner, i), self.size)
                    total = e.call("fma", LLVM[self.type], value, e.value(expr), total)
                f.store(kind, total, f.at(found, (axes - 1 - axis) * LANES * self.size), self.size)
            place = f.add(f.add(f.mul(image, self.word["places"]), first), i)
            to = f.at(self.base["out"], f.mul(place, axes * self.item))
            with f.loop(0, f.min(f.sub(count, i), LANES)) as lane:
                for axis in range(axes):
                    here = f.at(found, f.add(f.mul(lane, self.size), axis * LANES * self.size))
                    value = f.load(LLVM[self.type], here, self.size)
                    self._plain(f, 1).store(value, f.at(to, f.mul(f.add(f.mul(lane, axes), axis), self.item)), self.storage)  # fmt: skip

    # ---- spread: planes of the thread's own memory, each behind an element for what lies outside

    def _spread(self, f: Function, image: str, part: str) -> None:
        group = self.word["group"]
        begin = f.mul(part, group)
        end = f.min(f.add(begin, group), self.word["channels"])
        room = f.mul(f.let(f"and i64 {f.add(self.word['plane'], 3 * LANES - 1)}, {-LANES}"), self.size)  # fmt: skip
        kind = wide(LLVM[self.type], LANES)
        with f.loop(0, f.mul(room, group), LANES * self.size) as at:
            f.store(kind, "zeroinitializer", f.at(self.planes, at), self.size)
        with f.loop(0, self.word["places"], self.word["chunk"]) as first:
            count = f.min(self.word["chunk"], f.sub(self.word["places"], first))
            self._table(f, image, first, count)
            with f.loop(begin, end) as channel:
                own = f.add(f.mul(f.sub(channel, begin), room), LANES * self.size)
                line = self._line(f, "grad", image, channel, first)
                self._add(f, f.at(self.planes, own), line, count)
        with f.loop(begin, end) as channel:
            own = f.at(self.planes, f.add(f.mul(f.sub(channel, begin), room), LANES * self.size))
            line = f.add(f.mul(image, self.word["channels"]), channel)
            to = f.at(self.base["out"], f.mul(f.mul(line, self.word["plane"]), self.item))
            with f.loop(0, self.word["plane"], LANES) as i:
                e = self._plain(f)
                raw = e.encode(f.load(kind, f.at(own, f.mul(i, self.size)), self.size), self.storage)  # fmt: skip
                store_some(f, raw, f.at(to, f.mul(i, self.item)), self.storage, LANES, f.sub(self.word["plane"], i))  # fmt: skip

    def _add(self, f: Function, plane: str, line: str, count: str) -> None:
        """The gradients of a chunk of places, added to a plane in their order."""
        kind, index = LLVM[self.type], LLVM[self.index]
        with f.loop(0, count) as i:
            e = self._plain(f, 1)
            grad = e.load(f.at(line, f.mul(i, self.item)), self.storage)
            for corner in range(self.reading.corners):
                at = f.load(index, self._slot(f, "at", corner, i), SIZE[self.index])
                weight = f.load(kind, self._slot(f, "weight", corner, i), self.size)
                here = f.let(f"getelementptr {kind}, ptr {plane}, {index} {at}")
                total = e.call("fma", kind, grad, weight, f.load(kind, here, self.size))
                f.store(kind, total, here, self.size)


def table_bytes(storage: str, reading: Reading, index: str, chunk: int) -> int:
    """Bytes that the table of a chunk of places takes; a chunk is a multiple of LANES."""
    return reading.corners * chunk * (SIZE[index] + SIZE[COMPUTE[storage]])


def plane_bytes(storage: str, plane: int) -> int:
    """Bytes of the memory for one plane of so many elements that spread adds to."""
    return (plane + 3 * LANES - 1 & -LANES) * SIZE[COMPUTE[storage]]


@functools.lru_cache(maxsize=128)
def address(kind: str, storage: str, reading: Reading, index: str) -> int:
    """The native entry."""
    return jit.load(_Writer(kind, storage, reading, index).text()).address("kernel")

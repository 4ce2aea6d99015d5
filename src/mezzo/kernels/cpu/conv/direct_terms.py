"""What conv/direct.py does in terms (contract/terms.py): the copy and the tiles.

A pixel's element i of a block and element i + length / 2 are a pair, so that pairs come of two vectors without a shuffle; the
panels of the weight (direct_weight.py) pair the same elements. Terms of the copy lie `plane` bytes apart, those of a run of panels one after another.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.lanes import SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Program, Value
from mezzo.kernels.cpu.conv.direct_copy import AHEAD_BYTES, Copier
from mezzo.kernels.cpu.conv.direct_words import word
from mezzo.kernels.cpu.conv.in_terms import STRETCH, add_tile, pairs, step

WIDTH = 16  # floats of a vector, pairs of a line
LINE = 64
FLOATS = wide("float", WIDTH)


class TermCopier(Copier):
    """Writes pixels of a row as terms, block by block of their channels."""

    def _half(self) -> str:
        return self.f.div(self.length, 2)

    def _floats(self, raw: str) -> str:
        packer = self.packer
        return lanes.operand(self.f, raw, packer.storage, packer.compute, "f32", WIDTH)

    def _put(self, to: str, low: str, high: str, count: Value) -> None:
        """Store the first `count` pairs of a pixel, each term in its plane."""
        f = self.f
        for which, value in enumerate(pairs(f, low, high, self.terms, WIDTH)):
            here = f.at(to, f.mul(self.plane, which))
            if count == WIDTH:
                f.store(wide("i32", WIDTH), value, here, 4)
            else:
                value = f.let(f"bitcast {wide('i32', WIDTH)} {value} to {FLOATS}")
                lanes.store_some(f, value, here, "f32", WIDTH, count)

    def several(self, row: str, source: str, begin: str, end: str, few: tuple[int, int]) -> str:
        """Copy as many pixels at a time as fill a line; returns where fewer are left."""
        f, (channels, length) = self.f, few
        half = length // 2
        many = WIDTH // half
        left = f.add(begin, f.mul(f.div(f.max(f.sub(end, begin), 0), many), many))
        zero = 2 * WIDTH  # of the second operand of a shuffle
        with f.loop(begin, left, many) as x:
            here = f.at(source, f.mul(x, self.step))
            f.prefetch(here, AHEAD_BYTES)
            raw = lanes.load_some(f, here, self.packer.storage, 2 * WIDTH, many * channels)
            kind = lanes.MEMORY[self.packer.storage]
            halves = []
            for first in (0, half):
                spots = [(lane // half, first + lane % half) for lane in range(WIDTH)]
                order = [at * channels + c if c < channels and at < many else zero for at, c in spots]  # fmt: skip
                found = lanes.shuffle(f, kind, 2 * WIDTH, raw, "zeroinitializer", order)
                halves.append(self._floats(found))
            self._put(f.at(row, f.mul(x, self.pixel)), *halves, many * half)
        return left

    def _lanes(self, raw: list[str], length: int) -> list[list[str]]:
        """For each pair of a pixel's elements vectors of pairs, one for each term."""
        values = [self._floats(r) for r in raw] + ["zeroinitializer"] * (length - len(raw))
        half = length // 2
        return [pairs(self.f, values[i], values[i + half], self.terms, WIDTH) for i in range(half)]

    def pixels(self, row: str, source: str, begin: str, end: str) -> None:
        """Copy pixels begin to end."""
        f, packer, size = self.f, self.packer, SIZE[self.packer.storage]
        half = self._half()
        with f.loop(begin, end) as x, f.loop(0, self.blocks) as b:
            to = f.at(row, f.add(f.mul(x, self.pixel), f.mul(b, self.block)))
            first = f.mul(b, self.length)
            here = f.at(source, f.add(f.mul(x, self.step), f.mul(first, size)))
            f.prefetch(here, AHEAD_BYTES)
            halves = []
            for at in (0, half):
                count = None if self.exact else f.sub(f.sub(self.channels, first), at)
                raw = packer.some(f, f.at(here, f.mul(at, size)), WIDTH, count)
                halves.append(self._floats(raw))
            self._put(to, *halves, WIDTH if self.exact else half)

    def _square(self, row: str, source: str, x: str, b: str, left: Value | None) -> None:
        """So many pixels as a vector has lanes, or `left`, and all channels of a block."""
        f, packer, size = self.f, self.packer, SIZE[self.packer.storage]
        apart, half = word(f, "image_c"), self._half()
        first = f.mul(b, self.length)
        here = f.at(source, f.add(f.mul(x, size), f.mul(first, apart)))
        exist = f.sub(self.channels, first)
        to = f.at(row, f.add(f.mul(x, self.pixel), f.mul(b, self.block)))
        many = WIDTH if left is None else left
        rooms = [f.array(WIDTH * LINE) for _ in range(2)]
        for at, room in zip((0, half), rooms):
            vectors = []
            for i in range(WIDTH):
                channel = f.add(at, i)
                count = left
                if not self.exact:
                    count = f.select(f.compare("slt", channel, exist), many, 0)
                raw = packer.some(f, f.at(here, f.mul(apart, channel)), WIDTH, count)
                vectors.append(self._floats(raw))
            for i, vector in enumerate(lanes.transpose(f, "float", WIDTH, vectors)):
                f.store(FLOATS, vector, f.at(room, i * LINE), LINE)
        with f.loop(0, many) as i:  # a loop, so that there is less to compile
            both = [f.load(FLOATS, f.at(room, f.mul(i, LINE)), LINE) for room in rooms]
            self._put(f.at(to, f.mul(self.pixel, i)), *both, WIDTH if self.exact else half)


# ---- tiles


def tiles(program: Program, scheme: Scheme, halves: int, vectors: int) -> None:
    """Write @micro_R_V: as that of one term; sums begin anew with every stretch of k (in_terms.py)."""
    signature = (
        "ptr %a, ptr %c, i64 %step, ptr %b, ptr %at, i64 %runs, i64 %lanes, ptr %tile, i64 %plane"
    )
    with program.function(f"micro_{16 * halves}_{vectors}", signature, attributes="noinline") as f:
        line = scheme.tile_columns * 4
        corners = [(i, j) for i in range(halves) for j in range(vectors)]
        place = {(i, j): i * 16 * line + j * 64 for i, j in corners}
        term, room = f.mul("%lanes", line), f.array(scheme.tile_bytes)
        stretches = f.ceil_div("%runs", f.div(STRETCH // 2, "%lanes"))
        each = f.ceil_div("%runs", stretches)
        with f.loop(0, "%runs", each) as first:
            micro.start_tiles(f, "null", place, line)
            with f.loop(first, f.min(f.add(first, each), "%runs")) as run:
                at = f.load("i64", f.at("%at", f.mul(run, 8)), 8)
                b = f.at("%b", f.mul(run, f.mul(term, scheme.terms)))
                rows = [f.at(side, at) for side in ("%a", "%c")[:halves]]
                step(f, scheme, corners, rows, ("%step", "%plane"), b, (line, term))
            begins = f.compare("eq", first, 0)
            to = f.select(begins, "%tile", room, "ptr")
            for i, j in corners:
                micro.tile(f, "tilestored64", 2 * i + j, f.at(to, place[i, j]), line)
            with f.unless(begins):
                add_tile(f, scheme, "%tile", room, "%tile", 16 * halves)

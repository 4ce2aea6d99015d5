"""The copy of a part of an image: blocks of its channels, with its padding, converted.

Where channels are innermost a pixel is a vector or some; where a row's pixels are neighbours, squares of both are turned.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import SIZE, wide
from mezzo.kernels.cpu.contract.pack import Packer
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.cpu.conv.direct_words import argument, word
from mezzo.kernels.cpu.conv.turn import turned

WOVEN = 16  # pixels at a time, where channels are interleaved
AHEAD_BYTES = 1024  # of the image, while it is copied


def copy(
    program: Program,
    scheme: Scheme,
    exact: bool,
    few: tuple[int, int] | None,
    turn: bool,
    kind: type[Copier],
) -> None:
    """Write @copy(args, image, images, row, rows, group, to): what windows of those rows of results read."""
    packer = Packer(program, scheme.panel_a, scheme.a, scheme.compute, scheme.acc)
    signature = "ptr %args, i64 %image, i64 %images, i64 %row, i64 %rows, i64 %group, ptr %to"
    with program.function("copy", signature, attributes="noinline") as f:
        copier = kind(f, packer, exact)
        height, line, across = word(f, "height"), word(f, "line"), word(f, "across")
        first, stride = word(f, "first_h"), word(f, "stride_h")
        count = f.add(f.mul(f.sub("%rows", 1), stride), word(f, "span_h"))
        top = f.add(f.mul("%row", stride), first)
        base = f.at(
            argument(f, "image"),
            f.add(word(f, "image_first"), f.mul("%group", word(f, "image_group"))),
        )
        begin = f.max(f.min(f.sub(0, word(f, "first_w")), across), 0)  # columns before the image
        end = f.max(f.min(f.sub(word(f, "width"), word(f, "first_w")), across), begin)
        with f.loop(0, "%images") as n, f.loop(0, count) as i:
            here = f.at("%to", f.add(f.mul(n, word(f, "whole")), f.mul(i, line)))
            y = f.add(top, i)
            inside = f.both(f.compare("sge", y, 0), f.compare("slt", y, height))
            stop = f.select(inside, end, begin)
            down = f.add(
                f.mul(f.add("%image", n), word(f, "image_n")), f.mul(y, word(f, "image_h"))
            )
            source = f.at(f.at(base, down), f.mul(word(f, "first_w"), word(f, "image_w")))
            copier.zeros(here, 0, begin)
            if turn and few:
                copier.woven(here, source, begin, stop, few)
            elif turn:
                copier.turned(here, source, begin, stop)
            else:
                begin_one = copier.several(here, source, begin, stop, few) if few else begin
                copier.pixels(here, source, begin_one, stop)
            copier.zeros(here, stop, across)


class Copier:
    """Writes pixels of a row, block by block of their channels."""

    def __init__(self, f: Function, packer: Packer, exact: bool):
        self.f, self.packer, self.exact = f, packer, exact
        self.group = packer.panel.group
        self.most = 32 if self.group == 2 else 16  # elements of a block
        self.width = packer.panel.width * self.group
        self.size = 2 if self.group == 2 else 4
        self.kind = "i16" if self.group == 2 else "float"
        self.channels, self.blocks, self.length = (
            word(f, n) for n in ("channels", "blocks", "length")
        )
        self.terms, self.step = packer.panel.terms, word(f, "image_w")
        self.pixel, self.plane = word(f, "pixel"), word(f, "plane")
        self.block = f.mul(self.plane, self.terms)  # bytes from block to block

    def zeros(self, row: str, begin: Value, end: str) -> None:
        """Zeros for pixels begin to end."""
        f = self.f
        with f.loop(begin, end) as x, f.loop(0, f.mul(self.blocks, self.terms)) as b:
            to = f.at(row, f.add(f.mul(x, self.pixel), f.mul(b, self.plane)))
            for at in range(0, self.most, self.width):
                self._store(to, at, "zeroinitializer")

    def several(self, row: str, source: str, begin: str, end: str, few: tuple[int, int]) -> str:
        """Copy as many pixels at a time as fill a vector; returns where fewer are left."""
        f, most, (channels, length) = self.f, self.most, few
        many = most // length
        left = f.add(begin, f.mul(f.div(f.max(f.sub(end, begin), 0), many), many))
        zero = most  # of the second operand of a shuffle
        order = [at // length * channels + at % length if at % length < channels and at < many * length else zero
                 for at in range(most)]  # fmt: skip
        with f.loop(begin, left, many) as x:
            here = f.at(source, f.mul(x, self.step))
            f.prefetch(here, AHEAD_BYTES)
            raw = lanes.load_some(f, here, self.packer.storage, most, many * channels)
            value = self.packer.convert(f, raw, most)
            value = lanes.shuffle(f, self.kind, most, value, "zeroinitializer", order)
            to = f.at(row, f.mul(x, self.pixel))
            if many * length == most:
                f.store(wide(self.kind, most), value, to, self.size)
            else:
                storage = "f32" if self.kind == "float" else "i16"
                lanes.store_some(f, value, to, storage, most, many * length)
        return left

    def woven(self, row: str, source: str, begin: str, end: str, few: tuple[int, int]) -> None:
        """Copy pixels begin to end of a row whose pixels are neighbours, for tile registers: channels interleaved."""
        f, (channels, length), width = self.f, few, WOVEN
        apart, size = word(f, "image_c"), SIZE[self.packer.storage]
        with f.loop(begin, end, width) as x:
            left = f.sub(end, x)
            here = f.at(source, f.mul(x, size))
            raw = [self.packer.some(f, f.at(here, f.mul(apart, c)), width, left) for c in range(channels)]  # fmt: skip
            to = f.at(row, f.mul(x, self.pixel))
            for which, lanes_of in enumerate(zip(*self._lanes(raw, length))):
                onto, words = f.at(to, f.mul(self.plane, which)), wide("i32", width)
                count = len(lanes_of)  # of a pixel: one or two
                if count == 2:
                    both = range(width), range(width, 2 * width)
                    lanes_of = [
                        lanes.shuffle(
                            f, "i32", width, *lanes_of, [i // 2 + i % 2 * width for i in half]
                        )
                        for half in both
                    ]
                for i, value in enumerate(lanes_of):
                    value = f.let(f"bitcast {words} {value} to {wide('float', width)}")
                    there = f.sub(f.mul(left, count), i * width)
                    lanes.store_some(f, value, f.at(onto, i * width * 4), "f32", width, there)

    def _lanes(self, raw: list[str], length: int) -> list[list[str]]:
        """For each pair of a pixel's elements vectors of pairs, one for each term."""
        f, width = self.f, WOVEN
        values = [self.packer.convert(f, r, width) for r in raw]
        values += ["zeroinitializer"] * (length - len(raw))
        order = [lane + half * width for lane in range(width) for half in (0, 1)]
        pairs = [
            lanes.shuffle(f, "i16", width, *values[i : i + 2], order) for i in range(0, length, 2)
        ]
        return [[self.packer.paired(f, pair)] for pair in pairs]

    def pixels(self, row: str, source: str, begin: str, end: str) -> None:
        """Copy pixels begin to end, converted."""
        f, size = self.f, SIZE[self.packer.storage]
        with f.loop(begin, end) as x, f.loop(0, self.blocks) as b:
            to = f.at(row, f.add(f.mul(x, self.pixel), f.mul(b, self.plane)))
            first = f.mul(b, self.length)
            here = f.at(source, f.add(f.mul(x, self.step), f.mul(first, size)))
            f.prefetch(here, AHEAD_BYTES)
            for at in range(0, self.most, self.width):
                count = None
                if not self.exact:
                    count = f.sub(f.min(self.length, f.sub(self.channels, first)), at)
                raw = self.packer.some(f, f.at(here, at * size), self.width, count)
                self._store(to, at, self.packer.convert(f, raw, self.width))

    def turned(self, row: str, source: str, begin: str, end: str) -> None:
        """Copy pixels begin to end of a row whose pixels are neighbours."""
        f, lanes_wide = self.f, self.packer.panel.width
        with f.loop(begin, end, lanes_wide) as x, f.loop(0, self.blocks) as b:
            left = f.sub(end, x)
            whole = f.compare("sge", left, lanes_wide)
            with f.when(whole):
                self._square(row, source, x, b, None)
            with f.unless(whole):
                self._square(row, source, x, b, left)

    def _square(self, row: str, source: str, x: str, b: str, left: Value | None) -> None:
        """So many pixels as a vector has lanes, or `left`, and all channels of a block."""
        f, packer, size = self.f, self.packer, SIZE[self.packer.storage]
        apart = word(f, "image_c")
        first = f.mul(b, self.length)
        here = f.at(source, f.add(f.mul(x, size), f.mul(first, apart)))
        exist = f.min(self.length, f.sub(self.channels, first))
        to = f.at(row, f.add(f.mul(x, self.pixel), f.mul(b, self.plane)))
        for at in range(0, self.most, self.width):

            def read(i: int, at=at) -> tuple[str, Value | None]:
                pointer = f.at(here, f.mul(apart, at + i))
                if self.exact:
                    return pointer, left
                many = packer.panel.width if left is None else left
                return pointer, f.select(f.compare("slt", at + i, exist), many, 0)

            for i, vector in enumerate(turned(f, packer, read)):
                if self.group == 2:
                    pair = wide("i16", self.width)
                    vector = f.let(f"bitcast {wide('i32', packer.panel.width)} {vector} to {pair}")
                pixel = f.at(to, f.mul(self.pixel, i))
                if left is None:
                    self._store(pixel, at, vector)
                else:
                    with f.when(f.compare("slt", i, left)):
                        self._store(pixel, at, vector)

    def _store(self, to: str, at: int, value: str) -> None:
        f, kind = self.f, wide(self.kind, self.width)
        here = f.at(to, at * self.size)
        if self.exact:
            f.store(kind, value, here, self.size)
            return
        storage = "f32" if self.kind == "float" else "i16"
        lanes.store_some(f, value, here, storage, self.width, f.sub(self.length, at))

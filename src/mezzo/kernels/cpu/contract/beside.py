"""Tasks that pack a panel of terms beside the products of the one before.

Tile registers multiply while the vector units have little to do, and to cut floats into terms (terms.py) takes as long as
three tile products of what is cut. So one operand, whose lines lie as its panels want them, is not packed ahead:
while a panel of it is multiplied by the group's panels of the other operand, which stay in the second cache, the units
(pack_terms.py) of the next panel stand between the tile products.
"""

from __future__ import annotations

from dataclasses import dataclass

from mezzo.kernels.cpu.contract import micro
from mezzo.kernels.cpu.contract.group import (
    SIGNATURE,
    Group,
    or_kept,
    pack_a,
    pack_b,
    panel_bytes,
)
from mezzo.kernels.cpu.contract.pack_terms import LINE, RUN, SIDE, Units
from mezzo.kernels.cpu.contract.scheme import Panel, Scheme
from mezzo.kernels.cpu.contract.slots import get, pointer
from mezzo.kernels.cpu.contract.writer import Function, Program

# Units beside a step of a tile's products: the few take no time of their own; the many, about half of what they take by
# themselves, where tiles of the other operand are too few to share a panel (SIDE / FEW).
FEW, MANY = 8, 16
_PACKED = "ptr %from, i64 %pitch, i64 %steps, i64 %turn, ptr %to"


@dataclass(frozen=True)
class Side:
    """An operand. which: 1 or 2, its number in the slots `private` and `kept`."""

    scheme: Scheme
    which: int

    @property
    def name(self) -> str:
        """a or b."""
        return "ab"[self.which - 1]

    @property
    def panel(self) -> Panel:
        """The format of its panels."""
        return self.scheme.panel_a if self.which == 1 else self.scheme.panel_b

    @property
    def storage(self) -> str:
        """The type of its elements."""
        return self.scheme.a if self.which == 1 else self.scheme.b

    def panels(self, group: Group) -> tuple[str, str]:
        """Those of a group: the first, and the one behind the last."""
        return (group.i0, group.i1) if self.which == 1 else (group.j0, group.j1)

    def total(self, f: Function) -> str:
        """How many the block has."""
        return get(f, "panels_m" if self.which == 1 else "panels_n")

    def count(self, f: Function) -> str:
        """Rows of a, columns of b, in the block."""
        return get(f, "rows" if self.which == 1 else "columns")

    def first(self, f: Function) -> str:
        """The block's first one."""
        return get(f, "row" if self.which == 1 else "column")

    def strides(self, f: Function) -> tuple[str, str]:
        """Bytes along what panels are made of, and along k."""
        names = ("a_m", "a_k") if self.which == 1 else ("b_n", "b_k")
        return get(f, names[0]), get(f, names[1])

    def pack(self, f: Function, panel: str, k: str, depth: str, to: str) -> None:
        """All of a panel, from k on."""
        (pack_a if self.which == 1 else pack_b)(f, self.scheme, panel, k, depth, to)

    def resident(self, f: Function, k1: str) -> tuple[str, str]:
        """Where panel 0 lies for the slice at k1, packed by all threads or kept, and the bytes between panels."""
        base = pointer(f, "space")
        base = base if self.which == 1 else f.at(base, get(f, "at_b"))
        step = f.mul(f.div(k1, self.panel.k_step), self.panel.nbytes(self.panel.k_step))
        packed = f.at(base, step), panel_bytes(f, self.panel)
        first = f.div(self.first(f), self.panel.rows)
        return or_kept(
            f, self.panel, str(self.which), pointer(f, self.name + "0"), first, k1, packed
        )


def beside(program: Program, scheme: Scheme, which: int) -> None:
    """Write @task_a or @task_b: that operand is packed beside products."""
    side = Side(scheme, which)
    for count in (FEW, MANY):
        _micro(program, side, count)
    _rest(program, side)
    _task(program, side, Side(scheme, 3 - which))


def _micro(program: Program, side: Side, count: int) -> None:
    """@beside_a_8: a whole tile (micro.py), with so many units of each of `steps` blocks along k of another panel.

    turn: bytes from where the last block asks for what is next.
    """
    scheme, units = side.scheme, Units(side.scheme, side.storage, side.panel)
    line = scheme.tile_columns * 4
    corners = [(i, j) for i in range(2) for j in range(scheme.tile_vectors)]
    place = {(i, j): i * 16 * line + j * LINE for i, j in corners}
    run = RUN if side.panel.k_fast else 1  # blocks ahead
    with program.function(
        f"beside_{side.name}_{count}", f"{micro.SIGNATURE}, {_PACKED}", attributes="noinline"
    ) as f:
        micro.start_tiles(f, "null", place, line)
        block = SIDE * units.size if side.panel.k_fast else f.mul("%pitch", SIDE)
        nowhere = f.array(side.panel.nbytes(SIDE))
        with f.loop(0, f.ceil_div("%depth", side.panel.k_step)) as step:
            inside = f.compare("slt", step, "%steps")
            # beside the steps that remain units read what is there, and what they make is lost
            pitch = f.select(inside, "%pitch", 0)
            source = f.select(inside, f.at("%from", f.mul(step, block)), "%a", "ptr")
            to = f.at("%to", f.mul(step, side.panel.nbytes(SIDE)))
            to = f.select(inside, to, nowhere, "ptr")
            more = f.compare("slt", f.add(step, run), "%steps")
            ahead = f.select(more, f.mul(block, run), "%turn")

            def unit(number: int) -> None:
                begin = f.at(source, f.mul(pitch, number // units.of_line))
                at = number % units.of_line
                units.write(f, begin, pitch, f.at(to, number * LINE), ahead, at)

            work = [lambda number=number: unit(number) for number in range(count)]
            micro.term_step(f, scheme, corners, step, work)
        micro.add_start(f, place, line)


def _rest(program: Program, side: Side) -> None:
    """@rest_a: the units of a panel from number %done on, beside nothing."""
    units = Units(side.scheme, side.storage, side.panel)
    with program.function(f"rest_{side.name}", f"{_PACKED}, i64 %done", attributes="noinline") as f:
        block = SIDE * units.size if side.panel.k_fast else f.mul("%pitch", SIDE)
        with f.loop("%done", SIDE, units.of_line) as unit:
            line = f.at("%from", f.mul(f.div(unit, units.of_line), "%pitch"))
            with f.loop(0, "%steps") as step:
                here = f.at(line, f.mul(step, block))
                to = f.at("%to", f.mul(step, side.panel.nbytes(SIDE)))
                for at in range(units.of_line):
                    place = f.at(to, f.mul(f.add(unit, at), LINE))
                    units.write(f, here, "%pitch", place, f.mul(block, RUN), at)


class _Next:
    """The panel that is packed while another is multiplied: number `index` for the slice at k1, if it exists.

    steps: how many whole blocks along k it has, none if it lacks rows: those are packed beside.
    """

    def __init__(
        self, f: Function, side: Side, exists: str, index: str, group: Group, k1: str, to: str
    ) -> None:
        self.f, self.side, self.exists, self.index, self.to = f, side, exists, index, to
        self.units = Units(side.scheme, side.storage, side.panel)
        self.depth, self.k = group.inside(k1), f.add(get(f, "k0"), k1)
        down, (rows, along_k) = f.mul(index, SIDE), side.strides(f)
        line = f.at(pointer(f, side.name + "0"), f.mul(f.add(side.first(f), down), rows))
        self.origin = f.at(line, f.mul(self.k, along_k))
        self.pitch = rows if side.panel.k_fast else along_k
        whole = f.both(exists, f.compare("sle", f.add(down, SIDE), side.count(f)))
        self.steps = f.select(whole, f.div(self.depth, SIDE), 0)

    def share(self, first: str, count: str) -> tuple[str, ...]:
        """The operands _PACKED of so many units from the first on."""
        f, size = self.f, self.units.size
        begin = f.at(self.origin, f.mul(f.div(first, self.units.of_line), self.pitch))
        down = f.mul(f.div(count, self.units.of_line), self.pitch)  # to the lines of the next share
        if self.side.panel.k_fast:
            turn = f.add(down, f.mul(f.sub(RUN, self.steps), SIDE * size))
        else:
            last = f.compare("sge", f.add(first, count), SIDE)  # then those of the next panel
            back = f.mul(f.div(first, self.units.of_line), self.pitch)
            down = f.select(last, f.sub(SIDE * size, back), down)
            turn = f.add(down, f.mul(f.sub(1, self.steps), f.mul(self.pitch, SIDE)))
        to = f.at(self.to, f.mul(first, LINE))
        return f"ptr {begin}", f"i64 {self.pitch}", f"i64 {self.steps}", f"i64 {turn}", f"ptr {to}"

    def finish(self, done: str) -> None:
        """What is left when so many units are done."""
        f, side = self.f, self.side
        some = f.compare("sgt", self.steps, 0)
        with f.when(f.both(some, f.compare("slt", done, SIDE))):
            f.call(f"rest_{side.name}", "void", *self.share("0", done), f"i64 {done}")
        done = f.mul(self.steps, SIDE)
        with f.when(f.both(self.exists, f.compare("slt", done, self.depth))):
            to = f.at(self.to, f.mul(self.steps, side.panel.nbytes(SIDE)))
            side.pack(f, self.index, f.add(self.k, done), f.sub(self.depth, done), to)


def _soon(
    f: Function, group: Group, side: Side, other: Side, k1: str, number: str
) -> tuple[str, str]:
    """What the other side's panels will be next, and how much of one is asked for at each lane of k.

    They were packed long ago. What passes now, panel `number` of it, shares that evenly.
    """
    (first, end), (begin, stop) = side.panels(group), other.panels(group)
    after = f.add(k1, group.slice_k)
    more = f.compare("slt", after, group.depth)
    # the next task has the same panels of the other side until all has passed
    same = f.either(more, f.compare("slt", end, side.total(f)))
    base, step = other.resident(f, f.select(more, after, 0))
    held = f.compare("sge", group.slice_k, group.depth)
    none = f.either(
        f.both(same, held),
        f.both(f.let(f"xor i1 {same}, true"), f.compare("sge", stop, other.total(f))),
    )
    share = f.mul(f.div(group.slice_k, SIDE), other.panel.nbytes(SIDE))
    share = f.div(share, f.sub(end, first))
    pace = f.select(none, 0, f.ceil_div(share, f.div(group.slice_k, 2)))  # pairs are lanes
    panels = f.at(base, f.mul(f.select(same, begin, stop), step))
    return f.at(panels, f.mul(number, share)), pace


def _task(program: Program, side: Side, other: Side) -> None:
    """Panels of one side, slice after slice, each times all panels of the other side."""
    scheme, panel = side.scheme, side.panel
    with program.function(f"task_{side.name}", SIGNATURE, attributes="noinline") as f:
        group = Group(f, scheme, down_first=side.which == 1)
        (first, end), (begin, stop) = side.panels(group), other.panels(group)
        count, few = f.sub(end, first), f.compare("sge", f.sub(stop, begin), SIDE // FEW)
        units = f.select(few, FEW, MANY)
        beside = f.select(few, *(f"@beside_{side.name}_{number}" for number in (FEW, MANY)), "ptr")
        total = f.mul(count, f.ceil_div(group.depth, group.slice_k))
        own = f.mul(f.div(group.slice_k, panel.k_step), panel.nbytes(panel.k_step))
        near = f.at("%scratch", get(f, "at_private"))

        def buffer(turn: str) -> str:
            return f.at(near, f.mul(own, f.let(f"and i64 {turn}, 1")))

        side.pack(f, first, get(f, "k0"), group.inside("0"), near)
        with f.loop(0, total) as turn:
            k1, index = f.mul(f.div(turn, count), group.slice_k), f.add(first, f.rem(turn, count))
            inside, (begins, ends) = group.inside(k1), group.borders(k1)
            after = f.add(turn, 1)
            k2, index2 = (
                f.mul(f.div(after, count), group.slice_k),
                f.add(first, f.rem(after, count)),
            )
            exists = f.compare("slt", after, total)
            coming = _Next(f, side, exists, index2, group, k2, buffer(after))
            here, (base, step) = buffer(turn), other.resident(f, k1)
            soon, pace = _soon(f, group, side, other, k1, f.rem(turn, count))
            with f.loop(begin, stop) as at:
                there = f.at(base, f.mul(at, step))
                ask = f.at(soon, f.mul(f.sub(at, begin), step))
                i, j = (index, at) if side.which == 1 else (at, index)
                a, b = (here, there) if side.which == 1 else (there, here)
                sums, start = group.place(i, j, begins)
                panels = (f"ptr {a}, ptr {b}, i64 {inside}, ptr {start}, ptr {sums}, i64 {LINE}, "
                          f"i64 {scheme.panel_a.nbytes(SIDE)}, ptr {ask}, i64 {pace}")  # fmt: skip
                unit = f.mul(f.sub(at, begin), units)
                busy = f.both(f.compare("slt", unit, SIDE), f.compare("sgt", coming.steps, 0))

                def multiply(rows: str, columns: str) -> None:
                    with f.when(busy):
                        f.do(
                            f"call void {beside}({', '.join((panels, *coming.share(unit, units)))})"
                        )
                    with f.unless(busy):
                        f.do(f"call void {micro.choose(f, scheme, rows, columns)}({panels})")

                group.tile(i, j, ends, multiply, sums)
            coming.finish(f.min(f.mul(f.sub(stop, begin), units), SIDE))

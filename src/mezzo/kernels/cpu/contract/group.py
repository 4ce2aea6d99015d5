"""A task of a product: a group of panels of a times a group of panels of b, tile after tile.

`void @task(ptr ctx, i64 task, ptr scratch)`. beside.py has the tasks that pack a panel while they multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mezzo.kernels.cpu.contract import micro
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.scheme import Panel, Scheme
from mezzo.kernels.cpu.contract.slots import get, pointer
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

SIGNATURE = "ptr %ctx, i64 %task, ptr %scratch"
Multiply = Callable[[str, str], None]  # of valid rows and columns of a tile


def panel_bytes(f: Function, panel: Panel) -> str:
    """Bytes of a panel of the present block."""
    steps = f.ceil_div(get(f, "depth"), panel.k_step)
    return f.mul(steps, panel.nbytes(panel.k_step))


@contextmanager
def strips(f: Function, panel: Panel, step: str, depth: str) -> Iterator[tuple[str, str, str]]:
    """For strips of `depth`: where one begins, its size, and where it goes in a panel.

    Memory that is contiguous along rows is packed strip by strip, all panels of one before the next: whole rows of it
    go by while its pages are at hand.
    """
    each = get(f, step)
    with f.loop(0, depth, each) as k:
        yield (
            k,
            f.min(f.sub(depth, k), each),
            f.mul(f.div(k, panel.k_step), panel.nbytes(panel.k_step)),
        )


def pack_a(f: Function, scheme: Scheme, panel: str, k: str, depth: str, to: str) -> None:
    inside = f.mul(panel, scheme.tile_rows)
    rows = f.min(f.sub(get(f, "rows"), inside), scheme.tile_rows)
    place = (f"i64 {f.add(get(f, 'row'), inside)}", f"i64 {rows}", f"i64 {k}", f"i64 {depth}")
    f.call("pack_a", "void", "ptr %ctx", *place, f"ptr {to}")


def pack_b(f: Function, scheme: Scheme, panel: str, k: str, depth: str, to: str) -> None:
    inside = f.mul(panel, scheme.tile_columns)
    rows = f.min(f.sub(get(f, "columns"), inside), scheme.tile_columns)
    place = (f"i64 {f.add(get(f, 'column'), inside)}", f"i64 {rows}", f"i64 {k}", f"i64 {depth}")
    f.call("pack_b", "void", "ptr %ctx", *place, f"ptr {to}")


class Group:
    """The panels [i0, i1) of a and [j0, j1) of b that a task multiplies, slice after slice of k, and where their sums lie."""

    def __init__(self, f: Function, scheme: Scheme, down_first: bool = False) -> None:
        """down_first: tasks that follow each other share panels of b, not of a."""
        self.f, self.scheme = f, scheme
        self.panels_m, panels_n = get(f, "panels_m"), get(f, "panels_n")
        self.group_m, group_n = get(f, "group_m"), get(f, "group_n")
        if down_first:
            down = f.ceil_div(self.panels_m, self.group_m)
            at_m, at_n = f.rem("%task", down), f.div("%task", down)
        else:
            across = f.ceil_div(panels_n, group_n)
            at_m, at_n = f.div("%task", across), f.rem("%task", across)
        self.i0, self.j0 = f.mul(at_m, self.group_m), f.mul(at_n, group_n)
        self.i1 = f.min(f.add(self.i0, self.group_m), self.panels_m)
        self.j1 = f.min(f.add(self.j0, group_n), panels_n)
        self.depth, self.slice_k = f.max(get(f, "depth"), 1), get(f, "slice_k")
        self.several = f.compare("slt", get(f, "block_k"), get(f, "k"))  # sums outlive the task
        self.whole = f.compare("sge", self.slice_k, get(f, "k"))  # nothing is summed in memory
        self.sums = f.at(pointer(f, "space"), get(f, "at_sums"))

    def inside(self, k1: str) -> str:
        """Elements along k of the slice at k1."""
        return self.f.min(self.f.sub(get(self.f, "depth"), k1), self.slice_k)

    def borders(self, k1: str) -> tuple[str, str]:
        """Whether a sum begins, and whether it ends, with that slice."""
        f = self.f
        begins = f.both(f.compare("ne", get(f, "first"), 0), f.compare("eq", k1, 0))
        last = f.compare("sge", f.add(k1, self.slice_k), get(f, "depth"))
        return begins, f.both(f.compare("ne", get(f, "last"), 0), last)

    def place(self, i: str, j: str, begins: str) -> tuple[str, str]:
        """Where the sums of a tile go, and where they come from: null if they begin."""
        f, nbytes = self.f, self.scheme.tile_bytes
        near = f.add(f.mul(f.sub(j, self.j0), self.group_m), f.sub(i, self.i0))
        near = f.at("%scratch", f.mul(f.select(self.whole, 0, near), nbytes))
        far = f.at(self.sums, f.mul(f.add(f.mul(j, self.panels_m), i), nbytes))
        tile = f.select(self.several, far, near, "ptr")
        return tile, f.select(begins, "null", tile, "ptr")

    def tile(self, i: str, j: str, ends: str, multiply: Multiply, sums: str) -> None:
        """One slice of one tile, which multiply(rows, columns) computes; after the last, its way out."""
        f, scheme = self.f, self.scheme
        down, along = f.mul(i, scheme.tile_rows), f.mul(j, scheme.tile_columns)
        rows = f.min(f.sub(get(f, "rows"), down), scheme.tile_rows)
        columns = f.min(f.sub(get(f, "columns"), along), scheme.tile_columns)
        multiply(rows, columns)
        with f.when(ends):
            row, column = f.add(get(f, "row"), down), f.add(get(f, "column"), along)
            place = (f"i64 {row}", f"i64 {rows}", f"i64 {column}", f"i64 {columns}")
            f.call("finish", "void", "ptr %ctx", f"ptr {sums}", *place)


def task(program: Program, scheme: Scheme, in_place: bool, plain: bool) -> None:
    """Slices of k outermost: the group's panels and sums stay in the second cache.

    in_place: whole panels of a may be read where they lie (slot `direct`). plain: the output is a strided matrix.
    """
    # tiles of tile registers are done too soon: 592 GFLOP/s instead of 468
    fetches = plain and scheme.method != "amx"
    with program.function("task", SIGNATURE, attributes="noinline") as f:
        group, panels_n = Group(f, scheme), get(f, "panels_n")
        i0, i1, j0, j1 = group.i0, group.i1, group.j0, group.j1
        with f.loop(0, group.depth, group.slice_k) as k1:
            inside, (begins, ends) = group.inside(k1), group.borders(k1)
            lies = InPlace(f, scheme, k1) if in_place else None
            left = _side(f, scheme.panel_a, "1", pointer(f, "space"), i0, i1, k1, inside,
                         lambda *at: pack_a(f, scheme, *at), lies)  # fmt: skip
            left = or_kept(f, scheme.panel_a, "1", pointer(f, "a0"),
                           f.div(get(f, "row"), scheme.tile_rows), k1, left)  # fmt: skip
            at_b = f.at(pointer(f, "space"), get(f, "at_b"))
            right = _side(f, scheme.panel_b, "2", at_b, j0, j1, k1, inside,
                          lambda *at: pack_b(f, scheme, *at))  # fmt: skip
            right = or_kept(f, scheme.panel_b, "2", pointer(f, "b0"),
                            f.div(get(f, "column"), scheme.tile_columns), k1, right)  # fmt: skip
            end = f.select(f.compare("eq", get(f, "private"), 2), j1, panels_n)
            with f.loop(j0, j1) as j, f.loop(i0, i1) as i:
                sums, start = group.place(i, j, begins)
                a, b = (f.at(base, f.mul(at, step)) for (base, step), at in ((left, i), (right, j)))
                row, step = (64, scheme.panel_a.nbytes(scheme.panel_a.k_step))
                if lies:
                    a, row, step = lies.choose(i, a, row, step)
                # what lies behind the last panel another thread may be writing
                more = f.compare("slt", f.add(j, 1), end)
                following = f.at(right[0], f.mul(f.select(more, f.add(j, 1), j0), right[1]))
                after, pace = _next_panel(f, scheme, following, inside, f.sub(i, i0), f.sub(i1, i0))
                panels = (f"ptr {a}, ptr {b}, i64 {inside}, ptr {start}, ptr {sums}, "
                          f"i64 {row}, i64 {step}, ptr {after}, i64 {pace}")  # fmt: skip

                def multiply(rows: str, columns: str) -> None:
                    if fetches:
                        with f.when(f.both(ends, f.compare("eq", get(f, "streams"), 0))):
                            _fetch_out(f, scheme, i, rows, j)
                    f.do(f"call void {micro.choose(f, scheme, rows, columns)}({panels})")

                group.tile(i, j, ends, multiply, sums)


class InPlace:
    """Panels of a that tile registers read from a itself: those with all their rows."""

    def __init__(self, f: Function, scheme: Scheme, k1: str) -> None:
        self.f, self.tall = f, scheme.tile_rows
        self.allowed = f.compare("ne", get(f, "direct"), 0)
        self.stride = get(f, "a_m")
        along = f.mul(f.add(get(f, "k0"), k1), get(f, "a_k"))
        self.origin = f.at(pointer(f, "a0"), f.add(f.mul(get(f, "row"), self.stride), along))

    def holds(self, panel: str) -> str:
        """Whether that panel is read in place."""
        f = self.f
        after = f.mul(f.add(panel, 1), self.tall)
        return f.both(self.allowed, f.compare("sle", after, get(f, "rows")))

    def choose(self, panel: str, packed: str, row: Value, step: Value) -> tuple[str, str, str]:
        """Where the panel is read, and the bytes between its rows and between its steps of k."""
        f, here = self.f, self.holds(panel)
        lies = f.at(self.origin, f.mul(f.mul(panel, self.tall), self.stride))
        return (
            f.select(here, lies, packed, "ptr"),
            f.select(here, self.stride, row),
            f.select(here, 64, step),
        )


def _next_panel(
    f: Function, scheme: Scheme, following: str, depth: str, tile: str, tiles: str
) -> tuple[str, str]:
    """Which part of the panel of columns that follows a tile asks for, and how much at each lane of k.

    The `tiles` of a panel share it evenly. It was packed long ago and has left the second cache; the panels of rows,
    which every tile reads anew, follow each other in memory and need no such help.
    """
    line = scheme.panel_b.nbytes(scheme.panel_b.k_step) // scheme.width
    pace = f.div(line, tiles)
    lanes = f.ceil_div(depth, scheme.panel_b.group)
    return f.at(following, f.mul(f.mul(lanes, pace), tile)), pace


def _side(
    f: Function, panel: Panel, which, base, begin, end, k1, depth, pack, lies: InPlace | None = None
) -> tuple[str, str]:
    """Where panel 0 of an operand lies for the slice at k1, and the bytes between panels.

    If the operand is private to the task, its panels begin to end are packed here, but for those read in place.
    """
    own = f.mul(f.div(get(f, "slice_k"), panel.k_step), panel.nbytes(panel.k_step))
    shared = f.at(base, f.mul(f.div(k1, panel.k_step), panel.nbytes(panel.k_step)))
    near = f.at("%scratch", get(f, "at_private"))
    private = f.compare("eq", get(f, "private"), which)
    strip = "strip_a" if which == "1" else "strip_b"
    with f.when(private), strips(f, panel, strip, depth) as (k, inside, at):
        first = f.add(f.add(get(f, "k0"), k1), k)
        with f.loop(begin, end) as index:
            to = f.at(f.at(near, f.mul(f.sub(index, begin), own)), at)
            if lies is None:
                pack(index, first, inside, to)
            else:
                with f.unless(lies.holds(index)):
                    pack(index, first, inside, to)
    origin = f.at(near, f.sub(0, f.mul(begin, own)))
    return (
        f.select(private, origin, shared, "ptr"),
        f.select(private, own, panel_bytes(f, panel)),
    )


def or_kept(
    f: Function, panel: Panel, which: str, base: str, first: str, k1: str, packed: tuple[str, str]
) -> tuple[str, str]:
    """`packed`, or where the slice lies in an operand that came as panels of all of k; first: the block's panel."""
    whole = f.mul(f.ceil_div(get(f, "k"), panel.k_step), panel.nbytes(panel.k_step))
    step = f.mul(f.div(f.add(get(f, "k0"), k1), panel.k_step), panel.nbytes(panel.k_step))
    here = f.at(f.at(base, f.mul(first, whole)), step)
    kept = f.compare("eq", get(f, "kept"), which)
    return f.select(kept, here, packed[0], "ptr"), f.select(kept, whole, packed[1])


def _fetch_out(f: Function, scheme: Scheme, i: str, rows: str, j: str) -> None:
    """Ask for the lines of the output that this tile will write, while it is still computed."""
    size, down, along = SIZE[scheme.out], f.mul(i, scheme.tile_rows), f.mul(j, scheme.tile_columns)
    out_m, column = get(f, "out_m"), f.mul(f.add(get(f, "column"), along), get(f, "out_n"))
    first = f.at(pointer(f, "out0"), f.add(f.mul(f.add(get(f, "row"), down), out_m), column))
    with f.when(f.compare("eq", get(f, "out_n"), size)), f.loop(0, rows) as i:
        line = f.at(first, f.mul(i, out_m))
        for near in range(0, scheme.tile_columns * size, micro.LINE):
            f.prefetch(line, near, write=True)

"""The loops around a tile: batch, blocks that fit the caches, packing, tiles; and the native entry.

    entry      copies its slots to a context; lanes of the batch run side by side
    lane       a range of batch entries, one product after another
    product    blocks of n, m and k: pack both blocks, then multiply
    pack       one panel per task
    tiles      a task is a group of panels of each operand, slices of k outermost

Every element is summed over k in one order, by one thread, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mezzo.kernels.cpu.contract import micro, pack_terms, slots
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.pack import Packer, pack
from mezzo.kernels.cpu.contract.scheme import Panel, Scheme
from mezzo.kernels.cpu.contract.slots import get, pointer, put, put_pointer
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

# Writes a function `void @name(pack.SIGNATURE)` that fills a panel; None: the operand is strided.
Reader = Callable[[Program, str, Packer], None]
Readers = tuple[Reader | None, Reader | None]
BODY = "ptr %ctx, i64 %begin, i64 %end, i64 %worker"


def packed(program: Program, scheme: Scheme, readers: Readers = (None, None)) -> None:
    """Write @product and all it calls but @finish.

    readers write @pack_a and @pack_b (see pack.py) for operands that are not strided matrices.
    """

    def strided(base: str, rows: str, k: str):
        return lambda f: (pointer(f, base), get(f, rows), get(f, k))

    operands = (
        ("pack_a", scheme.a, scheme.panel_a, strided("a0", "a_m", "a_k")),
        ("pack_b", scheme.b, scheme.panel_b, strided("b0", "b_n", "b_k")),
    )
    for (name, storage, panel, fields), reader in zip(operands, readers):
        packer = Packer(program, panel, storage, scheme.compute, scheme.acc)
        if reader is None and panel.terms > 1:
            pack_terms.pack(program, name, scheme, storage, panel, fields)
        elif reader is None:
            pack(program, name, packer, fields)
        else:
            reader(program, name, packer)
    micro.micro(program, scheme)
    _pack_body(program, scheme)
    _tile_body(program, scheme, scheme.reads_rows and readers[0] is None, not any(readers))
    _product(program, scheme)
    _keep(program, scheme)


def _panel_bytes(f: Function, panel: Panel) -> str:
    """Bytes of a panel of the present block."""
    steps = f.ceil_div(get(f, "depth"), panel.k_step)
    return f.mul(steps, panel.nbytes(panel.k_step))


def _pack_body(program: Program, scheme: Scheme) -> None:
    """Panels that tasks share: those of a, shared_m of them, then those of b."""
    with program.function("pack_body", BODY) as f:
        space = pointer(f, "space")
        right = f.at(space, get(f, "at_b"))
        bytes_a, bytes_b = _panel_bytes(f, scheme.panel_a), _panel_bytes(f, scheme.panel_b)
        shared_m, depth, k0 = get(f, "shared_m"), get(f, "depth"), get(f, "k0")
        with _strips(f, scheme.panel_a, "strip_a", depth) as (k, inside, at):
            with f.loop("%begin", f.min("%end", shared_m)) as panel:
                to = f.at(f.at(space, f.mul(panel, bytes_a)), at)
                _pack_a(f, scheme, panel, f.add(k0, k), inside, to)
        with _strips(f, scheme.panel_b, "strip_b", depth) as (k, inside, at):
            with f.loop(f.max("%begin", shared_m), "%end") as task:
                panel = f.sub(task, shared_m)
                to = f.at(f.at(right, f.mul(panel, bytes_b)), at)
                _pack_b(f, scheme, panel, f.add(k0, k), inside, to)


@contextmanager
def _strips(f: Function, panel: Panel, step: str, depth: str) -> Iterator[tuple[str, str, str]]:
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


def _pack_a(f: Function, scheme: Scheme, panel: str, k: str, depth: str, to: str) -> None:
    inside = f.mul(panel, scheme.tile_rows)
    rows = f.min(f.sub(get(f, "rows"), inside), scheme.tile_rows)
    place = (f"i64 {f.add(get(f, 'row'), inside)}", f"i64 {rows}", f"i64 {k}", f"i64 {depth}")
    f.call("pack_a", "void", "ptr %ctx", *place, f"ptr {to}")


def _pack_b(f: Function, scheme: Scheme, panel: str, k: str, depth: str, to: str) -> None:
    inside = f.mul(panel, scheme.tile_columns)
    rows = f.min(f.sub(get(f, "columns"), inside), scheme.tile_columns)
    place = (f"i64 {f.add(get(f, 'column'), inside)}", f"i64 {rows}", f"i64 {k}", f"i64 {depth}")
    f.call("pack_b", "void", "ptr %ctx", *place, f"ptr {to}")


def _tile_body(program: Program, scheme: Scheme, in_place: bool, plain: bool) -> None:
    """A task is a group of row panels times a group of column panels."""
    _task(program, scheme, in_place, plain)
    with program.function("tile_body", BODY) as f:
        if scheme.method == "amx":
            micro.open_tiles(f)
        own = f.at(pointer(f, "space"), get(f, "at_scratch"))
        scratch = f.at(own, f.mul("%worker", get(f, "scratch_bytes")))
        with f.loop("%begin", "%end") as task:
            f.call("task", "void", "ptr %ctx", f"i64 {task}", f"ptr {scratch}")
        with f.when(f.compare("ne", get(f, "streams"), 0)):
            f.do("fence seq_cst")  # such stores are not ordered with those that follow
        if scheme.method == "amx":
            micro.close_tiles(f)


def _task(program: Program, scheme: Scheme, in_place: bool, plain: bool) -> None:
    """Slices of k outermost: the group's panels and sums stay in the second cache.

    in_place: whole panels of a may be read where they lie (slot `direct`). plain: the output is a strided matrix.
    """
    with program.function("task", "ptr %ctx, i64 %task, ptr %scratch", attributes="noinline") as f:
        panels_m, panels_n = get(f, "panels_m"), get(f, "panels_n")
        group_m, group_n = get(f, "group_m"), get(f, "group_n")
        across = f.ceil_div(panels_n, group_n)
        i0, j0 = f.mul(f.div("%task", across), group_m), f.mul(f.rem("%task", across), group_n)
        i1, j1 = f.min(f.add(i0, group_m), panels_m), f.min(f.add(j0, group_n), panels_n)
        depth, slice_k = get(f, "depth"), get(f, "slice_k")
        several = f.compare("slt", get(f, "block_k"), get(f, "k"))  # sums outlive the task
        whole = f.compare("sge", slice_k, get(f, "k"))  # nothing is summed in memory
        sums = f.at(pointer(f, "space"), get(f, "at_sums"))
        with f.loop(0, f.max(depth, 1), slice_k) as k1:
            begins = f.both(f.compare("ne", get(f, "first"), 0), f.compare("eq", k1, 0))
            ends = f.both(
                f.compare("ne", get(f, "last"), 0), f.compare("sge", f.add(k1, slice_k), depth)
            )
            inside = f.min(f.sub(depth, k1), slice_k)
            lies = InPlace(f, scheme, k1) if in_place else None
            left = _side(f, scheme.panel_a, "1", pointer(f, "space"), i0, i1, k1, inside,
                         lambda *at: _pack_a(f, scheme, *at), lies)  # fmt: skip
            left = _or_kept(f, scheme.panel_a, "1", pointer(f, "a0"),
                            f.div(get(f, "row"), scheme.tile_rows), k1, left)  # fmt: skip
            at_b = f.at(pointer(f, "space"), get(f, "at_b"))
            right = _side(f, scheme.panel_b, "2", at_b, j0, j1, k1, inside,
                          lambda *at: _pack_b(f, scheme, *at))  # fmt: skip
            right = _or_kept(f, scheme.panel_b, "2", pointer(f, "b0"),
                             f.div(get(f, "column"), scheme.tile_columns), k1, right)  # fmt: skip
            end = f.select(f.compare("eq", get(f, "private"), 2), j1, panels_n)
            with f.loop(j0, j1) as j, f.loop(i0, i1) as i:
                near = f.add(f.mul(f.sub(j, j0), group_m), f.sub(i, i0))
                far = f.add(f.mul(j, panels_m), i)
                near = f.at("%scratch", f.mul(f.select(whole, 0, near), scheme.tile_bytes))
                tile = f.select(several, f.at(sums, f.mul(far, scheme.tile_bytes)), near, "ptr")
                start = f.select(begins, "null", tile, "ptr")
                a, b = (f.at(base, f.mul(at, step)) for (base, step), at in ((left, i), (right, j)))
                row, step = (64, scheme.panel_a.nbytes(scheme.panel_a.k_step))
                if lies:
                    a, row, step = lies.choose(i, a, row, step)
                # what lies behind the last panel another thread may be writing
                more = f.compare("slt", f.add(j, 1), end)
                following = f.at(right[0], f.mul(f.select(more, f.add(j, 1), j0), right[1]))
                after, pace = _next_panel(f, scheme, following, inside, f.sub(i, i0), f.sub(i1, i0))
                panels = (f"ptr {a}, ptr {b}, i64 {inside}, ptr {start}, ptr {tile}, "
                          f"i64 {row}, i64 {step}, ptr {after}, i64 {pace}")  # fmt: skip
                _tile(f, scheme, i, j, panels, tile, ends, plain)


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
    with f.when(private), _strips(f, panel, strip, depth) as (k, inside, at):
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
        f.select(private, own, _panel_bytes(f, panel)),
    )


def _or_kept(
    f: Function, panel: Panel, which: str, base: str, first: str, k1: str, packed: tuple[str, str]
) -> tuple[str, str]:
    """`packed`, or where the slice lies in an operand that came as panels of all of k; first: the block's panel."""
    whole = f.mul(f.ceil_div(get(f, "k"), panel.k_step), panel.nbytes(panel.k_step))
    step = f.mul(f.div(f.add(get(f, "k0"), k1), panel.k_step), panel.nbytes(panel.k_step))
    here = f.at(f.at(base, f.mul(first, whole)), step)
    kept = f.compare("eq", get(f, "kept"), which)
    return f.select(kept, here, packed[0], "ptr"), f.select(kept, whole, packed[1])


def _tile(f: Function, scheme: Scheme, i, j, panels, tile, ends, plain: bool) -> None:
    """One slice of one tile; after the last, its way out."""
    down, along = f.mul(i, scheme.tile_rows), f.mul(j, scheme.tile_columns)
    rows = f.min(f.sub(get(f, "rows"), down), scheme.tile_rows)
    columns = f.min(f.sub(get(f, "columns"), along), scheme.tile_columns)
    if plain and scheme.method != "amx":  # tiles are done too soon: 592 GFLOP/s instead of 468
        with f.when(f.both(ends, f.compare("eq", get(f, "streams"), 0))):
            _fetch_out(f, scheme, down, rows, along)
    kernel = micro.choose(f, scheme, rows, columns)
    f.do(f"call void {kernel}({panels})")
    with f.when(ends):
        row, column = f.add(get(f, "row"), down), f.add(get(f, "column"), along)
        place = (f"i64 {row}", f"i64 {rows}", f"i64 {column}", f"i64 {columns}")
        f.call("finish", "void", "ptr %ctx", f"ptr {tile}", *place)


def _fetch_out(f: Function, scheme: Scheme, down: str, rows: str, along: str) -> None:
    """Ask for the lines of the output that this tile will write, while it is still computed."""
    size = SIZE[scheme.out]
    out_m, column = get(f, "out_m"), f.mul(f.add(get(f, "column"), along), get(f, "out_n"))
    first = f.at(pointer(f, "out0"), f.add(f.mul(f.add(get(f, "row"), down), out_m), column))
    with f.when(f.compare("eq", get(f, "out_n"), size)), f.loop(0, rows) as i:
        line = f.at(first, f.mul(i, out_m))
        for near in range(0, scheme.tile_columns * size, micro.LINE):
            f.prefetch(line, near, write=True)


def _product(program: Program, scheme: Scheme) -> None:
    """One product: blocks of columns, rows and k, the last innermost so that sums stay in place."""
    with program.function("product", "ptr %ctx") as f:
        m, n, k = (get(f, name) for name in "mnk")
        step_m, step_n, step_k = (get(f, "block_" + name) for name in "mnk")
        single = f.compare("sge", step_k, k)
        with f.loop(0, n, step_n) as column, f.loop(0, m, step_m) as row:
            rows, columns = f.min(f.sub(m, row), step_m), f.min(f.sub(n, column), step_n)
            panels_m = f.ceil_div(rows, scheme.tile_rows)
            panels_n = f.ceil_div(columns, scheme.tile_columns)
            for name, value in (("row", row), ("rows", rows), ("column", column),
                                ("columns", columns),
                                ("panels_m", panels_m), ("panels_n", panels_n)):  # fmt: skip
                put(f, name, value)
            # the columns packed for the block of rows above serve again if they span all of k
            keep = f.both(single, f.compare("ne", row, 0))
            private = get(f, "private")
            kept = get(f, "kept")
            alone = [
                f.either(f.compare("eq", private, w), f.compare("eq", kept, w)) for w in (1, 2)
            ]
            keep = f.either(keep, alone[1])
            shared_m = f.select(alone[0], 0, panels_m)
            put(f, "shared_m", shared_m)
            to_pack = f.add(shared_m, f.select(keep, 0, panels_n))
            tasks = f.mul(
                f.ceil_div(panels_m, get(f, "group_m")), f.ceil_div(panels_n, get(f, "group_n"))
            )
            with f.loop(0, f.max(k, 1), step_k) as k0:
                put(f, "k0", k0)
                put(f, "depth", f.min(f.sub(k, k0), step_k))
                put(f, "first", f.let(f"zext i1 {f.compare('eq', k0, 0)} to i64"))
                ends = f.compare("sge", f.add(k0, step_k), k)
                put(f, "last", f.let(f"zext i1 {ends} to i64"))
                run(f, "pack_body", to_pack)
                run(f, "tile_body", tasks)


def _keep(program: Program, scheme: Scheme) -> None:
    """Panels of all of the operand `kept`, one after another, into the output: for products that come."""
    with program.function("keep", "ptr %ctx") as f:
        depth, to = get(f, "k"), pointer(f, "out0")
        sides = (("1", "pack_a", scheme.panel_a, "m"), ("2", "pack_b", scheme.panel_b, "n"))
        for which, pack_side, panel, size in sides:
            with f.when(f.compare("eq", get(f, "kept"), which)):
                whole = f.mul(f.ceil_div(depth, panel.k_step), panel.nbytes(panel.k_step))
                count, strip = get(f, size), "strip_a" if which == "1" else "strip_b"
                with (
                    _strips(f, panel, strip, depth) as (k, inside, at),
                    f.loop(0, f.ceil_div(count, panel.rows)) as index,
                ):
                    row = f.mul(index, panel.rows)
                    rows = f.min(f.sub(count, row), panel.rows)
                    place = (f"i64 {row}", f"i64 {rows}", f"i64 {k}", f"i64 {inside}")
                    panels = f.at(f.at(to, f.mul(index, whole)), at)
                    f.call(pack_side, "void", "ptr %ctx", *place, f"ptr {panels}")


def run(f: Function, body: str, count: str) -> None:
    """Call a body for `count` tasks, on all threads unless this lane runs alone."""
    f.share(body, "%ctx", count, get(f, "serial"))


# ---- batch and entry


def entry(program: Program, name: str, paths: list[str]) -> None:
    """Write the kernel @name(args): the slot `path` picks the function that makes one product."""
    _lane(program, paths)
    with program.function(name, "ptr %args", linkage="") as f:
        ctx = slots.receive(f, "%args")
        swapped = f.compare("ne", get(f, "swap", ctx), 0)
        for left, right in (("a", "b"), ("a_offsets", "b_offsets")):
            x, y = pointer(f, left, ctx), pointer(f, right, ctx)
            put_pointer(f, left, f.select(swapped, y, x, "ptr"), ctx)
            put_pointer(f, right, f.select(swapped, x, y, "ptr"), ctx)
        several, count = f.compare("sgt", get(f, "lanes", ctx), 1), get(f, "batch", ctx)
        with f.when(several):
            f.program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
            f.call("mezzo_parallel", "void", "ptr @lane_body", f"ptr {ctx}", f"i64 {count}")
        with f.unless(several):
            f.call("lane_body", "void", f"ptr {ctx}", "i64 0", f"i64 {count}", "i64 0")


def _lane(program: Program, paths: list[str]) -> None:
    with program.function("lane_body", BODY) as f:
        own = slots.context(f)
        slots.copy(f, "%ctx", own)
        space = f.at(pointer(f, "workspace"), f.mul("%worker", get(f, "lane_bytes")))
        put_pointer(f, "space", space, own)
        with f.loop("%begin", "%end") as entry_index:
            for base in ("a", "b", "out", "bias"):
                put_pointer(f, base + "0", _offset(f, base, entry_index), own)
            path = get(f, "path")
            for number, name in enumerate(paths):
                with f.when(f.compare("eq", path, number)):
                    f.call(name, "void", f"ptr {own}")


def _offset(f: Function, base: str, index: str) -> str:
    """Where operand `base` begins for a batch entry."""
    table = pointer(f, base + "_offsets")
    slot = f.variable("i64", 0)
    with f.when(f.let(f"icmp ne ptr {table}, null")):
        f.store("i64", f.load("i64", f.at(table, f.mul(index, 8)), 8), slot)
    return f.at(pointer(f, base), f.load("i64", slot))

"""The loops around a tile: batch, blocks that fit the caches, packing, tiles; and the native entry.

    entry      copies its slots to a context; lanes of the batch run side by side
    lane       a range of batch entries, one product after another
    product    blocks of n, m and k: pack both blocks, then multiply
    pack       one panel per task
    tiles      a task is a group of panels of each operand, slices of k outermost

Every element is summed over k in one order, by one thread, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.kernels.cpu.contract import beside, group, micro, pack_terms, slots
from mezzo.kernels.cpu.contract.group import pack_a, pack_b, panel_bytes, strips
from mezzo.kernels.cpu.contract.pack import Packer, pack
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.slots import get, pointer, put, put_pointer
from mezzo.kernels.cpu.contract.writer import Function, Program

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
    if besides(scheme, readers):
        for which in (1, 2):
            beside.beside(program, scheme, which)
    _pack_body(program, scheme)
    _tile_body(program, scheme, readers)
    _product(program, scheme)
    _keep(program, scheme)


def _pack_body(program: Program, scheme: Scheme) -> None:
    """Panels that tasks share: those of a, shared_m of them, then those of b."""
    with program.function("pack_body", BODY) as f:
        space = pointer(f, "space")
        right = f.at(space, get(f, "at_b"))
        bytes_a, bytes_b = panel_bytes(f, scheme.panel_a), panel_bytes(f, scheme.panel_b)
        shared_m, depth, k0 = get(f, "shared_m"), get(f, "depth"), get(f, "k0")
        with strips(f, scheme.panel_a, "strip_a", depth) as (k, inside, at):
            with f.loop("%begin", f.min("%end", shared_m)) as panel:
                to = f.at(f.at(space, f.mul(panel, bytes_a)), at)
                pack_a(f, scheme, panel, f.add(k0, k), inside, to)
        with strips(f, scheme.panel_b, "strip_b", depth) as (k, inside, at):
            with f.loop(f.max("%begin", shared_m), "%end") as task:
                panel = f.sub(task, shared_m)
                to = f.at(f.at(right, f.mul(panel, bytes_b)), at)
                pack_b(f, scheme, panel, f.add(k0, k), inside, to)


def besides(scheme: Scheme, readers: Readers) -> bool:
    """Whether an operand may be packed beside products (beside.py; the slot `beside` says which)."""
    return scheme.terms > 1 and not any(readers)


def _tile_body(program: Program, scheme: Scheme, readers: Readers) -> None:
    """A task is a group of row panels times a group of column panels."""
    group.task(program, scheme, scheme.reads_rows and readers[0] is None, not any(readers))
    with program.function("tile_body", BODY) as f:
        if scheme.method == "amx":
            micro.open_tiles(f)
        own = f.at(pointer(f, "space"), get(f, "at_scratch"))
        scratch = f.at(own, f.mul("%worker", get(f, "scratch_bytes")))
        task = "@task"
        for which in (1, 2) if besides(scheme, readers) else ():
            chosen = f.compare("eq", get(f, "beside"), which)
            task = f.select(chosen, f"@task_{'ab'[which - 1]}", task, "ptr")
        with f.loop("%begin", "%end") as number:
            f.do(f"call void {task}(ptr %ctx, i64 {number}, ptr {scratch})")
        with f.when(f.compare("ne", get(f, "streams"), 0)):
            f.do("fence seq_cst")  # such stores are not ordered with those that follow
        if scheme.method == "amx":
            micro.close_tiles(f)


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
                    strips(f, panel, strip, depth) as (k, inside, at),
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

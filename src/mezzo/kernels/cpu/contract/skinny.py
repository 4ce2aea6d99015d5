"""Products of few rows: b is read once, where it lies, and never packed.

    skinny_n    b is contiguous along n: strips of columns, rows of b times broadcast elements of a
    skinny_k    b is contiguous along k: dot products of rows of a and columns of b

The rows of a are first brought to accumulators in the workspace, contiguous along k and padded with
zeros. Threads divide the columns.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.drive import BODY, run
from mezzo.kernels.cpu.contract.lanes import FLOAT, SIZE, wide
from mezzo.kernels.cpu.contract.pack import LINE, Packer
from mezzo.kernels.cpu.contract.scheme import Panel, Scheme
from mezzo.kernels.cpu.contract.slots import get, pointer
from mezzo.kernels.cpu.contract.writer import Function, Program

PATHS = ("skinny_n", "skinny_k")
_SIGNATURE = "ptr %ctx, ptr %a, ptr %b, i64 %row, i64 %column, i64 %columns"
_WIDEST = 16  # strips of a task of a single row: its sums lie in the first cache
_AHEAD = 6  # rows of b that loads run ahead: each lies in another page, often in one cache set


def skinny(program: Program, scheme: Scheme) -> None:
    """Write @skinny_n and @skinny_k and all they call; @finish is there already."""
    _prepare(program, scheme)
    packer = _packer(program, scheme, scheme.b)
    _row(program, scheme, packer)
    for rows in scheme.skinny_steps:
        if rows > 1:
            _strip(program, scheme, packer, rows)
        _dots(program, scheme, packer, rows)
    for path, kernel in (("skinny_n", "strip"), ("skinny_k", "dots")):
        _body(program, scheme, path, kernel)
        with program.function(path, "ptr %ctx") as f:
            f.call("prepare_rows", "void", "ptr %ctx")
            tasks = f.ceil_div(get(f, "n"), _task_columns(f, scheme, path))
            run(f, path + "_body", tasks)


def _packer(program: Program, scheme: Scheme, storage: str) -> Packer:
    panel = Panel(scheme.width, 1, SIZE[scheme.acc], scheme.width)
    return Packer(program, panel, storage, scheme.compute, scheme.acc)


def _strip_columns(scheme: Scheme) -> int:
    """Columns of a task, a whole number of tiles."""
    return scheme.tile_columns * 8


def _task_columns(f: Function, scheme: Scheme, path: str) -> str:
    """Columns of a task; of a single row many, so that memory is read in long stretches, for one thread from end to end."""
    strip = _strip_columns(scheme)
    if path != "skinny_n":
        return f.add(strip, 0)
    alone = f.compare("ne", get(f, "serial"), 0)
    share = f.select(alone, _WIDEST * strip, f.mul(f.ceil_div(get(f, "n"), 4 * strip), strip))
    return f.select(f.compare("eq", get(f, "m"), 1), f.min(share, _WIDEST * strip), strip)


def _line_bytes(f: Function, scheme: Scheme) -> str:
    """Bytes of a prepared row of a."""
    lanes_of_k = f.mul(f.ceil_div(get(f, "k"), scheme.width), scheme.width)
    return f.mul(lanes_of_k, SIZE[scheme.acc])


def _prepare(program: Program, scheme: Scheme) -> None:
    """@prepare_rows(ctx): a as accumulators in the workspace."""
    packer, width, size = _packer(program, scheme, scheme.a), scheme.width, SIZE[scheme.a]
    with program.function("prepare_rows", "ptr %ctx", attributes="noinline") as f:
        a, space, k = pointer(f, "a0"), pointer(f, "space"), get(f, "k")
        a_m, a_k, line = get(f, "a_m"), get(f, "a_k"), _line_bytes(f, scheme)
        unit = f.compare("eq", a_k, size)
        padded = f.mul(f.ceil_div(k, width), width)
        with f.loop(0, get(f, "m")) as i:
            source, to = f.at(a, f.mul(i, a_m)), f.at(space, f.mul(i, line))
            with f.when(unit), f.loop(0, k, width) as at:
                here = f.at(source, f.mul(at, size))
                vector = packer.along_k(f, here, f.sub(k, at))
                f.store(
                    wide(packer.lane, width),
                    vector,
                    f.at(to, f.mul(at, packer.panel.lane_bytes)),
                    4,
                )
            with f.unless(unit), f.loop(0, padded) as at:
                value = packer.single(f, f.at(source, f.mul(at, a_k)), f.compare("slt", at, k))
                f.store(packer.lane, value, f.at(to, f.mul(at, packer.panel.lane_bytes)), 4)


def _body(program: Program, scheme: Scheme, path: str, kernel: str) -> None:
    """Tasks of columns; within one, groups of rows: after the first, b comes from the caches."""
    with program.function(path + "_body", BODY) as f:
        m, n, line = get(f, "m"), get(f, "n"), _line_bytes(f, scheme)
        b, b_n, space = pointer(f, "b0"), get(f, "b_n"), pointer(f, "space")
        each = _task_columns(f, scheme, path)
        with f.loop("%begin", "%end") as task:
            column = f.mul(task, each)
            columns = f.min(f.sub(n, column), each)
            here = f.at(b, f.mul(column, b_n))
            first = "0"
            for rows in sorted(scheme.skinny_steps, reverse=True):
                # the largest group as often as it fits, then each smaller one
                last = f.add(first, f.mul(f.div(f.sub(m, first), rows), rows))
                with f.loop(first, last, rows) as i:
                    a = f.at(space, f.mul(i, line))
                    place = (f"i64 {i}", f"i64 {column}", f"i64 {columns}")
                    f.call(
                        f"{kernel}_{rows}", "void", "ptr %ctx", f"ptr {a}", f"ptr {here}", *place
                    )
                first = last


def _finish(f: Function, scheme: Scheme, tile: str, rows: int, inside: str) -> None:
    """Store a tile that begins `inside` columns into the strip."""
    columns = f.min(f.sub("%columns", inside), scheme.tile_columns)
    with f.when(f.compare("sgt", columns, 0)):
        place = (f"i64 {rows}", f"i64 {f.add('%column', inside)}", f"i64 {columns}")
        f.call("finish", "void", "ptr %ctx", f"ptr {tile}", "i64 %row", *place)


def _strip(program: Program, scheme: Scheme, packer: Packer, rows: int) -> None:
    """@strip_R: R rows of a times a strip of b whose rows are contiguous."""
    width, acc, size = scheme.width, scheme.acc, SIZE[scheme.b]
    tiles = scheme.skinny_steps[rows]
    vectors = tiles * scheme.tile_vectors
    kind = wide(FLOAT[acc], width)
    cells = [(i, j) for i in range(rows) for j in range(vectors)]
    with program.function(f"strip_{rows}", _SIGNATURE, attributes="noinline") as f:
        tile = f.array(scheme.tile_bytes)
        line, b_k = _line_bytes(f, scheme), get(f, "b_k")
        sums = {cell: f.variable(kind) for cell in cells}
        with f.loop(0, "%columns", tiles * scheme.tile_columns) as inside:
            for cell in cells:
                f.store(kind, "zeroinitializer", sums[cell])
            base, left = f.at("%b", f.mul(inside, size)), f.sub("%columns", inside)
            with f.loop(0, get(f, "k")) as k:
                source = f.at(base, f.mul(k, b_k))
                ahead = f.at(source, f.mul(b_k, _AHEAD))
                for part in range(0, vectors * width * size, LINE):
                    f.prefetch(ahead, part)
                right = []
                for j in range(vectors):
                    here, count = f.at(source, j * width * size), f.sub(left, j * width)
                    raw = lanes.load_some(f, here, scheme.b, width, count)
                    right.append(packer.convert(f, raw, width))
                at = f.mul(k, SIZE[acc])
                for i in range(rows):
                    one = f.load(FLOAT[acc], f.at(f.at("%a", f.mul(line, i)), at), SIZE[acc])
                    many = lanes.splat(f, FLOAT[acc], one, width)
                    for j in range(vectors):
                        _accumulate(f, scheme, sums[i, j], many, right[j])
            for part in range(tiles):
                for i in range(rows):
                    for j in range(scheme.tile_vectors):
                        done = f.load(kind, sums[i, part * scheme.tile_vectors + j])
                        at = (i * scheme.tile_columns + j * width) * SIZE[acc]
                        f.store(kind, done, f.at(tile, at), 16)
                _finish(f, scheme, tile, rows, f.add(inside, part * scheme.tile_columns))


def _row(program: Program, scheme: Scheme, packer: Packer) -> None:
    """@strip_1: one row of a times a strip of b, row after row of b, with the sums in the first cache."""
    width, acc, size = scheme.width, scheme.acc, SIZE[scheme.b]
    kind = wide(FLOAT[acc], width)
    with program.function("strip_1", _SIGNATURE, attributes="noinline") as f:
        sums = f.array(_WIDEST * _strip_columns(scheme) * SIZE[acc])
        b_k = get(f, "b_k")
        whole = f.mul(f.div("%columns", width), width)
        with f.loop(0, "%columns", width) as j:
            f.store(kind, "zeroinitializer", f.at(sums, f.mul(j, SIZE[acc])), 4)

        def add(row: str, many: str, j: str, count: str | None) -> None:
            here = f.at(row, f.mul(j, size))
            if count is None:
                f.prefetch(f.at(here, b_k), 0)
                raw = lanes.load(f, here, scheme.b, width)
            else:
                raw = lanes.load_some(f, here, scheme.b, width, count)
            slot = f.at(sums, f.mul(j, SIZE[acc]))
            _accumulate(f, scheme, slot, many, packer.convert(f, raw, width))

        with f.loop(0, get(f, "k")) as k:
            row = f.at("%b", f.mul(k, b_k))
            one = f.load(FLOAT[acc], f.at("%a", f.mul(k, SIZE[acc])), SIZE[acc])
            many = lanes.splat(f, FLOAT[acc], one, width)
            with f.loop(0, whole, width) as j:
                add(row, many, j, None)
            with f.when(f.compare("slt", whole, "%columns")):
                add(row, many, whole, f.sub("%columns", whole))
        with f.loop(0, "%columns", scheme.tile_columns) as inside:
            _finish(f, scheme, f.at(sums, f.mul(inside, SIZE[acc])), 1, inside)


def _dots(program: Program, scheme: Scheme, packer: Packer, rows: int) -> None:
    """@dots_R: R rows of a times columns of b that are contiguous along k."""
    width, acc, size = scheme.width, scheme.acc, SIZE[scheme.b]
    columns = scheme.dot_columns(rows)
    kind = wide(FLOAT[acc], width)
    cells = [(i, j) for i in range(rows) for j in range(columns)]
    with program.function(f"dots_{rows}", _SIGNATURE, attributes="noinline") as f:
        tile = f.array(scheme.tile_bytes)
        line, b_n, k = _line_bytes(f, scheme), get(f, "b_n"), get(f, "k")
        sums = {cell: f.variable(kind) for cell in cells}
        last = f.sub("%columns", 1)

        def step(sources: list[str], at: str, count: str | None) -> None:
            offset = f.mul(at, SIZE[acc])
            left = [
                f.load(kind, f.at(f.at("%a", f.mul(line, i)), offset), SIZE[acc])
                for i in range(rows)
            ]
            for j, source in enumerate(sources):
                here = f.at(source, f.mul(at, size))
                if count is None:
                    raw = lanes.load(f, here, scheme.b, width)
                else:
                    raw = lanes.load_some(f, here, scheme.b, width, count)
                right = packer.convert(f, raw, width)
                for i in range(rows):
                    _accumulate(f, scheme, sums[i, j], left[i], right)

        with f.loop(0, "%columns", scheme.tile_columns) as inside:
            end = f.min(f.add(inside, scheme.tile_columns), "%columns")
            with f.loop(inside, end, columns) as column:
                # columns beyond the last repeat it; finish leaves them out
                sources = [
                    f.at("%b", f.mul(f.min(f.add(column, j), last), b_n)) for j in range(columns)
                ]
                for cell in cells:
                    f.store(kind, "zeroinitializer", sums[cell])
                whole = f.mul(f.div(k, width), width)
                with f.loop(0, whole, width) as at:
                    step(sources, at, None)
                with f.when(f.compare("slt", whole, k)):
                    step(sources, whole, f.sub(k, whole))
                first = f.mul(f.sub(column, inside), SIZE[acc])
                for i, j in cells:
                    total = _sum(f, scheme, f.load(kind, sums[i, j]))
                    at = (i * scheme.tile_columns + j) * SIZE[acc]
                    f.store(FLOAT[acc], total, f.at(tile, f.add(first, at)), SIZE[acc])
            _finish(f, scheme, tile, rows, inside)


def _accumulate(f: Function, scheme: Scheme, slot: str, left: str, right: str) -> None:
    kind = wide(FLOAT[scheme.acc], scheme.width)
    name = f"llvm.fmuladd.v{scheme.width}{scheme.acc}"
    total = f.load(kind, slot)
    f.store(kind, f.intrinsic(name, kind, (kind, left), (kind, right), (kind, total)), slot)


def _sum(f: Function, scheme: Scheme, vector: str) -> str:
    """The sum of the lanes, halves first: always in the same order."""
    width, element = scheme.width, FLOAT[scheme.acc]
    while width > 1:
        width //= 2
        halves = []
        for begin in (0, width):
            picked = ", ".join(f"i32 {begin + lane}" for lane in range(width))
            full = wide(element, 2 * width)
            halves.append(
                f.let(f"shufflevector {full} {vector}, {full} poison, <{width} x i32> <{picked}>")
            )
        vector = f.let(f"fadd <{width} x {element}> {halves[0]}, {halves[1]}")
    return f.let(f"extractelement <1 x {element}> {vector}, i32 0")

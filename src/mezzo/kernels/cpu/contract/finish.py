"""The end of a tile: scale, add the bias, apply the epilogue, round once to the output type, store.

`void @finish(ptr ctx, ptr tile, i64 row, i64 rows, i64 column, i64 columns)` stores the valid part
of a tile of accumulators whose first element is out[row, column].
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract import lanes, slots
from mezzo.kernels.cpu.contract.lanes import FLOAT, MEMORY, SIZE, wide
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.cpu.emit import Emitter, as_words
from mezzo.kernels.ir import Expr

LINE = 64  # bytes of a cache line
SIGNATURE = "ptr %ctx, ptr %tile, i64 %row, i64 %rows, i64 %column, i64 %columns"


class Scale:
    """alpha and beta as accumulators, read once per call."""

    def __init__(self, f: Function, scheme: Scheme, epilogue: Expr | None) -> None:
        self.scheme, self.epilogue = scheme, epilogue
        self.alpha, self.beta = (self._read(f, name) for name in ("alpha", "beta"))

    def _read(self, f: Function, name: str) -> str:
        value = slots.number(f, name)
        return value if self.scheme.acc == "f64" else f.let(f"fptrunc double {value} to float")

    def apply(self, f: Function, value: str, bias: str | None, width: int) -> str:
        """epilogue(alpha value + beta bias), as stored."""
        acc, kind = self.scheme.acc, wide(FLOAT[self.scheme.acc], width)
        element = FLOAT[acc]
        value = f.let(f"fmul {kind} {value}, {lanes.splat(f, element, self.alpha, width)}")
        if bias is not None:
            term = f.let(f"fmul {kind} {bias}, {lanes.splat(f, element, self.beta, width)}")
            value = f.let(f"fadd {kind} {value}, {term}")
        if self.epilogue is not None:
            value = _apply(f, self.epilogue, value, width)
        return lanes.narrow(f, value, acc, self.scheme.out, width)


def _apply(f: Function, epilogue: Expr, value: str, width: int) -> str:
    """The expression of one operand (load 0, an accumulator), written here."""
    prefix = f.name("e").replace(".", "_") + "_"
    return Emitter(f.lines, f.program.declares, width, prefix, lambda leaf: value).value(epilogue)


def finish(program: Program, scheme: Scheme, epilogue: Expr | None = None) -> None:
    """Write @finish. One module serves products with a bias and without: a null pointer is none."""
    for has_bias in (False, True) if scheme.bias else (False,):
        _rows(program, scheme, epilogue, has_bias)
        if scheme.method == "amx":
            _columns(program, scheme, epilogue, has_bias)
        _any(program, scheme, epilogue, has_bias)
    with program.function("finish", SIGNATURE, attributes="noinline") as f:
        rows = f.compare("eq", slots.get(f, "out_n"), SIZE[scheme.out])
        columns = f.compare("eq", slots.get(f, "out_m"), SIZE[scheme.out])
        if not scheme.bias:
            _choose(f, scheme, rows, columns, False)
            return
        # beta == 0 leaves the bias unread: it may hold anything
        used = f.both(
            f.let(f"icmp ne ptr {slots.pointer(f, 'bias')}, null"),
            f.let(f"fcmp une double {slots.number(f, 'beta')}, 0.0"),
        )
        with f.when(used):
            even = []
            for step in (slots.get(f, "bias_n"), slots.get(f, "bias_m")):
                close = f.compare("eq", step, SIZE[scheme.bias])
                even.append(f.either(close, f.compare("eq", step, 0)))
            _choose(f, scheme, f.both(rows, even[0]), f.both(columns, even[1]), True)
        with f.unless(used):
            _choose(f, scheme, rows, columns, False)


def _choose(f: Function, scheme: Scheme, rows: str, columns: str, has_bias: bool) -> None:
    """What stores the tile: rows, columns: whether those of the output are contiguous, and the bias fits."""
    kinds = [("rows", rows)] + ([("columns", columns)] if scheme.method == "amx" else [])
    chosen = f"@{_name('any', has_bias)}"
    for kind, fits in reversed(kinds):
        chosen = f.select(fits, f"@{_name(kind, has_bias)}", chosen, "ptr")
    f.do(f"call void {chosen}(ptr %ctx, ptr %tile, i64 %row, i64 %rows, i64 %column, i64 %columns)")


def _name(kind: str, has_bias: bool) -> str:
    return f"finish_{kind}_bias" if has_bias else f"finish_{kind}"


def _origin(f: Function, base: str, along_m: str, along_n: str) -> str:
    down = f.mul("%row", slots.get(f, along_m))
    return f.at(slots.pointer(f, base), f.add(down, f.mul("%column", slots.get(f, along_n))))


def _rows(program: Program, scheme: Scheme, epilogue: Expr | None, has_bias: bool) -> None:
    """Rows of the output are contiguous; the bias is contiguous or one value along a row."""
    width, element = scheme.width, FLOAT[scheme.acc]
    with program.function(_name("rows", has_bias), SIGNATURE, attributes="noinline") as f:
        scale = Scale(f, scheme, epilogue)
        out = _origin(f, "out0", "out_m", "out_n")
        out_m = slots.get(f, "out_m")
        bias = _origin(f, "bias0", "bias_m", "bias_n") if has_bias else ""
        whole = f.compare("eq", "%columns", scheme.tile_columns)
        if has_bias and scheme.bias:
            along = f.compare("eq", slots.get(f, "bias_n"), SIZE[scheme.bias])
            whole = f.both(whole, along)
        with f.when(whole):
            address = f.let(f"ptrtoint ptr {out} to i64")
            odd = f.let(f"and i64 {f.let(f'or i64 {address}, {out_m}')}, {LINE - 1}")
            lines = f.both(f.compare("ne", slots.get(f, "streams"), 0), f.compare("eq", odd, 0))
            for condition, streams in ((f.when, True), (f.unless, False)):
                with condition(lines):
                    _whole_rows(f, scheme, scale, out, bias, streams)
            f.do("ret void")
            f.start(f.name("dead"))
        with f.loop(0, "%rows") as i:
            line = f.at("%tile", f.mul(i, scheme.tile_columns * SIZE[scheme.acc]))
            target = f.at(out, f.mul(i, out_m))
            row_bias = f.at(bias, f.mul(i, slots.get(f, "bias_m"))) if has_bias else ""
            for column in range(0, scheme.tile_columns, width):
                left = f.sub("%columns", column)
                with f.when(f.compare("sgt", left, 0)):
                    here = f.at(line, column * SIZE[scheme.acc])
                    value = f.load(wide(element, width), here, 16)
                    part = ""
                    if has_bias and scheme.bias:
                        step = slots.get(f, "bias_n")
                        part = f.at(row_bias, f.mul(step, column))
                    term = _bias(f, scheme, part, "bias_n", left, width) if has_bias else None
                    done = scale.apply(f, value, term, width)
                    where = f.at(target, column * SIZE[scheme.out])
                    _store(f, scheme, done, where, left, width)


def _whole_rows(
    f: Function, scheme: Scheme, scale: Scale, out: str, bias: str, streams: bool
) -> None:
    """Rows as wide as the tile: no masks, and one conversion for the row.

    bias: its first row, contiguous, or nothing. streams: they are whole lines, and go past the caches.
    """
    columns = scheme.tile_columns
    if scheme.method != "amx":  # elsewhere a tile's row is no power of two, or wider than registers
        columns = scheme.width
    with f.loop(0, "%rows") as i:
        line = f.at("%tile", f.mul(i, scheme.tile_columns * SIZE[scheme.acc]))
        target = f.at(out, f.mul(i, slots.get(f, "out_m")))
        terms = f.at(bias, f.mul(i, slots.get(f, "bias_m"))) if bias else ""
        for column in range(0, scheme.tile_columns, columns):
            here = f.at(line, column * SIZE[scheme.acc])
            value = f.load(wide(FLOAT[scheme.acc], columns), here, 16)
            term = None
            if bias and scheme.bias:
                raw = lanes.load(f, f.at(terms, column * SIZE[scheme.bias]), scheme.bias, columns)
                term = lanes.widen(f, raw, scheme.bias, scheme.acc, columns)
            done = scale.apply(f, value, term, columns)
            where = f.at(target, column * SIZE[scheme.out])
            align = min(columns * SIZE[scheme.out], LINE) if streams else SIZE[scheme.out]
            kind = wide(MEMORY[scheme.out], columns)
            if streams and SIZE[scheme.out] == 2:
                kind, done = as_words(f.let, kind, done, columns * 2)
            f.store(kind, done, where, align, past_caches=streams)


def _store(f: Function, scheme: Scheme, value: str, pointer: str, count: str, width: int) -> None:
    full = f.compare("sge", count, width)
    with f.when(full):
        f.store(wide(MEMORY[scheme.out], width), value, pointer, SIZE[scheme.out])
    with f.unless(full):
        lanes.store_some(f, value, pointer, scheme.out, width, count)


def _bias(f: Function, scheme: Scheme, line: str, stride: str, count: Value, width: int) -> str:
    """A vector of the bias along a line that is contiguous or one value, as its stride says; `count` of it exist."""
    bias = scheme.bias or ""
    vector = wide(MEMORY[bias], width)
    slot = f.variable(vector)
    one = f.compare("eq", slots.get(f, stride), 0)
    with f.when(one):
        value = f.load(MEMORY[bias], line, SIZE[bias])
        f.store(vector, lanes.splat(f, MEMORY[bias], value, width), slot)
    with f.unless(one):
        f.store(vector, lanes.load_some(f, line, bias, width, count), slot)
    return lanes.widen(f, f.load(vector, slot), bias, scheme.acc, width)


def _columns(program: Program, scheme: Scheme, epilogue: Expr | None, has_bias: bool) -> None:
    """Columns of the output are contiguous; the bias is contiguous or one value along a column."""
    with program.function(_name("columns", has_bias), SIGNATURE, attributes="noinline") as f:
        scale, out_n = Scale(f, scheme, epilogue), slots.get(f, "out_n")
        out = _origin(f, "out0", "out_m", "out_n")
        bias = _origin(f, "bias0", "bias_m", "bias_n") if has_bias else ""
        whole = f.compare("eq", "%rows", scheme.tile_rows)
        address = f.let(f"ptrtoint ptr {out} to i64")
        odd = f.let(f"and i64 {f.let(f'or i64 {address}, {out_n}')}, {LINE - 1}")
        lines = f.both(f.compare("ne", slots.get(f, "streams"), 0), f.compare("eq", odd, 0))
        lines = f.both(lines, whole)
        with f.loop(0, "%columns", scheme.width) as first:
            room = _turned(f, scheme, first)
            with f.loop(first, f.min("%columns", f.add(first, scheme.width))) as column:
                here = f.at(room, f.mul(f.sub(column, first), scheme.tile_rows * SIZE[scheme.acc]))
                value = f.load(wide(FLOAT[scheme.acc], scheme.tile_rows), here, LINE)
                line = f.at(bias, f.mul(column, slots.get(f, "bias_n"))) if has_bias else ""
                term = (
                    _bias(f, scheme, line, "bias_m", "%rows", scheme.tile_rows)
                    if has_bias
                    else None
                )
                done = scale.apply(f, value, term, scheme.tile_rows)
                target = f.at(out, f.mul(column, out_n))
                with f.when(lines):
                    kind, words = wide(MEMORY[scheme.out], scheme.tile_rows), done
                    if SIZE[scheme.out] == 2:
                        kind, words = as_words(f.let, kind, done, scheme.tile_rows * 2)
                    f.store(kind, words, target, LINE, past_caches=True)
                with f.unless(lines):
                    _store(f, scheme, done, target, "%rows", scheme.tile_rows)


def _turned(f: Function, scheme: Scheme, first: str) -> str:
    """Columns of the tile, from the first on as many as a vector has lanes, one after another."""
    width, element, size = scheme.width, FLOAT[scheme.acc], SIZE[scheme.acc]
    room = f.array(width * scheme.tile_rows * size)
    with f.loop(0, scheme.tile_rows, width) as row:
        at = f.add(f.mul(row, scheme.tile_columns), first)
        block = f.at("%tile", f.mul(at, size))
        vectors = [
            f.load(wide(element, width), f.at(block, i * scheme.tile_columns * size), LINE)
            for i in range(width)
        ]
        to = f.at(room, f.mul(row, size))
        for i, vector in enumerate(lanes.transpose(f, element, width, vectors)):
            f.store(wide(element, width), vector, f.at(to, i * scheme.tile_rows * size), LINE)
    return room


def _any(program: Program, scheme: Scheme, epilogue: Expr | None, has_bias: bool) -> None:
    """Any strides, one element at a time."""
    size, element = SIZE[scheme.acc], FLOAT[scheme.acc]
    with program.function(_name("any", has_bias), SIGNATURE, attributes="noinline") as f:
        scale = Scale(f, scheme, epilogue)
        out = _origin(f, "out0", "out_m", "out_n")
        bias = _origin(f, "bias0", "bias_m", "bias_n") if has_bias else ""
        out_m, out_n = slots.get(f, "out_m"), slots.get(f, "out_n")
        bias_m, bias_n = slots.get(f, "bias_m"), slots.get(f, "bias_n")
        with f.loop(0, "%rows") as i, f.loop(0, "%columns") as j:
            at = f.mul(f.add(f.mul(i, scheme.tile_columns), j), size)
            value = f.load(element, f.at("%tile", at), size)
            term = None
            if has_bias and scheme.bias:
                here = f.at(bias, f.add(f.mul(i, bias_m), f.mul(j, bias_n)))
                raw = f.load(MEMORY[scheme.bias], here, SIZE[scheme.bias])
                term = lanes.widen(f, raw, scheme.bias, scheme.acc, 1)
            done = scale.apply(f, value, term, 1)
            where = f.at(out, f.add(f.mul(i, out_m), f.mul(j, out_n)))
            f.store(MEMORY[scheme.out], done, where, SIZE[scheme.out])

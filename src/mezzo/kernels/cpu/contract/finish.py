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
        _any(program, scheme, epilogue, has_bias)
    with program.function("finish", SIGNATURE, attributes="noinline") as f:
        easy = f.compare("eq", slots.get(f, "out_n"), SIZE[scheme.out])
        if not scheme.bias:
            _choose(f, easy, False)
            return
        # beta == 0 leaves the bias unread: it may hold anything
        used = f.both(
            f.let(f"icmp ne ptr {slots.pointer(f, 'bias')}, null"),
            f.let(f"fcmp une double {slots.number(f, 'beta')}, 0.0"),
        )
        with f.when(used):
            step = slots.get(f, "bias_n")
            even = f.either(f.compare("eq", step, SIZE[scheme.bias]), f.compare("eq", step, 0))
            _choose(f, f.both(easy, even), True)
        with f.unless(used):
            _choose(f, easy, False)


def _choose(f: Function, easy: str, has_bias: bool) -> None:
    operands = ("ptr %ctx", "ptr %tile", "i64 %row", "i64 %rows", "i64 %column", "i64 %columns")
    with f.when(easy):
        f.call(_name("rows", has_bias), "void", *operands)
    with f.unless(easy):
        f.call(_name("any", has_bias), "void", *operands)


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
                    term = _bias(f, scheme, row_bias, column, left) if has_bias else None
                    done = scale.apply(f, value, term, width)
                    where = f.at(target, column * SIZE[scheme.out])
                    _store(f, scheme, done, where, left)


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


def _store(f: Function, scheme: Scheme, value: str, pointer: str, count: str) -> None:
    full = f.compare("sge", count, scheme.width)
    with f.when(full):
        f.store(wide(MEMORY[scheme.out], scheme.width), value, pointer, SIZE[scheme.out])
    with f.unless(full):
        lanes.store_some(f, value, pointer, scheme.out, scheme.width, count)


def _bias(f: Function, scheme: Scheme, line: str, column: int, count: Value) -> str:
    """A vector of the bias from a row that is contiguous or one value."""
    bias, width = scheme.bias or "", scheme.width
    vector = wide(MEMORY[bias], width)
    slot = f.variable(vector)
    one = f.compare("eq", slots.get(f, "bias_n"), 0)
    with f.when(one):
        value = f.load(MEMORY[bias], line, SIZE[bias])
        f.store(vector, lanes.splat(f, MEMORY[bias], value, width), slot)
    with f.unless(one):
        here = f.at(line, column * SIZE[bias])
        f.store(vector, lanes.load_some(f, here, bias, width, count), slot)
    return lanes.widen(f, f.load(vector, slot), bias, scheme.acc, width)


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

"""What the forward and the backward pass share: words, packing, products of panels, exponentials."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mezzo.kernels import ir
from mezzo.kernels.cpu.attention.block import AT
from mezzo.kernels.cpu.contract import lanes, micro
from mezzo.kernels.cpu.contract.pack import Packer, pack
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value
from mezzo.kernels.cpu.emit import Emitter

BODY = "ptr %args, i64 %begin, i64 %end, i64 %worker"
LOWEST = "0xFFF0000000000000"  # -inf as a float
HIGHEST = "0x7FF0000000000000"


def word(f: Function, name: str, args: str = "%args") -> str:
    """A word of the block."""
    return f.load("i64", f.at(f.load("ptr", args, 8), AT[name]), 8)


def factor(f: Function, args: str = "%args", name: str = "scale") -> str:
    """The scale of the scores, as a float; "kept": that of the weights that dropout keeps."""
    value = f.load("double", f.at(f.load("ptr", args, 8), AT[name]), 8)
    return f.let(f"fptrunc double {value} to float")


def fields(f: Function) -> tuple[str, str, str]:
    """Of a Source, for the packing functions: its pointer and strides."""
    return (
        f.load("ptr", "%ctx", 8),
        f.load("i64", f.at("%ctx", 8), 8),
        f.load("i64", f.at("%ctx", 16), 8),
    )


def functions(program: Program, scheme: Scheme) -> None:
    """Write the micro-kernels and the packing functions @pack_a, @pack_b (stored) and @pack_p (floats)."""

    micro.micro(program, scheme)
    low = (
        scheme.compute if scheme.panel_a.group == 2 else "f32"
    )  # weights are rounded only where they must be
    for name, storage, panel, compute in (
        ("pack_a", scheme.a, scheme.panel_a, scheme.compute),
        ("pack_b", scheme.b, scheme.panel_b, scheme.compute),
        ("pack_p", "f32", scheme.panel_a, low),
    ):
        pack(program, name, Packer(program, panel, storage, compute, scheme.acc), fields)


class Source:
    """A strided matrix on its way into panels: rows and k as the packing functions mean them."""

    def __init__(self, f: Function, name: str, pointer: str, row: Value, k: Value):
        self.name, self.room = name, f.array(24)
        f.store("ptr", pointer, self.room, 8)
        f.store("i64", row, f.at(self.room, 8), 8)
        f.store("i64", k, f.at(self.room, 16), 8)

    def panel(self, f: Function, row: Value, rows: Value, k: Value, depth: Value, to: str) -> None:
        """Pack one panel."""
        f.call(
            self.name,
            "void",
            f"ptr {self.room}",
            f"i64 {row}",
            f"i64 {rows}",
            f"i64 {k}",
            f"i64 {depth}",
            f"ptr {to}",
        )

    def panels(
        self, f: Function, high: int, count: Value, depth: Value, to: str, nbytes: Value
    ) -> None:
        """Pack rows 0 to count into panels of `high` rows that lie `nbytes` apart."""
        with f.loop(0, f.ceil_div(count, high)) as j:
            row = f.mul(j, high)
            self.panel(f, row, f.min(f.sub(count, row), high), 0, depth, f.at(to, f.mul(j, nbytes)))


def multiply(
    f: Function,
    scheme: Scheme,
    a: str,
    b: str,
    depth: Value,
    start: str,
    tile: str,
    rows: Value,
    columns: Value,
) -> None:
    """tile = start + a b for one panel of each; start may be null."""
    kernel = micro.choose(f, scheme, str(rows), str(columns))
    packed = micro.packed_steps(scheme)
    f.do(f"call void {kernel}(ptr {a}, ptr {b}, i64 {depth}, ptr {start}, ptr {tile}, {packed})")


def evaluate(f: Function, expression: ir.Expr, values: Sequence[str], width: int) -> str:
    """An expression of loads 0, 1, ... for which registers are given."""
    return evaluate_all(f, [expression], values, width)[0]


def evaluate_all(
    f: Function, expressions: Sequence[ir.Expr], values: Sequence[str], width: int
) -> list[str]:
    """Expressions of loads 0, 1, ...; what they share is computed once."""
    prefix = f.name("e").replace(".", "_") + "_"
    emitter = Emitter(f.lines, f.program.declares, width, prefix, lambda leaf: values[leaf.attr])
    return [emitter.value(expression) for expression in expressions]


EXP = ir.exp(ir.load(0, "f32"))
LOG = ir.log(ir.load(0, "f32"))


def reduce(f: Function, how: str, vector: str, width: int) -> str:
    """The largest (fmax) or the sum (fadd) of a vector of floats."""
    kind = lanes.wide("float", width)
    name = f"llvm.vector.reduce.{how}.v{width}f32"
    if how == "fadd":
        f.program.declares.add(f"declare float @{name}(float, {kind})")
        return f.let(f"call reassoc float @{name}(float -0.0, {kind} {vector})")
    f.program.declares.add(f"declare float @{name}({kind})")
    return f.let(f"call float @{name}({kind} {vector})")


def masked(f: Function, kind: str | None, scores: str, pointer: str, width: int, count: str) -> str:
    """Scores with a piece of the mask applied: added, or -inf where it is false."""
    if kind is None:
        return scores
    vector = lanes.wide("float", width)
    if kind == "b8":
        raw = lanes.load_some(f, pointer, "u8", width, count)
        kept = f.let(f"icmp ne {lanes.wide('i8', width)} {raw}, zeroinitializer")
        return f.let(
            f"select {lanes.wide('i1', width)} {kept}, {vector} {scores}, {vector} {lanes.constant('float', LOWEST, width)}"
        )
    raw = lanes.load_some(f, pointer, kind, width, count)
    return f.let(f"fadd {vector} {scores}, {lanes.widen(f, raw, kind, 'f32', width)}")


def mask_size(kind: str | None) -> int:
    """Bytes of an element of the mask."""
    return lanes.SIZE["u8" if kind == "b8" else kind or "f32"]


def asked_for(nbytes: int) -> range:
    """Which bytes of a piece of the mask to ask for: of long pieces every other line, whose neighbour comes along."""
    return range(0, nbytes, 128 if nbytes > 128 else 64)


def masked_whole(f: Function, kind: str, scores: str, by: str, pointer: str) -> str:
    """16 scores times a factor with a piece of the mask applied, all of which there is."""
    width = 16
    vector = lanes.wide("float", width)
    raw = lanes.load(f, pointer, "u8" if kind == "b8" else kind, width)
    if kind == "b8":
        value = f.let(f"fmul {vector} {scores}, {by}")
        kept = f.let(f"icmp ne {lanes.wide('i8', width)} {raw}, zeroinitializer")
        lowest = lanes.constant("float", LOWEST, width)
        return f.let(f"select <{width} x i1> {kept}, {vector} {value}, {vector} {lowest}")
    added = lanes.widen(f, raw, kind, "f32", width)
    return f.intrinsic(
        f"llvm.fma.v{width}f32", vector, (vector, scores), (vector, by), (vector, added)
    )


def entry(program: Program, scheme: Scheme) -> None:
    """Write @kernel over @body."""
    program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
    with program.function("kernel", "ptr %args", linkage="") as f:
        units, alone = word(f, "units"), f.compare("ne", word(f, "serial"), 0)
        with f.when(alone):
            f.call("body", "void", "ptr %args", "i64 0", f"i64 {units}", "i64 0")
        with f.unless(alone):
            f.call("mezzo_parallel", "void", "ptr @body", "ptr %args", f"i64 {units}")


class Tensors:
    """The arguments of a kernel by name, moved to one head."""

    def __init__(self, f: Function, names: Sequence[str], head: str):
        self.names, self.head = list(names), head
        self.space = f.load("ptr", f.at("%args", 8), 8)

    def pointer(self, f: Function, name: str) -> str:
        """Where this head's part of a tensor begins."""
        base = f.load("ptr", f.at("%args", 8 * (2 + self.names.index(name))), 8)
        if name == "lse":
            return f.at(base, f.mul(f.mul(self.head, word(f, "queries")), 4))
        table = f.let(f"inttoptr i64 {word(f, name + '_heads')} to ptr")
        return f.at(base, f.load("i64", f.at(table, f.mul(self.head, 8)), 8))

    def source(self, f: Function, pack_name: str, name: str, turned: bool = False) -> Source:
        """The tensor for packing; turned: its columns are the panel's rows."""
        row, column = word(f, name + "_row"), word(f, name + "_column")
        strides = (column, row) if turned else (row, column)
        return Source(f, pack_name, self.pointer(f, name), *strides)


def scaled(scheme: Scheme, **changes) -> Scheme:
    """The scheme with other fields."""
    return dataclasses.replace(scheme, **changes)


def shrink(f: Function, scheme: Scheme, row: str, by: str) -> None:
    """Multiply a row of the sums, tiles at %sums."""
    width, kind = scheme.width, lanes.wide("float", scheme.width)
    by = lanes.splat(f, "float", by, width)
    with f.loop(0, f.ceil_div(word(f, "outputs"), scheme.tile_columns)) as n:
        for v in range(scheme.tile_vectors):
            place = f.add(f.mul(n, scheme.tile_bytes), f.mul(row, scheme.tile_columns * 4))
            here = f.at("%sums", f.add(place, v * width * 4))
            f.store(kind, f.let(f"fmul {kind} {f.load(kind, here, 16)}, {by}"), here, 16)

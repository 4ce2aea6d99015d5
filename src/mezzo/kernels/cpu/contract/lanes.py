"""Vectors of elements: masked loads and stores, conversions between storage and compute types.

Everything takes a width; width 1 is a scalar. What a mask leaves out is never touched in memory.
"""

from __future__ import annotations

from mezzo.kernels.cpu import target
from mezzo.kernels.cpu.contract.writer import Function, Value
from mezzo.kernels.cpu.transpose import exchanges

MEMORY = {"u8": "i8", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64",
          "f16": "half", "bf16": "bfloat", "f32": "float", "f64": "double"}  # fmt: skip
SIZE = {"u8": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "f16": 2, "bf16": 2, "f32": 4, "f64": 8}
_BITS = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}
FLOAT = {"f32": "float", "f64": "double"}


def wide(kind: str, width: int) -> str:
    """The LLVM type of `width` values."""
    return kind if width == 1 else f"<{width} x {kind}>"


def splat(f: Function, kind: str, value: Value, width: int) -> str:
    """The value in every lane."""
    if width == 1:
        return str(value)
    vector = wide(kind, width)
    one = f.let(f"insertelement {vector} poison, {kind} {value}, i32 0")
    return f.let(f"shufflevector {vector} {one}, {vector} poison, <{width} x i32> zeroinitializer")


def constant(kind: str, text: Value, width: int) -> str:
    """A constant operand."""
    return str(text) if width == 1 else f"splat ({kind} {text})"


def shuffle(f: Function, kind: str, width: int, a: str, b: str, lanes: list[int]) -> str:
    """The lanes picked from a (0 to width-1) and b (from width on)."""
    vector = wide(kind, width)
    picked = ", ".join(f"i32 {lane}" for lane in lanes)
    return f.let(f"shufflevector {vector} {a}, {vector} {b}, <{len(lanes)} x i32> <{picked}>")


def transpose(f: Function, kind: str, width: int, vectors: list[str]) -> list[str]:
    """A square of lanes with rows and columns exchanged."""
    return exchanges(vectors, f.let, wide(kind, width))


def mask(f: Function, count: Value, width: int) -> str:
    """True in the lanes below count (any i64)."""
    clamped = f.max(f.min(count, width), 0)
    bound = splat(f, "i32", f.let(f"trunc i64 {clamped} to i32"), width)
    lanes = ", ".join(f"i32 {lane}" for lane in range(width))
    return f.let(f"icmp sgt <{width} x i32> {bound}, <{lanes}>")


def has_masks(size: int) -> bool:
    """Whether the processor loads and stores elements of that size under a mask."""
    host = target.host()
    return host.has_avx512 or (host.has_avx2 and size >= 4)


# ---- memory


def load(f: Function, pointer: str, storage: str, width: int) -> str:
    """The raw elements."""
    return f.load(wide(MEMORY[storage], width), pointer, SIZE[storage])


def load_some(f: Function, pointer: str, storage: str, width: int, count: Value) -> str:
    """The raw elements, of which only the first `count` are read; the others are 0."""
    size = SIZE[storage]
    bits, vector = _BITS[size], wide(_BITS[size], width)
    if has_masks(size):
        name = f"llvm.masked.load.v{width}{bits}.p0"
        f.program.declares.add(f"declare {vector} @{name}(ptr, <{width} x i1>, {vector})")
        lanes = mask(f, count, width)
        raw = f.let(
            f"call {vector} @{name}(ptr align {size} {pointer}, <{width} x i1> {lanes}, "
            f"{vector} zeroinitializer)"
        )
    else:
        raw = f.call(_edge_load(f, size, width), vector, f"ptr {pointer}", f"i64 {count}")
    return f.let(f"bitcast {vector} {raw} to {wide(MEMORY[storage], width)}")


def store_some(f: Function, raw: str, pointer: str, storage: str, width: int, count: Value) -> None:
    """Store the first `count` raw elements."""
    size = SIZE[storage]
    bits, vector = _BITS[size], wide(_BITS[size], width)
    value = f.let(f"bitcast {wide(MEMORY[storage], width)} {raw} to {vector}")
    if has_masks(size):
        name = f"llvm.masked.store.v{width}{bits}.p0"
        f.program.declares.add(f"declare void @{name}({vector}, ptr, <{width} x i1>)")
        lanes = mask(f, count, width)
        f.do(
            f"call void @{name}({vector} {value}, ptr align {size} {pointer}, "
            f"<{width} x i1> {lanes})"
        )
    else:
        f.call(
            _edge_store(f, size, width),
            "void",
            f"{vector} {value}",
            f"ptr {pointer}",
            f"i64 {count}",
        )


def _edge_load(f: Function, size: int, width: int) -> str:
    name, bits = f"load_some_{size}_{width}", _BITS[size]
    vector = wide(bits, width)
    if name not in f.program.names:
        with f.program.function(name, "ptr %p, i64 %count", vector) as g:
            slot = g.variable(vector, "zeroinitializer")
            full = g.compare("sge", "%count", width)
            with g.when(full):
                g.store(vector, g.load(vector, "%p", size), slot)
            with g.unless(full), g.loop(0, "%count") as i:
                offset = g.mul(i, size)
                g.store(bits, g.load(bits, g.at("%p", offset), size), g.at(slot, offset), size)
            g.do(f"ret {vector} {g.load(vector, slot)}")
    return name


def _edge_store(f: Function, size: int, width: int) -> str:
    name, bits = f"store_some_{size}_{width}", _BITS[size]
    vector = wide(bits, width)
    if name not in f.program.names:
        with f.program.function(name, f"{vector} %value, ptr %p, i64 %count") as g:
            full = g.compare("sge", "%count", width)
            with g.when(full):
                g.store(vector, "%value", "%p", size)
            with g.unless(full):
                slot = g.variable(vector, "%value")
                with g.loop(0, "%count") as i:
                    offset = g.mul(i, size)
                    g.store(bits, g.load(bits, g.at(slot, offset), size), g.at("%p", offset), size)
    return name


# ---- conversion


def widen(f: Function, raw: str, storage: str, acc: str, width: int) -> str:
    """Stored floats as f32 or f64."""
    if storage == "bf16":
        kind = wide("i32", width)
        bits = f.let(f"bitcast {wide('bfloat', width)} {raw} to {wide('i16', width)}")
        long = f.let(f"zext {wide('i16', width)} {bits} to {kind}")
        high = f.let(f"shl {kind} {long}, {constant('i32', 16, width)}")
        raw, storage = f.let(f"bitcast {kind} {high} to {wide('float', width)}"), "f32"
    if storage == acc:
        return raw
    how = "fptrunc" if storage == "f64" else "fpext"
    return f.let(f"{how} {wide(MEMORY[storage], width)} {raw} to {wide(FLOAT[acc], width)}")


def narrow(f: Function, value: str, acc: str, storage: str, width: int) -> str:
    """f32 or f64 rounded to the nearest stored float."""
    if storage == acc:
        return value
    if storage == "bf16":
        if acc == "f64":
            value = f.let(f"fptrunc {wide('double', width)} {value} to {wide('float', width)}")
        bits = to_bf16(f, value, width)
        return f.let(f"bitcast {wide('i16', width)} {bits} to {wide('bfloat', width)}")
    how = "fpext" if storage == "f64" else "fptrunc"
    return f.let(f"{how} {wide(FLOAT[acc], width)} {value} to {wide(MEMORY[storage], width)}")


def to_bf16(f: Function, value: str, width: int) -> str:
    """The bits (i16) of f32 values rounded to bfloat16."""
    i32, i16 = wide("i32", width), wide("i16", width)
    if target.host().has_avx512_bf16 and width > 1:
        short = f.let(f"fptrunc {wide('float', width)} {value} to {wide('bfloat', width)}")
        return f.let(f"bitcast {wide('bfloat', width)} {short} to {i16}")
    bits = f.let(f"bitcast {wide('float', width)} {value} to {i32}")
    sixteen, one, half = (constant("i32", number, width) for number in (16, 1, 0x7FFF))
    odd = f.let(f"lshr {i32} {bits}, {sixteen}")
    odd = f.let(f"and {i32} {odd}, {one}")
    bias = f.let(f"add {i32} {odd}, {half}")
    up = f.let(f"add {i32} {bits}, {bias}")
    nan = f.let(f"fcmp uno {wide('float', width)} {value}, {value}")
    quiet = f.let(f"or {i32} {bits}, {constant('i32', 0x400000, width)}")
    chosen = f.let(f"select {wide('i1', width)} {nan}, {i32} {quiet}, {i32} {up}")
    high = f.let(f"lshr {i32} {chosen}, {sixteen}")
    return f.let(f"trunc {i32} {high} to {i16}")


def operand(f: Function, raw: str, storage: str, compute: str, acc: str, width: int) -> str:
    """A stored float rounded to the compute type, as f32 or f64.

    f64 reaches bf16 and f16 through f32, as in PyTorch.
    """
    value = widen(f, raw, storage, acc, width)
    if compute not in ("bf16", "f16") or storage == compute:
        return value
    return widen(f, narrow(f, value, acc, compute, width), compute, acc, width)

"""Expressions to LLVM text, as scalars or as vectors of W lanes.

The same walk emits both, so an element has the same bits whether it fell into the vector body or the
tail. Vector maths are expanded by vecmath first. All arithmetic is exact IEEE: no fast-math flags.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from mezzo.errors import KernelError
from mezzo.kernels.cpu import target, vecmath, vecmath_rare
from mezzo.kernels.ir import FLOATS, MATH, MATH2, Expr

LANES = 16
LLVM = {"b1": "i1", "u8": "i8", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64",
        "f32": "float", "f64": "double"}  # fmt: skip
STORED = {"b8": "i8", "u8": "i8", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64",
          "f16": "half", "bf16": "bfloat", "f32": "float", "f64": "double"}  # fmt: skip
BITS = {"b1": 1, "u8": 8, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}
_SUFFIX = {"float": "f32", "double": "f64", "half": "f16", "bfloat": "bf16"}
_COMPARE = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}
_INTRINSIC1 = {"sqrt", "floor", "ceil", "trunc", "rint"}
_EXPANDED = frozenset(MATH) | frozenset(MATH2) | {"rem"}


def literal(value, type: str) -> str:
    """A scalar constant of a compute type, as LLVM text."""
    if type == "b1":
        return "true" if value else "false"
    if type in FLOATS:
        number = float(np.float32(value)) if type == "f32" else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    bits = BITS[type]
    number = int(value) & ((1 << bits) - 1)
    return str(number - (1 << bits) if number >> (bits - 1) else number)


def as_words(put: Callable[[str], str], kind: str, value: str, nbytes: int) -> tuple[str, str]:
    """A vector as i32, and its type, for a store past the caches: LLVM has none of 16-bit floats.

    It would fold a bitcast into the store again, so the words pass through an assembly of no instructions.
    put: appends an instruction and names its result. Where the processor has no such vector, the value as it is.
    """
    host = target.host()
    if host.has_neon or nbytes * 8 > host.vector_bits or nbytes < 16:
        return kind, value
    wide, register = f"<{nbytes // 4} x i32>", "v" if host.has_avx512 else "x"
    raw = put(f"bitcast {kind} {value} to {wide}")
    return wide, put(f'call {wide} asm "", "={register},0"({wide} {raw})')


class Emitter:
    """Appends instructions to `lines`; one instance emits one loop body at one width.

    leaf(expr) supplies the register of a load, scalar, index or row value.
    """

    def __init__(
        self,
        lines: list[str],
        declares: set[str],
        lanes: int,
        prefix: str,
        leaf: Callable[[Expr], str],
    ):
        self.lines, self.declares, self.lanes, self.prefix, self.leaf = (
            lines,
            declares,
            lanes,
            prefix,
            leaf,
        )
        self.count = 0
        self.memo: dict[int, str] = {}
        self.expanded: dict[int, Expr] = {}
        self.keep: list[Expr] = []  # nodes stay alive while memo holds their ids

    # ---- small helpers

    def wide(self, llvm: str) -> str:
        """The LLVM type for one value of this emitter's width."""
        return llvm if self.lanes == 1 else f"<{self.lanes} x {llvm}>"

    def type(self, compute: str) -> str:
        """The LLVM type of a compute type at this width."""
        return self.wide(LLVM[compute])

    def const(self, value, type: str) -> str:
        """A constant operand at this width."""
        text = literal(value, type)
        return text if self.lanes == 1 else f"splat ({LLVM[type]} {text})"

    def put(self, text: str) -> str:
        """Append `%new = text` and return %new."""
        self.count += 1
        name = f"%{self.prefix}{self.count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def call(self, name: str, llvm: str, *operands: str, extra: str = "") -> str:
        """Call an LLVM intrinsic overloaded on `llvm` at this width."""
        wide = self.wide(llvm)
        suffix = _SUFFIX.get(llvm, llvm)
        full = f"llvm.{name}.{suffix}" if self.lanes == 1 else f"llvm.{name}.v{self.lanes}{suffix}"
        parameters = ", ".join([wide] * len(operands) + (["i1"] if extra else []))
        self.declares.add(f"declare {wide} @{full}({parameters})")
        return self.put(f"call {wide} @{full}({', '.join(f'{wide} {o}' for o in operands)}{extra})")

    # ---- memory

    def load(self, pointer: str, storage: str) -> str:
        """Load one value of a storage type and convert it to its compute type."""
        align = np.dtype(np.int8).itemsize if storage in ("b8", "u8", "i8") else None
        align = align or {"i16": 2, "f16": 2, "bf16": 2, "i32": 4, "f32": 4}.get(storage, 8)
        raw = self.put(f"load {self.wide(STORED[storage])}, ptr {pointer}, align {align}")
        return self.decode(raw, storage)

    def decode(self, raw: str, storage: str) -> str:
        """A stored value in its compute type."""
        if storage == "b8":
            return self.put(f"icmp ne {self.wide('i8')} {raw}, {self.const(0, 'i8')}")
        if storage == "f16":
            return self.put(f"fpext {self.wide('half')} {raw} to {self.wide('float')}")
        if storage == "bf16":
            bits = self.put(f"bitcast {self.wide('bfloat')} {raw} to {self.wide('i16')}")
            wide = self.put(f"zext {self.wide('i16')} {bits} to {self.wide('i32')}")
            high = self.put(f"shl {self.wide('i32')} {wide}, {self.const(16, 'i32')}")
            return self.put(f"bitcast {self.wide('i32')} {high} to {self.wide('float')}")
        return raw

    def encode(self, value: str, storage: str) -> str:
        """A computed value as it is stored, rounded to nearest even."""
        if storage == "b8":
            return self.put(f"zext {self.wide('i1')} {value} to {self.wide('i8')}")
        if storage == "f16":
            return self.put(f"fptrunc {self.wide('float')} {value} to {self.wide('half')}")
        if storage == "bf16":
            if target.host().has_avx512_bf16 and self.lanes > 1:
                return self.put(f"fptrunc {self.wide('float')} {value} to {self.wide('bfloat')}")
            return self._round_bf16(value)
        return value

    def _round_bf16(self, value: str) -> str:
        # Denormals become zero, as the processor's own conversion has it, so that vector and tail agree.
        i32 = self.wide("i32")
        bits = self.put(f"bitcast {self.wide('float')} {value} to {i32}")
        odd = self.put(f"lshr {i32} {bits}, {self.const(16, 'i32')}")
        odd = self.put(f"and {i32} {odd}, {self.const(1, 'i32')}")
        bias = self.put(f"add {i32} {odd}, {self.const(0x7FFF, 'i32')}")
        up = self.put(f"add {i32} {bits}, {bias}")
        nan = self.put(f"fcmp uno {self.wide('float')} {value}, {value}")
        quiet = self.put(f"or {i32} {bits}, {self.const(0x400000, 'i32')}")
        up = self.put(f"select {self.wide('i1')} {nan}, {i32} {quiet}, {i32} {up}")
        if target.host().has_avx512_bf16:
            exponent = self.put(f"and {i32} {bits}, {self.const(0x7F800000, 'i32')}")
            tiny = self.put(f"icmp eq {i32} {exponent}, {self.const(0, 'i32')}")
            sign = self.put(f"and {i32} {bits}, {self.const(0x80000000, 'i32')}")
            up = self.put(f"select {self.wide('i1')} {tiny}, {i32} {sign}, {i32} {up}")
        high = self.put(f"lshr {i32} {up}, {self.const(16, 'i32')}")
        half = self.put(f"trunc {i32} {high} to {self.wide('i16')}")
        return self.put(f"bitcast {self.wide('i16')} {half} to {self.wide('bfloat')}")

    def store(self, value: str, pointer: str, storage: str, past_caches: bool = False) -> None:
        """Convert a computed value to a storage type and store it; past the caches only aligned vectors."""
        raw = self.encode(value, storage)
        align = {"f16": 2, "bf16": 2, "i16": 2, "f32": 4, "i32": 4, "f64": 8, "i64": 8}.get(
            storage, 1
        )
        kind, hint = self.wide(STORED[storage]), ""
        if past_caches:
            nbytes, hint = align * self.lanes, ", !nontemporal !0"
            align = min(nbytes, 64)
            if storage in ("bf16", "f16"):
                kind, raw = as_words(self.put, kind, raw, nbytes)
        self.lines.append(f"  store {kind} {raw}, ptr {pointer}, align {align}{hint}")

    def ask(self, pointer: str, first: int, nbytes: int, write: int = 0, level: int = 3) -> None:
        """Ask for the cache lines of `nbytes` from `first` bytes behind the pointer on: a scalar emitter's work."""
        for line in range(first, first + nbytes, 64):
            at = self.put(f"getelementptr i8, ptr {pointer}, i64 {line}")
            self.lines.append(f"  call void @llvm.prefetch.p0(ptr {at}, i32 {write}, i32 {level}, i32 1)")  # fmt: skip
        self.declares.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")

    # ---- expressions

    def value(self, root: Expr) -> str:
        """The register that holds the expression, emitting what is missing."""
        stack = [root]
        while stack:
            node = stack[-1]
            if id(node) in self.memo:
                stack.pop()
                continue
            waiting = [a for a in self._needed(node) if id(a) not in self.memo]
            if waiting:
                stack.extend(waiting)
                continue
            if node.op in _EXPANDED and node.is_float:
                expanded = self.expanded.get(id(node))
                if expanded is None:
                    expanded = self.expanded[id(node)] = vecmath.expand(node)
                    self.keep.append(node)
                if id(expanded) not in self.memo:
                    stack.append(expanded)
                    continue
                self.memo[id(node)] = self.memo[id(expanded)]
            else:
                self.memo[id(node)] = self._node(node)
            self.keep.append(node)
            stack.pop()
        return self.memo[id(root)]

    def inner(self, lines: list[str], leaf: Callable[[Expr], str]) -> Emitter:
        """An emitter of the same width for the body of a function of its own."""
        return Emitter(lines, self.declares, self.lanes, "r", leaf)

    def _needed(self, node: Expr) -> tuple[Expr, ...]:
        """The nodes whose registers must exist before this one is emitted."""
        if node.op in _ROW:
            return ()
        if node.op == "scaled":
            return node.args[:2] if self._can_scale(node) else node.args[2:]
        return vecmath_rare.needed(node) if node.op == "select" and node.attr else node.args

    def _node(self, node: Expr) -> str:
        op = node.op
        if op == "const":
            return self.const(node.attr, node.type)
        if op in _LEAVES:
            return self.leaf(node)
        handler = getattr(self, f"_{op}", None)
        if op == "select" and node.attr:
            return vecmath_rare.emit(self, node)
        if op == "scaled":
            return self._scaled(node)
        operands = [self.memo[id(a)] for a in node.args]
        if handler is not None:
            return handler(node, *operands)
        if op in _COMPARE:
            return self._comparison(node, *operands)
        if op in _INTRINSIC1:
            return self.call(op, LLVM[node.type], *operands)
        raise KernelError(f"kernel IR: operation {op!r} has no CPU emission.")

    def _can_scale(self, node: Expr) -> bool:
        """Whether the processor multiplies by powers of two: exactly, so that single elements agree."""
        return node.type == "f32" and self.lanes == LANES and target.host().has_avx512

    def _scaled(self, node: Expr) -> str:
        if not self._can_scale(node):
            return self.memo[id(node.args[2])]
        kind, name = self.type("f32"), "llvm.x86.avx512.mask.scalef.ps.512"
        self.declares.add(f"declare {kind} @{name}({kind}, {kind}, {kind}, i16, i32 immarg)")
        given = ", ".join(f"{kind} {self.memo[id(a)]}" for a in node.args[:2])
        return self.put(f"call {kind} @{name}({given}, {kind} zeroinitializer, i16 -1, i32 4)")

    def _comparison(self, node, a, b):
        kind = node.args[0].type
        if kind in FLOATS:
            order = "u" if node.op == "ne" else "o"
            return self.put(f"fcmp {order}{node.op} {self.type(kind)} {a}, {b}")
        sign = "" if node.op in ("eq", "ne") else ("u" if kind in ("u8", "b1") else "s")
        return self.put(f"icmp {sign}{node.op} {self.type(kind)} {a}, {b}")

    def _arith(self, node, a, b, float_op, int_op):
        return self.put(f"{float_op if node.is_float else int_op} {self.type(node.type)} {a}, {b}")

    def _add(self, node, a, b):
        return self._arith(node, a, b, "fadd", "add")

    def _sub(self, node, a, b):
        return self._arith(node, a, b, "fsub", "sub")

    def _mul(self, node, a, b):
        return self._arith(node, a, b, "fmul", "mul")

    def _div(self, node, a, b):
        if node.is_float:
            return self._arith(node, a, b, "fdiv", "")
        return self._integer_division(node, a, b, "div")

    def _rem(self, node, a, b):
        return self._integer_division(node, a, b, "rem")

    def _integer_division(self, node, a, b, op):
        # The processor traps on x/0 and on the smallest number / -1: both divide by one instead;
        # what x/0 should be is the operation's business (it raises).
        t, mask = self.type(node.type), self.type("b1")
        bad = self.put(f"icmp eq {t} {b}, {self.const(0, node.type)}")
        if node.type == "u8":
            safe = self.put(f"select {mask} {bad}, {t} {self.const(1, 'u8')}, {t} {b}")
            return self.put(f"u{op} {t} {a}, {safe}")
        minus = self.put(f"icmp eq {t} {b}, {self.const(-1, node.type)}")
        either = self.put(f"or {mask} {bad}, {minus}")
        safe = self.put(f"select {mask} {either}, {t} {self.const(1, node.type)}, {t} {b}")
        plain = self.put(f"s{op} {t} {a}, {safe}")
        if op == "rem":
            return plain
        negated = self.put(f"sub {t} {self.const(0, node.type)}, {a}")
        return self.put(f"select {mask} {minus}, {t} {negated}, {t} {plain}")

    def _neg(self, node, a):
        t = self.type(node.type)
        if node.is_float:
            return self.put(f"fneg {t} {a}")
        return self.put(f"sub {t} {self.const(0, node.type)}, {a}")

    def _abs(self, node, a):
        if node.is_float:
            return self.call("fabs", LLVM[node.type], a)
        if node.type in ("u8", "b1"):
            return a
        return self.call("abs", LLVM[node.type], a, extra=", i1 false")

    def _min(self, node, a, b):
        name = "minimum" if node.is_float else ("umin" if node.type == "u8" else "smin")
        return self.call(name, LLVM[node.type], a, b)

    def _max(self, node, a, b):
        name = "maximum" if node.is_float else ("umax" if node.type == "u8" else "smax")
        return self.call(name, LLVM[node.type], a, b)

    def _fma(self, node, a, b, c):
        if node.is_float:
            return self.call("fma", LLVM[node.type], a, b, c)
        return self._add(node, self._mul(node, a, b), c)

    def _copysign(self, node, a, b):
        return self.call("copysign", LLVM[node.type], a, b)

    def _bits(self, node, op, a, b):
        return self.put(f"{op} {self.type(node.type)} {a}, {b}")

    def _and(self, node, a, b):
        return self._bits(node, "and", a, b)

    def _or(self, node, a, b):
        return self._bits(node, "or", a, b)

    def _xor(self, node, a, b):
        return self._bits(node, "xor", a, b)

    def _not(self, node, a):
        ones = self.const(1 if node.type == "b1" else -1, node.type)
        return self.put(f"xor {self.type(node.type)} {a}, {ones}")

    def _shift(self, node, op, a, b, beyond):
        # A count of the width or more is poison in LLVM: give what repeated single shifts would.
        if node.args[1].op == "const":
            return self._bits(node, op, a, b)
        t = self.type(node.type)
        over = self.put(f"icmp uge {t} {b}, {self.const(BITS[node.type], node.type)}")
        safe = self.put(f"select {self.type('b1')} {over}, {t} {self.const(0, node.type)}, {t} {b}")
        plain = self._bits(node, op, a, safe)
        return self.put(f"select {self.type('b1')} {over}, {t} {beyond}, {t} {plain}")

    def _shl(self, node, a, b):
        return self._shift(node, "shl", a, b, self.const(0, node.type))

    def _lshr(self, node, a, b):
        return self._shift(node, "lshr", a, b, self.const(0, node.type))

    def _shr(self, node, a, b):
        if node.type == "u8":
            return self._lshr(node, a, b)
        last = self.const(BITS[node.type] - 1, node.type)
        sign = self._bits(node, "ashr", a, last)
        return self._shift(node, "ashr", a, b, sign)

    def _select(self, node, c, a, b):
        t = self.type(node.type)
        return self.put(f"select {self.type('b1')} {c}, {t} {a}, {t} {b}")

    def _bitcast(self, node, a):
        return self.put(f"bitcast {self.type(node.args[0].type)} {a} to {self.type(node.type)}")

    def _round_to(self, node, a):
        return self.decode(self.encode(a, node.attr), node.attr)

    def _cast(self, node, a):
        source, to = node.args[0].type, node.type
        if source in FLOATS and to in FLOATS:
            return self._convert("fpext" if to == "f64" else "fptrunc", a, source, to)
        if source in FLOATS:
            if BITS[to] >= 32:
                return self._convert("fptosi", a, source, to)
            return self._convert("trunc", self._convert("fptosi", a, source, "i32"), "i32", to)
        unsigned = source in ("u8", "b1")
        if to in FLOATS:
            return self._convert("uitofp" if unsigned else "sitofp", a, source, to)
        if BITS[to] < BITS[source]:
            return self._convert("trunc", a, source, to)
        if BITS[to] == BITS[source]:
            return a
        return self._convert("zext" if unsigned else "sext", a, source, to)

    def _convert(self, op, a, source, to):
        return self.put(f"{op} {self.type(source)} {a} to {self.type(to)}")

    def _libm(self, node, *operands):
        name = node.attr + ("f" if node.type == "f32" else "")
        return self._libm_call(name, node.type, *operands)

    def _libm_call(self, name, type, *operands):
        llvm = LLVM[type]
        self.declares.add(f"declare {llvm} @{name}({', '.join([llvm] * len(operands))})")
        if self.lanes == 1:
            return self.put(f"call {llvm} @{name}({', '.join(f'{llvm} {o}' for o in operands)})")
        wide, result = self.wide(llvm), "poison"
        for lane in range(self.lanes):
            parts = [self.put(f"extractelement {wide} {o}, i32 {lane}") for o in operands]
            one = self.put(f"call {llvm} @{name}({', '.join(f'{llvm} {p}' for p in parts)})")
            result = self.put(f"insertelement {wide} {result}, {llvm} {one}, i32 {lane}")
        return result

    def splat(self, register: str, llvm: str) -> str:
        """A scalar register broadcast to this width."""
        if self.lanes == 1:
            return register
        wide = self.wide(llvm)
        one = self.put(f"insertelement {wide} poison, {llvm} {register}, i32 0")
        zero = f"<{self.lanes} x i32> zeroinitializer"
        return self.put(f"shufflevector {wide} {one}, {wide} poison, {zero}")


_ROW = frozenset(("row_sum", "row_max", "row_min"))
_LEAVES = _ROW | {"load", "scalar", "index", "row_size", "acc", "acb", "count"}

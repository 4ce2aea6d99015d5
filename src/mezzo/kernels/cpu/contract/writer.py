"""A writer of LLVM functions: loops and branches as `with` blocks, variables as stack slots.

LLVM turns the slots into registers (mem2reg), so the kernels read like the loops they are. Operands
are Python ints or register names; every helper returns the name of its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

Value = str | int


class Program:
    """The text of a module: functions, and the declarations they need."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.declares: set[str] = set()
        self.names: set[str] = set()

    def text(self) -> str:
        """The module as LLVM text."""
        return "\n".join([*sorted(self.declares), *self.functions, ""])

    @contextmanager
    def function(
        self,
        name: str,
        parameters: str,
        result: str = "void",
        linkage: str = "internal",
        attributes: str = "",
    ) -> Iterator[Function]:
        """Write a function; the body returns by itself if its result is not void."""
        f = Function(self)
        yield f
        if result == "void":
            f.do("ret void")
        head = " ".join(
            filter(None, ("define", linkage, result, f"@{name}({parameters})", attributes))
        )
        self.functions.append("\n".join([head + " {", "entry:", *f.slots, *f.lines, "}"]))
        self.names.add(name)


class Function:
    """Appends instructions to one function."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.count = 0
        self.block = "entry"

    # ---- text

    def name(self, hint: str = "t") -> str:
        """A register or label name not used before in this function."""
        self.count += 1
        return f"{hint}.{self.count}"

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append("  " + text)

    def let(self, text: str, hint: str = "t") -> str:
        """An instruction with a result."""
        name = "%" + self.name(hint)
        self.lines.append(f"  {name} = {text}")
        return name

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def call(self, name: str, result: str, *operands: str) -> str:
        """Call a function; operands carry their types. The result is empty for void."""
        text = f"call {result} @{name}({', '.join(operands)})"
        if result == "void":
            self.do(text)
            return ""
        return self.let(text)

    def share(self, body: str, context: str, count: Value, serial: Value) -> None:
        """Call a body for `count` tasks: here if serial is not 0, else on all threads."""
        self.program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
        alone = self.compare("ne", serial, 0)
        with self.when(alone):
            self.call(body, "void", f"ptr {context}", "i64 0", f"i64 {count}", "i64 0")
        with self.unless(alone):
            self.call("mezzo_parallel", "void", f"ptr @{body}", f"ptr {context}", f"i64 {count}")

    def intrinsic(self, name: str, result: str, *operands: tuple[str, Value]) -> str:
        """Call an LLVM intrinsic and declare it; operands are (type, value)."""
        kinds = ", ".join(kind for kind, _ in operands)
        self.program.declares.add(f"declare {result} @{name}({kinds})")
        return self.call(name, result, *(f"{kind} {value}" for kind, value in operands))

    # ---- integers

    def add(self, a: Value, b: Value) -> str:
        """a + b."""
        return self.let(f"add i64 {a}, {b}")

    def sub(self, a: Value, b: Value) -> str:
        """a - b."""
        return self.let(f"sub i64 {a}, {b}")

    def mul(self, a: Value, b: Value) -> str:
        """a * b."""
        return self.let(f"mul i64 {a}, {b}")

    def div(self, a: Value, b: Value) -> str:
        """a // b for values that are not negative."""
        return self.let(f"udiv i64 {a}, {b}")

    def rem(self, a: Value, b: Value) -> str:
        """a % b for values that are not negative."""
        return self.let(f"urem i64 {a}, {b}")

    def min(self, a: Value, b: Value) -> str:
        """The smaller."""
        return self.select(self.compare("slt", a, b), a, b)

    def max(self, a: Value, b: Value) -> str:
        """The larger."""
        return self.select(self.compare("sgt", a, b), a, b)

    def ceil_div(self, a: Value, b: Value) -> str:
        """a / b rounded up."""
        less = b - 1 if isinstance(b, int) else self.sub(b, 1)
        return self.div(self.add(a, less), b)

    def compare(self, how: str, a: Value, b: Value) -> str:
        """A truth value: how is LLVM's predicate."""
        return self.let(f"icmp {how} i64 {a}, {b}")

    def select(self, condition: str, a: Value, b: Value, kind: str = "i64") -> str:
        """a where the condition holds, else b."""
        return self.let(f"select i1 {condition}, {kind} {a}, {kind} {b}")

    def both(self, a: str, b: str) -> str:
        """a and b, both evaluated."""
        return self.let(f"and i1 {a}, {b}")

    def either(self, a: str, b: str) -> str:
        """a or b, both evaluated."""
        return self.let(f"or i1 {a}, {b}")

    # ---- memory

    def variable(self, kind: str, initial: Value | None = None) -> str:
        """A stack slot for one value."""
        slot = "%" + self.name("v")
        self.slots.append(f"  {slot} = alloca {kind}")
        if initial is not None:
            self.do(f"store {kind} {initial}, ptr {slot}")
        return slot

    def array(self, nbytes: int) -> str:
        """Scratch bytes on the stack, aligned for vectors."""
        slot = "%" + self.name("s")
        self.slots.append(f"  {slot} = alloca [{nbytes} x i8], align 64")
        return slot

    def load(self, kind: str, pointer: str, align: int = 0) -> str:
        """Load a value."""
        return self.let(f"load {kind}, ptr {pointer}" + (f", align {align}" if align else ""))

    def store(
        self, kind: str, value: Value, pointer: str, align: int = 0, past_caches: bool = False
    ) -> None:
        """Store a value; past the caches only aligned vectors, with a fence before others read them."""
        how = f", align {align}" if align else ""
        if past_caches:
            self.program.declares.add("!0 = !{i32 1}")
            how += ", !nontemporal !0"
        self.do(f"store {kind} {value}, ptr {pointer}{how}")

    def at(self, pointer: str, nbytes: Value) -> str:
        """The pointer moved by bytes."""
        return self.let(f"getelementptr i8, ptr {pointer}, i64 {nbytes}", "p")

    def prefetch(self, pointer: str, nbytes: int, level: int = 3, write: bool = False) -> None:
        """Ask for the cache line that lies so many bytes on, to write it if so; any address will do."""
        self.program.declares.add(
            "declare void @llvm.prefetch.p0(ptr, i32 immarg, i32 immarg, i32 immarg)"
        )
        ahead = self.at(pointer, nbytes)
        self.do(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 {int(write)}, i32 {level}, i32 1)")

    # ---- control

    @contextmanager
    def loop(self, begin: Value, end: Value, step: Value = 1) -> Iterator[str]:
        """for i in range(begin, end, step); the step is positive."""
        head, body, done = (self.name(hint) for hint in ("head", "body", "done"))
        i, after = "%" + self.name("i"), "%" + self.name("i")
        before = self.block
        self.do(f"br label %{head}")
        self.start(head)
        phi = len(self.lines)
        self.lines.append("")
        more = self.compare("slt", i, end)
        self.do(f"br i1 {more}, label %{body}, label %{done}")
        self.start(body)
        yield i
        self.do(f"{after} = add i64 {i}, {step}")
        self.lines[phi] = f"  {i} = phi i64 [ {begin}, %{before} ], [ {after}, %{self.block} ]"
        self.do(f"br label %{head}")
        self.start(done)

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Run the block if the condition holds."""
        then, done = self.name("then"), self.name("done")
        self.do(f"br i1 {condition}, label %{then}, label %{done}")
        self.start(then)
        yield
        self.do(f"br label %{done}")
        self.start(done)

    @contextmanager
    def unless(self, condition: str) -> Iterator[None]:
        """Run the block if the condition does not hold."""
        then, done = self.name("then"), self.name("done")
        self.do(f"br i1 {condition}, label %{done}, label %{then}")
        self.start(then)
        yield
        self.do(f"br label %{done}")
        self.start(done)

    def leave_if(self, condition: str) -> None:
        """Return from a void function if the condition holds."""
        with self.when(condition):
            self.do("ret void")
            self.start(self.name("dead"))

"""The callables that lead to a known call, and what a block's death means."""

from __future__ import annotations

from mezzo.core.short.keys import write_keys
from mezzo.core.short.nodes import write_tape
from mezzo.core.short.runs import call_objects, count_as, counted, write_runs
from mezzo.core.short.sized import write_sized
from mezzo.core.short.words import (
    CONTEXT,
    DECLARED,
    FALLBACK,
    GLOBALS,
    HITS,
    HOLDER,
    KEY_AT,
    KEY_HASH,
    MAX_ARGS,
    MISS,
    OWNER,
    SLOW,
    TABLE,
    TAKEN,
    differ,
    drop,
    field,
    item_at,
    leave,
    own,
    put,
    same,
    setting,
    slot,
    table,
    word,
)
from mezzo.kernels.cpu.contract.writer import Function, Program


def source() -> str:
    """The module: call, call_record, call_applied, bind, free."""
    program = Program()
    for write in (
        write_keys,
        write_tape,
        write_runs,
        write_sized,
        _missed,
        _run,
        _doors,
        _bind,
        _free,
    ):
        write(program)
    variables = "".join(f"@{name} = global i64 0\n" for name in GLOBALS)
    return DECLARED + variables + program.text()


def _missed(program: Program) -> None:
    """@missed(short, ctx, args, n, kwnames) -> SLOW, null after an error: Python notes the key, and may file an entry."""
    with program.function("missed", "ptr %short, ptr %ctx, ptr %args, i64 %n, ptr %kwnames", "ptr") as f:  # fmt: skip
        hashed = field(f, "i64", "%ctx", KEY_HASH)
        # The hash goes in front of the words, which the context keeps behind a free place.
        put(f, "i64", hashed, "%ctx", KEY_AT - 8)
        length = f.mul(f.add(f.load("i64", "%ctx"), 1), 8)
        key = f.call("PyBytes_FromStringAndSize", "ptr", f"ptr {f.at('%ctx', KEY_AT - 8)}", f"i64 {length}")  # fmt: skip
        leave(f, "ptr", "null", same(f, key, "null"))
        given = f.array(8 * (MAX_ARGS + 1))
        f.store("ptr", key, given)
        total = f.variable("i64", "%n")
        with f.when(differ(f, "%kwnames", "null")):
            f.store("i64", f.add("%n", field(f, "i64", "%kwnames", 16)), total)
        with f.loop(0, f.load("i64", total)) as i:
            f.store("ptr", f.load("ptr", item_at(f, "%args", i)), item_at(f, f.at(given, 8), i))
        miss = field(f, "ptr", "%short", MISS)
        found = f.call("PyObject_Vectorcall", "ptr", f"ptr {miss}", f"ptr {given}", f"i64 {f.add('%n', 1)}", "ptr %kwnames")  # fmt: skip
        drop(f, key)
        leave(f, "ptr", "null", same(f, found, "null"))
        drop(f, found)
        leave(f, "ptr", SLOW)
        f.do("unreachable")


def _run(program: Program) -> None:
    """@run(short, args, n, kwnames) -> the result, null after an error, SLOW if the usual way must do it."""
    with program.function("run", "ptr %short, ptr %args, i64 %n, ptr %kwnames", "ptr") as f:
        slow = SLOW
        ctx = f.array(CONTEXT)
        leave(f, "ptr", slow, same(f, field(f, "ptr", "%short", TABLE), "null"))
        plain = f.call("state", "i64", f"ptr {ctx}")
        leave(f, "ptr", slow, f.compare("eq", plain, 0))
        good = f.call("read", "i64", f"ptr {ctx}", "ptr %short", "ptr %args", "i64 %n", "ptr %kwnames")  # fmt: skip
        leave(f, "ptr", slow, f.compare("eq", good, 0))
        placed = f.call("placed", "i64", f"ptr {ctx}")
        leave(f, "ptr", slow, f.compare("eq", placed, 0))
        entry = f.call("find", "ptr", "ptr %short", f"ptr {ctx}")
        with f.when(same(f, entry, "null")):
            leave(f, "ptr", f.call("missed", "ptr", "ptr %short", f"ptr {ctx}", "ptr %args", "i64 %n", "ptr %kwnames"))  # fmt: skip
        put(f, "i64", f.add(field(f, "i64", "%short", HITS), 1), "%short", HITS)
        leave(f, "ptr", slow, f.compare("eq", word(f, entry, TAKEN), 0))
        # While a step or a launch lets other threads run, they may drop the entries.
        holder = own(f, table(f, entry, HOLDER))
        found = f.call("go", "ptr", f"ptr {entry}", f"ptr {ctx}", "ptr %args")
        drop(f, holder)
        leave(f, "ptr", found)
        f.do("unreachable")


def _doors(program: Program) -> None:
    """What Python calls: @call is a Short, @call_record a record, @call_applied a record with its full tuple."""
    signature = "ptr %short, ptr %args, i64 %flags, ptr %kwnames"
    slow = SLOW
    length = 9223372036854775807  # all bits but PY_VECTORCALL_ARGUMENTS_OFFSET

    def usual(f: Function, args: str, n: str, kwnames: str) -> None:
        fallback = field(f, "ptr", "%short", FALLBACK)
        found = f.call("PyObject_Vectorcall", "ptr", f"ptr {fallback}", f"ptr {args}", f"i64 {n}", f"ptr {kwnames}")  # fmt: skip
        leave(f, "ptr", found)
        f.do("unreachable")

    def begin(f: Function) -> str:
        """The record's Short; it gets one at its first call."""
        short = slot(f, f.load("ptr", "%args"), "short")
        with f.when(same(f, short, "null")):
            done = call_objects(f, setting(f, "o_begin"), f.load("ptr", "%args"))
            leave(f, "ptr", "null", same(f, done, "null"))
            drop(f, done)
        return short

    with program.function("call", signature, "ptr", linkage="") as f:
        n = f.let(f"and i64 %flags, {length}")
        found = f.call("run", "ptr", "ptr %short", "ptr %args", f"i64 {n}", "ptr %kwnames")
        leave(f, "ptr", found, differ(f, found, slow))
        usual(f, "%args", n, "%kwnames")
    with program.function("call_record", signature, "ptr", linkage="") as f:
        n = f.let(f"and i64 %flags, {length}")
        short = begin(f)
        with f.when(differ(f, short, "null")):
            found = f.call("run", "ptr", f"ptr {short}", f"ptr {f.at('%args', 8)}", f"i64 {f.sub(n, 1)}", "ptr %kwnames")  # fmt: skip
            leave(f, "ptr", found, differ(f, found, slow))
        usual(f, "%args", n, "%kwnames")
    with program.function("call_applied", signature, "ptr", linkage="") as f:
        n = f.let(f"and i64 %flags, {length}")
        begin(f)
        short = slot(f, f.load("ptr", "%args"), "applied")
        items = field(f, "ptr", "%args", 8)
        fits = f.both(f.compare("eq", n, 2), same(f, field(f, "ptr", items, 8), "@PyTuple_Type"))
        with f.when(f.both(fits, differ(f, short, "null"))):
            count = field(f, "i64", items, 16)
            found = f.call("run", "ptr", f"ptr {short}", f"ptr {f.at(items, 24)}", f"i64 {count}", "ptr null")  # fmt: skip
            leave(f, "ptr", found, differ(f, found, slow))
        usual(f, "%args", n, "%kwnames")


def _bind(program: Program) -> None:
    """@bind(short, instance, type): the descriptor; @call serves a.f(b) without it."""
    with program.function("bind", "ptr %short, ptr %instance, ptr %type", "ptr", linkage="") as f:
        owner = field(f, "ptr", "%short", OWNER)
        bare = f.either(same(f, "%instance", "null"), same(f, "%instance", "@_Py_NoneStruct"))
        with f.when(bare):
            leave(f, "ptr", own(f, owner))
        leave(f, "ptr", f.call("PyMethod_New", "ptr", f"ptr {owner}", "ptr %instance"))
        f.do("unreachable")


def _free(program: Program) -> None:
    """@free(short, [block]): what a block's death means, Block.__del__: it goes back to its free list."""
    signature = "ptr %short, ptr %args, i64 %flags, ptr %kwnames"
    with program.function("free", signature, "ptr", linkage="") as f:
        block = f.load("ptr", "%args")
        bucket = slot(f, block, "bucket")
        with f.when(same(f, bucket, "null")):
            leave(f, "ptr", own(f, "@_Py_NoneStruct"))
        address = slot(f, block, "store_ptr")
        usual = same(f, field(f, "ptr", bucket, 8), setting(f, "o_bucket"))
        plain = f.both(usual, differ(f, address, "null"))
        with f.unless(plain):
            fallback = field(f, "ptr", "%short", FALLBACK)
            leave(f, "ptr", f.call("PyObject_Vectorcall", "ptr", f"ptr {fallback}", "ptr %args", "i64 1", "ptr null"))  # fmt: skip
        size = f.call("PyLong_AsLongLong", "i64", f"ptr {slot(f, bucket, 'size')}")
        count_as(f, "allocated", f.sub(counted(f, "allocated"), size))
        f.call("give_back", "void", f"ptr {bucket}", f"ptr {own(f, address)}")
        leave(f, "ptr", own(f, "@_Py_NoneStruct"))
        f.do("unreachable")

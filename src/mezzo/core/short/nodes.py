"""A node of the tape, written natively: what core/tape.py's prepare and finish do for one result.

The entry holds the node that the call left when it was learned: its class, what it saves of the arguments, and
which operands its edges come from. Where this call's operands differ from those (one does not require grad after all, a view
whose root was written since, memory of inference_mode), Python writes the node.
"""

from __future__ import annotations

from mezzo.core.short.words import (
    ATTACH,
    EDGES,
    EDGES_AT,
    KIND,
    NODE_ARGS,
    NODE_LAYOUTS,
    SAVED,
    SAVED_AT,
    SAVES_OUT,
    differ,
    drop,
    field,
    give,
    item_at,
    leave,
    new,
    own,
    same,
    setting,
    slot,
    table,
    tensor_of,
    word,
)
from mezzo.kernels.cpu.contract.writer import Function, Program

_EDGE, _SPEC = 16, 16  # [position, tensor]; [kind, value]
CONST, ARGUMENT, TENSOR, NESTED = range(4)  # the kinds of what a node's arguments are made of


def write_tape(program: Program) -> None:
    """The functions that write a node: fits, edges, saved, node."""
    for write in (_collect, _fits, _edge, _edges, _saved, _auto, _keep_out, _node):
        write(program)


def _fits(program: Program) -> None:
    """@fits(entry, ctx) -> 1 if the node can be like the one that was learned."""
    with program.function("fits", "ptr %known, ptr %ctx", "i64") as f:
        leave(f, "i64", 0, f.compare("eq", word(f, "%known", KIND), 0))
        edges = table(f, "%known", EDGES_AT)
        with f.loop(0, word(f, "%known", EDGES)) as i:
            tensor = tensor_of(f, "%ctx", field(f, "i64", item_at(f, edges, i, _EDGE), 8))
            auto, base = slot(f, tensor, "auto"), slot(f, tensor, "base")
            leave(f, "i64", 0, same(f, auto, "@_Py_NoneStruct"))
            with f.when(differ(f, base, "@_Py_NoneStruct")):
                _same_generation(f, base)
            bare = same(f, slot(f, auto, "node"), "@_Py_NoneStruct")
            free = differ(f, slot(f, auto, "requires_grad"), "@_Py_TrueStruct")
            leave(f, "i64", 0, f.both(bare, free))
        which = table(f, "%known", SAVED_AT)
        with f.loop(0, word(f, "%known", SAVED)) as i:
            tensor = tensor_of(f, "%ctx", f.load("i64", item_at(f, which, i)))
            version = slot(f, slot(f, tensor, "storage"), "version")
            leave(f, "i64", 0, same(f, version, setting(f, "o_frozen")))
        leave(f, "i64", 1)
        f.do("unreachable")


def _same_generation(f: Function, base: str) -> None:
    """Return 0 if the root of a view was written in place since: its history is rebuilt in Python."""
    root = slot(f, slot(f, base, "root"), "auto")
    with f.when(differ(f, root, "@_Py_NoneStruct")):
        now = f.call("PyObject_GetAttr", "ptr", f"ptr {root}", f"ptr {setting(f, 'o_generation')}")
        with f.when(same(f, now, "null")):
            f.call("PyErr_Clear", "void")
            leave(f, "i64", 0)
        then = slot(f, base, "generation")
        drop(f, now)
        leave(f, "i64", 0, differ(f, now, then))


def _edge(program: Program) -> None:
    """@edge(position, tensor) -> (position, node, slot), or null."""
    with program.function("edge", "ptr %position, ptr %tensor", "ptr") as f:
        auto = slot(f, "%tensor", "auto")
        node, at = (
            f.variable("ptr", slot(f, auto, "node")),
            f.variable("ptr", slot(f, auto, "slot")),
        )
        leaf = same(f, f.load("ptr", node), "@_Py_NoneStruct")
        with f.when(leaf):
            function = setting(f, "o_leaf")
            end = f.let(
                f"call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr {function}, ptr %tensor, ptr {auto}, ptr null)"
            )
            leave(f, "ptr", "null", same(f, end, "null"))
            f.store("ptr", end, node)
            f.store("ptr", setting(f, "o_zero"), at)
        with f.unless(leaf):
            own(f, f.load("ptr", node))
        made = f.call("PyTuple_New", "ptr", "i64 3")
        leave(f, "ptr", "null", same(f, made, "null"))
        for i, item in enumerate(
            (own(f, "%position"), f.load("ptr", node), own(f, f.load("ptr", at)))
        ):
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {item}")
        leave(f, "ptr", made)
        f.do("unreachable")


def _edges(program: Program) -> None:
    """@edges(entry, ctx) -> the edges of the node, or null."""
    with program.function("edges", "ptr %known, ptr %ctx", "ptr") as f:
        count, rows = word(f, "%known", EDGES), table(f, "%known", EDGES_AT)
        made = f.call("PyTuple_New", "ptr", f"i64 {count}")
        leave(f, "ptr", "null", same(f, made, "null"))
        with f.loop(0, count) as i:
            row = item_at(f, rows, i, _EDGE)
            tensor = tensor_of(f, "%ctx", field(f, "i64", row, 8))
            one = f.call("edge", "ptr", f"ptr {f.load('ptr', row)}", f"ptr {tensor}")
            with f.when(same(f, one, "null")):
                drop(f, made)
                leave(f, "ptr", "null")
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {one}")
        leave(f, "ptr", made)
        f.do("unreachable")


def _saved(program: Program) -> None:
    """@saved(entry, ctx, out) -> what the node keeps with its versions: [(tensor, version)], or null.

    out: the result as the derivative reads it, or null.
    """
    with program.function("saved", "ptr %known, ptr %ctx, ptr %out", "ptr") as f:
        count, which = word(f, "%known", SAVED), table(f, "%known", SAVED_AT)
        extra = f.let(f"zext i1 {differ(f, '%out', 'null')} to i64")
        made = f.call("PyTuple_New", "ptr", f"i64 {f.add(count, extra)}")
        leave(f, "ptr", "null", same(f, made, "null"))
        with f.loop(0, f.add(count, extra)) as i:
            tensor = f.variable("ptr", "%out")
            with f.when(f.compare("slt", i, count)):
                f.store("ptr", tensor_of(f, "%ctx", f.load("i64", item_at(f, which, i))), tensor)
            one = f.load("ptr", tensor)
            store = slot(f, one, "storage")
            marked = differ(f, slot(f, store, "saved"), "null")
            with f.unless(marked):
                give(f, store, "saved", own(f, "@_Py_TrueStruct"))
            pair = f.call("PyTuple_New", "ptr", "i64 2")
            with f.when(same(f, pair, "null")):
                drop(f, made)
                leave(f, "ptr", "null")
            for at, item in enumerate((own(f, one), own(f, slot(f, store, "version")))):
                f.call("PyTuple_SetItem", "i32", f"ptr {pair}", f"i64 {at}", f"ptr {item}")
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {pair}")
        leave(f, "ptr", made)
        f.do("unreachable")


def _auto(program: Program) -> None:
    """@tie(out, node) -> 1: the result's gradient state; 0 after an error."""
    with program.function("tie", "ptr %out, ptr %node", "i64") as f:
        made = new(f, setting(f, "o_auto"))
        leave(f, "i64", 0, same(f, made, "null"))
        give(f, made, "requires_grad", own(f, "@_Py_FalseStruct"))
        give(f, made, "node", own(f, "%node"))
        give(f, made, "slot", own(f, setting(f, "o_zero")))
        before = slot(f, "%out", "auto")
        give(f, "%out", "auto", made)
        drop(f, before)
        leave(f, "i64", 1)
        f.do("unreachable")


def _keep_out(program: Program) -> None:
    """@alias(out) -> the same memory without gradient state: tape.alias."""
    with program.function("alias", "ptr %out", "ptr") as f:
        made = new(f, setting(f, "o_tensor"))
        leave(f, "ptr", "null", same(f, made, "null"))
        for name in ("layout", "storage", "ptr"):
            give(f, made, name, own(f, slot(f, "%out", name)))
        for name in ("auto", "base"):
            give(f, made, name, own(f, "@_Py_NoneStruct"))
        leave(f, "ptr", made)
        f.do("unreachable")


def _node(program: Program) -> None:
    """@node(entry, ctx, args, out) -> 1 with the node on the tape, 0 after an error."""
    with program.function("node", "ptr %known, ptr %ctx, ptr %args, ptr %out", "i64") as f:
        made = new(f, table(f, "%known", KIND))
        leave(f, "i64", 0, same(f, made, "null"))
        tied = f.call("tie", "i64", "ptr %out", f"ptr {made}")
        with f.when(f.compare("eq", tied, 0)):
            drop(f, made)
            leave(f, "i64", 0)
        layouts, specs = table(f, "%known", NODE_LAYOUTS), table(f, "%known", NODE_ARGS)
        kept, outs = f.variable("ptr", "null"), f.variable("ptr", layouts)
        saves = f.compare("ne", word(f, "%known", SAVES_OUT), 0)
        with f.when(saves):
            f.store("ptr", f.call("alias", "ptr", "ptr %out"), kept)
            pack = f.call("PyTuple_New", "ptr", "i64 1")
            f.call("PyTuple_SetItem", "i32", f"ptr {pack}", "i64 0", f"ptr {own(f, f.load('ptr', kept))}")  # fmt: skip
            f.store("ptr", pack, outs)
        with f.unless(saves):
            own(f, layouts)
        give(f, made, "outs", f.load("ptr", outs))
        give(f, made, "layouts", own(f, layouts))
        give(f, made, "record", own(f, table(f, "%known", ATTACH)))
        truth = f.select(saves, "@_Py_TrueStruct", "@_Py_FalseStruct", "ptr")
        give(f, made, "needs_out", own(f, truth))
        args = f.call("collect", "ptr", f"ptr {f.at(specs, 8)}", f"i64 {f.load('i64', specs)}", "ptr %ctx", "ptr %args")  # fmt: skip
        give(f, made, "args", args)
        edges = f.call("edges", "ptr", "ptr %known", "ptr %ctx")
        give(f, made, "edges", edges)
        # After the ends of leaves that the edges may have made: those are served last.
        give(f, made, "order", f.call("PyIter_Next", "ptr", f"ptr {setting(f, 'o_order')}"))
        versions = f.call("saved", "ptr", "ptr %known", "ptr %ctx", f"ptr {f.load('ptr', kept)}")
        give(f, made, "versions", versions)
        with f.when(saves):
            drop(f, f.load("ptr", kept))
        drop(f, made)  # the result holds it
        bad = f.either(same(f, args, "null"), f.either(same(f, edges, "null"), same(f, versions, "null")))  # fmt: skip
        leave(f, "i64", 0, bad)
        leave(f, "i64", 1)
        f.do("unreachable")


def _collect(program: Program) -> None:
    """@collect(specs, count, ctx, args) -> the tuple of arguments that a node of the tape gets."""
    with program.function("collect", "ptr %specs, i64 %count, ptr %ctx, ptr %args", "ptr") as f:
        made = f.call("PyTuple_New", "ptr", "i64 %count")
        leave(f, "ptr", "null", same(f, made, "null"))
        with f.loop(0, "%count") as i:
            spec = item_at(f, "%specs", i, _SPEC)
            kind, value = f.load("i64", spec), field(f, "i64", spec, 8)
            as_pointer = f.let(f"inttoptr i64 {value} to ptr")
            found = f.variable("ptr", as_pointer)
            with f.when(f.compare("eq", kind, ARGUMENT)):
                f.store("ptr", f.load("ptr", item_at(f, "%args", value)), found)
            with f.when(f.compare("eq", kind, TENSOR)):
                f.store("ptr", tensor_of(f, "%ctx", value), found)
            nested = f.compare("eq", kind, NESTED)
            with f.when(nested):
                inner = f.call("collect", "ptr", f"ptr {f.at(as_pointer, 8)}", f"i64 {f.load('i64', as_pointer)}", "ptr %ctx", "ptr %args")  # fmt: skip
                f.store("ptr", inner, found)
                with f.when(same(f, inner, "null")):
                    drop(f, made)
                    leave(f, "ptr", "null")
            with f.unless(nested):
                own(f, f.load("ptr", found))
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {f.load('ptr', found)}")  # fmt: skip
        leave(f, "ptr", made)
        f.do("unreachable")

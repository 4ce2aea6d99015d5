"""Nodes of the tape, written natively: what core/tape.py's prepare and finish do.

The entry holds the nodes that the call left when it was learned: their classes, what they save, where their
edges lead, and which of the tensors that the call makes are theirs. Which operands take part is in the key.
"""

from __future__ import annotations

from mezzo.core.short.words import (
    EDGES,
    EDGES_AT,
    FIRST_NODE,
    KIND,
    MULTIPLE,
    NEEDS_OUT,
    NODE_ARGS,
    NODE_LAYOUTS,
    NODE_OUTS,
    NODE_UNSIZED,
    RECORD,
    SAVED,
    SAVED_AT,
    TAKEN_AT,
    TENSORS_AT,
    TIES,
    TIES_AT,
    VERSIONS,
    VERSIONS_AT,
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

_EDGE, _SPEC, _TIE = 24, 16, 16  # [position, object, slot]; [kind, value]; [tensor, slot]
CONST, ARGUMENT, OBJECT, NESTED, LAYOUT, INDEXED = range(6)  # the kinds of what tuples are made of


def write_tape(program: Program) -> None:
    """The functions that write a node: savable, edges, versions, node; and collect, which makes tuples."""
    for write in (_one, _collect, _savable, _edge, _edges, _versions, _tie, _node):
        write(program)


def _savable(program: Program) -> None:
    """@savable(entry, ctx) -> 1, or 0 if a derivative would read memory of inference_mode: Python says so."""
    with program.function("savable", "ptr %known, ptr %ctx", "i64") as f:
        which = table(f, "%known", SAVED_AT)
        with f.loop(0, word(f, "%known", SAVED)) as i:
            tensor = tensor_of(f, "%ctx", f.load("i64", item_at(f, which, i)))
            version = slot(f, slot(f, tensor, "storage"), "version")
            leave(f, "i64", 0, same(f, version, setting(f, "o_frozen")))
        leave(f, "i64", 1)
        f.do("unreachable")


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
        made = f.call("triple", "ptr", "ptr %position", f"ptr {f.load('ptr', node)}", f"ptr {f.load('ptr', at)}")  # fmt: skip
        leave(f, "ptr", made)
        f.do("unreachable")
    with program.function("triple", "ptr %position, ptr %node, ptr %slot", "ptr") as f:
        made = f.call("PyTuple_New", "ptr", "i64 3")
        leave(f, "ptr", "null", same(f, made, "null"))
        for i, item in enumerate((own(f, "%position"), "%node", own(f, "%slot"))):
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {item}")
        leave(f, "ptr", made)
        f.do("unreachable")


def _edges(program: Program) -> None:
    """@edges(node, ctx) -> the edges of the node, or null."""
    with program.function("edges", "ptr %known, ptr %ctx", "ptr") as f:
        count, rows = word(f, "%known", EDGES), table(f, "%known", EDGES_AT)
        made = f.call("PyTuple_New", "ptr", f"i64 {count}")
        leave(f, "ptr", "null", same(f, made, "null"))
        with f.loop(0, count) as i:
            row = item_at(f, rows, i, _EDGE)
            position, which = f.load("ptr", row), field(f, "i64", row, 8)
            end, one = tensor_of(f, "%ctx", which), f.variable("ptr")
            inner = f.compare("sge", which, FIRST_NODE)
            with f.when(inner):
                made_here = f.call("triple", "ptr", f"ptr {position}", f"ptr {own(f, end)}", f"ptr {field(f, 'ptr', row, 16)}")  # fmt: skip
                f.store("ptr", made_here, one)
            with f.unless(inner):
                f.store("ptr", f.call("edge", "ptr", f"ptr {position}", f"ptr {end}"), one)
            found = f.load("ptr", one)
            with f.when(same(f, found, "null")):
                drop(f, made)
                leave(f, "ptr", "null")
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {found}")
        leave(f, "ptr", made)
        f.do("unreachable")


def _versions(program: Program) -> None:
    """@versions(node, ctx) -> what the node keeps with its versions: [(tensor, version)], or null."""
    with program.function("versions", "ptr %known, ptr %ctx", "ptr") as f:
        count, which = word(f, "%known", VERSIONS), table(f, "%known", VERSIONS_AT)
        made = f.call("PyTuple_New", "ptr", f"i64 {count}")
        leave(f, "ptr", "null", same(f, made, "null"))
        with f.loop(0, count) as i:
            one = tensor_of(f, "%ctx", f.load("i64", item_at(f, which, i)))
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


def _tie(program: Program) -> None:
    """@tie(out, node, slot) -> 1: a made tensor's gradient state; 0 after an error."""
    with program.function("tie", "ptr %out, ptr %node, ptr %slot", "i64") as f:
        made = new(f, setting(f, "o_auto"))
        leave(f, "i64", 0, same(f, made, "null"))
        give(f, made, "requires_grad", own(f, "@_Py_FalseStruct"))
        give(f, made, "node", own(f, "%node"))
        give(f, made, "slot", own(f, "%slot"))
        before = slot(f, "%out", "auto")
        give(f, "%out", "auto", made)
        drop(f, before)
        leave(f, "i64", 1)
        f.do("unreachable")


def _node(program: Program) -> None:
    """@node(node, ctx, args, i) -> 1 with the i-th node on the tape, 0 after an error; it lies among the objects."""
    with program.function("node", "ptr %known, ptr %ctx, ptr %args, i64 %i", "i64") as f:
        made = new(f, table(f, "%known", KIND))
        objects = f.at("%ctx", TENSORS_AT)
        f.store("ptr", made, item_at(f, objects, f.add("%i", FIRST_NODE)))
        leave(f, "i64", 0, same(f, made, "null"))
        ties = table(f, "%known", TIES_AT)
        with f.loop(0, word(f, "%known", TIES)) as i:
            row = item_at(f, ties, i, _TIE)
            out = tensor_of(f, "%ctx", f.load("i64", row))
            tied = f.call("tie", "i64", f"ptr {out}", f"ptr {made}", f"ptr {field(f, 'ptr', row, 8)}")  # fmt: skip
            leave(f, "i64", 0, f.compare("eq", tied, 0))
        for name, at in (("record", RECORD), ("needs_out", NEEDS_OUT)):
            give(f, made, name, own(f, table(f, "%known", at)))
        sizes, which = table(f, "%known", NODE_UNSIZED), f.variable("ptr", table(f, "%known", NODE_LAYOUTS))  # fmt: skip
        late = differ(f, sizes, "null")
        with f.when(late):
            f.store("ptr", _gather(f, sizes), which)
            leave(f, "i64", 0, same(f, f.load("ptr", which), "null"))
        layouts = f.load("ptr", which)
        with f.unless(late):
            own(f, layouts)
        give(f, made, "layouts", layouts)
        outs, kept = table(f, "%known", NODE_OUTS), f.variable("ptr", layouts)
        saves = differ(f, outs, "null")
        with f.when(saves):
            f.store("ptr", _gather(f, outs), kept)
        with f.unless(saves):
            own(f, layouts)
        give(f, made, "outs", f.load("ptr", kept))
        args = _gather(f, table(f, "%known", NODE_ARGS))
        give(f, made, "args", args)
        edges = f.call("edges", "ptr", "ptr %known", "ptr %ctx")
        give(f, made, "edges", edges)
        # After the ends of leaves that the edges may have made: those are served last.
        give(f, made, "order", f.call("PyIter_Next", "ptr", f"ptr {setting(f, 'o_order')}"))
        versions = f.call("versions", "ptr", "ptr %known", "ptr %ctx")
        give(f, made, "versions", versions)
        for needed in (f.load("ptr", kept), args, edges, versions):
            leave(f, "i64", 0, same(f, needed, "null"))
        with f.unless(f.compare("eq", word(f, "%known", MULTIPLE), 0)):
            name = setting(f, "o_multiple")
            done = f.call("PyObject_SetAttr", "i32", f"ptr {made}", f"ptr {name}", "ptr @_Py_TrueStruct")  # fmt: skip
            leave(f, "i64", 0, f.let(f"icmp ne i32 {done}, 0"))
        leave(f, "i64", 1)
        f.do("unreachable")


def _gather(f: Function, specs: str) -> str:
    """The tuple that [count, specs...] describe."""
    return f.call("collect", "ptr", f"ptr {f.at(specs, 8)}", f"i64 {f.load('i64', specs)}", "ptr %ctx", "ptr %args")  # fmt: skip


def _one(program: Program) -> None:
    """@one(spec, ctx, args) -> what a spec stands for, or null."""
    with program.function("one", "ptr %spec, ptr %ctx, ptr %args", "ptr") as f:
        kind, value = f.load("i64", "%spec"), field(f, "i64", "%spec", 8)
        as_pointer = f.let(f"inttoptr i64 {value} to ptr")
        with f.when(f.compare("eq", kind, NESTED)):
            leave(f, "ptr", _gather(f, as_pointer))
        found = f.variable("ptr", as_pointer)
        with f.when(f.compare("eq", kind, ARGUMENT)):
            f.store("ptr", f.load("ptr", item_at(f, "%args", value)), found)
        with f.when(f.compare("eq", kind, OBJECT)):
            f.store("ptr", tensor_of(f, "%ctx", value), found)
        with f.when(f.compare("eq", kind, INDEXED)):
            index = f.mul(f.load("i64", as_pointer), f.load("i64", f.at("%ctx", TAKEN_AT)))
            number = f.add(index, field(f, "i64", as_pointer, 8))
            leave(f, "ptr", f.call("PyLong_FromLongLong", "ptr", f"i64 {number}"))
        with f.when(f.compare("eq", kind, LAYOUT)):
            f.store("ptr", slot(f, tensor_of(f, "%ctx", value), "layout"), found)
        leave(f, "ptr", own(f, f.load("ptr", found)))
        f.do("unreachable")


def _collect(program: Program) -> None:
    """@collect(specs, count, ctx, args) -> a tuple, or null."""
    with program.function("collect", "ptr %specs, i64 %count, ptr %ctx, ptr %args", "ptr") as f:
        made = f.call("PyTuple_New", "ptr", "i64 %count")
        leave(f, "ptr", "null", same(f, made, "null"))
        with f.loop(0, "%count") as i:
            spec = item_at(f, "%specs", i, _SPEC)
            found = f.call("one", "ptr", f"ptr {spec}", "ptr %ctx", "ptr %args")
            with f.when(same(f, found, "null")):
                drop(f, made)
                leave(f, "ptr", "null")
            f.call("PyTuple_SetItem", "i32", f"ptr {made}", f"i64 {i}", f"ptr {found}")
        leave(f, "ptr", made)
        f.do("unreachable")

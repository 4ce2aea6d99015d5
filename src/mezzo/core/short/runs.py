"""What a known call does: memory, launches, results, history."""

from __future__ import annotations

from mezzo.core.short.words import (
    ALLOCS,
    ALLOCS_AT,
    BASES,
    CALLS,
    CALLS_AT,
    CHECKS,
    CHECKS_AT,
    FIRST_MADE,
    FIRST_NODE,
    GRAD,
    INFERENCE,
    LATER,
    LAYOUT_BASE,
    MADE,
    MADE_AT,
    MANY,
    MAX_ALLOCS,
    MAX_ARGS,
    MAX_SLOTS,
    NODE_UNSIZED,
    NODES,
    NODES_AT,
    NUMBER,
    NUMBER_AT,
    NUMBER_BASE,
    NUMBERS_TAKEN,
    OUTS,
    OUTS_AT,
    SIZED,
    SIZES,
    SLOW,
    TAKE,
    TAKEN_AT,
    TENSOR_BASE,
    TENSORS,
    TENSORS_AT,
    UNLOCKED,
    WRITES,
    WRITES_AT,
    differ,
    drop,
    field,
    give,
    item_at,
    leave,
    new,
    own,
    put,
    same,
    setting,
    slot,
    table,
    tensor_of,
    word,
)
from mezzo.kernels.cpu.contract.writer import Function, Program

# The state of a run: addresses of memory (blocks, then tensors, then numbers, then what was drawn), objects of the blocks.
_BASES = 0
_OBJECTS = 8 * BASES
_RUN = _OBJECTS + 8 * MAX_ALLOCS
_ALLOC, _CALL, _PATCH, _ROW, _WRITE, _NODE = 40, 40, 32, 64, 16, 8 * (NODE_UNSIZED + 1)


def write_runs(program: Program) -> None:
    """The functions that do what an entry says: go, and give_back."""
    for write in (_block, _blocks, _release, _step, _launches, _view, _make, _result, _may_write, _wrote, _checks,
                  _finish, _go):  # fmt: skip
        write(program)


def call_objects(f: Function, function: str, *objects: str) -> str:
    operands = "".join(f"ptr {o}, " for o in objects)
    return f.let(
        f"call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr {function}, {operands}ptr null)"
    )


# ---- memory


def _block(program: Program) -> None:
    """@block(run, allocation, i) -> 1, 0 after an error. A piece of memory, from its free list if one is there.

    allocation: [free list, size, size counted, whether it is given back, version].
    """
    with program.function("block", "ptr %run, ptr %alloc, i64 %i", "i64") as f:
        bucket, nbytes = f.load("ptr", "%alloc"), field(f, "ptr", "%alloc", 8)
        temporary = f.compare("ne", field(f, "i64", "%alloc", 24), 0)
        object_at = item_at(f, f.at("%run", _OBJECTS), "%i")
        base_at = item_at(f, "%run", "%i")
        version = field(f, "ptr", "%alloc", 32)
        free = f.variable("i64", 0)
        with f.when(differ(f, bucket, "null")):
            f.store("i64", field(f, "i64", bucket, 16), free)
        count = f.load("i64", free)
        with f.when(f.compare("eq", count, 0)):
            made = call_objects(f, setting(f, "o_allocate"), nbytes, setting(f, "o_store"))
            leave(f, "i64", 0, same(f, made, "null"))
            give(f, made, "version", own(f, version))
            f.store("ptr", made, object_at)
            f.store("i64", f.call("PyLong_AsLongLong", "i64", f"ptr {slot(f, made, 'store_ptr')}"), base_at)  # fmt: skip
            leave(f, "i64", 1)
        last = f.sub(count, 1)
        address = f.load("ptr", item_at(f, field(f, "ptr", bucket, 24), last))
        put(f, "i64", last, bucket, 16)
        f.store("i64", f.call("PyLong_AsLongLong", "i64", f"ptr {address}"), base_at)
        with f.when(temporary):
            f.store("ptr", f.let(f"getelementptr i8, ptr {address}, i64 1"), object_at)
            leave(f, "i64", 1)
        made = new(f, setting(f, "o_store"))
        with f.when(same(f, made, "null")):
            f.call("PyList_Append", "i32", f"ptr {bucket}", f"ptr {address}")
            drop(f, address)
            leave(f, "i64", 0)
        give(f, made, "store_ptr", address)
        give(f, made, "nbytes", own(f, nbytes))
        give(f, made, "bucket", own(f, bucket))
        give(f, made, "version", own(f, version))
        f.store("ptr", made, object_at)
        leave(f, "i64", 1)
        f.do("unreachable")


def count_as(f: Function, name: str, value: str) -> None:
    """usage.name = value."""
    usage = setting(f, "o_usage")
    made = f.call("PyLong_FromLongLong", "ptr", f"i64 {value}")
    before = slot(f, usage, name)
    give(f, usage, name, made)
    drop(f, before)


def counted(f: Function, name: str) -> str:
    return f.call("PyLong_AsLongLong", "i64", f"ptr {slot(f, setting(f, 'o_usage'), name)}")


def _blocks(program: Program) -> None:
    """@blocks(run, entry) -> 1, or 0 after an error: all memory of a call, counted."""
    with program.function("blocks", "ptr %run, ptr %known", "i64") as f:
        count, allocs = word(f, "%known", ALLOCS), table(f, "%known", ALLOCS_AT)
        kept, lent = f.variable("i64", 0), f.variable("i64", 0)
        with f.loop(0, count) as i:
            alloc = item_at(f, allocs, i, _ALLOC)
            bucket = f.load("ptr", alloc)
            ready, good = f.variable("i64", 0), f.variable("i64", 1)
            with f.when(differ(f, bucket, "null")):
                f.store("i64", field(f, "i64", bucket, 16), ready)
            later = f.compare("eq", field(f, "i64", alloc, 24), LATER)
            with f.when(later):
                f.store("ptr", "null", item_at(f, f.at("%run", _OBJECTS), i))
            with f.unless(later):
                f.store("i64", f.call("block", "i64", "ptr %run", f"ptr {alloc}", f"i64 {i}"), good)
            made = f.load("i64", good)
            with f.when(f.compare("eq", made, 0)):
                f.call("release", "void", "ptr %run", "ptr %known", f"i64 {i}")
                leave(f, "i64", 0)
            # What Python's allocate handed out it has counted itself.
            size = f.select(f.compare("eq", f.load("i64", ready), 0), 0, field(f, "i64", alloc, 16))
            lends = f.compare("ne", field(f, "i64", alloc, 24), 0)
            f.store("i64", f.add(f.load("i64", kept), f.select(lends, 0, size)), kept)
            f.store("i64", f.add(f.load("i64", lent), f.select(lends, size, 0)), lent)
        with f.unless(f.compare("eq", count, 0)):
            now = f.add(counted(f, "allocated"), f.load("i64", kept))
            count_as(f, "allocated", now)
            most = f.add(now, f.load("i64", lent))
            with f.when(f.compare("sgt", most, counted(f, "peak"))):
                count_as(f, "peak", most)
        leave(f, "i64", 1)
        f.do("unreachable")


def _release(program: Program) -> None:
    """@release(run, entry, n): give up the first n blocks; what was lent goes back to its free list."""
    with program.function("release", "ptr %run, ptr %known, i64 %n") as f:
        allocs = table(f, "%known", ALLOCS_AT)
        with f.loop(0, "%n") as i:
            held = f.load("ptr", item_at(f, f.at("%run", _OBJECTS), i))
            bits = f.let(f"ptrtoint ptr {held} to i64")
            lent = f.compare("ne", f.let(f"and i64 {bits}, 1"), 0)
            with f.when(lent):
                address = f.at(held, -1)
                bucket = f.load("ptr", item_at(f, allocs, i, _ALLOC))
                f.call("give_back", "void", f"ptr {bucket}", f"ptr {address}")
            with f.unless(lent):
                drop(f, held)
        with f.loop(0, word(f, "%known", SIZES)) as i:
            drop(f, f.load("ptr", item_at(f, f.at("%run", 8 * LAYOUT_BASE), i)))
    with program.function("give_back", "ptr %bucket, ptr %address") as f:
        size, room = field(f, "i64", "%bucket", 16), field(f, "i64", "%bucket", 32)
        fits = f.compare("slt", size, room)
        with f.when(fits):
            f.store("ptr", "%address", item_at(f, field(f, "ptr", "%bucket", 24), size))
            put(f, "i64", f.add(size, 1), "%bucket", 16)
        with f.unless(fits):
            f.call("PyList_Append", "i32", "ptr %bucket", "ptr %address")
            drop(f, "%address")


# ---- launches


def _launches(program: Program) -> None:
    """@launches(run, entry) -> 0: every kernel and step of a call, with the run's addresses; else as @step."""
    with program.function("launches", "ptr %run, ptr %known", "i64") as f:
        slots = f.array(8 * MAX_SLOTS)
        calls = table(f, "%known", CALLS_AT)
        with f.loop(0, word(f, "%known", CALLS)) as i:
            at = item_at(f, calls, i, _CALL)
            template, patches = field(f, "ptr", at, 16), field(f, "ptr", at, 32)
            kernel = f.load("ptr", at)
            none = same(f, kernel, "null")
            with f.when(none):
                failed = f.variable("i64", 0)
                what, done = field(f, "i64", at, 8), f.compare("slt", field(f, "i64", at, 8), 0)
                with f.unless(done):
                    f.store("i64", f.call("step", "i64", "ptr %run", f"ptr {at}"), failed)
                for kind, function in ((TAKE, "take"), (SIZED, "sized")):
                    with f.when(f.compare("eq", what, kind)):
                        f.store(
                            "i64", f.call(function, "i64", "ptr %run", f"ptr {template}"), failed
                        )
                status = f.load("i64", failed)
                leave(f, "i64", status, f.compare("ne", status, 0))
            with f.unless(none):
                with f.loop(0, field(f, "i64", at, 8)) as j:
                    f.store("i64", f.load("i64", item_at(f, template, j)), item_at(f, slots, j))
                with f.loop(0, field(f, "i64", at, 24)) as j:
                    patch = item_at(f, patches, j, _PATCH)
                    f.store("i64", _patched(f, patch), f.at(slots, f.load("i64", patch)))
                f.do(f"call void {kernel}(ptr {slots})")
        leave(f, "i64", 0)
        f.do("unreachable")


def _patched(f: Function, patch: str) -> str:
    base = f.load("i64", item_at(f, "%run", field(f, "i64", patch, 8)))
    return f.add(base, f.add(field(f, "i64", patch, 16), _indexed(f, field(f, "i64", patch, 24))))


def _indexed(f: Function, step: str) -> str:
    """A step for each place of the free index; 0 where there is none."""
    return f.mul(step, f.load("i64", f.at("%run", 8 * NUMBER_BASE)))


def _step(program: Program) -> None:
    """@step(run, row) -> 0 after a hosts.Step; 1 if it says that Python must make the whole call, 2 after an error.

    row: [0, 0 or where the two numbers go that it draws, what to call, addresses that it gets, which].
    """
    with program.function("step", "ptr %run, ptr %row", "i64") as f:
        given = f.array(8 * MAX_ARGS)
        step, patches = field(f, "ptr", "%row", 16), field(f, "ptr", "%row", 32)
        drawn = field(f, "i64", "%row", 8)
        count = field(f, "i64", "%row", 24)
        with f.loop(0, count) as i:
            address = f.call("PyLong_FromLongLong", "ptr", f"i64 {_patched(f, item_at(f, patches, i, _PATCH))}")  # fmt: skip
            f.store("ptr", address, item_at(f, given, i))
        found = f.call("PyObject_Vectorcall", "ptr", f"ptr {step}", f"ptr {given}", f"i64 {count}", "ptr null")  # fmt: skip
        with f.loop(0, count) as i:
            drop(f, f.load("ptr", item_at(f, given, i)))
        leave(f, "i64", 2, same(f, found, "null"))
        with f.unless(f.compare("eq", drawn, 0)):
            for i in range(2):
                number = f.call("PyLong_AsLongLong", "i64", f"ptr {field(f, 'ptr', found, 24 + 8 * i)}")  # fmt: skip
                f.store("i64", number, item_at(f, "%run", f.add(drawn, i)))
            drop(f, found)
            leave(f, "i64", 0)
        drop(f, found)
        leave(f, "i64", f.select(same(f, found, "@_Py_TrueStruct"), 0, 1))
        f.do("unreachable")


def _checks(program: Program) -> None:
    """@checks(entry) -> how many checks of the kernels failed; they start clean again."""
    with program.function("checks", "ptr %known", "i64") as f:
        failed = f.variable("i64", 0)
        cells = table(f, "%known", CHECKS_AT)
        with f.loop(0, word(f, "%known", CHECKS)) as i:
            cell = f.load("ptr", item_at(f, cells, i))
            with f.when(f.compare("ne", f.load("i64", cell), 0)):
                f.store("i64", 0, cell)
                f.store("i64", f.add(f.load("i64", failed), 1), failed)
        leave(f, "i64", f.load("i64", failed))
        f.do("unreachable")


# ---- results


def _view(program: Program) -> None:
    """@view(source, chain, multiple) -> how the result views the root of source; see tape.View."""
    with program.function("view", "ptr %source, ptr %chain, ptr %multiple", "ptr") as f:
        made = new(f, setting(f, "o_view"))
        leave(f, "ptr", "null", same(f, made, "null"))
        give(f, made, "multiple", own(f, "%multiple"))
        root, chain = f.variable("ptr", "%source"), f.variable("ptr", "%chain")
        base = slot(f, "%source", "base")
        direct = same(f, base, "@_Py_NoneStruct")
        with f.when(direct):
            own(f, "%chain")
        with f.unless(direct):
            f.store("ptr", slot(f, base, "root"), root)
            before = slot(f, base, "chain")
            f.store("ptr", f.call("PySequence_Concat", "ptr", f"ptr {before}", "ptr %chain"), chain)
        found = f.load("ptr", root)
        give(f, made, "root", own(f, found))
        give(f, made, "chain", f.load("ptr", chain))
        generation = f.variable("ptr", setting(f, "o_zero"))
        auto = slot(f, found, "auto")
        bare = same(f, auto, "@_Py_NoneStruct")
        with f.when(bare):
            own(f, f.load("ptr", generation))
        with f.unless(bare):
            known = f.call("PyObject_GetAttr", "ptr", f"ptr {auto}", f"ptr {setting(f, 'o_generation')}")  # fmt: skip
            f.store("ptr", known, generation)
        give(f, made, "generation", f.load("ptr", generation))
        bad = f.either(same(f, f.load("ptr", chain), "null"), same(f, f.load("ptr", generation), "null"))  # fmt: skip
        with f.when(bad):
            drop(f, made)
            leave(f, "ptr", "null")
        leave(f, "ptr", made)
        f.do("unreachable")


NEW, VIEW = range(2)  # the kinds of what a call makes


def _make(program: Program) -> None:
    """@make(run, row, ctx, i) -> 1, 0 after an error: the i-th tensor that the call makes.

    row: [kind, layout, which block or object, offset, chain or null, multiple]; without a layout the last is
    which of those it has that the run made. Behind them: how far the free index moves it, and whether the chain is
    written as specs (nodes.py), since it holds the index.
    """
    with program.function("make", "ptr %run, ptr %row, ptr %ctx, i64 %i", "i64") as f:
        kind, layout = f.load("i64", "%row"), field(f, "ptr", "%row", 8)
        which = field(f, "i64", "%row", 16)
        offset = f.add(field(f, "i64", "%row", 24), _indexed(f, field(f, "i64", "%row", 48)))
        place = f.add("%i", FIRST_MADE)
        made = new(f, setting(f, "o_tensor"))
        f.store("ptr", made, item_at(f, f.at("%ctx", TENSORS_AT), place))
        leave(f, "i64", 0, same(f, made, "null"))
        known = f.variable("ptr", layout)
        unsized = same(f, layout, "null")
        with f.when(unsized):
            made_at = item_at(f, f.at("%run", 8 * LAYOUT_BASE), field(f, "i64", "%row", 40))
            f.store("ptr", f.load("ptr", made_at), known)
        give(f, made, "layout", own(f, f.load("ptr", known)))
        give(f, made, "auto", own(f, "@_Py_NoneStruct"))
        base, store, address = f.variable("i64"), f.variable("ptr"), f.variable("ptr")
        fresh = f.compare("eq", kind, NEW)
        with f.when(fresh):
            give(f, made, "base", own(f, "@_Py_NoneStruct"))
            held = f.load("ptr", item_at(f, f.at("%run", _OBJECTS), which))
            f.store("ptr", held, store)
            f.store("ptr", slot(f, held, "store_ptr"), address)
            f.store("i64", f.load("i64", item_at(f, "%run", which)), base)
        with f.unless(fresh):
            source = tensor_of(f, "%ctx", which)
            f.store("ptr", slot(f, source, "storage"), store)
            f.store("ptr", slot(f, source, "ptr"), address)
            f.store("i64", f.load("i64", item_at(f, "%run", f.add(which, TENSOR_BASE))), base)
            chain = field(f, "ptr", "%row", 32)
            seen = f.variable("ptr", "@_Py_NoneStruct")
            bare = same(f, chain, "null")
            with f.when(bare):
                own(f, "@_Py_NoneStruct")
            with f.unless(bare):
                path = f.variable("ptr", chain)
                indexed = f.compare("ne", field(f, "i64", "%row", 56), 0)
                with f.when(indexed):
                    made_path = f.call("collect", "ptr", f"ptr {f.at(chain, 8)}", f"i64 {f.load('i64', chain)}", "ptr %ctx", "ptr null")  # fmt: skip
                    f.store("ptr", made_path, path)
                lost = same(f, f.load("ptr", path), "null")
                with f.when(lost):
                    give(f, made, "base", own(f, "@_Py_NoneStruct"))
                    leave(f, "i64", 0)
                info = f.call("view", "ptr", f"ptr {source}", f"ptr {f.load('ptr', path)}", f"ptr {field(f, 'ptr', '%row', 40)}")  # fmt: skip
                with f.when(indexed):
                    drop(f, f.load("ptr", path))
                f.store("ptr", info, seen)
            give(f, made, "base", f.load("ptr", seen))
            leave(f, "i64", 0, same(f, f.load("ptr", seen), "null"))
        give(f, made, "storage", own(f, f.load("ptr", store)))
        moved = f.add(f.load("i64", base), offset)
        f.store("i64", moved, item_at(f, "%run", f.add(place, TENSOR_BASE)))
        still = f.compare("eq", offset, 0)
        with f.when(still):
            own(f, f.load("ptr", address))
        with f.unless(still):
            f.store("ptr", f.call("PyLong_FromLongLong", "ptr", f"i64 {moved}"), address)
        give(f, made, "ptr", f.load("ptr", address))
        leave(f, "i64", 1)
        f.do("unreachable")


def _result(program: Program) -> None:
    """@result(entry, ctx, args) -> what the call returns, or null: one thing, a tuple, or a tuple with names."""
    with program.function("result", "ptr %known, ptr %ctx, ptr %args", "ptr") as f:
        outs, many = table(f, "%known", OUTS_AT), table(f, "%known", MANY)
        with f.when(same(f, many, "null")):
            leave(f, "ptr", f.call("one", "ptr", f"ptr {outs}", "ptr %ctx", "ptr %args"))
        count = word(f, "%known", OUTS)
        made = f.call("collect", "ptr", f"ptr {outs}", f"i64 {count}", "ptr %ctx", "ptr %args")
        leave(f, "ptr", made, f.either(same(f, made, "null"), same(f, many, "@PyTuple_Type")))
        pack = f.call("PyTuple_New", "ptr", "i64 1")
        with f.when(same(f, pack, "null")):
            drop(f, made)
            leave(f, "ptr", "null")
        f.call("PyTuple_SetItem", "i32", f"ptr {pack}", "i64 0", f"ptr {made}")
        named = f.let(f"call ptr {setting(f, 'o_new_tuple')}(ptr {many}, ptr {pack}, ptr null)")
        drop(f, pack)
        leave(f, "ptr", named)
        f.do("unreachable")


def _finish(program: Program) -> None:
    """@finish(run, entry, ctx, args) -> the result with its history, or null: after the launches."""
    with program.function("finish", "ptr %run, ptr %known, ptr %ctx, ptr %args", "ptr") as f:
        objects = f.at("%ctx", TENSORS_AT)
        good, made, written = (f.variable("i64", n) for n in (1, 0, 0))
        result = f.variable("ptr", "null")
        rows = table(f, "%known", MADE_AT)
        with f.loop(0, word(f, "%known", MADE)) as i:
            with f.unless(f.compare("eq", f.load("i64", good), 0)):
                row = item_at(f, rows, i, _ROW)
                f.store("i64", f.call("make", "i64", "ptr %run", f"ptr {row}", "ptr %ctx", f"i64 {i}"), good)  # fmt: skip
                f.store("i64", f.add(i, 1), made)
        f.call("release", "void", "ptr %run", "ptr %known", f"i64 {word(f, '%known', ALLOCS)}")
        f.call("wrote", "void", "ptr %known", "ptr %ctx")
        nodes = table(f, "%known", NODES_AT)
        with f.loop(0, word(f, "%known", NODES)) as i:
            with f.unless(f.compare("eq", f.load("i64", good), 0)):
                row = item_at(f, nodes, i, _NODE)
                f.store("i64", f.call("node", "i64", f"ptr {row}", "ptr %ctx", "ptr %args", f"i64 {i}"), good)  # fmt: skip
                f.store("i64", f.add(i, 1), written)
        with f.unless(f.compare("eq", f.load("i64", good), 0)):
            how = word(f, "%known", NUMBER)
            numbers = f.compare("ne", how, 0)
            with f.when(numbers):
                f.store("ptr", f.call("number", "ptr", "ptr %run", f"i64 {how}", f"i64 {word(f, '%known', NUMBER_AT)}"), result)  # fmt: skip
            with f.unless(numbers):
                f.store(
                    "ptr", f.call("result", "ptr", "ptr %known", "ptr %ctx", "ptr %args"), result
                )
        for first, count in ((FIRST_NODE, written), (FIRST_MADE, made)):
            with f.loop(0, f.load("i64", count)) as i:
                item = f.load("ptr", item_at(f, objects, f.add(i, first)))
                with f.when(differ(f, item, "null")):
                    drop(f, item)
        leave(f, "ptr", f.load("ptr", result))
        f.do("unreachable")


# ---- writing in place


def _may_write(program: Program) -> None:
    """@may_write(entry, ctx) -> 1, or 0 where Python must look: frozen or saved memory, operands that share it,
    a view whose root may want gradients.
    """
    with program.function("may_write", "ptr %known, ptr %ctx", "i64") as f:
        writes = table(f, "%known", WRITES_AT)
        grad = f.compare("ne", field(f, "i64", "%ctx", GRAD), 0)
        with f.loop(0, word(f, "%known", WRITES)) as i:
            which = f.load("i64", item_at(f, writes, i, _WRITE))
            base = slot(f, tensor_of(f, "%ctx", which), "base")
            with f.when(f.both(grad, differ(f, base, "@_Py_NoneStruct"))):
                root = slot(f, slot(f, base, "root"), "auto")
                leave(f, "i64", 0, differ(f, root, "@_Py_NoneStruct"))
            store = slot(f, tensor_of(f, "%ctx", which), "storage")
            leave(f, "i64", 0, differ(f, slot(f, store, "saved"), "null"))
            version = f.call("PyLong_AsLongLong", "i64", f"ptr {slot(f, store, 'version')}")
            frozen = f.compare("slt", version, 0)
            outside = f.compare("eq", field(f, "i64", "%ctx", INFERENCE), 0)
            leave(f, "i64", 0, f.both(frozen, outside))
            with f.loop(0, field(f, "i64", "%ctx", TENSORS)) as j:
                other = slot(f, tensor_of(f, "%ctx", j), "storage")
                shares = f.both(same(f, other, store), f.compare("ne", j, which))
                leave(f, "i64", 0, shares)
        leave(f, "i64", 1)
        f.do("unreachable")


def _wrote(program: Program) -> None:
    """@wrote(entry, ctx): raise the versions of what was written."""
    with program.function("wrote", "ptr %known, ptr %ctx") as f:
        writes = table(f, "%known", WRITES_AT)
        with f.loop(0, word(f, "%known", WRITES)) as i:
            at = item_at(f, writes, i, _WRITE)
            store = slot(f, tensor_of(f, "%ctx", f.load("i64", at)), "storage")
            before = slot(f, store, "version")
            version = f.call("PyLong_AsLongLong", "i64", f"ptr {before}")
            with f.when(f.compare("sge", version, 0)):
                raised = f.add(version, field(f, "i64", at, 8))
                give(f, store, "version", f.call("PyLong_FromLongLong", "ptr", f"i64 {raised}"))
                drop(f, before)


# ---- the call


def _go(program: Program) -> None:
    """@go(entry, ctx, args) -> the result, null after an error, SLOW if Python must do it."""
    with program.function("go", "ptr %known, ptr %ctx, ptr %args", "ptr") as f:
        run = f.array(_RUN)
        slow = SLOW
        may = f.call("may_write", "i64", "ptr %known", "ptr %ctx")
        leave(f, "ptr", slow, f.compare("eq", may, 0))
        may = f.call("savable", "i64", "ptr %known", "ptr %ctx")
        leave(f, "ptr", slow, f.compare("eq", may, 0))
        with f.loop(0, field(f, "i64", "%ctx", TENSORS)) as i:
            address = slot(f, tensor_of(f, "%ctx", i), "ptr")
            base = f.call("PyLong_AsLongLong", "i64", f"ptr {address}")
            f.store("i64", base, item_at(f, run, f.add(i, TENSOR_BASE)))
        with f.loop(0, field(f, "i64", "%ctx", NUMBERS_TAKEN)) as i:
            bits = f.load("i64", item_at(f, f.at("%ctx", TAKEN_AT), i))
            f.store("i64", bits, item_at(f, run, f.add(i, NUMBER_BASE)))
        with f.loop(0, word(f, "%known", SIZES)) as i:
            f.store("ptr", "null", item_at(f, f.at(run, 8 * LAYOUT_BASE), i))
        made = f.call("blocks", "i64", f"ptr {run}", "ptr %known")
        leave(f, "ptr", "null", f.compare("eq", made, 0))
        locked, done = f.compare("eq", word(f, "%known", UNLOCKED), 0), f.variable("i64", 0)
        with f.when(locked):
            f.store("i64", f.call("launches", "i64", f"ptr {run}", "ptr %known"), done)
        with f.unless(locked):
            state = f.call("PyEval_SaveThread", "ptr")
            f.call("launches", "i64", f"ptr {run}", "ptr %known")
            f.call("PyEval_RestoreThread", "void", f"ptr {state}")
        count = word(f, "%known", ALLOCS)
        status = f.load("i64", done)
        with f.when(f.compare("ne", status, 0)):
            f.call("release", "void", f"ptr {run}", "ptr %known", f"i64 {count}")
            leave(f, "ptr", f.select(f.compare("eq", status, 1), slow, "null", "ptr"))
        failed = f.call("checks", "i64", "ptr %known")
        with f.when(f.compare("ne", failed, 0)):
            f.call("release", "void", f"ptr {run}", "ptr %known", f"i64 {count}")
            leave(f, "ptr", slow)
        leave(
            f, "ptr", f.call("finish", "ptr", f"ptr {run}", "ptr %known", "ptr %ctx", "ptr %args")
        )
        f.do("unreachable")

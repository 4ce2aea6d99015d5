"""How a call becomes a key: words made of its arguments, and the entry that is filed under them."""

from __future__ import annotations

from mezzo.core.short.words import (
    ANY,
    ANY_INDEX,
    ANY_SLICE,
    FLAGGED,
    FLOAT,
    FREE,
    FREE_COUNT,
    GRAD,
    HASH,
    INDEX,
    INFERENCE,
    INT,
    KEY_AT,
    KEY_HASH,
    MAX_ARGS,
    MAX_ITEMS,
    MAX_NUMBERS,
    MAX_TENSORS,
    MAX_WORDS,
    MODES,
    NUMBERS_TAKEN,
    SAME,
    SLICE,
    TABLE,
    TAKEN_AT,
    TENSORS,
    TENSORS_AT,
    WORDS,
    WORDS_AT,
    differ,
    drop,
    field,
    item_at,
    leave,
    put,
    same,
    setting,
    slot,
    table,
    word,
)
from mezzo.kernels.cpu.contract.writer import Function, Program

MAX_INDICES = 6  # between brackets
FEW = 4  # places that an index may have, below which each has its own key


def write_keys(program: Program) -> None:
    """The functions that make a key and look it up: state, read, find."""
    for write in (_part, _read, _free_index, _free_number, _state, _placed, _find):
        write(program)


def _say(f: Function, value, more: str | None = None) -> None:
    """Append a word to the key; return 0 where it is full."""
    count = f.load("i64", "%ctx")
    leave(f, "i64", 0, f.compare("sge", count, MAX_WORDS - 1))
    at = item_at(f, f.at("%ctx", KEY_AT), count)
    f.store("i64", value, at)
    if more is not None:
        put(f, "i64", more, at, 8)
    f.store("i64", f.add(count, 1 if more is None else 2), "%ctx")


def _part(program: Program) -> None:
    """@part(ctx, object, depth) -> 1, or 0 for what has no place in a key."""
    with program.function("part", "ptr %ctx, ptr %obj, i64 %depth", "i64") as f:
        kind = field(f, "ptr", "%obj", 8)
        tensor = f.either(
            same(f, kind, setting(f, "o_tensor")), same(f, kind, setting(f, "o_parameter"))
        )
        with f.when(tensor):
            _tensor_part(f)
            leave(f, "i64", 1)
        with f.when(same(f, "%obj", "@_Py_NoneStruct")):
            _say(f, f.let("ptrtoint ptr %obj to i64"))
            leave(f, "i64", 1)
        with f.when(same(f, kind, "@PyLong_Type")):
            over = f.variable("i32", 0)
            value = f.call("PyLong_AsLongLongAndOverflow", "i64", "ptr %obj", f"ptr {over}")
            leave(f, "i64", 0, f.let(f"icmp ne i32 {f.load('i32', over)}, 0"))
            _say(f, INT, value)
            leave(f, "i64", 1)
        with f.when(same(f, kind, "@PyFloat_Type")):
            number = f.call("PyFloat_AsDouble", "double", "ptr %obj")
            _say(f, FLOAT, f.let(f"bitcast double {number} to i64"))
            leave(f, "i64", 1)
        count = setting(f, "kind_count")
        kinds = f.let(f"inttoptr i64 {setting(f, 'kinds')} to ptr")
        with f.loop(0, count) as i:
            with f.when(same(f, f.load("ptr", item_at(f, kinds, i)), kind)):
                # Bit 1, lest a layout be taken for a tensor that has it.
                _say(f, f.let(f"or i64 {f.let('ptrtoint ptr %obj to i64')}, 2"))
                leave(f, "i64", 1)
        leave(f, "i64", 0, f.compare("sge", "%depth", 3))
        _sequence_parts(f, kind)
        with f.when(same(f, kind, "@PySlice_Type")):
            _say(f, SLICE)
            with f.loop(2, 5) as i:
                item = f.load("ptr", item_at(f, "%obj", i))
                good = f.call("part", "i64", "ptr %ctx", f"ptr {item}", f"i64 {f.add('%depth', 1)}")
                leave(f, "i64", 0, f.compare("eq", good, 0))
            leave(f, "i64", 1)
        leave(f, "i64", 0)
        f.do("unreachable")


def _sequence_parts(f: Function, kind: str) -> None:
    """Tuples, sizes and lists: their type, their length, their items."""
    is_list = same(f, kind, "@PyList_Type")
    is_tuple = f.either(same(f, kind, "@PyTuple_Type"), same(f, kind, setting(f, "o_size")))
    with f.when(f.either(is_list, is_tuple)):
        size = field(f, "i64", "%obj", 16)
        leave(f, "i64", 0, f.compare("sgt", size, MAX_ITEMS))
        _say(f, f.let(f"ptrtoint ptr {kind} to i64"), size)
        inside = f.let(f"select i1 {is_list}, ptr %obj, ptr null")
        start = f.variable("ptr", f.at("%obj", 24))
        with f.when(differ(f, inside, "null")):
            f.store("ptr", field(f, "ptr", "%obj", 24), start)
        items = f.load("ptr", start)
        with f.loop(0, size) as i:
            item = f.load("ptr", item_at(f, items, i))
            good = f.call("part", "i64", "ptr %ctx", f"ptr {item}", f"i64 {f.add('%depth', 1)}")
            leave(f, "i64", 0, f.compare("eq", good, 0))
        leave(f, "i64", 1)


def _tensor_part(f: Function) -> None:
    """A tensor: its layout's address, with bit 0 where gradients may flow; SAME and a number if it came before."""
    count = field(f, "i64", "%ctx", TENSORS)
    tensors = f.at("%ctx", TENSORS_AT)
    with f.loop(0, count) as i:
        with f.when(same(f, f.load("ptr", item_at(f, tensors, i)), "%obj")):
            _say(f, SAME, i)
            leave(f, "i64", 1)
    leave(f, "i64", 0, f.compare("sge", count, MAX_TENSORS))
    layout = f.let(f"ptrtoint ptr {slot(f, '%obj', 'layout')} to i64")
    leave(f, "i64", 0, f.compare("eq", layout, 0))
    grad = field(f, "i64", "%ctx", GRAD)
    flag = f.variable("i64", 0)
    with f.when(f.compare("ne", grad, 0)):
        base = slot(f, "%obj", "base")
        with f.when(differ(f, base, "@_Py_NoneStruct")):
            _refresh(f, base)
        auto = slot(f, "%obj", "auto")
        with f.when(differ(f, auto, "@_Py_NoneStruct")):
            wants = same(f, slot(f, auto, "requires_grad"), "@_Py_TrueStruct")
            made = differ(f, slot(f, auto, "node"), "@_Py_NoneStruct")
            f.store("i64", f.let(f"zext i1 {f.either(wants, made)} to i64"), flag)
    flagged = f.load("i64", flag)
    put(f, "i64", f.let(f"or i64 {field(f, 'i64', '%ctx', FLAGGED)}, {flagged}"), "%ctx", FLAGGED)  # fmt: skip
    f.store("ptr", "%obj", item_at(f, tensors, count))
    put(f, "i64", f.add(count, 1), "%ctx", TENSORS)
    _say(f, f.let(f"or i64 {layout}, {flagged}"))


def _refresh(f: Function, base: str) -> None:
    """Have Python rebuild the history of a view whose root was written in place since: tape.refresh."""
    root = slot(f, slot(f, base, "root"), "auto")
    with f.when(differ(f, root, "@_Py_NoneStruct")):
        now = f.call("PyObject_GetAttr", "ptr", f"ptr {root}", f"ptr {setting(f, 'o_generation')}")
        with f.when(same(f, now, "null")):
            f.call("PyErr_Clear", "void")
            leave(f, "i64", 0)
        drop(f, now)
        with f.when(differ(f, now, slot(f, base, "generation"))):
            refresh = setting(f, "o_refresh")
            done = f.let(f"call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr {refresh}, ptr %obj, ptr null)")  # fmt: skip
            with f.when(same(f, done, "null")):
                f.call("PyErr_Clear", "void")
                leave(f, "i64", 0)
            drop(f, done)


def _read(program: Program) -> None:
    """@read(ctx, short, args, n, kwnames) -> 1 with the key and its hash in ctx, or 0."""
    with program.function(
        "read", "ptr %ctx, ptr %short, ptr %args, i64 %n, ptr %kwnames", "i64"
    ) as f:
        f.store("i64", 0, "%ctx")
        for count_at in (TENSORS, FLAGGED, NUMBERS_TAKEN):
            put(f, "i64", 0, "%ctx", count_at)
        named = f.variable("i64", 0)
        with f.when(differ(f, "%kwnames", "null")):
            f.store("i64", field(f, "i64", "%kwnames", 16), named)
        count = f.load("i64", named)
        leave(f, "i64", 0, f.compare("sgt", f.add("%n", count), MAX_ARGS))
        grad, inference = field(f, "i64", "%ctx", GRAD), field(f, "i64", "%ctx", INFERENCE)
        head = f.add("%n", f.add(f.mul(count, 256), f.add(f.mul(grad, 1 << 16), f.mul(inference, 1 << 17))))  # fmt: skip
        _say(f, head)
        with f.loop(0, count) as i:
            name = f.load("i64", item_at(f, f.at("%kwnames", 24), i))
            _say(f, name)
        with f.loop(0, f.add("%n", count)) as i:
            item = f.load("ptr", item_at(f, "%args", i))
            free = f.call("free_number", "i64", "ptr %ctx", "ptr %short", f"ptr {item}", f"i64 {i}", "i64 %n")  # fmt: skip
            with f.when(f.compare("eq", free, 0)):
                good = f.call("part", "i64", "ptr %ctx", f"ptr {item}", "i64 0")
                leave(f, "i64", 0, f.compare("eq", good, 0))
        hashed = f.variable("i64", 0)
        with f.loop(0, f.load("i64", "%ctx")) as i:
            word = f.load("i64", item_at(f, f.at("%ctx", KEY_AT), i))
            mixed = f.mul(f.let(f"xor i64 {f.load('i64', hashed)}, {word}"), -7046029254386353131)
            f.store("i64", f.let(f"xor i64 {mixed}, {f.let(f'lshr i64 {mixed}, 29')}"), hashed)
        put(f, "i64", f.load("i64", hashed), "%ctx", KEY_HASH)
        leave(f, "i64", 1)
        f.do("unreachable")


def _free_number(program: Program) -> None:
    """@free_number: 1 for a number whose value the launch gets as it is, so that the key holds its type alone.

    The free words of a Short: for each position [position, how many values are not free, those values].
    """
    with program.function(
        "free_number", "ptr %ctx, ptr %short, ptr %obj, i64 %i, i64 %n", "i64"
    ) as f:
        count = field(f, "i64", "%short", FREE_COUNT)
        leave(f, "i64", 0, f.either(f.compare("eq", count, 0), f.compare("sge", "%i", "%n")))
        kind = field(f, "ptr", "%obj", 8)
        at = f.variable("ptr", field(f, "ptr", "%short", FREE))
        indexed = f.compare("eq", f.load("i64", f.load("ptr", at)), f.add("%i", INDEX))
        with f.when(indexed):
            leave(f, "i64", f.call("free_index", "i64", "ptr %ctx", "ptr %obj"))
        leave(f, "i64", 0, differ(f, kind, "@PyFloat_Type"))
        with f.loop(0, count):
            words = f.load("ptr", at)
            others = field(f, "i64", words, 8)
            with f.when(f.compare("eq", f.load("i64", words), "%i")):
                _take_number(f, f.at(words, 16), others)
                leave(f, "i64", 1)
            f.store("ptr", item_at(f, f.at(words, 16), others), at)
        leave(f, "i64", 0)
        f.do("unreachable")


def _free_index(program: Program) -> None:
    """@free_index(ctx, object) -> 1 for an int or start:stop within the first tensor's first axis: the key has the
    length of the slice alone. Axes on which few places are free are left to keys with values.
    """
    with program.function("free_index", "ptr %ctx, ptr %obj", "i64") as f:
        leave(f, "i64", 0, f.compare("eq", field(f, "i64", "%ctx", TENSORS), 0))
        shape = slot(f, slot(f, f.load("ptr", f.at("%ctx", TENSORS_AT)), "layout"), "shape")
        leave(f, "i64", 0, f.compare("eq", field(f, "i64", shape, 16), 0))
        size = f.call("PyLong_AsLongLong", "i64", f"ptr {field(f, 'ptr', shape, 24)}")
        over, first = f.variable("i32", 0), f.variable("ptr", "%obj")
        several = same(f, field(f, "ptr", "%obj", 8), "@PyTuple_Type")
        with f.when(several):
            _free_tuple(f, first)
        kind = field(f, "ptr", f.load("ptr", first), 8)
        single = same(f, kind, "@PyLong_Type")
        with f.when(single):
            value = f.call("PyLong_AsLongLongAndOverflow", "i64", f"ptr {f.load('ptr', first)}", f"ptr {over}")  # fmt: skip
            leave(f, "i64", 0, f.let(f"icmp ne i32 {f.load('i32', over)}, 0"))
            place = f.add(value, f.select(f.compare("slt", value, 0), size, 0))
            leave(f, "i64", 0, f.either(f.compare("slt", place, 0), f.compare("sge", place, size)))
            leave(f, "i64", 0, f.compare("slt", size, FEW))
            _take(f, place)
            _say(f, ANY_INDEX)
            with f.when(several):
                count = field(f, "i64", "%obj", 16)
                _say(f, count)
                with f.loop(1, count) as i:
                    item = f.load("ptr", item_at(f, f.at("%obj", 24), i))
                    good = f.call("part", "i64", "ptr %ctx", f"ptr {item}", "i64 1")
                    leave(f, "i64", 0, f.compare("eq", good, 0))
            leave(f, "i64", 1)
        leave(f, "i64", 0, f.either(several, differ(f, kind, "@PySlice_Type")))
        start, stop, step = (f.load("ptr", item_at(f, "%obj", i)) for i in (2, 3, 4))
        ints = (same(f, field(f, "ptr", part, 8), "@PyLong_Type") for part in (start, stop))
        plain = f.both(f.both(*ints), same(f, step, "@_Py_NoneStruct"))
        leave(f, "i64", 0, f.let(f"xor i1 {plain}, 1"))
        first, last = (
            f.call("PyLong_AsLongLongAndOverflow", "i64", f"ptr {part}", f"ptr {over}")
            for part in (start, stop)
        )
        leave(f, "i64", 0, f.let(f"icmp ne i32 {f.load('i32', over)}, 0"))
        length = f.sub(last, first)
        inside = f.both(f.compare("sge", first, 0), f.both(f.compare("sgt", length, 0), f.compare("sle", last, size)))  # fmt: skip
        leave(f, "i64", 0, f.let(f"xor i1 {inside}, 1"))
        leave(f, "i64", 0, f.compare("slt", f.sub(size, length), FEW - 1))
        _take(f, first)
        _say(f, ANY_SLICE, length)
        leave(f, "i64", 1)
        f.do("unreachable")


def _free_tuple(f: Function, first: str) -> None:
    """The first item of an index of several: the others are ints, slices, None or Ellipsis, or it is not free."""
    count = field(f, "i64", "%obj", 16)
    leave(f, "i64", 0, f.either(f.compare("slt", count, 2), f.compare("sgt", count, MAX_INDICES)))
    with f.loop(1, count) as i:
        item = f.load("ptr", item_at(f, f.at("%obj", 24), i))
        kind, plain = field(f, "ptr", item, 8), same(f, item, "@_Py_NoneStruct")
        for known in ("@PyLong_Type", "@PySlice_Type", setting(f, "o_ellipsis")):
            plain = f.either(plain, same(f, kind, known))
        leave(f, "i64", 0, f.let(f"xor i1 {plain}, 1"))
    f.store("ptr", f.load("ptr", f.at("%obj", 24)), first)


def _take(f: Function, value: str) -> None:
    """Keep an integer beside the key: the first of the numbers."""
    f.store("i64", value, f.at("%ctx", TAKEN_AT))
    put(f, "i64", 1, "%ctx", NUMBERS_TAKEN)


def _take_number(f: Function, special: str, count: str) -> None:
    number = f.call("PyFloat_AsDouble", "double", "ptr %obj")
    with f.loop(0, count) as j:
        other = f.load("double", item_at(f, special, j))
        leave(f, "i64", 0, f.let(f"fcmp ueq double {number}, {other}"))
    taken = field(f, "i64", "%ctx", NUMBERS_TAKEN)
    leave(f, "i64", 0, f.compare("sge", taken, MAX_NUMBERS))
    f.store("double", number, item_at(f, f.at("%ctx", TAKEN_AT), taken))
    put(f, "i64", f.add(taken, 1), "%ctx", NUMBERS_TAKEN)
    _say(f, ANY)


def _state(program: Program) -> None:
    """@state(ctx) -> 1 with the modes in ctx; 0 where an interpreter or a trace has a say in the call."""
    with program.function("state", "ptr %ctx", "i64") as f:
        leave(f, "i64", 0, f.compare("ne", setting(f, "off"), 0))
        thread = f.call("PyThreadState_GetDict", "ptr")
        leave(f, "i64", 0, same(f, thread, "null"))
        state = f.call("PyDict_GetItem", "ptr", f"ptr {thread}", f"ptr {setting(f, 'o_key')}")
        with f.when(same(f, state, "null")):
            made = f.let(f"call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr {setting(f, 'o_register')}, ptr null)")  # fmt: skip
            with f.when(same(f, made, "null")):
                f.call("PyErr_Clear", "void")
                leave(f, "i64", 0)
            drop(f, made)
            leave(f, "i64", 0)
        found = {}
        for name in ("stack", "storage", "grad", "inference"):
            value = f.call("PyDict_GetItem", "ptr", f"ptr {state}", f"ptr {setting(f, f'o_{name}')}")  # fmt: skip
            leave(f, "i64", 0, same(f, value, "null"))
            if name == "stack":
                leave(f, "i64", 0, f.compare("ne", field(f, "i64", value, 16), 0))
            elif name == "storage":
                leave(f, "i64", 0, differ(f, value, "@_Py_NoneStruct"))
            found[name] = value
        for name, mode_at in (("grad", GRAD), ("inference", INFERENCE)):
            truth = f.let(f"zext i1 {same(f, found[name], '@_Py_TrueStruct')} to i64")
            put(f, "i64", truth, "%ctx", mode_at)
        put(f, "ptr", state, "%ctx", MODES)
        leave(f, "i64", 1)
        f.do("unreachable")


def _placed(program: Program) -> None:
    """@placed(ctx) -> 1 if it is clear where results go: to the tensors' device, or to the processor's memory."""
    with program.function("placed", "ptr %ctx", "i64") as f:
        leave(f, "i64", 1, f.compare("ne", field(f, "i64", "%ctx", TENSORS), 0))
        modes = field(f, "ptr", "%ctx", MODES)
        chosen = f.call("PyDict_GetItem", "ptr", f"ptr {modes}", f"ptr {setting(f, 'o_chosen')}")
        leave(f, "i64", 0, same(f, chosen, "null"))
        none = f.compare("eq", field(f, "i64", chosen, 16), 0)
        leave(f, "i64", f.let(f"zext i1 {none} to i64"))
        f.do("unreachable")


def _find(program: Program) -> None:
    """@find(short, ctx) -> the entry of the key, or null."""
    with program.function("find", "ptr %short, ptr %ctx", "ptr") as f:
        entries = field(f, "ptr", "%short", TABLE)
        mask = f.load("i64", entries)
        hashed, count = field(f, "i64", "%ctx", KEY_HASH), f.load("i64", "%ctx")
        words = f.at("%ctx", KEY_AT)
        at = f.variable("i64", hashed)
        with f.loop(0, f.add(mask, 1)):
            place = f.let(f"and i64 {f.load('i64', at)}, {mask}")
            entry = f.load("ptr", item_at(f, f.at(entries, 8), place))
            leave(f, "ptr", "null", same(f, entry, "null"))
            fits = f.both(
                f.compare("eq", word(f, entry, HASH), hashed),
                f.compare("eq", word(f, entry, WORDS), count),
            )
            with f.when(fits):
                known, differing = table(f, entry, WORDS_AT), f.variable("i64", 0)
                with f.loop(0, count) as i:
                    a, b = f.load("i64", item_at(f, known, i)), f.load("i64", item_at(f, words, i))
                    both = f.let(f"or i64 {f.load('i64', differing)}, {f.let(f'xor i64 {a}, {b}')}")
                    f.store("i64", both, differing)
                leave(f, "ptr", entry, f.compare("eq", f.load("i64", differing), 0))
            f.store("i64", f.add(f.load("i64", at), 1), at)
        leave(f, "ptr", "null")
        f.do("unreachable")

"""What the native code of the short way shares: words of an entry, fields of objects, and how they are read.

The code reads Python's objects where they lie. What CPython's stable ABI does not promise (where a list keeps
its items, where a slot lies in an object) is found out or checked when the code is linked (native.py). Python's
addresses come in as symbols and as the globals of GLOBALS, so the cached object knows none.
"""

from __future__ import annotations

import ctypes

from mezzo.kernels.cpu.contract.writer import Function

# A function from Python 3.11 on, and in the headers only before.
HAS_VECTORCALL = hasattr(ctypes.pythonapi, "PyObject_Vectorcall")
OLD_VECTORCALL = (
    "PyObject_VectorcallDict", "PyDict_New", "PyDict_SetItem", "PyTuple_Size", "PyTuple_GetItem",
)  # fmt: skip
SYMBOLS = (
    "PyThreadState_GetDict",
    "PyDict_GetItem",
    "PyLong_AsLongLong",
    "PyLong_AsLongLongAndOverflow",
    "PyLong_FromLongLong",
    "PyFloat_AsDouble",
    "PyFloat_FromDouble",
    "PyBytes_FromStringAndSize",
    *(("PyObject_Vectorcall",) if HAS_VECTORCALL else OLD_VECTORCALL),
    "PyObject_CallFunctionObjArgs",
    "PyObject_GetAttr",
    "PyObject_SetAttr",
    "PyList_Append",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PySequence_Concat",
    "PyIter_Next",
    "PyMethod_New",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "Py_IncRef",
    "Py_DecRef",
    "PyErr_Clear",
    "PyLong_Type",
    "PyFloat_Type",
    "PyTuple_Type",
    "PyList_Type",
    "PySlice_Type",
    "_Py_NoneStruct",
    "_Py_TrueStruct",
    "_Py_FalseStruct",
)

# Set by short.py: objects (o_), offsets of slots (at_), and whether a recording listens (off).
OBJECTS = ("o_key", "o_stack", "o_grad", "o_inference", "o_storage", "o_generation", "o_refresh", "o_multiple", "o_register", "o_chosen", "o_begin", "o_allocate",
           "o_zero", "o_ellipsis", "o_frozen", "o_empty", "o_tensor", "o_parameter", "o_size", "o_store", "o_bucket",
           "o_view", "o_auto", "o_leaf", "o_order", "o_usage", "o_new", "o_new_tuple")  # fmt: skip
OFFSETS = ("at_layout", "at_storage", "at_ptr", "at_auto", "at_base", "at_store_ptr", "at_nbytes", "at_bucket",
           "at_version", "at_saved", "at_root", "at_chain", "at_generation", "at_multiple", "at_allocated", "at_peak",
           "at_short", "at_applied", "at_size", "at_node", "at_slot", "at_requires_grad", "at_args", "at_edges", "at_layouts",
           "at_needs_out", "at_order", "at_outs", "at_record", "at_versions", "at_layout_nbytes", "at_shape")  # fmt: skip
OTHERS = ("off", "kinds", "kind_count", "small")
GLOBALS = (*OBJECTS, *OFFSETS, *OTHERS)

INDEX = (
    1 << 32
)  # added to the position of a free argument that is an index of the first axis, not a float

# The fields of a Short object, in bytes from its start.
VECTORCALL, FALLBACK, TABLE, MISS, OWNER, FREE_COUNT, FREE, HITS, SIZE = range(16, 88, 8)
# The words of an entry.
(HASH, WORDS, WORDS_AT, ALLOCS, ALLOCS_AT, CALLS, CALLS_AT, MADE, MADE_AT, OUTS, OUTS_AT, MANY, NODES, NODES_AT,
 CHECKS, CHECKS_AT, WRITES, WRITES_AT, SAVED, SAVED_AT, UNLOCKED, HOLDER, SIZES, NUMBER, NUMBER_AT,
 TAKEN) = range(26)  # fmt: skip
# The words of a node that an entry writes.
(KIND, RECORD, MULTIPLE, NEEDS_OUT, NODE_LAYOUTS, NODE_ARGS, NODE_OUTS, EDGES, EDGES_AT, VERSIONS, VERSIONS_AT,
 TIES, TIES_AT, NODE_UNSIZED) = range(14)  # fmt: skip

MAX_ARGS = 24
MAX_ITEMS = 64  # of a sequence among the arguments
MAX_WORDS = 160
MAX_TENSORS = 64
MAX_NUMBERS = 8
MAX_DRAWS = 4
MAX_ALLOCS = 64
MAX_MADE = 96
MAX_NODES = 64
MAX_OUTS = 8
MAX_SLOTS = 32
MAX_COUNTS = 4
# The objects of a call are counted through: its tensors, the tensors that it makes, the nodes that it writes.
FIRST_MADE, FIRST_NODE = MAX_TENSORS, MAX_TENSORS + MAX_MADE
TENSOR_BASE, NUMBER_BASE = MAX_ALLOCS, MAX_ALLOCS + FIRST_NODE
DRAW_BASE = NUMBER_BASE + MAX_NUMBERS
COUNT_BASE = DRAW_BASE + 2 * MAX_DRAWS
LAYOUT_BASE = COUNT_BASE + MAX_COUNTS
BASES = LAYOUT_BASE + MAX_COUNTS
# What a row of CALLS without a kernel is, in the place of the number of slots; else a step or a draw.
TAKE, SIZED = -1, -2
LATER = 2  # memory that a SIZED row makes, in the place of what is given back
# How a word of a key says what follows; addresses of objects are larger than any of them.
INT, FLOAT, SAME, SLICE, ANY, ANY_INDEX, ANY_SLICE = range(16, 23)

# The context of a call: counts, then words, objects and numbers.
COUNT, TENSORS, GRAD, FLAGGED, NUMBERS_TAKEN, KEY_HASH, INFERENCE, MODES = range(0, 64, 8)
KEY_AT = 72
TENSORS_AT = KEY_AT + 8 * MAX_WORDS
TAKEN_AT = TENSORS_AT + 8 * (FIRST_NODE + MAX_NODES)
CONTEXT = TAKEN_AT + 8 * MAX_NUMBERS
SLOW = "inttoptr (i64 1 to ptr)"  # "take the long way": no object lies there

DECLARED = """
declare ptr @PyThreadState_GetDict()
declare ptr @PyDict_GetItem(ptr, ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyLong_FromLongLong(i64)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyBytes_FromStringAndSize(ptr, i64)
declare ptr @PyObject_CallFunctionObjArgs(ptr, ...)
declare ptr @PyObject_GetAttr(ptr, ptr)
declare i32 @PyObject_SetAttr(ptr, ptr, ptr)
declare i32 @PyList_Append(ptr, ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PySequence_Concat(ptr, ptr)
declare ptr @PyIter_Next(ptr)
declare ptr @PyMethod_New(ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare void @PyErr_Clear()
@PyLong_Type = external global i8
@PyFloat_Type = external global i8
@PyTuple_Type = external global i8
@PyList_Type = external global i8
@PySlice_Type = external global i8
@_Py_NoneStruct = external global i8
@_Py_TrueStruct = external global i8
@_Py_FalseStruct = external global i8
"""

_DECLARED_VECTORCALL = "declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)\n"
# Names of keywords and the values behind the positional arguments, as a dictionary.
_WRITTEN_VECTORCALL = """
define internal ptr @PyObject_Vectorcall(ptr %callable, ptr %args, i64 %flagged, ptr %names) {
entry:
  %none = icmp eq ptr %names, null
  br i1 %none, label %plain, label %keywords
plain:
  %r = call ptr @PyObject_VectorcallDict(ptr %callable, ptr %args, i64 %flagged, ptr null)
  ret ptr %r
keywords:
  %dict = call ptr @PyDict_New()
  %failed = icmp eq ptr %dict, null
  br i1 %failed, label %error, label %begin
error:
  ret ptr null
begin:
  %n = and i64 %flagged, 9223372036854775807
  %values = getelementptr ptr, ptr %args, i64 %n
  %count = call i64 @PyTuple_Size(ptr %names)
  br label %next
next:
  %i = phi i64 [0, %begin], [%after, %one]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %go
one:
  %name = call ptr @PyTuple_GetItem(ptr %names, i64 %i)
  %at = getelementptr ptr, ptr %values, i64 %i
  %value = load ptr, ptr %at
  %s = call i32 @PyDict_SetItem(ptr %dict, ptr %name, ptr %value)
  %after = add i64 %i, 1
  br label %next
go:
  %found = call ptr @PyObject_VectorcallDict(ptr %callable, ptr %args, i64 %flagged, ptr %dict)
  call void @Py_DecRef(ptr %dict)
  ret ptr %found
}
declare ptr @PyObject_VectorcallDict(ptr, ptr, i64, ptr)
declare ptr @PyDict_New()
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
"""
DECLARED += _DECLARED_VECTORCALL if HAS_VECTORCALL else _WRITTEN_VECTORCALL


# ---- small pieces


def field(f: Function, kind: str, base: str, offset) -> str:
    return f.load(kind, f.at(base, offset))


def put(f: Function, kind: str, value, base: str, offset) -> None:
    f.store(kind, value, f.at(base, offset))


def setting(f: Function, name: str) -> str:
    return f.load("ptr" if name.startswith("o_") else "i64", f"@{name}")


def slot(f: Function, obj: str, name: str) -> str:
    """What an object keeps in one of its slots; null where it is unset."""
    return f.load("ptr", f.at(obj, setting(f, f"at_{name}")))


def give(f: Function, obj: str, name: str, value: str) -> None:
    """Give a slot of a new object its value; the reference goes with it."""
    f.store("ptr", value, f.at(obj, setting(f, f"at_{name}")))


def same(f: Function, a: str, b: str) -> str:
    return f.let(f"icmp eq ptr {a}, {b}")


def differ(f: Function, a: str, b: str) -> str:
    return f.let(f"icmp ne ptr {a}, {b}")


def leave(f: Function, kind: str, value, condition: str | None = None) -> None:
    """Return, always or where the condition holds."""
    if condition is None:
        f.do(f"ret {kind} {value}")
        f.start(f.name("dead"))
        return
    with f.when(condition):
        f.do(f"ret {kind} {value}")
        f.start(f.name("dead"))


def own(f: Function, obj: str) -> str:
    f.call("Py_IncRef", "void", f"ptr {obj}")
    return obj


def drop(f: Function, obj: str) -> None:
    f.call("Py_DecRef", "void", f"ptr {obj}")


def item_at(f: Function, base: str, i, width: int = 8) -> str:
    return f.at(base, f.mul(i, width) if width != 1 else i)


def word(f: Function, entry: str, which: int) -> str:
    return field(f, "i64", entry, 8 * which)


def table(f: Function, entry: str, which: int) -> str:
    return field(f, "ptr", entry, 8 * which)


def new(f: Function, kind: str) -> str:
    """object.__new__(kind)."""
    make = setting(f, "o_new")
    return f.let(f"call ptr {make}(ptr {kind}, ptr {setting(f, 'o_empty')}, ptr null)")


def tensor_of(f: Function, ctx: str, i: str) -> str:
    """A tensor of the call, or one that it made."""
    return f.load("ptr", item_at(f, f.at(ctx, TENSORS_AT), i))

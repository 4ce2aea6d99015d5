"""The native code of `launch`: a CPython builtin (METH_FASTCALL) as text LLVM IR.

It uses functions of the stable ABI only, and of object layout only where the type pointer lies
(entry.py checks that). Python's addresses come in as symbols, so the cached object knows none.
"""

from __future__ import annotations

MAX_SLOTS = 32

SYMBOLS = (
    "PyLong_AsLongLong",
    "PyFloat_AsDouble",
    "PyErr_Occurred",
    "PyErr_Format",
    "PyType_IsSubtype",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "Py_IncRef",
    "Py_DecRef",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyObject_CallObject",
    "_Py_TrueStruct",
    "PyLong_Type",
    "PyFloat_Type",
    "PyBool_Type",
    "_Py_NoneStruct",
    "PyExc_TypeError",
)


def source() -> str:
    """The IR of @launch and @launch_unlocked."""
    plain = _LAUNCH.replace("NAME", "launch").replace("CALL", "call void %kernel(ptr %slots)")
    unlocked = _LAUNCH.replace("NAME", "launch_unlocked").replace("@hook", "@hook_unlocked")
    unlocked = unlocked.replace(
        "CALL",
        "%state = call ptr @PyEval_SaveThread()\n"
        "  call void %kernel(ptr %slots)\n"
        "  call void @PyEval_RestoreThread(ptr %state)",
    )
    texts = _text("nothing", NOTHING) + _text("toomany", TOO_MANY) + _text("badtype", BAD_SLOT)
    return (texts + _HEAD + plain + unlocked + _TELL + _CONVERT).replace("MAXIMUM", str(MAX_SLOTS))


def _text(name: str, text: str) -> str:
    return f'@.{name} = private constant [{len(text) + 1} x i8] c"{text}\\00"\n'


# What launch says when its arguments are wrong; entry.py's form in plain Python says the same.
NOTHING = "launch: got no arguments; the first must be a kernel's address."
TOO_MANY = f"launch: got %zd slots; a kernel takes at most {MAX_SLOTS} slots."
BAD_SLOT = "launch: slot %zd is neither int, float nor bool (slot -1 is the address)."

_HEAD = """
@PyLong_Type = external global i8
@PyFloat_Type = external global i8
@PyBool_Type = external global i8
@_Py_NoneStruct = external global i8
@PyExc_TypeError = external global ptr
@_Py_TrueStruct = external global i8
@hook = global ptr null
@hook_unlocked = global ptr null
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyObject_CallObject(ptr, ptr)
declare void @Py_DecRef(ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyErr_Format(ptr, ptr, ...)
declare i32 @PyType_IsSubtype(ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr)
"""

_LAUNCH = """
define ptr @NAME(ptr %self, ptr %args, i64 %n) {
entry:
  %slots = alloca [MAXIMUM x i64], align 64
  %empty = icmp slt i64 %n, 1
  br i1 %empty, label %nothing, label %some
nothing:
  %e0 = load ptr, ptr @PyExc_TypeError
  %x0 = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %e0, ptr @.nothing)
  ret ptr null
some:
  %count = sub i64 %n, 1
  %many = icmp sgt i64 %count, MAXIMUM
  br i1 %many, label %toomany, label %first
toomany:
  %e1 = load ptr, ptr @PyExc_TypeError
  %x1 = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %e1, ptr @.toomany, i64 %count)
  ret ptr null
first:
  %hook = load ptr, ptr @hook
  %hooked = icmp ne ptr %hook, null
  br i1 %hooked, label %ask, label %begin
ask:
  %told = call i32 @tell(ptr %hook, ptr %args, i64 %n)
  switch i32 %told, label %fail [ i32 0, label %begin
                                  i32 1, label %written ]
written:
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
begin:
  %p0 = load ptr, ptr %args
  %t0p = getelementptr i8, ptr %p0, i64 8
  %t0 = load ptr, ptr %t0p
  %isint0 = icmp eq ptr %t0, @PyLong_Type
  br i1 %isint0, label %target, label %badtarget
badtarget:
  %e2 = load ptr, ptr @PyExc_TypeError
  %x2 = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %e2, ptr @.badtype, i64 -1)
  ret ptr null
target:
  %a = call i64 @PyLong_AsLongLong(ptr %p0)
  %odd = icmp sle i64 %a, 0
  br i1 %odd, label %zero, label %loop
zero:
  %set = call ptr @PyErr_Occurred()
  %unset = icmp eq ptr %set, null
  br i1 %unset, label %badtarget, label %fail
loop:
  %i = phi i64 [ 0, %target ], [ %j, %store ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %go, label %slot
slot:
  %j = add nuw nsw i64 %i, 1
  %argp = getelementptr ptr, ptr %args, i64 %j
  %arg = load ptr, ptr %argp
  %typep = getelementptr i8, ptr %arg, i64 8
  %type = load ptr, ptr %typep
  %isint = icmp eq ptr %type, @PyLong_Type
  br i1 %isint, label %integer, label %notint
integer:
  %v = call i64 @PyLong_AsLongLong(ptr %arg)
  %minus = icmp eq i64 %v, -1
  br i1 %minus, label %check, label %store
check:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %store, label %fail
notint:
  %isfloat = icmp eq ptr %type, @PyFloat_Type
  br i1 %isfloat, label %real, label %other
real:
  %d = call double @PyFloat_AsDouble(ptr %arg)
  %bits = bitcast double %d to i64
  br label %store
other:
  %outp = getelementptr i64, ptr %slots, i64 %i
  %done = call i32 @convert(ptr %arg, ptr %type, i64 %i, ptr %outp)
  %bad = icmp ne i32 %done, 0
  %kept = load i64, ptr %outp
  br i1 %bad, label %fail, label %store
store:
  %value = phi i64 [ %v, %integer ], [ %v, %check ], [ %bits, %real ], [ %kept, %other ]
  %slotp = getelementptr i64, ptr %slots, i64 %i
  store i64 %value, ptr %slotp
  br label %loop
go:
  %kernel = inttoptr i64 %a to ptr
  CALL
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
fail:
  ret ptr null
}
"""

# Asks the callable that kernels/cpu/capture.py put into @hook: 1 it took the launch, 0 run it, -1 it raised.
_TELL = """
define internal i32 @tell(ptr %hook, ptr %args, i64 %n) noinline {
entry:
  call void @Py_IncRef(ptr %hook)
  %tuple = call ptr @PyTuple_New(i64 %n)
  %none = icmp eq ptr %tuple, null
  br i1 %none, label %undone, label %loop
undone:
  call void @Py_DecRef(ptr %hook)
  br label %fail
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %next ]
  %end = icmp eq i64 %i, %n
  br i1 %end, label %go, label %next
next:
  %j = add nuw nsw i64 %i, 1
  %p = getelementptr ptr, ptr %args, i64 %i
  %a = load ptr, ptr %p
  call void @Py_IncRef(ptr %a)
  %set = call i32 @PyTuple_SetItem(ptr %tuple, i64 %i, ptr %a)
  br label %loop
go:
  %answer = call ptr @PyObject_CallObject(ptr %hook, ptr %tuple)
  call void @Py_DecRef(ptr %tuple)
  call void @Py_DecRef(ptr %hook)
  %raised = icmp eq ptr %answer, null
  br i1 %raised, label %fail, label %said
said:
  call void @Py_DecRef(ptr %answer)
  %yes = icmp eq ptr %answer, @_Py_TrueStruct
  %r = zext i1 %yes to i32
  ret i32 %r
fail:
  ret i32 -1
}
"""

# bool, and subclasses of int and float such as numpy.float64 and IntEnum; 0 on success.
_CONVERT = """
define internal i32 @convert(ptr %arg, ptr %type, i64 %i, ptr %out) noinline {
entry:
  %l = call i32 @PyType_IsSubtype(ptr %type, ptr @PyLong_Type)
  %islong = icmp ne i32 %l, 0
  br i1 %islong, label %integer, label %next
next:
  %f = call i32 @PyType_IsSubtype(ptr %type, ptr @PyFloat_Type)
  %isfloat = icmp ne i32 %f, 0
  br i1 %isfloat, label %real, label %bad
bad:
  %e = load ptr, ptr @PyExc_TypeError
  %x = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %e, ptr @.badtype, i64 %i)
  store i64 0, ptr %out
  ret i32 1
integer:
  %v = call i64 @PyLong_AsLongLong(ptr %arg)
  store i64 %v, ptr %out
  br label %check
real:
  %d = call double @PyFloat_AsDouble(ptr %arg)
  store double %d, ptr %out
  br label %check
check:
  %error = call ptr @PyErr_Occurred()
  %set = icmp ne ptr %error, null
  %r = zext i1 %set to i32
  ret i32 %r
}
"""

"""The short way: a call that was made before, with the same layouts and parameters, in one native step.

    words.py    what the native code's parts share: the words of an entry, the fields of objects
    keys.py     arguments to a key, and the entry filed under it
    runs.py     memory, launches, results
    sized.py    numbers that a run reads: what it returns, and sizes of results
    nodes.py    nodes of the tape
    hosts.py    steps that Python does: NumPy's
    doors.py    what is called, and leads to all of these
    native.py   the code linked: Short objects, which Python calls and Tensor has as methods
    entries.py  an entry's words
    learn.py    a call run once on memory that is not there, and what it did as an entry
    made.py     the tensors and nodes that it left: results, and what only histories hold

Any callable of tensors and parameters may be offered: a record, an operator, an in-place form, indexing. Its
second call of a kind is run under a capture.Recording, as the compiler runs every node; the launches, the
memory and the results that came of it are what later calls of that kind do. A number that only a run knows
may be the result, a size or a condition; a call whose Python reads other values keeps its usual way, and so
does every call while an interpreter is on the stack.
"""

"""What a contraction is called with, and the context that its functions share.

A kernel receives ARGUMENTS, one 8-byte slot each; the last points to a block of CONSTANTS. The
entry copies both to a context on its stack; LOCALS follow there. A field is found by its name.
"""

from __future__ import annotations

from mezzo.kernels.cpu.contract.writer import Function, Value

# Given anew with each call. Offsets are tables of one i64 (bytes) per batch entry, or 0 for none;
# source points to what a packer of one's own needs to know.
ARGUMENTS = (
    "a", "b", "out", "bias", "workspace",
    "a_offsets", "b_offsets", "out_offsets", "bias_offsets",
    "alpha", "beta", "source", "constants",
)  # fmt: skip
# Found once for sizes and strides. Strides are in bytes. Lanes are entries of the batch that run side
# by side, each with its own workspace; threads that share a product have scratch of their own.
# Blocks and slices are in elements, groups in panels. private: 1 or 2 if a task packs its own
# panels of a or of b; beside: 1 or 2 if it does so beside products (and private is the same); direct: whole panels of a need no packing;
# kept: 1 or 2 if a or b comes as panels that @keep made of all of it; strips: elements
# of k that are packed of every panel before the next; streams: whether the output goes past the caches.
CONSTANTS = (
    "m", "n", "k", "batch",
    "a_m", "a_k", "b_k", "b_n", "out_m", "out_n", "bias_m", "bias_n",
    "path", "swap", "serial", "lanes", "lane_bytes", "scratch_bytes",
    "block_m", "block_n", "block_k", "slice_k", "group_m", "group_n", "at_b", "at_sums", "at_scratch",
    "private", "beside", "at_private", "direct", "kept",
    "strip_a", "strip_b", "streams",
)  # fmt: skip
LOCALS = (
    "a0", "b0", "out0", "bias0", "space",
    "row", "rows", "column", "columns", "k0", "depth", "first", "last",
    "panels_m", "panels_n", "shared_m",
)  # fmt: skip
FIELDS = ARGUMENTS + CONSTANTS + LOCALS
PASSED = len(ARGUMENTS) + len(CONSTANTS)
_AT = {name: 8 * index for index, name in enumerate(FIELDS)}


def get(f: Function, name: str, ctx: str = "%ctx") -> str:
    """A field as i64."""
    return f.load("i64", f.at(ctx, _AT[name]), 8)


def pointer(f: Function, name: str, ctx: str = "%ctx") -> str:
    """A field as a pointer."""
    return f.load("ptr", f.at(ctx, _AT[name]), 8)


def number(f: Function, name: str, ctx: str = "%ctx") -> str:
    """A field as a double."""
    return f.load("double", f.at(ctx, _AT[name]), 8)


def put(f: Function, name: str, value: Value, ctx: str = "%ctx") -> None:
    """Set a field to an i64."""
    f.store("i64", value, f.at(ctx, _AT[name]), 8)


def put_pointer(f: Function, name: str, value: str, ctx: str = "%ctx") -> None:
    """Set a field to a pointer."""
    f.store("ptr", value, f.at(ctx, _AT[name]), 8)


def context(f: Function) -> str:
    """Room for a context on the stack."""
    return f.array(8 * len(FIELDS))


def copy(f: Function, source: str, to: str, begin: int = 0, end: int = PASSED) -> None:
    """Copy fields begin to end; source points to the first of them."""
    with f.loop(begin, end) as i:
        offset = f.mul(i, 8)
        value = f.load("i64", f.at(source, f.sub(offset, 8 * begin)), 8)
        f.store("i64", value, f.at(to, offset), 8)


def receive(f: Function, arguments: str) -> str:
    """A context with what the kernel was called with."""
    ctx = context(f)
    copy(f, arguments, ctx, 0, len(ARGUMENTS))
    copy(f, pointer(f, "constants", ctx), ctx, len(ARGUMENTS), PASSED)
    return ctx

"""Sparse weights along one axis: every element of the result is a sum of a few weighted elements of the operand.

    y[o, j, i] = sum over t in starts[j]..starts[j + 1] of weight[t] x[o, index[t], i]

Vectors run over i, the elements below the axis; what is left over, and the last axis itself, goes singly.

    args  = [block, starts, index, weights, out, in]        starts, index: i64; weights: the compute type
    block = i64 [units, serial, inner, from, to, chunk, chunks]   chunk: positions j of one unit
"""

from __future__ import annotations

import functools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.emit import LANES, LLVM, Emitter
from mezzo.kernels.cpu.nest import entry, slots, words

WORDS = ("units", "serial", "inner", "from", "to", "chunk", "chunks")
BYTES = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}


@functools.lru_cache(maxsize=64)
def address(source: str, to: str, compute: str) -> int:
    """The entry for storage types of operand and result, and the type sums are taken in."""
    return jit.load(_text(source, to, compute)).address("kernel")


def _text(source: str, to: str, compute: str) -> str:
    lines, declares = [], {"declare void @mezzo_parallel(ptr, ptr, i64)"}
    lines += ["define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {", "entry:",
              "  %block = load ptr, ptr %args", *slots(["starts", "index", "weights", "out", "in"], ()), *words(WORDS),
              f"  %source_bytes = mul i64 %inner, {BYTES[source]}", f"  %to_bytes = mul i64 %inner, {BYTES[to]}",
              "  %source_plane = mul i64 %source_bytes, %from", "  %to_plane = mul i64 %to_bytes, %to",
              "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]",
              "  %o = sdiv i64 %u, %chunks", "  %ob = mul i64 %o, %chunks", "  %part = sub i64 %u, %ob",
              "  %j0 = mul i64 %part, %chunk", "  %far = add i64 %j0, %chunk", "  %cut = icmp slt i64 %far, %to",
              "  %j1 = select i1 %cut, i64 %far, i64 %to",
              "  %so = mul i64 %o, %source_plane", "  %source = getelementptr i8, ptr %in, i64 %so",
              "  %do = mul i64 %o, %to_plane", "  %target = getelementptr i8, ptr %out, i64 %do",
              "  br label %row", "row:", "  %j = phi i64 [%j0, %unit], [%j2, %rowend]", "  %j2 = add i64 %j, 1",
              "  %t0p = getelementptr i64, ptr %starts, i64 %j", "  %t0 = load i64, ptr %t0p",
              "  %t1p = getelementptr i64, ptr %starts, i64 %j2", "  %t1 = load i64, ptr %t1p",
              "  %any = icmp slt i64 %t0, %t1",
              "  %jo = mul i64 %j, %to_bytes", "  %line = getelementptr i8, ptr %target, i64 %jo"]  # fmt: skip
    _elements(lines, declares, "v", LANES, "row", "0", "s", source, to, compute)
    _elements(lines, declares, "s", 1, "v", "%vi", "rowend", source, to, compute)
    lines += ["rowend:", "  %jmore = icmp slt i64 %j2, %j1", "  br i1 %jmore, label %row, label %unitend",
              "unitend:", "  %u2 = add i64 %u, 1", "  %umore = icmp slt i64 %u2, %end",
              "  br i1 %umore, label %unit, label %done", "done:", "  ret void", "}", *entry()]  # fmt: skip
    return "\n".join([*lines, *sorted(declares), ""])


def _elements(
    lines, declares, p: str, lanes: int, before: str, first: str, then: str, source, to, compute
) -> None:
    """The loop over elements below the axis, `lanes` at once, from `first` on; p starts every name."""
    emitter = Emitter(lines, declares, lanes, f"{p}x", lambda e: "")
    scalar = LLVM[compute]
    wide = emitter.wide(scalar)
    if lanes > 1:
        lines.append("  br label %v")
    lines += [f"{p}:", f"  %{p}i = phi i64 [{first}, %{before}], [%{p}i2, %{p}store]", f"  %{p}i2 = add i64 %{p}i, {lanes}",
              f"  %{p}fits = icmp sle i64 %{p}i2, %inner", f"  br i1 %{p}fits, label %{p}start, label %{then}",
              f"{p}start:", f"  %{p}io = mul i64 %{p}i, {BYTES[source]}",
              f"  %{p}column = getelementptr i8, ptr %source, i64 %{p}io",
              f"  br i1 %any, label %{p}tap, label %{p}store",
              f"{p}tap:", f"  %{p}t = phi i64 [%t0, %{p}start], [%{p}t2, %{p}tap]",
              f"  %{p}sum = phi {wide} [zeroinitializer, %{p}start], [%{p}next, %{p}tap]".replace(
                  "zeroinitializer", "zeroinitializer" if lanes > 1 else "0.0"),
              f"  %{p}xp = getelementptr i64, ptr %index, i64 %{p}t", f"  %{p}at = load i64, ptr %{p}xp",
              f"  %{p}ao = mul i64 %{p}at, %source_bytes",
              f"  %{p}p = getelementptr i8, ptr %{p}column, i64 %{p}ao",
              f"  %{p}wp = getelementptr {scalar}, ptr %weights, i64 %{p}t",
              f"  %{p}w = load {scalar}, ptr %{p}wp"]  # fmt: skip
    value = emitter.load(f"%{p}p", source)
    if compute == "f64" and source != "f64":
        value = emitter.put(f"fpext {emitter.wide('float')} {value} to {wide}")
    weight = emitter.splat(f"%{p}w", scalar) if lanes > 1 else f"%{p}w"
    total = emitter.call("fma", scalar, value, weight, f"%{p}sum")
    lines += [f"  %{p}next = bitcast {wide} {total} to {wide}", f"  %{p}t2 = add i64 %{p}t, 1",
              f"  %{p}more = icmp slt i64 %{p}t2, %t1", f"  br i1 %{p}more, label %{p}tap, label %{p}store",
              f"{p}store:", f"  %{p}total = phi {wide} [{'zeroinitializer' if lanes > 1 else '0.0'}, %{p}start], [%{p}next, %{p}tap]",
              f"  %{p}do = mul i64 %{p}i, {BYTES[to]}", f"  %{p}to = getelementptr i8, ptr %line, i64 %{p}do"]  # fmt: skip
    result = f"%{p}total"
    if compute == "f64" and to != "f64":
        result = emitter.put(f"fptrunc {wide} {result} to {emitter.wide('float')}")
    emitter.store(result, f"%{p}to", to)
    lines.append(f"  br label %{p}")

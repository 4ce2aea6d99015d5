"""Copies between memory whose innermost axes differ: square tiles, exchanged in registers.

In the input axis a is contiguous, in the output axis b. A tile of T x T elements is T vectors along a, which log T
rounds of exchanges turn into T vectors along b. What does not fill a tile goes element by element. Large copies ask for
the lines of the tile after the next, and where those of the output are whole vectors they go past the caches.

    args  = [block, out, (other operands,) in]
    block = i64 [units, serial, na, nb, out stride of a, in stride of b, tiles along a, dk, sizes[dk], out strides[dk],
                 in strides[dk]]                                                                            (bytes)

A unit is T rows of a by all of b, at one point of the outer axes.
"""

from __future__ import annotations

import itertools

from mezzo.kernels.cpu import jit
from mezzo.kernels.cpu.nest import CHOSEN, LINE, entry, offsets, words

WORDS = ("units", "serial", "na", "nb", "oa", "ib", "tiles", "dk")
TILE = {1: 16, 2: 16, 4: 16, 8: 8}  # by bytes of an element

_addresses: dict[tuple[int, int, bool], int] = {}


def address(item: int, operands: int, is_large: bool = False) -> int:
    """The kernel for elements of `item` bytes, with the input as the last of so many operands (the output is one).

    is_large: rows of the output begin with lines if its first does, and no cache keeps them.
    """
    key = item, operands, is_large
    found = _addresses.get(key)
    if found is None:
        found = _addresses[key] = jit.load(_text(*key)).address("kernel")
    return found


def _text(item: int, operands: int, is_large: bool) -> str:
    lines = _body("body", item, operands, False)
    chosen = _body("past", item, operands, True) if is_large else []
    lines += [*chosen, *entry(body="%chosen" if chosen else "@body", chosen=CHOSEN if chosen else ()),
              "declare void @mezzo_parallel(ptr, ptr, i64)", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
              "!0 = !{i32 1}", ""]  # fmt: skip
    return "\n".join(lines)


def _body(name: str, item: int, operands: int, past: bool) -> list[str]:
    tile, kind = TILE[item], f"i{item * 8}"
    lines = [f"define internal void @{name}(ptr %args, i64 %begin, i64 %end, i64 %worker) {{",
             "entry:", "  %block = load ptr, ptr %args",
             "  %out_slot = getelementptr i64, ptr %args, i64 1", "  %out = load ptr, ptr %out_slot",
             f"  %in_slot = getelementptr i64, ptr %args, i64 {operands}", "  %in = load ptr, ptr %in_slot",
             *words(WORDS),
             f"  %sizes = getelementptr i64, ptr %block, i64 {len(WORDS)}",
             "  %outs = getelementptr i64, ptr %sizes, i64 %dk", "  %ins = getelementptr i64, ptr %outs, i64 %dk",
             f"  %bwhole = and i64 %nb, {-tile}", f"  %ahead = mul i64 %ib, {2 * tile}",
             "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]",
             "  %cell = sdiv i64 %u, %tiles", "  %back = mul i64 %cell, %tiles", "  %part = sub i64 %u, %back",
             f"  %a0 = mul i64 %part, {tile}", f"  %afar = add i64 %a0, {tile}",
             "  %acut = icmp slt i64 %afar, %na", "  %a1 = select i1 %acut, i64 %afar, i64 %na"]  # fmt: skip
    more, moved, label = offsets("k", "unit", "%cell", "%dk", "%sizes", {"o": "%outs", "i": "%ins"})
    lines += more
    lines += ["  %oa0 = mul i64 %a0, %oa", f"  %ia0 = mul i64 %a0, {item}",
              f"  %oo = add i64 {moved['o']}, %oa0", f"  %io = add i64 {moved['i']}, %ia0",
              "  %obase = getelementptr i8, ptr %out, i64 %oo", "  %ibase = getelementptr i8, ptr %in, i64 %io",
              "  %full = icmp sle i64 %afar, %na", "  %bend = select i1 %full, i64 %bwhole, i64 0",
              "  br label %btest", "btest:", f"  %b = phi i64 [0, %{label}], [%b2, %tile]",
              "  %bmore = icmp slt i64 %b, %bend", "  br i1 %bmore, label %tile, label %rest", "tile:"]  # fmt: skip
    lines += _tile(tile, item, kind, past)
    lines += [
        f"  %b2 = add i64 %b, {tile}",
        "  br label %btest",
        "rest:",
        "  %rows = sub i64 %a1, %a0",
    ]
    lines += _rest(item, kind)
    lines += ["unitend:", "  %u2 = add i64 %u, 1", "  %umore = icmp slt i64 %u2, %end",
              "  br i1 %umore, label %unit, label %done", "done:"]  # fmt: skip
    # Stores past the caches are not ordered with those that follow.
    return [*lines, *["  fence seq_cst"] * past, "  ret void", "}"]


def exchanges(rows: list[str], put, wide: str) -> list[str]:
    """Vectors of the columns of a square of which `rows` are the rows. put(text) gives the register of an instruction."""
    rows, n = list(rows), len(rows)
    step = n // 2
    while step:
        # Blocks of step x step: those off the diagonal change places.
        low = [j if not j & step else n + j - step for j in range(n)]
        high = [j + step if not j & step else n + j for j in range(n)]
        for i in range(n):
            if i & step:
                continue
            pair = rows[i], rows[i + step]
            for at, lanes in ((i, low), (i + step, high)):
                order = ", ".join(f"i32 {j}" for j in lanes)
                rows[at] = put(f"shufflevector {wide} {pair[0]}, {wide} {pair[1]}, <{n} x i32> <{order}>")  # fmt: skip
        step //= 2
    return rows


def _tile(tile: int, item: int, kind: str, past: bool) -> list[str]:
    """Load T vectors along a, exchange, store T vectors along b."""
    wide, lines, rows = f"<{tile} x {kind}>", ["  %tb = mul i64 %b, %ib"], []
    for i in range(tile):
        lines += [f"  %l{i}o = mul i64 %ib, {i}", f"  %l{i}p = add i64 %tb, %l{i}o",
                  f"  %l{i}a = getelementptr i8, ptr %ibase, i64 %l{i}p",
                  f"  %l{i} = load {wide}, ptr %l{i}a, align {item}"]  # fmt: skip
        if past:
            lines += [
                f"  %f{i}a = getelementptr i8, ptr %l{i}a, i64 %ahead",
                f"  call void @llvm.prefetch.p0(ptr %f{i}a, i32 0, i32 2, i32 1)",
            ]
        rows.append(f"%l{i}")
    names = (f"%x{n}" for n in itertools.count())

    def put(text: str) -> str:
        name = next(names)
        lines.append(f"  {name} = {text}")
        return name

    rows = exchanges(rows, put, wide)
    lines.append(f"  %sb = mul i64 %b, {item}")
    how = f"align {LINE}, !nontemporal !0" if past and tile * item == LINE else f"align {item}"
    for i, row in enumerate(rows):
        lines += [f"  %s{i}o = mul i64 %oa, {i}", f"  %s{i}p = add i64 %sb, %s{i}o",
                  f"  %s{i}a = getelementptr i8, ptr %obase, i64 %s{i}p",
                  f"  store {wide} {row}, ptr %s{i}a, {how}"]  # fmt: skip
    return lines


def _rest(item: int, kind: str) -> list[str]:
    """The columns behind the last tile, or all of them where the rows do not fill one."""
    return ["  %bany = icmp slt i64 %bend, %nb", "  br i1 %bany, label %rb, label %unitend",
            "rb:", "  %rbi = phi i64 [%bend, %rest], [%rb2, %rbnext]",
            "  %rio = mul i64 %rbi, %ib", f"  %roo = mul i64 %rbi, {item}",
            "  %rip = getelementptr i8, ptr %ibase, i64 %rio", "  %rop = getelementptr i8, ptr %obase, i64 %roo",
            "  br label %ra", "ra:", "  %rai = phi i64 [0, %rb], [%ra2, %ra]",
            f"  %eio = mul i64 %rai, {item}", "  %eoo = mul i64 %rai, %oa",
            "  %eip = getelementptr i8, ptr %rip, i64 %eio", "  %eop = getelementptr i8, ptr %rop, i64 %eoo",
            f"  %e = load {kind}, ptr %eip, align {item}", f"  store {kind} %e, ptr %eop, align {item}",
            "  %ra2 = add i64 %rai, 1", "  %ram = icmp slt i64 %ra2, %rows",
            "  br i1 %ram, label %ra, label %rbnext",
            "rbnext:", "  %rb2 = add i64 %rbi, 1", "  %rbm = icmp slt i64 %rb2, %nb",
            "  br i1 %rbm, label %rb, label %unitend"]  # fmt: skip

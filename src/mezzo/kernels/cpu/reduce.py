"""Reductions: a fold over some axes, with a map before and a finish after it.

A Fold (fold.py) is a monoid written as expressions. Two kernels cover the ways memory can lie:

    inner   the reduced axis is innermost: lanes run along it and are merged at the end
    outer   a kept axis is innermost: lanes run across SETS * LANES results (or, where nothing is contiguous, one)

Every BLOCK elements the running accumulation is merged into a total, so rounding errors grow with the
number of blocks, not of elements. The order depends on the shape alone: not on the threads.
Pattern letters, one for each input along the lanes: "c" advances by one, "s" stays, "g" anything else.

    args  = [block, outs..., ins..., scalars...]
    block = i64 [units, serial, dk, dr, reduced inner size, reduced outer count, lane length,
                 kept sizes[dk], reduced outer sizes[dr], for each out: lane stride, kept strides[dk],
                 for each in: lane stride, kept strides[dk], reduced inner stride, outer strides[dr]]
"""

from __future__ import annotations

from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.fold import Fold, FoldKernel, FoldWriter
from mezzo.kernels.cpu.nest import entry, offsets, slots, words
from mezzo.kernels.ir import SIZE

__all__ = ["Fold", "ReduceKernel"]

BLOCK = 1024
UNROLL = 4  # vectors of one row in flight
SETS = 4  # vectors of neighbouring results in flight
WIDTH = SETS * LANES
WORDS = ("units", "serial", "dk", "dr", "rn", "ro", "lanes")


class ReduceKernel(FoldKernel):
    """A fold of which the outputs are the reduced results."""

    def write(self, mode: str, pattern: str, is_far: bool) -> str:
        """The module's text."""
        return (_Inner if mode == "inner" else _Outer)(self, pattern, is_far).text()


class _Reduction(FoldWriter):
    """What the two kernels share: the frame, the tables, and the walk over the reduced rows."""

    def text(self) -> str:
        """The module."""
        k = self.kernel
        outs, ins = [f"out{i}" for i in range(len(k.outs))], [f"in{i}" for i in range(len(k.ins))]
        self.lines += ["define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {",
                       "entry:", "  %block = load ptr, ptr %args",
                       *slots(outs + ins, k.scalars), *words(WORDS)]  # fmt: skip
        self._tables(outs, ins)
        self.units(outs, ins)
        self.lines += ["unitend:", "  %u2 = add i64 %u, 1",
                       "  %umore = icmp slt i64 %u2, %end", "  br i1 %umore, label %unit, label %done",
                       "done:", "  ret void", "}", *entry()]  # fmt: skip
        return "\n".join([*self.lines, *sorted(self.declares), ""])

    def units(self, outs: list[str], ins: list[str]) -> None:
        """From label %unit (made here) to a branch to %unitend."""
        raise NotImplementedError

    def _tables(self, outs: list[str], ins: list[str]) -> None:
        add = self.lines.append
        add(f"  %ksizes = getelementptr i64, ptr %block, i64 {len(WORDS)}")
        add("  %rsizes = getelementptr i64, ptr %ksizes, i64 %dk")
        add("  %t0 = getelementptr i64, ptr %rsizes, i64 %dr")
        position = "%t0"
        for name in outs + ins:
            add(f"  %{name}_lane = load i64, ptr {position}")
            add(f"  %{name}_kept = getelementptr i64, ptr {position}, i64 1")
            add(f"  %{name}_after = getelementptr i64, ptr %{name}_kept, i64 %dk")
            position = f"%{name}_after"
            if name in ins:
                add(f"  %{name}_step = load i64, ptr {position}")
                add(f"  %{name}_red = getelementptr i64, ptr {position}, i64 1")
                add(f"  %{name}_next = getelementptr i64, ptr %{name}_red, i64 %dr")
                position = f"%{name}_next"
        add("  %count = mul i64 %rn, %ro")

    def rows(
        self, t: str, before: str, lanes: int, sets: int, ins: list[str], base: dict[str, str], row
    ) -> list[list[str]]:
        """Fold all reduced rows from the base pointers, into `sets` accumulations; ends in block {t}end.

        row(t, label, start, total) folds one row into the totals and returns (sums, label).
        """
        L, zero = self.lines, self.starts(lanes)
        total = [self.named(f"{t}tot{s}_") for s in range(sets)]
        after = [self.named(f"{t}aft{s}_") for s in range(sets)]
        L += [
            f"  br label %{t}outer",
            f"{t}outer:",
            f"  %{t}r = phi i64 [0, %{before}], [%{t}r2, %{t}outernext]",
        ]
        for to, new in zip(total, after):
            self.phis(to, lanes, (zero, before), (new, f"{t}outernext"))
        L += [
            f"  %{t}rmore = icmp slt i64 %{t}r, %ro",
            f"  br i1 %{t}rmore, label %{t}row, label %{t}end",
            f"{t}row:",
        ]
        lines, moved, label = offsets(
            f"{t}q", f"{t}row", f"%{t}r", "%dr", "%rsizes", {n: f"%{n}_red" for n in ins}
        )
        L += lines
        start = {n: self.gep(f"%{t}rp_{n}", base[n], moved[n]) for n in ins}
        L.append(f"  %{t}rbase = mul i64 %{t}r, %rn")
        sums, label = row(t, label, start, total)
        L += [f"  br label %{t}outernext", f"{t}outernext:"]
        for to, new in zip(after, sums):
            self.phis(to, lanes, (new, label))
        L += [f"  %{t}r2 = add i64 %{t}r, 1", f"  br label %{t}outer", f"{t}end:"]
        return total

    def blocks(
        self,
        t: str,
        label: str,
        lanes: int,
        total: list[list[str]],
        limit: str,
        size: int,
        stride: int,
        body,
    ):
        """The elements below `limit` of one row in blocks: body(j, accs) -> new accs takes in `stride` of them.

        len(total) totals, body's accumulators share them evenly. Returns totals and the label of the end.
        """
        L, zero, sets = self.lines, self.starts(lanes), len(total)
        tot = [self.named(f"{t}bt{s}_") for s in range(sets)]
        merged = [self.named(f"{t}mg{s}_") for s in range(sets)]
        L += [
            f"  br label %{t}blk",
            f"{t}blk:",
            f"  %{t}b = phi i64 [0, %{label}], [%{t}bend, %{t}blkend]",
        ]
        for to, old, new in zip(tot, total, merged):
            self.phis(to, lanes, (old, label), (new, f"{t}blkend"))
        L += [f"  %{t}bm = icmp slt i64 %{t}b, {limit}", f"  br i1 %{t}bm, label %{t}blkgo, label %{t}rowend",
              f"{t}blkgo:", f"  %{t}bfar = add i64 %{t}b, {size}", f"  %{t}bcut = icmp slt i64 %{t}bfar, {limit}",
              f"  %{t}bend = select i1 %{t}bcut, i64 %{t}bfar, i64 {limit}",
              f"  br label %{t}el", f"{t}el:", f"  %{t}j = phi i64 [%{t}b, %{t}blkgo], [%{t}j2, %{t}el]"]  # fmt: skip
        hole = len(L)
        accs, news = body(f"%{t}j")
        L[hole:hole] = [
            f"  {a} = phi {type} [{z}, %{t}blkgo], [{n}, %{t}el]"
            for acc, new in zip(accs, news)
            for a, n, type, z in zip(acc, new, self.types(lanes), zero)
        ]
        L += [f"  %{t}j2 = add i64 %{t}j, {stride}", f"  %{t}jm = icmp slt i64 %{t}j2, %{t}bend",
              f"  br i1 %{t}jm, label %{t}el, label %{t}blkend", f"{t}blkend:"]  # fmt: skip
        while len(news) > sets:
            half = len(news) // 2
            news = [
                self.merge(f"{t}u{half}_{i}_", lanes, news[i], news[i + half]) for i in range(half)
            ]
        for s, (old, new, to) in enumerate(zip(tot, news, merged)):
            for name, value, type in zip(
                to, self.merge(f"{t}mm{s}_", lanes, old, new), self.types(lanes)
            ):
                L.append(f"  {name} = freeze {type} {value}")
        L += [f"  br label %{t}blk", f"{t}rowend:"]
        return tot, f"{t}rowend"

    def element(self, tag: str, start: dict[str, str], j: str, shift: int = 0) -> list[str]:
        """Pointers of the inputs at position j of a row, `shift` lanes further."""
        pointers = []
        for i, n in enumerate(start):
            self.lines.append(f"  %{tag}o_{n} = mul i64 {j}, %{n}_step")
            at = f"%{tag}o_{n}"
            if shift and self.pattern[i] == "c":
                self.lines.append(
                    f"  %{tag}s_{n} = add i64 {at}, {shift * SIZE[self.kernel.ins[i]]}"
                )
                at = f"%{tag}s_{n}"
            pointers.append(self.gep(f"%{tag}p_{n}", start[n], at))
        return pointers


class _Inner(_Reduction):
    """One unit is one result; lanes run along the reduced axis, the last of them under a mask."""

    along = True

    def units(self, outs: list[str], ins: list[str]) -> None:
        L = self.lines
        L += [f"  %whole = and i64 %rn, {-LANES * UNROLL}",
              "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]"]  # fmt: skip
        lines, moved, label = offsets(
            "k", "unit", "%u", "%dk", "%ksizes", {n: f"%{n}_kept" for n in outs + ins}
        )
        L += lines
        base = {n: self.gep(f"%bp_{n}", f"%{n}", moved[n]) for n in outs + ins}
        (lanes,) = self.rows("v", label, LANES, 1, ins, base, self._row)
        self.finish("y", 1, self.fold_lanes("f", lanes), [base[n] for n in outs])
        L.append("  br label %unitend")

    def _row(self, t, label, start, total):
        def body(j):
            accs, news = [], []
            for u in range(UNROLL):
                self.lines += [
                    f"  %{t}ju{u} = add i64 {j}, {u * LANES}",
                    f"  %{t}jx{u} = add i64 %{t}rbase, %{t}ju{u}",
                ]
                accs.append(self.named(f"{t}ac{u}_"))
                pointers = self.element(f"{t}e{u}", start, f"%{t}ju{u}")
                self.look_ahead(f"{t}a{u}_", pointers, u)
                news.append(self.step(f"{t}st{u}_", LANES, accs[-1], pointers, f"%{t}jx{u}"))
            return accs, news

        total, label = self.blocks(
            t, label, LANES, total, "%whole", BLOCK * 8, LANES * UNROLL, body
        )
        return [self._tail(f"{t}t", label, start, total[0], f"%{t}rbase")], f"{t}tdone"

    def _tail(self, t, label, start, total, rbase):
        """What is left of a row, LANES at a time under a mask."""
        L, acc = self.lines, self.named(f"{t}ac")
        L += [
            f"  br label %{t}test",
            f"{t}test:",
            f"  %{t}j = phi i64 [%whole, %{label}], [%{t}j2, %{t}go]",
        ]
        hole = len(L)
        L += [f"  %{t}m = icmp slt i64 %{t}j, %rn", f"  br i1 %{t}m, label %{t}go, label %{t}done", f"{t}go:",
              f"  %{t}left = sub i64 %rn, %{t}j", f"  %{t}x = add i64 {rbase}, %{t}j"]  # fmt: skip
        mask = self.mask(f"{t}k", f"%{t}left")
        new = self.step(
            f"{t}st", LANES, acc, self.element(f"{t}e", start, f"%{t}j"), f"%{t}x", mask
        )
        L += [f"  %{t}j2 = add i64 %{t}j, {LANES}", f"  br label %{t}test", f"{t}done:"]
        types = self.types(LANES)
        L[hole:hole] = [
            f"  {a} = phi {k} [{o}, %{label}], [{n}, %{t}go]"
            for a, k, o, n in zip(acc, types, total, new)
        ]
        return acc


class _Outer(_Reduction):
    """One unit is WIDTH neighbouring results, or what is left of them; singly where nothing is contiguous."""

    def units(self, outs: list[str], ins: list[str]) -> None:
        L = self.lines
        L += [f"  %per0 = add i64 %lanes, {WIDTH - 1}", f"  %per = sdiv i64 %per0, {WIDTH}",
              "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]",
              "  %cell = sdiv i64 %u, %per", "  %cellback = mul i64 %cell, %per",
              "  %part = sub i64 %u, %cellback", f"  %lane0 = mul i64 %part, {WIDTH}",
              f"  %lanefar = add i64 %lane0, {WIDTH}", "  %lanecut = icmp slt i64 %lanefar, %lanes",
              "  %lane1 = select i1 %lanecut, i64 %lanefar, i64 %lanes"]  # fmt: skip
        names = outs + ins
        lines, moved, label = offsets(
            "k", "unit", "%cell", "%dk", "%ksizes", {n: f"%{n}_kept" for n in names}
        )
        L += lines
        for n in names:
            L += [
                f"  %lo_{n} = mul i64 %lane0, %{n}_lane",
                f"  %bo_{n} = add i64 %lo_{n}, {moved[n]}",
            ]
        base = {n: self.gep(f"%bp_{n}", f"%{n}", f"%bo_{n}") for n in names}
        if "g" in self.pattern:
            self._singles(label, outs, ins, base)
            return
        L += [
            "  %full = icmp sle i64 %lanefar, %lanes",
            "  br i1 %full, label %wide, label %part0",
            "wide:",
        ]
        self._wide("v", "wide", outs, ins, base, [""] * SETS)
        L += ["part0:", "  %left = sub i64 %lane1, %lane0"]
        self._wide(
            "p",
            "part0",
            outs,
            ins,
            base,
            [self.mask(f"k{s}", "%left", s * LANES) for s in range(SETS)],
        )

    def _wide(self, t, before, outs, ins, base, masks) -> None:
        def row(t, label, start, total):
            def body(j):
                self.lines.append(f"  %{t}jx = add i64 %{t}rbase, {j}")
                accs, news = [self.named(f"{t}ac{s}_") for s in range(SETS)], []
                for s, mask in enumerate(masks):
                    pointers = self.element(f"{t}e{s}", start, j, s * LANES)
                    self.look_ahead(f"{t}a{s}_", pointers, s)
                    news.append(self.step(f"{t}st{s}_", LANES, accs[s], pointers, f"%{t}jx", mask))
                return accs, news

            return self.blocks(t, label, LANES, total, "%rn", BLOCK, 1, body)

        totals = self.rows(t, before, LANES, SETS, ins, base, row)
        for s, (accs, mask) in enumerate(zip(totals, masks)):
            at = [
                self.gep(f"%{t}f{s}_{n}", base[n], str(s * LANES * SIZE[storage]))
                for n, storage in zip(outs, self.kernel.outs)
            ]
            self.finish(f"{t}y{s}_", LANES, accs, at, mask)
        self.lines.append("  br label %unitend")

    def _singles(self, label, outs, ins, base) -> None:
        L, names = self.lines, outs + ins
        L += ["  br label %single", "single:", f"  %c = phi i64 [%lane0, %{label}], [%c2, %singleend]",
              "  %cd = sub i64 %c, %lane0"]  # fmt: skip
        L += [f"  %co_{n} = mul i64 %cd, %{n}_lane" for n in names]
        one = {n: self.gep(f"%cp_{n}", base[n], f"%co_{n}") for n in names}

        def row(t, label, start, total):
            def body(j):
                L.append(f"  %{t}jx = add i64 %{t}rbase, {j}")
                accs = self.named(f"{t}ac")
                return [accs], [
                    self.step(f"{t}st", 1, accs, self.element(f"{t}e", start, j), f"%{t}jx")
                ]

            return self.blocks(t, label, 1, total, "%rn", BLOCK, 1, body)

        (accs,) = self.rows("s", "single", 1, 1, ins, one, row)
        self.finish("w", 1, accs, [one[n] for n in outs])
        L += ["  br label %singleend", "singleend:", "  %c2 = add i64 %c, 1",
              "  %cmore = icmp slt i64 %c2, %lane1", "  br i1 %cmore, label %single, label %unitend"]  # fmt: skip

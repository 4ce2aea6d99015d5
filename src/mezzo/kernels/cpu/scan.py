"""Scans: a fold along one axis whose result is written at every step (cumsum, cumprod, linear recurrences).

Walking backwards is a negative stride.

   args  = [block, outs..., ins..., scalars...]
   block = i64 [units, serial, length, lanes, dk, kept sizes[dk], for each out and in: lane stride, step, kept strides[dk]]
"""

from __future__ import annotations

from mezzo.kernels.cpu.emit import LANES
from mezzo.kernels.cpu.fold import FoldKernel, FoldWriter
from mezzo.kernels.cpu.nest import entry, offsets
from mezzo.kernels.cpu.scan_many import TurnedWriter, WideWriter, tables


class ScanKernel(FoldKernel):
    """A fold over operands of given storage types whose finish runs at every element."""

    def write(self, mode: str, pattern: str, is_far: bool) -> str:
        """The module's text. mode: "outer", "wide", "turned" or "back" (turned, from the end on)."""
        if mode == "wide":
            return WideWriter(self, pattern, is_far).text()
        if mode in ("turned", "back"):
            return TurnedWriter(self, pattern, is_far, mode == "back").text()
        return _ScanWriter(self, pattern, is_far).text()


class _ScanWriter(FoldWriter):
    """Writes one scan kernel: lanes run across a few lines."""

    def text(self) -> str:
        L, k = self.lines, self.kernel
        outs, ins = [f"out{i}" for i in range(len(k.outs))], [f"in{i}" for i in range(len(k.ins))]
        names = outs + ins
        L += ["define internal void @body(ptr %args, i64 %begin, i64 %end, i64 %worker) {",
              "entry:", *tables(names, k.scalars)]  # fmt: skip
        self._units(names)
        L += ["done:", "  ret void", "}", *entry()]
        return "\n".join([*L, *sorted(self.declares), ""])

    def _units(self, names: list[str]) -> None:
        """One unit is LANES neighbouring lines (or what is left of them, singly)."""
        L, vector = self.lines, "g" not in self.pattern
        L += [f"  %per0 = add i64 %lanes, {LANES - 1}", f"  %per = sdiv i64 %per0, {LANES}",
              "  br label %unit", "unit:", "  %u = phi i64 [%begin, %entry], [%u2, %unitend]",
              "  %cell = sdiv i64 %u, %per", "  %cellback = mul i64 %cell, %per",
              "  %part = sub i64 %u, %cellback", f"  %lane0 = mul i64 %part, {LANES}",
              f"  %lanefar = add i64 %lane0, {LANES}", "  %lanecut = icmp slt i64 %lanefar, %lanes",
              "  %lane1 = select i1 %lanecut, i64 %lanefar, i64 %lanes"]  # fmt: skip
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
        if vector:
            L += [
                "  %full = icmp sle i64 %lanefar, %lanes",
                "  br i1 %full, label %wide, label %single",
                "wide:",
            ]
            self._line("v", "wide", LANES, names, base)
            L += ["  br label %unitend"]
        else:
            L += ["  br label %single"]
        L += [
            "single:",
            f"  %c = phi i64 [%lane0, %{label}], [%c2, %singleend]",
            "  %cd = sub i64 %c, %lane0",
        ]
        L += [f"  %co_{n} = mul i64 %cd, %{n}_lane" for n in names]
        one = {n: self.gep(f"%cp_{n}", base[n], f"%co_{n}") for n in names}
        self._line("s", "single", 1, names, one)
        L += ["  br label %singleend", "singleend:", "  %c2 = add i64 %c, 1",
              "  %cmore = icmp slt i64 %c2, %lane1", "  br i1 %cmore, label %single, label %unitend",
              "unitend:", "  %u2 = add i64 %u, 1",
              "  %umore = icmp slt i64 %u2, %end", "  br i1 %umore, label %unit, label %done"]  # fmt: skip

    def _line(
        self, t: str, before: str, lanes: int, names: list[str], base: dict[str, str]
    ) -> None:
        """Walk one line: load, step, finish, store."""
        L, count = self.lines, len(self.kernel.outs)
        accs, starts = self.named(f"{t}ac"), self.starts(lanes)
        L += [
            f"  br label %{t}el",
            f"{t}el:",
            f"  %{t}j = phi i64 [0, %{before}], [%{t}j2, %{t}el]",
        ]
        hole = len(L)
        pointers = []
        for n in names:
            L.append(f"  %{t}jo_{n} = mul i64 %{t}j, %{n}_step")
            pointers.append(self.gep(f"%{t}jp_{n}", base[n], f"%{t}jo_{n}"))
        new = self.step(f"{t}st", lanes, accs, pointers[count:], f"%{t}j")
        self.finish(f"{t}fi", lanes, new, pointers[:count])
        phis = [
            f"  {a} = phi {type} [{s}, %{before}], [{v}, %{t}el]"
            for a, type, s, v in zip(accs, self.types(lanes), starts, new)
        ]
        L[hole:hole] = phis
        L += [f"  %{t}j2 = add i64 %{t}j, 1", f"  %{t}jm = icmp slt i64 %{t}j2, %n",
              f"  br i1 %{t}jm, label %{t}el, label %{t}over", f"{t}over:"]  # fmt: skip

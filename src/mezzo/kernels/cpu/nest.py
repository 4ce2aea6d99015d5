"""Pieces of loop nests that several kernels share, as LLVM text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mezzo.kernels.cpu.emit import LLVM

LINE = 64  # bytes of a cache line
# Lines that choose the body of a kernel: @past if its first pointer begins a line, else @body.
CHOSEN = ("  %first_slot = getelementptr i64, ptr %args, i64 1", "  %first_at = load i64, ptr %first_slot",
          f"  %first_off = and i64 %first_at, {LINE - 1}", "  %first_lined = icmp eq i64 %first_off, 0",
          "  %chosen = select i1 %first_lined, ptr @past, ptr @body")  # fmt: skip


def slots(pointers: Sequence[str], scalars: Sequence[str], first: int = 1) -> list[str]:
    """Read pointers into %<name> and runtime scalars into %s<i> from %args, from slot `first` on."""
    lines = []
    for i, name in enumerate(pointers):
        lines += [f"  %{name}_slot = getelementptr i64, ptr %args, i64 {first + i}",
                  f"  %{name} = load ptr, ptr %{name}_slot"]  # fmt: skip
    for i, type in enumerate(scalars):
        lines.append(
            f"  %s{i}_slot = getelementptr i64, ptr %args, i64 {first + len(pointers) + i}"
        )
        if type == "f32":
            lines += [f"  %s{i}_wide = load double, ptr %s{i}_slot",
                      f"  %s{i} = fptrunc double %s{i}_wide to float"]  # fmt: skip
        elif type in ("f64", "i64"):
            lines.append(f"  %s{i} = load {LLVM[type]}, ptr %s{i}_slot")
        else:
            lines += [f"  %s{i}_wide = load i64, ptr %s{i}_slot",
                      f"  %s{i} = trunc i64 %s{i}_wide to {LLVM[type]}"]  # fmt: skip
    return lines


def words(names: Sequence[str], block: str = "%block") -> list[str]:
    """Read the first words of a block into %<name>."""
    lines = []
    for i, name in enumerate(names):
        lines += [
            f"  %{name}_at = getelementptr i64, ptr {block}, i64 {i}",
            f"  %{name} = load i64, ptr %{name}_at",
        ]
    return lines


def offsets(
    tag: str, before: str, linear: str, dims: str, sizes: str, tables: Mapping[str, str]
) -> tuple[list[str], dict[str, str], str]:
    """A loop that turns a linear index into a byte offset for each table of strides.

    before: label of the block that falls in. Dims run innermost first. Returns the lines (they end
    inside a new block), the registers of the offsets, and that block's label.
    """
    t = tag
    # One dimension, the usual case, needs no division.
    lines = [
        f"  %{t}n1 = icmp eq i64 {dims}, 1",
        f"  br i1 %{t}n1, label %{t}near, label %{t}far",
        f"{t}near:",
    ]
    for name, table in tables.items():
        lines += [
            f"  %{t}y_{name} = load i64, ptr {table}",
            f"  %{t}z_{name} = mul i64 {linear}, %{t}y_{name}",
        ]
    lines += [f"  br label %{t}e", f"{t}far:", f"  br label %{t}d", f"{t}d:",
              f"  %{t}i = phi i64 [0, %{t}far], [%{t}i2, %{t}g]",
              f"  %{t}r = phi i64 [{linear}, %{t}far], [%{t}r2, %{t}g]"]  # fmt: skip
    lines += [f"  %{t}o_{n} = phi i64 [0, %{t}far], [%{t}p_{n}, %{t}g]" for n in tables]
    lines += [f"  %{t}c = icmp slt i64 %{t}i, {dims}", f"  br i1 %{t}c, label %{t}g, label %{t}e", f"{t}g:",
              f"  %{t}sa = getelementptr i64, ptr {sizes}, i64 %{t}i", f"  %{t}s = load i64, ptr %{t}sa",
              f"  %{t}r2 = sdiv i64 %{t}r, %{t}s", f"  %{t}m = mul i64 %{t}r2, %{t}s",
              f"  %{t}x = sub i64 %{t}r, %{t}m", f"  %{t}i2 = add i64 %{t}i, 1"]  # fmt: skip
    for name, table in tables.items():
        lines += [f"  %{t}ta_{name} = getelementptr i64, ptr {table}, i64 %{t}i",
                  f"  %{t}t_{name} = load i64, ptr %{t}ta_{name}",
                  f"  %{t}h_{name} = mul i64 %{t}x, %{t}t_{name}",
                  f"  %{t}p_{name} = add i64 %{t}o_{name}, %{t}h_{name}"]  # fmt: skip
    lines += [f"  br label %{t}d", f"{t}e:"]
    lines += [f"  %{t}v_{n} = phi i64 [%{t}z_{n}, %{t}near], [%{t}o_{n}, %{t}d]" for n in tables]
    return lines, {n: f"%{t}v_{n}" for n in tables}, f"{t}e"


def entry(
    units: str = "units", serial: str = "serial", body: str = "@body", chosen: Sequence[str] = ()
) -> list[str]:
    """The public kernel: runs a body over all units, alone or on the pool. Words 0 and 1 of the block.

    chosen: the lines that choose the body.
    """
    return ["define void @kernel(ptr %args) {", "  %block = load ptr, ptr %args",
            *words((units, serial)), *chosen,
            f"  %small = icmp ne i64 %{serial}, 0",
            "  br i1 %small, label %alone, label %together",
            "alone:", f"  call void {body}(ptr %args, i64 0, i64 %{units}, i64 0)", "  ret void",
            "together:", f"  call void @mezzo_parallel(ptr {body}, ptr %args, i64 %{units})",
            "  ret void", "}"]  # fmt: skip

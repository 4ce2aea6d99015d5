"""Packing operands of attention for tile registers: as terms of bfloat16, in panels."""

from __future__ import annotations

from mezzo.kernels.cpu.attention import weights
from mezzo.kernels.cpu.attention.parts import Source, Tensors, fields, word
from mezzo.kernels.cpu.attention.products import COLUMNS, ROWS, STEP, TERMS
from mezzo.kernels.cpu.attention.weights import WIDTH
from mezzo.kernels.cpu.contract import lanes
from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.pack import Packer, pack
from mezzo.kernels.cpu.contract.scheme import Scheme
from mezzo.kernels.cpu.contract.writer import Function, Program, Value

STEP_BYTES = STEP * ROWS * 2  # of a panel: 32 rows or columns by 32 elements along k


def packing(program: Program, scheme: Scheme) -> None:
    """Write @pack_b, which packs bfloat16, and @split, which makes bfloat16 terms of a matrix."""

    pack(program, "pack_b", Packer(program, scheme.panel_b, "bf16", "bf16", "f32"), fields)
    _split(program, scheme.a)


def _split(program: Program, storage: str) -> None:
    """Terms of a strided matrix: element (i, j) of a term goes to i row_bytes + (j / 32) step_bytes + (j % 32) 2.

    Columns are filled up to a multiple of 32 with zeros.
    """
    terms, size = TERMS[storage], SIZE[storage]
    parameters = (
        "ptr %from, i64 %row, i64 %column, i64 %rows, i64 %columns, ptr %to, i64 %row_bytes, i64 %step_bytes, "
        "i64 %term_bytes"
    )
    with program.function("split", parameters, attributes="noinline") as f:
        line = f.array(STEP * size)
        close = f.compare("eq", "%column", size)
        with f.loop(0, "%rows") as i, f.loop(0, "%columns", STEP) as j:
            left = f.sub("%columns", j)
            source = f.at(f.at("%from", f.mul(i, "%row")), f.mul(j, "%column"))
            with f.unless(close), f.loop(0, f.min(left, STEP)) as c:
                kind = lanes.MEMORY[storage]
                one = f.load(kind, f.at(source, f.mul(c, "%column")), size)
                f.store(kind, one, f.at(line, f.mul(c, size)), size)
            here = f.select(close, source, line, "ptr")
            pair = []
            for v in range(2):
                at = f.at(here, v * WIDTH * size)
                raw = lanes.load_some(f, at, storage, WIDTH, f.sub(left, v * WIDTH))
                pair.append(weights.terms(f, lanes.widen(f, raw, storage, "f32", WIDTH), terms))
            to = f.at(f.at("%to", f.mul(i, "%row_bytes")), f.mul(f.div(j, STEP), "%step_bytes"))
            for term, (low, high) in enumerate(zip(*pair)):
                at = f.at(to, f.mul("%term_bytes", term))
                f.store(f"<{STEP} x bfloat>", weights.halves(f, low, high), at, 16)


def pack_rows(
    f: Function, tensors: Tensors, name: str, first: Value, rows: Value, columns: str, to: str, term: str
) -> None:  # fmt: skip
    """Rows of a tensor as the terms of a left panel: [k / 32][row][32]."""
    row = word(f, name + "_row")
    source = f.at(tensors.pointer(f, name), f.mul(first, row))
    f.call(
        "split", "void", f"ptr {source}", f"i64 {row}", f"i64 {word(f, name + '_column')}", f"i64 {rows}",
        f"i64 {columns}", f"ptr {to}", f"i64 {STEP * 2}", f"i64 {STEP_BYTES}", f"i64 {term}",
    )  # fmt: skip


def pack_columns(
    f: Function, scheme: Scheme, tensors: Tensors, name: str, rows: str, columns: str, to: str,
    panel_bytes: str, term: str, stage: tuple[str, str],
) -> None:  # fmt: skip
    """A tensor's rows as the columns of right panels, k along its columns: [panel][k / 2][row][2]."""
    if TERMS[scheme.a] == 1:
        source = tensors.source(f, "pack_b", name)
        source.panels(f, COLUMNS, rows, columns, to, panel_bytes)
        return
    staged, staged_term = stage
    with f.loop(0, rows, COLUMNS) as row:
        many = f.min(f.sub(rows, row), COLUMNS)
        pack_rows(f, tensors, name, row, many, columns, staged, staged_term)
        panel = f.at(to, f.mul(f.div(row, COLUMNS), panel_bytes))
        for i in range(TERMS[scheme.a]):
            source = Source(f, "pack_b", f.at(staged, f.mul(staged_term, i)), STEP * 2, 2)
            here = f.at(panel, f.mul(term, i))
            with f.loop(0, f.ceil_div(columns, STEP)) as k:
                part = Moved(source, f.mul(k, STEP_BYTES))
                part.panel(f, 0, many, 0, STEP, f.at(here, f.mul(k, STEP_BYTES)))


def pack_turned(
    f: Function, scheme: Scheme, tensors: Tensors, name: str, rows: str, columns: str, to: str,
    panel_bytes: str, term: str, stage: tuple[str, str],
) -> None:  # fmt: skip
    """A tensor's columns as the columns of right panels, k along its rows."""
    if TERMS[scheme.a] == 1:
        source = tensors.source(f, "pack_b", name, turned=True)
        source.panels(f, COLUMNS, columns, rows, to, panel_bytes)
        return
    staged, staged_term = stage
    pitch = f.mul(f.ceil_div(columns, STEP), STEP * 2)
    with f.loop(0, rows, STEP) as k:
        many = f.min(f.sub(rows, k), STEP)
        row = word(f, name + "_row")
        source = f.at(tensors.pointer(f, name), f.mul(k, row))
        f.call(
            "split", "void", f"ptr {source}", f"i64 {row}", f"i64 {word(f, name + '_column')}", f"i64 {many}",
            f"i64 {columns}", f"ptr {staged}", f"i64 {pitch}", f"i64 {STEP * 2}", f"i64 {staged_term}",
        )  # fmt: skip
        for i in range(TERMS[scheme.a]):
            source = Source(f, "pack_b", f.at(staged, f.mul(staged_term, i)), 2, pitch)
            here = f.at(f.at(to, f.mul(term, i)), f.mul(f.div(k, STEP), STEP_BYTES))
            source.panels(f, COLUMNS, columns, many, here, panel_bytes)


class Moved:
    """A source that begins some bytes further on."""

    def __init__(self, source: Source, nbytes: Value):
        self.source, self.nbytes = source, nbytes

    def panel(self, f: Function, *where: Value) -> None:
        """Pack one panel."""
        before = f.load("ptr", self.source.room, 8)
        f.store("ptr", f.at(before, self.nbytes), self.source.room, 8)
        self.source.panel(f, *where)
        f.store("ptr", before, self.source.room, 8)

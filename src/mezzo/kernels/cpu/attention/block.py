"""What an attention kernel is told: sizes, strides, workspace; and how much workspace it needs.

    args  = [block, workspace, tensors...]
    block = i64 WORDS; offsets are tables of one i64 (bytes) per head

All packed operands of one head, and the tiles that are summed, lie in the workspace of the thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mezzo.kernels.cpu.contract.scheme import Scheme

# q, k, v, out, g (gradient of out), dq, dk, dv: how each lies in memory: (rows, features) strides, table of heads.
MATRICES = ("q", "k", "v", "out", "g", "dq", "dk", "dv", "mask", "seed")
FORWARD = ("q", "k", "v", "mask", "seed", "out", "lse")
BACKWARD = ("q", "k", "v", "mask", "seed", "out", "lse", "g", "dq", "dk", "dv")
WORDS = (
    "units", "serial", "queries", "keys", "features", "outputs", "causal", "scale", "chunk", "chunks", "lane_bytes",
    *(f"{name}_{part}" for name in MATRICES for part in ("row", "column", "heads")),
    "key_panel", "value_panel", "query_panel",
    "at_k", "at_v", "at_q", "at_p", "at_tiles", "at_out", "at_rows",
    "threshold", "kept", "at_keep", "at_tops", "block", "at_totals",
    "at_ka", "at_va", "at_qb", "at_gb", "at_g2", "at_q2", "at_k2", "at_dq", "at_dk", "at_dv", "at_s", "at_d",
)  # fmt: skip
AT = {name: 8 * i for i, name in enumerate(WORDS)}
KEY_TILES = 16
ROW_TARGET = 128  # rows that a block of the backward pass is to have at most, if the tiles allow it
# On tile registers: keys that become weights at a time, queries of a stretch.
UNIT, BLOCK_ROWS = 64, 512
# Keys whose weights wait to be multiplied by values, for operands of so many terms: they stay in the first cache.
KEYS = {1: 256, 2: 128, 3: 64}
CACHE = 3 << 18  # bytes of packed keys and values that are to stay in the second cache
# Of the backward pass there: keys of a block, its queries by terms; keys of a stretch, which stay in the second cache.
BACK_KEYS, BACK_QUERIES = {1: 128, 2: 64, 3: 64}, {1: 128, 2: 128, 3: 128}
BACK_STRETCH = 512
CHUNK_ROWS = 256  # queries for which packing the keys again is worth sharing a head among threads


@dataclass(frozen=True)
class Matrix:
    """Strides in bytes of rows and columns, and the address of the table of heads' offsets."""

    row: int
    column: int
    heads: int


@dataclass(frozen=True)
class Sizes:
    """Heads, queries, keys, features of queries and keys, features of values."""

    heads: int
    queries: int
    keys: int
    features: int
    outputs: int


def up(a: int, b: int) -> int:
    """a rounded up to a multiple of b."""
    return -(-a // b) * b


def blocks(scheme: Scheme) -> tuple[int, int]:
    """Keys and queries in a block of the backward pass: whole panels in every role they play."""
    step = scheme.panel_a.k_step
    keys, queries = (
        math.lcm(scheme.tile_rows, step),
        math.lcm(scheme.tile_rows, scheme.tile_columns, step),
    )
    return keys * max(1, ROW_TARGET // keys), queries * max(1, ROW_TARGET // queries)


class Room:
    """Hands out stretches of the workspace."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, nbytes: int) -> int:
        """The offset of so many bytes, aligned for vectors; one line apart."""
        at = self.used
        self.used = up(at + nbytes, 64) + 64
        return at


def _panels(scheme: Scheme, rows: int, depth: int, left: bool) -> int:
    """Bytes of all panels of an operand."""
    panel = scheme.panel_a if left else scheme.panel_b
    return -(-rows // panel.rows) * panel.nbytes(depth)


def _chunks(scheme: Scheme, s: Sizes, threads: int) -> dict[str, int]:
    """How queries of a head are shared among threads."""
    chunks = 1
    if s.heads < threads:
        chunks = max(1, min(-(-threads // max(s.heads, 1)) * 2, s.queries // CHUNK_ROWS))
    chunk = up(-(-s.queries // chunks), scheme.tile_rows)
    chunks = max(1, -(-s.queries // chunk))
    return {"units": s.heads * chunks, "chunk": chunk, "chunks": chunks}


def forward_words(scheme: Scheme, s: Sizes, threads: int) -> dict[str, int]:
    """Units and workspace of the forward pass."""
    room, tiles = Room(), -(-s.outputs // scheme.tile_columns)
    words = {
        "at_k": room.take(_panels(scheme, s.keys, s.features, False)),
        "at_v": room.take(_panels(scheme, s.outputs, s.keys, False)),
        "at_q": room.take(scheme.panel_a.nbytes(s.features)),
        "at_p": room.take(scheme.panel_a.nbytes(KEY_TILES * scheme.tile_columns)),
        "at_tiles": room.take(KEY_TILES * scheme.tile_bytes),
        "at_out": room.take(tiles * scheme.tile_bytes),
        "at_rows": room.take(2 * 4 * scheme.tile_rows),
        "at_keep": room.take(2 * 3 * KEY_TILES * scheme.tile_columns),
        "key_panel": scheme.panel_b.nbytes(s.features), "value_panel": scheme.panel_b.nbytes(s.keys),
        **_chunks(scheme, s, threads),
    }  # fmt: skip
    words["lane_bytes"] = up(room.used, 4096) + 64
    return words


def forward_tile_words(scheme: Scheme, s: Sizes, threads: int) -> dict[str, int]:
    """Units and workspace of the forward pass on tile registers."""
    room, tiles = Room(), -(-s.outputs // scheme.tile_columns)
    chunked = _chunks(scheme, s, threads)
    rows = up(min(BLOCK_ROWS, chunked["chunk"]), scheme.tile_rows)
    panels = rows // scheme.tile_rows
    # Keys and values stream from the second cache, beside which the weights of the next ones are made.
    block = KEYS[scheme.terms]
    block = max(block, CACHE // (2 * scheme.terms * (s.features + s.outputs)) // block * block)
    words = {
        "at_k": room.take(_panels(scheme, s.keys, s.features, False)),
        "at_v": room.take(_panels(scheme, s.outputs, s.keys, False)),
        "at_q": room.take(panels * scheme.panel_a.nbytes(s.features)),
        "at_p": room.take(2 * scheme.panel_a.nbytes(KEYS[scheme.terms])),
        "at_tiles": room.take(2 * UNIT // scheme.tile_columns * scheme.tile_bytes),
        "at_out": room.take(panels * tiles * scheme.tile_bytes),
        "at_rows": room.take(4 * 4 * rows), "at_totals": room.take(64 * rows), "at_tops": room.take(8 * 32),
        "at_keep": room.take(2 * 2 * UNIT),
        "key_panel": scheme.panel_b.nbytes(s.features), "value_panel": scheme.panel_b.nbytes(s.keys),
        "query_panel": scheme.panel_a.nbytes(s.features), "block": block,
        **chunked,
    }  # fmt: skip
    words["lane_bytes"] = up(room.used, 4096) + 64
    return words


def backward_words(scheme: Scheme, s: Sizes) -> dict[str, int]:
    """Units and workspace of the backward pass."""
    keys, queries = blocks(scheme)
    room = Room()
    across_e, across_v = -(-s.features // scheme.tile_columns), -(-s.outputs // scheme.tile_columns)
    words = {
        "at_ka": room.take(_panels(scheme, s.keys, s.features, True)),
        "at_va": room.take(_panels(scheme, s.keys, s.outputs, True)),
        "at_qb": room.take(_panels(scheme, s.queries, s.features, False)),
        "at_gb": room.take(_panels(scheme, s.queries, s.outputs, False)),
        "at_g2": room.take(_panels(scheme, s.outputs, s.queries, False)),
        "at_q2": room.take(_panels(scheme, s.features, s.queries, False)),
        "at_k2": room.take(_panels(scheme, s.features, s.keys, False)),
        "at_dq": room.take(-(-s.queries // scheme.tile_rows) * across_e * scheme.tile_bytes),
        "at_dk": room.take(keys // scheme.tile_rows * across_e * scheme.tile_bytes),
        "at_dv": room.take(keys // scheme.tile_rows * across_v * scheme.tile_bytes),
        "at_s": room.take(keys * queries * 4), "at_d": room.take(keys * queries * 4),
        "at_p": room.take(scheme.panel_a.nbytes(max(keys, queries))),
        "at_tiles": room.take(2 * scheme.tile_bytes),
        "at_keep": room.take((queries // 16 + 2) * keys * 2),
        "at_rows": room.take(2 * 4 * up(s.queries + scheme.tile_columns, queries)),
        "key_panel": scheme.panel_b.nbytes(s.keys), "query_panel": scheme.panel_b.nbytes(s.queries),
        "units": s.heads, "chunk": 0, "chunks": 1,
    }  # fmt: skip
    words["lane_bytes"] = up(room.used, 4096) + 64
    return words


def backward_tile_words(scheme: Scheme, s: Sizes) -> dict[str, int]:
    """Units and workspace of the backward pass on tile registers."""
    room, terms = Room(), scheme.terms
    stretch, keys, queries = (
        up(min(s.keys, BACK_STRETCH), 32),
        BACK_KEYS[terms],
        BACK_QUERIES[terms],
    )
    across_e, across_v = -(-s.features // scheme.tile_columns), -(-s.outputs // scheme.tile_columns)
    tiles_of_keys = -(-stretch // keys) * keys // scheme.tile_rows
    words = {
        "at_ka": room.take(_panels(scheme, stretch, s.features, True)),
        "at_va": room.take(_panels(scheme, stretch, s.outputs, True)),
        "at_k2": room.take(_panels(scheme, s.features, stretch, True)),
        "at_qb": room.take(_panels(scheme, s.queries, s.features, False)),
        "at_gb": room.take(_panels(scheme, s.queries, s.outputs, False)),
        "at_q2": room.take(_panels(scheme, s.features, s.queries, False)),
        "at_g2": room.take(_panels(scheme, s.outputs, s.queries, False)),
        "at_dq": room.take(-(-s.queries // scheme.tile_columns) * across_e * scheme.tile_bytes),
        "at_dk": room.take(tiles_of_keys * across_e * scheme.tile_bytes),
        "at_dv": room.take(tiles_of_keys * across_v * scheme.tile_bytes),
        "at_s": room.take(2 * _panels(scheme, keys, queries, True)),
        "at_d": room.take(2 * _panels(scheme, keys, queries, True)),
        "at_p": room.take(2 * _panels(scheme, queries, keys, False)),
        "at_tiles": room.take(4 * scheme.tile_bytes),
        "at_keep": room.take((queries // 16 + 1) * keys * 2),
        "at_rows": room.take(2 * 4 * up(s.queries, scheme.tile_columns)),
        "key_panel": scheme.panel_a.nbytes(stretch), "query_panel": scheme.panel_b.nbytes(s.queries),
        "units": s.heads, "chunk": 0, "chunks": 1,
    }  # fmt: skip
    words["lane_bytes"] = up(room.used, 4096) + 64
    return words

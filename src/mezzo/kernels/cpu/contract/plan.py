"""Blocks, groups, lanes and workspace for given sizes: plain arithmetic, done once per plan."""

from __future__ import annotations

from dataclasses import dataclass

from mezzo.kernels.cpu.contract.scheme import Scheme

# Blocks are packed as a whole: they bound the workspace. Groups of packed rows stay in the second
# cache while columns pass by.
BLOCK_ROWS = 2048
BLOCK_COLUMNS = 2048
GROUP_BYTES = 384 << 10
TASKS = 64
SERIAL_WORK = 1 << 18  # multiply-adds below which threads cost more than they give
LANE_WORK = 1 << 24  # multiply-adds of a product that threads should share, not divide by batch


@dataclass(frozen=True)
class Blocks:
    """The blocking of one product."""

    block_m: int
    block_n: int
    block_k: int
    group_m: int
    group_n: int
    at_b: int
    at_acc: int
    nbytes: int


def up(a: int, b: int) -> int:
    """a rounded up to a multiple of b."""
    return -(-a // b) * b


def even(size: int, limit: int, step: int) -> int:
    """The size of equal parts of at most about `limit`, a multiple of step."""
    parts = max(1, -(-size // limit))
    return max(step, up(-(-size // parts), step))


def blocks(scheme: Scheme, m: int, n: int, k: int) -> Blocks:
    """How a product of these sizes is cut. Only k's cut changes the result, and only k decides it."""
    block_k = even(k, scheme.k_block, scheme.panel_a.k_step)
    block_m = even(m, BLOCK_ROWS, scheme.tile_rows)
    block_n = even(n, BLOCK_COLUMNS, scheme.tile_columns)
    panel_a, panel_b = scheme.panel_a.nbytes(block_k), scheme.panel_b.nbytes(block_k)
    rows, columns = block_m // scheme.tile_rows, block_n // scheme.tile_columns
    group_m = max(1, min(rows, GROUP_BYTES // panel_a))
    group_m = -(-rows // -(-rows // group_m))
    group_n = max(1, columns * -(-rows // group_m) // TASKS)
    at_b = up(rows * panel_a, 64)
    at_acc = up(at_b + columns * panel_b, 64)
    sums = rows * columns * scheme.tile_bytes if block_k < k else 0
    return Blocks(
        block_m, block_n, block_k, group_m, group_n, at_b, at_acc, up(at_acc + sums, 4096) + 64
    )


def lane_count(m: int, n: int, k: int, batch: int, threads: int) -> int:
    """Into how many lanes the batch is divided; 1: the threads share each product."""
    work = m * n * max(k, 1)
    if threads <= 1 or batch < threads or work * batch < SERIAL_WORK or work > LANE_WORK:
        return 1
    return min(batch, threads)

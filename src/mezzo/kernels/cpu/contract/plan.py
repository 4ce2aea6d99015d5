"""Blocks, groups, lanes and workspace for given sizes: plain arithmetic, done once per plan."""

from __future__ import annotations

from dataclasses import dataclass

from mezzo.kernels.cpu.contract.lanes import SIZE
from mezzo.kernels.cpu.contract.scheme import Scheme

# Blocks are packed as a whole: they bound the workspace. The panels and sums of a group stay in the
# second cache while the slices of k pass by.
BLOCK_ROWS = 2048
BLOCK_COLUMNS = 2048
BLOCK_BYTES = 32 << 20  # of one packed operand
GROUP_BYTES = {False: 1 << 20, True: 3 << 19}  # whether in terms
# Panels of the narrower operand, at most, beside which a task takes NARROW_GROUP panels of terms of the wider one: what
# is packed is used by so few tiles that it should be so little.
NARROW, NARROW_GROUP = 4, 2
# Tasks that a thread of several has at least, so that one that is slow keeps few; but tasks of so few multiply-adds are not cut.
TASKS = 4
TASK_WORK = {False: 1 << 26, True: 1 << 25}  # whether in terms
# What of one operand stays in the second cache while panels of the other are packed beside its products, and of sums;
# panels that pass in a task at least, since the first is packed beside nothing.
RESIDENT_BYTES, SUMS_BYTES, LEAST_PASSING, LEAST_RESIDENT = 25 << 14, 1 << 19, 8, 4
KEPT_SHARE = 0.8  # of a group's bytes, at most, for all panels of the narrower operand
NEAR_BYTES = {
    False: 1 << 19,
    True: 5 << 18,
}  # of what is packed of a block, and of its sums, where the output is small
# Most rows for which b is better read where it lies, contiguous along n and along k; the latter sums along
# vectors and adds up their lanes at the end, so it wants a k of so many elements per row.
SKINNY_ROWS, SKINNY_K = (24, 48), 10
SKINNY_ROWS_BF16, SKINNY_K_BF16 = (12, 12), 128  # where packing leads to dot products of bf16
PRIVATE_A, PRIVATE_B = 1, 2  # values of the slot `private`
KEPT_A, KEPT_B = 1, 2  # values of the slot `kept`
TERMS_TILE = 32  # rows, and columns, of a tile of terms
# Least rows and columns, k, and multiply-adds of a product whose operands are packed as terms for tile registers; from so
# many rows of the other operand on, panels of terms are not kept.
TERMS_SIDE, TERMS_K, TERMS_WORK, TERMS_KEPT = 24, 32, 1 << 18, 512
KEPT_PATH = 1  # of the module of packed products: panels of all of an operand, and no product
CROWDED, CROWDED_COLUMNS = 4096, 64
# Most rows or columns for which panels kept serve no better than the matrix itself, outside and on tile registers.
KEPT_ROWS = (8, 0)
KEPT_TURNED = (
    64  # and from how many on a weight is packed beside products as fast as its panels are read
)
TURNED_ROWS = 256  # up to which bfloat16 gains by tiles of the transposed product (api.py)
STRIP = 32  # elements of k packed of every panel before the next strip; a multiple of every panel's step
ALL = 1 << 40  # more than any k
# Bytes of the outputs of a batch that go past the caches, and of one product on tile registers: it is done so soon that fetching
# lines only to write them, of a page each, takes as long as it does.
STREAM, STREAM_TILES = 4 << 20, 3 << 19
# Multiply-adds below which threads cost more than they give, and those of products of terms.
SERIAL_WORK, SERIAL_TERMS = 1 << 18, 1 << 23
LANE_WORK = 1 << 24  # multiply-adds of a product that threads should share, not divide by batch


@dataclass(frozen=True)
class Blocks:
    """The blocking of one product; the fields are slots of the same name."""

    lane_bytes: int
    scratch_bytes: int
    block_m: int
    block_n: int
    block_k: int
    slice_k: int
    group_m: int
    group_n: int
    at_b: int
    at_sums: int
    at_scratch: int
    private: int
    beside: int
    at_private: int
    direct: int
    kept: int


def up(a: int, b: int) -> int:
    """a rounded up to a multiple of b."""
    return -(-a // b) * b


def parts(size: int, limit: int) -> int:
    """The size of the fewest equal parts of at most `limit`."""
    count = max(1, -(-size // max(1, limit)))
    return max(1, -(-size // count))


def blocks(
    scheme: Scheme, m: int, n: int, k: int, threads: int, direct: bool = False, kept: int = 0,
    along_k: tuple[bool, bool] = (False, False), beside: int = 0,
) -> Blocks:  # fmt: skip
    """How a product of these sizes is cut. Of all this only slice_k matters to the result.

    direct: panels of a are read where they lie, but for one that lacks rows. kept: the operand that comes packed.
    along_k: whether what lies together of a, of b, is along k. beside: the operand that is packed beside products.
    """
    slice_k = up(parts(k, scheme.k_slice), scheme.panel_a.k_step)
    bytes_a, bytes_b = (panel.nbytes(slice_k) for panel in (scheme.panel_a, scheme.panel_b))
    block_m = up(parts(m, BLOCK_ROWS), scheme.tile_rows)
    block_n = up(parts(n, BLOCK_COLUMNS), scheme.tile_columns)
    rows, columns = block_m // scheme.tile_rows, block_n // scheme.tile_columns
    group_m, group_n = _groups(scheme, rows, columns, slice_k, threads, k)
    if beside:
        group_m, group_n = _groups_beside(
            scheme, beside, (m, n), (rows, columns), slice_k, threads, k
        )
    elif scheme.terms > 1 and group_n == columns <= NARROW and along_k[0]:
        group_m = min(group_m, NARROW_GROUP)
    elif scheme.terms > 1 and group_m == rows <= NARROW and along_k[1]:
        group_n = min(group_n, NARROW_GROUP)
    private = beside
    if beside:
        widest = columns * bytes_b if beside == PRIVATE_A else rows * bytes_a
    elif direct:
        private, widest = PRIVATE_A, columns * bytes_b
    elif group_n == columns and block_n >= n and group_m < rows:
        private, widest = PRIVATE_A, columns * bytes_b
    elif group_m == rows and block_m >= m and group_n < columns:
        private, widest = PRIVATE_B, rows * bytes_a
    else:
        widest = max(rows * bytes_a, columns * bytes_b)
    if private == kept:  # nobody packs it
        private = 0
    block_k = up(parts(k, max(1, BLOCK_BYTES // widest) * slice_k), slice_k)
    shares_a, shares_b = PRIVATE_A not in (private, kept), PRIVATE_B not in (private, kept)
    shared = (rows * bytes_a if shares_a else 0) + (columns * bytes_b if shares_b else 0)
    near = NEAR_BYTES[scheme.terms > 1]
    small = rows * columns * scheme.tile_bytes <= near and block_m >= m and block_n >= n
    if small and shared <= near:
        # a small output and a long k: what is packed is used once, so it should not leave the second cache
        block_k = min(block_k, near // max(shared, 1) * slice_k)
    if beside and block_k >= k:  # of the other operand all panels stay for a block
        block_m = up(max(m, 1), scheme.tile_rows) if beside == PRIVATE_A else block_m
        block_n = up(max(n, 1), scheme.tile_columns) if beside == PRIVATE_B else block_n
    elif private and block_k >= k:  # nothing is kept for the whole block: let it be all
        block_m = up(max(m, 1), scheme.tile_rows)
        block_n = block_n if direct else up(max(n, 1), scheme.tile_columns)
    rows, columns = block_m // scheme.tile_rows, block_n // scheme.tile_columns
    at_b = up(rows * scheme.panel_a.nbytes(block_k), 64) if shares_a else 0
    packed_b = columns * scheme.panel_b.nbytes(block_k) if shares_b else 0
    # Tiles ask for the step behind the one they multiply: behind the last lies nothing that another thread writes.
    behind = max(panel.nbytes(panel.k_step) for panel in (scheme.panel_a, scheme.panel_b))
    at_sums = up(at_b + packed_b + behind, 64)
    sums = (group_m * group_n if slice_k < k else 1) * scheme.tile_bytes
    far = up(rows * columns * scheme.tile_bytes, 64) if block_k < k else 0
    of_a, of_b = (
        (2, 2) if beside else (group_m, group_n)
    )  # the one that is multiplied, and the next
    own = {0: 0, PRIVATE_A: of_a * bytes_a, PRIVATE_B: of_b * bytes_b}[private]
    scratch = (
        up(sums + own + behind, 4096) + 64
    )  # neighbours must not fall on the same sets of a cache
    total = up(at_sums + far + threads * scratch, 64)
    return Blocks(total, scratch, block_m, block_n, block_k, slice_k, group_m, group_n,
                  at_b, at_sums, at_sums + far, private, beside, sums, int(direct), kept)  # fmt: skip


def kept_bytes(scheme: Scheme, kept: int, m: int, n: int, k: int) -> int:
    """Bytes of the panels of all of a or of b, one product's."""
    if kept == KEPT_A:
        return -(-m // scheme.tile_rows) * scheme.panel_a.nbytes(k)
    return -(-n // scheme.tile_columns) * scheme.panel_b.nbytes(k)


def reads_in_place(scheme: Scheme, m: int, n: int, k: int, strides: tuple[int, int]) -> bool:
    """Whether tiles are read from a itself: rows contiguous along k, and no step beyond its end.

    Rows that lie a multiple of CROWDED bytes apart share so few sets of the second cache that they would
    push each other out: those are packed, but for a few columns.
    """
    along_m, along_k = strides
    return (
        scheme.reads_rows
        and m >= scheme.tile_rows
        and 0 < k == up(k, scheme.panel_a.k_step)
        and along_k == SIZE[scheme.a]
        and (along_m % CROWDED != 0 or n <= CROWDED_COLUMNS)
    )


def pays_in_terms(m: int, n: int, k: int) -> bool:
    """Whether tile registers multiply floats of these sizes as terms faster than multiply-adds do."""
    if min(m, n) < TERMS_SIDE or k < TERMS_K or m * n * k < TERMS_WORK:
        return False
    return 2 * m * n >= up(m, TERMS_TILE) * up(n, TERMS_TILE)  # tiles are at least half full


def skinny(scheme: Scheme, m: int, n: int, k: int, strides: tuple[int, int]) -> int:
    """The path of a product of few rows: 1 for b contiguous along n, 2 along k; 0 if not one."""
    if m == 0 or n == 0:
        return 0
    along_k, along_n = strides
    size = SIZE[scheme.b]
    plain = scheme.method == "fma"
    most_n, most_k = SKINNY_ROWS if plain else SKINNY_ROWS_BF16
    most_k = max(2, min(most_k, k // (SKINNY_K if plain else SKINNY_K_BF16)))
    if m <= most_n and along_n == size:
        return 1
    if m <= most_k and (along_k == size or k == 1):
        return 2
    return 1 if m <= most_n and n == 1 else 0


def skinny_bytes(scheme: Scheme, m: int, k: int) -> int:
    """Workspace of such a product: the rows of a as accumulators."""
    return up(m * up(max(k, 1), scheme.width) * SIZE[scheme.acc], 64)


def packed_beside(scheme: Scheme, m: int, n: int, lines: tuple[bool, bool], kept: int = 0) -> int:
    """The operand that is packed beside products (1 or 2); 0: none.

    lines: whether a is contiguous along k, b along n, as their panels are. The other operand is packed ahead, so this one
    should not be much the smaller; of the two a is read the faster, a line for 32 elements of k.
    """
    can_a = (
        lines[0] and m > scheme.tile_rows and kept != KEPT_A and (4 * m >= 3 * n or kept == KEPT_B)
    )
    can_b = (
        lines[1]
        and n > scheme.tile_columns
        and kept != KEPT_B
        and (4 * n >= 3 * m or kept == KEPT_A)
    )
    if can_a and (2 * m >= n or not can_b):
        return PRIVATE_A
    return PRIVATE_B if can_b else 0


def _groups_beside(
    scheme: Scheme,
    beside: int,
    sizes: tuple[int, int],
    block: tuple[int, int],
    slice_k: int,
    threads: int,
    k: int,
) -> tuple[int, int]:
    """Panels of rows and of columns in a task that packs one after another: of the other operand as many as stay near."""
    bytes_a, bytes_b = scheme.panel_a.nbytes(slice_k), scheme.panel_b.nbytes(slice_k)
    stays, resident = (bytes_b, block[1]) if beside == PRIVATE_A else (bytes_a, block[0])
    side, size = (
        (scheme.tile_rows, sizes[0]) if beside == PRIVATE_A else (scheme.tile_columns, sizes[1])
    )
    moving = -(-size // side)
    # equal groups, none of less than a panel needs to be packed beside
    least = max(LEAST_RESIDENT, RESIDENT_BYTES // stays)
    held = -(-resident // max(1, resident // least))
    passing = moving
    if slice_k < k:
        passing = parts(moving, max(2, SUMS_BYTES // (held * scheme.tile_bytes)))
    tile = scheme.tile_rows * scheme.tile_columns * k
    while threads > 1:
        tasks = -(-moving // passing) * -(-resident // held)
        large = held * passing * tile > TASK_WORK[True]
        if tasks >= (TASKS * threads if large else threads):
            break
        if passing > (LEAST_PASSING if large else 1):
            passing = parts(moving, passing - 1)
        elif held > (LEAST_RESIDENT if large else 1):
            held = parts(resident, held - 1)
        else:
            break
    return (passing, held) if beside == PRIVATE_A else (held, passing)


def _groups(
    scheme: Scheme, rows: int, columns: int, slice_k: int, threads: int, k: int
) -> tuple[int, int]:
    """Panels of rows and of columns in a task: large, but a fair share for every thread."""
    a, b = scheme.panel_a.nbytes(slice_k), scheme.panel_b.nbytes(slice_k)
    most = GROUP_BYTES[scheme.terms > 1]
    sums = scheme.tile_bytes if slice_k < k else 0
    group_m, group_n = rows, columns
    while group_m * group_n > 1:
        tasks = -(-rows // group_m) * -(-columns // group_n)
        fair = tasks >= 0.9 * threads * -(-tasks // threads)
        size = group_m * a + group_n * b + group_m * group_n * sums
        if size <= most and fair:
            break
        taller = group_m * scheme.tile_rows >= group_n * scheme.tile_columns
        if scheme.terms > 1 and min(rows * a, columns * b) <= KEPT_SHARE * most:
            # all of the narrower operand leaves room: then no other task needs the panels of the wider one
            taller = columns * b <= rows * a
        if group_n == 1 or (taller and group_m > 1):
            group_m = parts(rows, group_m - 1)
        else:
            group_n = parts(columns, group_n - 1)
    tile = scheme.tile_rows * scheme.tile_columns * k
    while (
        threads > 1 < group_m * group_n and group_m * group_n * tile > TASK_WORK[scheme.terms > 1]
    ):
        if -(-rows // group_m) * -(-columns // group_n) >= TASKS * threads:
            break
        # what all tasks use whole is not cut while the other can be
        taller = group_n == columns or (group_m < rows and group_m >= group_n)
        if group_n == 1 or (taller and group_m > 1):
            group_m = parts(rows, group_m - 1)
        else:
            group_n = parts(columns, group_n - 1)
    return group_m, group_n


def lane_count(m: int, n: int, k: int, batch: int, threads: int) -> int:
    """Into how many lanes the batch is divided; 1: the threads share each product."""
    work = m * n * max(k, 1)
    if threads <= 1 or batch < threads or work * batch < SERIAL_WORK or work > LANE_WORK:
        return 1
    return min(batch, threads)

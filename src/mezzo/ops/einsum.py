"""einsum: sums of products named by letters, through matrix products."""

from __future__ import annotations

import math
import string

from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, Fact, ShapeError
from mezzo.ops.linalg import matmul
from mezzo.ops.shape import permute, reshape
from mezzo.rules.samples import S, T


def _parse(equation: str, tensors) -> tuple[list[str], str]:
    """Letters of every operand and of the result, the ellipsis spelled out with letters of its own."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise Fact(
            ShapeError,
            f"equation {equation!r} names {len(terms)} operands, and {len(tensors)} were given",
        )
    free = [c for c in string.ascii_letters if c not in text]
    spans = [
        t.ndim - len(term.replace("...", "")) for t, term in zip(tensors, terms) if "..." in term
    ]
    dots = "".join(free[: max(spans, default=0)])
    full = []
    for term, tensor in zip(terms, tensors):
        span = tensor.ndim - len(term.replace("...", ""))
        if ("..." not in term and span) or span < 0:
            raise Fact(
                ShapeError,
                f"the subscript {term!r} does not fit an operand with {tensor.ndim} axes",
            )
        full.append(term.replace("...", dots[len(dots) - span :] if span else ""))
    if not arrow:
        flat = "".join(full)
        right = dots + "".join(sorted(c for c in set(flat) - set(dots) if flat.count(c) == 1))
    else:
        right = right.replace("...", dots)
    for c in right:
        if c not in "".join(full) or right.count(c) > 1:
            raise Fact(
                ShapeError,
                f"output subscript {c!r} must appear in one operand, and once in the output",
            )
    return full, right


def _spelled(given: tuple) -> tuple:
    """(equation, operands...) from operands that are each followed by their axes' numbers."""
    tensors, axes = given[::2], list(given[1::2])
    result = None
    if len(given) % 2:
        tensors, result = tensors[:-1], given[-1]
    if not all(isinstance(t, Tensor) for t in tensors) or len(axes) != len(tensors):
        raise Fact(
            ArgumentTypeError,
            "operands and lists of their axes' numbers must alternate",
            'Write einsum(a, [0, 1], b, [1, 2], [0, 2]) or einsum("ij,jk->ik", a, b).',
        )
    letters = string.ascii_uppercase + string.ascii_lowercase

    def spell(numbers) -> str:
        return "".join("..." if n is Ellipsis else letters[n] for n in numbers)

    equation = ",".join(map(spell, axes))
    return equation if result is None else f"{equation}->{spell(result)}", *tensors


def _diagonals(tensor: Tensor, letters: str) -> tuple[Tensor, str]:
    """A letter that an operand repeats stands for its diagonal."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            if tensor.shape[i] != tensor.shape[j]:
                raise Fact(
                    ShapeError,
                    f"subscript {c!r} is repeated for axes of sizes {tensor.shape[i]} and {tensor.shape[j]}",
                )
            tensor = tensor.diagonal(0, i, j)
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
    return tensor, letters


def _sum_out(tensor: Tensor, letters: str, keep: set) -> tuple[Tensor, str]:
    gone = [i for i, c in enumerate(letters) if c not in keep]
    if gone:
        tensor = tensor.sum(tuple(gone))
    return tensor, "".join(c for c in letters if c in keep)


def _arranged(tensor: Tensor, letters: str, order: str) -> Tensor:
    """Axes in the order of `order`, those it lacks as size one."""
    present = [c for c in order if c in letters]
    moved = permute(tensor, tuple(letters.index(c) for c in present)) if present else tensor
    sizes = dict(zip(present, moved.shape))
    return reshape(moved, tuple(sizes.get(c, 1) for c in order))


def _pair(a: Tensor, left: str, b: Tensor, right: str, keep: set) -> tuple[Tensor, str]:
    """Contract two operands to the letters that are still needed: one batched matrix product."""
    size: dict[str, int] = {}
    for letters, tensor in ((left, a), (right, b)):
        for c, n in zip(letters, tensor.shape):
            if size.get(c, 1) not in (1, n) and n != 1:
                raise Fact(ShapeError, f"subscript {c!r} has sizes {size[c]} and {n}")
            size[c] = max(size.get(c, 1), n) if n != 0 else 0
    both = [c for c in left if c in right]
    batch = "".join(c for c in both if c in keep)
    inner = "".join(c for c in both if c not in keep)
    rows = "".join(c for c in left if c not in right)
    columns = "".join(c for c in right if c not in left)
    if not inner:  # nothing is summed: a product of elements, as in PyTorch
        every = batch + rows + columns
        return _arranged(a, left, every) * _arranged(b, right, every), every
    # Axes of size one broadcast; a summed axis must have its full size on both sides.
    x, y = _arranged(a, left, batch + rows + inner), _arranged(b, right, batch + inner + columns)
    x = x.expand(tuple(size[c] if c in inner else n for c, n in zip(batch + rows + inner, x.shape)))
    y = y.expand(
        tuple(size[c] if c in inner else n for c, n in zip(batch + inner + columns, y.shape))
    )
    count = lambda letters: math.prod(size[c] for c in letters)
    lead_x, lead_y = tuple(x.shape[: len(batch)]), tuple(y.shape[: len(batch)])
    x = reshape(x, (*lead_x, count(rows), count(inner)))
    y = reshape(y, (*lead_y, count(inner), count(columns)))
    z = matmul(x, y)
    return reshape(z, tuple(size[c] for c in batch + rows + columns)), batch + rows + columns


@composite(where="mezzo", varargs="operands", cast=Cast(cuda="low"),
           samples=[S("ij,jk->ik", T(2, 3), T(3, 4)), S("bij,bjk->bik", T(2, 3, 4), T(2, 4, 5)), S("ii", T(3, 3)),
                    S("ij->ji", T(2, 3)), S("i,j->ij", T(3), T(4)), S("...ij,...jk->...ik", T(2, 3, 4), T(4, 5)),
                    S("bhqd,bhkd->bhqk", T(2, 3, 4, 5), T(2, 3, 6, 5)), S("ij,j,jk->k", T(2, 3), T(3), T(3, 4)),
                    S("ij->", T(2, 3)), S("ij,ij->ij", T(2, 3), T(2, 3)), S("ii->i", T(3, 3))])  # fmt: skip
def einsum(equation, operands: list[Tensor]) -> Tensor:
    """Sums of products of the operands' elements, by the letters of the equation.

    einsum(a, [0, 1], b, [1, 2], [0, 2]) says the same with numbers below 52 for letters, and ... for an Ellipsis.

    Math:   "ij,jk->ik": y[i, k] = sum_j a[i, j] * b[j, k]
    Shapes: as the equation says
    Source: torch.einsum
    """
    if isinstance(equation, Tensor):
        return einsum(*_spelled((equation, *operands)))
    tensors = (
        list(operands[0])
        if len(operands) == 1 and isinstance(operands[0], (tuple, list))
        else list(operands)
    )
    if not tensors:
        raise Fact(ShapeError, "must provide at least one operand")
    letters, result = _parse(equation, tensors)
    pairs = [_diagonals(t, l) for t, l in zip(tensors, letters)]
    (tensor, have), rest = pairs[0], pairs[1:]
    for i, (other, names) in enumerate(rest):
        later = set(result).union(*[n for _, n in rest[i + 1 :]])
        tensor, have = _sum_out(tensor, have, later | set(names))
        other, names = _sum_out(other, names, later | set(have))
        tensor, have = _pair(tensor, have, other, names, later)
    tensor, have = _sum_out(tensor, have, set(result))
    return permute(tensor, tuple(have.index(c) for c in result)) if result else tensor

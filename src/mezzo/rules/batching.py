"""Batching rules: how an operation treats one more axis, in front.

A rule gets (record, size, args, batched): args in the order of the signature, tensors that carry the batch
having it as axis 0, `batched` the positions of those. It returns the result(s) with the batch in front.
Rules call public operations, so batching nests.
"""

from __future__ import annotations

from collections.abc import Callable

from mezzo.rules import shapes


def front(tensor, is_batched: bool, size: int):
    """The tensor with the batch in front, stretched if it had none."""
    return tensor if is_batched else tensor.unsqueeze(0).expand((size, *tensor.shape))


def every(args: tuple, batched, size: int, positions) -> list:
    """Arguments in which the tensors at `positions` all carry the batch."""
    return [
        front(a, i in batched, size) if i in positions and hasattr(a, "layout") else a
        for i, a in enumerate(args)
    ]


def _shift(dim, rank: int):
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        return tuple(_shift(d, rank) for d in dim)
    return dim + 1 if dim >= 0 else (dim if rank else 1)


def dims(*names: str) -> Callable:
    """For operations whose named parameters are axes of the first operand."""

    def rule(record, size, args, batched):
        positions = record.operands
        full = every(args, batched, size, positions)
        first = args[positions[0]]
        first = first[0] if isinstance(first, (tuple, list)) else first
        rank = first.ndim - (positions[0] in batched)
        for name in names:
            at = record.names.index(name)
            full[at] = _shift(args[at], rank)
        return record.apply(tuple(full))

    return rule


def exchanged(record, size, args, batched):
    """For transpose: of a 0-d tensor there is nothing to exchange."""
    if args[0].ndim > 1:
        return dims("dim0", "dim1")(record, size, args, batched)
    return record.apply((args[0], 0, 0))


def along(name: str) -> Callable:
    """As dims, for results of the first operand's shape: without axes of its own it is given one and loses it."""
    shifted = dims(name)

    def rule(record, size, args, batched):
        tensors = [i for i in record.operands if hasattr(args[i], "layout")]
        if any(args[i].ndim - (i in batched) for i in tensors):
            return shifted(record, size, args, batched)
        full = every(args, batched, size, tensors)
        full = [a.unsqueeze(1) if i in tensors else a for i, a in enumerate(full)]
        full[record.names.index(name)] = 1
        outs = record.apply(tuple(full))
        return tuple(o.squeeze(1) for o in outs) if isinstance(outs, tuple) else outs.squeeze(1)

    return rule


def dims_list(name: str) -> Callable:
    """For operations with a tuple of axes that must name every axis (permute) or some (squeeze, flip)."""

    def rule(record, size, args, batched):
        full = every(args, batched, size, record.operands)
        at, rank = record.names.index(name), args[0].ndim - 1
        shifted = tuple(d + 1 if d >= 0 else d for d in args[at]) if rank else ()
        covers_all = record.name == "permute"
        full[at] = (0, *(d % rank + 1 for d in args[at])) if covers_all else shifted
        return record.apply(tuple(full))

    return rule


def sizes(name: str) -> Callable:
    """For operations with a target shape (expand, view)."""

    def rule(record, size, args, batched):
        x, at = args[0], record.names.index(name)
        to = tuple(args[at])
        if record.name == "expand":
            for _ in range(len(to) - (x.ndim - 1)):
                x = x.unsqueeze(1)
        full = list(args)
        full[0], full[at] = x, (size, *to)
        return record.apply(tuple(full))

    return rule


def elementwise(record, size, args, batched):
    """Operands broadcast at the end: axes of size one go between the batch and shorter shapes."""
    ranks = {
        i: args[i].ndim - (i in batched) for i in record.operands if hasattr(args[i], "layout")
    }
    rank = max(ranks.values())
    full = list(args)
    for i in batched:
        for _ in range(rank - ranks[i]):
            full[i] = full[i].unsqueeze(1)
    return record.apply(tuple(full))


def reduction(record, size, args, batched):
    """All axes but the batch, or the named ones."""
    full = every(args, batched, size, record.operands)
    at = record.names.index("dim")
    rank = args[0].ndim - (0 in batched)
    dim = args[at]
    if not rank:  # a line of one, whose axis goes whatever keepdim says
        every_axis = dim is None or isinstance(dim, (tuple, list))
        full[0], full[at] = full[0].unsqueeze(1), (1,) if every_axis else 1
        if "keepdim" in record.names:
            full[record.names.index("keepdim")] = False
    elif dim is None or (isinstance(dim, (tuple, list)) and not dim):
        full[at] = tuple(range(1, rank + 1))
    else:
        full[at] = _shift(dim, rank)
    return record.apply(tuple(full))


def line(record, size, args, batched):
    """For operations along one axis called dim whose results keep it; a 0-d tensor becomes a line of one."""
    full = every(args, batched, size, record.operands)
    at, first = record.names.index("dim"), record.operands[0]
    rank = full[first].ndim - 1
    full[at] = shapes.axis(args[at], rank) + 1
    if rank:
        return record.apply(tuple(full))
    full = [a.unsqueeze(1) if i in record.operands else a for i, a in enumerate(full)]
    outs = record.apply(tuple(full))
    return (
        tuple(o.reshape((size,)) for o in outs)
        if isinstance(outs, tuple)
        else outs.reshape((size,))
    )


def chain(record, size, args, batched):
    """scatter_view: the same chain with every step's parameters moved below the batch axis."""
    base, piece, steps = args
    # Written into, so every example needs memory of its own.
    base = base if 0 in batched else front(base, False, size).contiguous()
    piece = front(piece, 1 in batched, size)
    tensor, moved = base, []
    for step, arguments in steps:
        seen = _Seen(step)
        step.batch(seen, size, (tensor, *arguments), frozenset((0,)))
        moved.append((step, seen.arguments))
        tensor = step(tensor, *seen.arguments)
    for _ in range(tensor.ndim - piece.ndim):  # a piece that broadcasts does so behind the batch
        piece = piece.unsqueeze(1)
    return record(base, piece, tuple(moved))


class _Seen:
    """Stands for a view record in its batching rule, to learn the parameters it would be called with."""

    def __init__(self, record):
        self.names, self.operands, self.name = record.names, record.operands, record.name
        self.arguments: tuple = ()

    def apply(self, args: tuple):
        self.arguments = args[1:]
        return args[0]

    def __call__(self, *args):
        return self.apply(args)

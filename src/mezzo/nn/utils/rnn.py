"""Sequences of different lengths: packed into one tensor, or padded to one length."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mezzo import dtypes, ops
from mezzo.core.tensor import Tensor


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences of different lengths as one tensor: the first elements of all, the second of all, ...

    data: (sum of lengths, ...). batch_sizes: int64 on the CPU, how many sequences reach each step.
    sorted_indices: the order by length in which they are packed; unsorted_indices: the way back.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ):
        if batch_sizes is None:
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in nn.utils.rnn."
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs) -> PackedSequence:
        """The data converted or moved, the indices moved with it."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = [
            None if i is None else i.to(data.device)
            for i in (self.sorted_indices, self.unsorted_indices)
        ]
        return type(self)(data, self.batch_sizes, *moved)

    def cpu(self) -> PackedSequence:
        """On the CPU."""
        return self.to(device="cpu")

    def cuda(self, *args, **kwargs) -> PackedSequence:
        """On a CUDA device."""
        return self.to(*(args or ("cuda",)), **kwargs)

    def double(self) -> PackedSequence:
        """In float64."""
        return self.to(dtype=dtypes.float64)

    def float(self) -> PackedSequence:
        """In float32."""
        return self.to(dtype=dtypes.float32)

    def half(self) -> PackedSequence:
        """In float16."""
        return self.to(dtype=dtypes.float16)

    @property
    def is_cuda(self) -> bool:
        """True if the data lies on a CUDA device."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one; None for None."""
    if permutation is None:
        return None
    if permutation.numel() == 0:
        return permutation
    positions = ops.arange(0, permutation.numel(), device=permutation.device)
    return ops.empty_like(permutation).scatter_(0, permutation, positions.to(permutation.dtype))


def pack_padded_sequence(
    input: Tensor, lengths, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Sequences padded to one length as a PackedSequence.

    Shapes: input (T, N, ...), or (N, T, ...) with batch_first; lengths: N positive integers, in decreasing
    order unless enforce_sorted=False
    Raises: RuntimeError for lengths that do not fit
    """
    lengths = [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    order = None
    if not enforce_sorted:
        ranked = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        order = ops.tensor(ranked, dtype=dtypes.int64, device=input.device)
        lengths = [lengths[i] for i in ranked]
        input = input.index_select(0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    if not input.numel() or not lengths:
        raise RuntimeError("pack_padded_sequence: Cannot pack empty tensors.")
    if len(lengths) != input.shape[1]:
        raise RuntimeError(
            f"pack_padded_sequence: Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={input.shape[1]})"
        )
    if lengths[-1] <= 0:
        raise RuntimeError(
            "pack_padded_sequence: Length of all samples has to be greater than 0, but found an element in "
            "'lengths' that is <= 0"
        )
    if any(a < b for a, b in itertools.pairwise(lengths)):
        raise RuntimeError(
            "pack_padded_sequence: `lengths` array must be sorted in decreasing order when `enforce_sorted` is "
            "True. You can pass `enforce_sorted=False` to have it sorted."
        )
    if lengths[0] > input.shape[0]:
        raise RuntimeError(
            f"pack_padded_sequence: the longest length is {lengths[0]} and the input has {input.shape[0]} steps."
        )
    sizes = [sum(n > step for n in lengths) for step in range(lengths[0])]
    pieces = []
    step = 0
    while step < len(sizes):  # steps of the same batch size lie together
        stop = step
        while stop < len(sizes) and sizes[stop] == sizes[step]:
            stop += 1
        pieces.append(input[step:stop, : sizes[step]].flatten(0, 1))
        step = stop
    return PackedSequence(ops.cat(pieces), ops.tensor(sizes, dtype=dtypes.int64), order)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(padded tensor, lengths) of a PackedSequence.

    Shapes: (T, N, ...), or (N, T, ...) with batch_first; lengths (N,) int64 on the CPU
    Raises: ValueError if total_length is shorter than the longest sequence
    """
    sizes = sequence.batch_sizes.tolist()
    longest = len(sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    batch, rest = sizes[0], tuple(sequence.data.shape[1:])
    steps = []
    for part in sequence.data.split(sizes):
        missing = batch - part.shape[0]
        if missing:
            part = ops.cat((part, part.new_full((missing, *rest), padding_value)))
        steps.append(part)
    padded = ops.stack(steps)
    if longest > len(sizes):
        padded = ops.cat(
            (padded, padded.new_full((longest - len(sizes), batch, *rest), padding_value))
        )
    lengths = ops.tensor([sum(i < n for n in sizes) for i in range(batch)], dtype=dtypes.int64)
    if batch_first:
        padded = padded.transpose(0, 1)
    order = sequence.unsorted_indices
    if order is not None:
        padded = padded.index_select(0 if batch_first else 1, order)
        lengths = lengths[order.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences of different lengths in one tensor, filled up with padding_value.

    Shapes: N of (t_i, ...) -> (max t, N, ...), or (N, max t, ...) with batch_first
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"pad_sequence: Expected padding_side to be one of left or right, but got {padding_side}."
        )
    sequences = list(sequences.unbind(0) if isinstance(sequences, Tensor) else sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    rest, longest = tuple(sequences[0].shape[1:]), max(len(s) for s in sequences)
    padded = []
    for sequence in sequences:
        if tuple(sequence.shape[1:]) != rest:
            raise RuntimeError(
                f"pad_sequence: the sizes after the first must be the same for all sequences; got "
                f"{list(sequence.shape)} and {list(sequences[0].shape)}."
            )
        missing = longest - len(sequence)
        if missing:
            fill = sequence.new_full((missing, *rest), padding_value)
            pair = (sequence, fill) if padding_side == "right" else (fill, sequence)
            sequence = ops.cat(pair)
        padded.append(sequence)
    return ops.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, each at its length."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [s[: int(n)] for s, n in zip(padded_sequences.unbind(0), lengths)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences of different lengths as a PackedSequence."""
    lengths = [len(s) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a PackedSequence."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)

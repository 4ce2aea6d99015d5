"""Images as columns of windows, and back."""

from __future__ import annotations

import numpy as np

from mezzo import dtypes
from mezzo.core.record import composite
from mezzo.core.tensor import Tensor
from mezzo.errors import Fact, ShapeError, UnsupportedDTypeError
from mezzo.ops.data import tensor
from mezzo.ops.gather import index_select
from mezzo.ops.pad import pad
from mezzo.ops.shape import reshape, slice_dim, unsqueeze
from mezzo.rules import windows
from mezzo.rules.samples import S, T


def _floats_or_bool(input: Tensor) -> None:
    if input.dtype.category not in (dtypes.FLOAT, dtypes.BOOL):
        raise Fact(
            UnsupportedDTypeError,
            f"not implemented for {input.dtype.name}",
            "Convert with x.float().",
        )


def _blocks(size, kernel, stride, padding, dilation):
    return windows.conv_size(size, kernel, stride, padding, padding, dilation)


def _four(kernel_size, dilation, padding, stride):
    names = ("kernel_size", "dilation", "padding", "stride")
    return [
        windows.per_axis(v, 2, n) for v, n in zip((kernel_size, dilation, padding, stride), names)
    ]


def _positions(wide: int, kernel, dilation, stride, counts, device) -> Tensor:
    """The place in a plane of every element of its columns."""
    rows = np.arange(kernel[0])[:, None] * dilation[0] + np.arange(counts[0]) * stride[0]
    columns = np.arange(kernel[1])[:, None] * dilation[1] + np.arange(counts[1]) * stride[1]
    found = rows[:, None, :, None] * wide + columns[None, :, None, :]
    return tensor(found.reshape(-1), dtype=dtypes.int64, device=device)


@composite(
    where="",
    aliases="nn.functional.unfold",
    samples=[S(T(2, 3, 6, 7), (3, 2)), S(T(3, 6, 7), 2, 2, 1, (2, 1))],
    reference="nn.functional.unfold",
)
def im2col(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """The windows of an image as columns: nn.functional.unfold.

    Shapes: (n, c, h, w) -> (n, c windows, places)
    Source: torch.nn.functional.unfold
    """
    _floats_or_bool(input)
    if input.ndim not in (3, 4):
        raise Fact(
            ShapeError,
            f"Expected 3D or 4D (batch mode) tensor, but got input of shape {list(input.shape)}",
        )
    kernel, dilation, padding, stride = _four(kernel_size, dilation, padding, stride)
    x = unsqueeze(input, 0) if input.ndim == 3 else input
    n, c, h, w = x.shape
    rows, columns = _blocks((h, w), kernel, stride, padding, dilation)
    x = pad(x, (padding[1], padding[1], padding[0], padding[0]))
    high, wide = x.shape[2:]
    at = _positions(wide, kernel, dilation, stride, (rows, columns), input.device)
    y = index_select(reshape(x, (n, c, high * wide)), 2, at)
    y = reshape(y, (n, c * kernel[0] * kernel[1], rows * columns))
    return y.squeeze(0) if input.ndim == 3 else y


@composite(
    where="nn.functional",
    samples=[S(T(2, 12, 20), (6, 6), (2, 3), stride=1), S(T(12, 6), (5, 5), 2, 2, 1, (2, 3))],
)
def fold(input: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """Columns of windows added up to an image: the transpose of unfold.

    Shapes: (n, c windows, places) -> (n, c, h, w)
    Source: torch.nn.functional.fold
    """
    _floats_or_bool(input)
    if input.ndim not in (2, 3):
        raise Fact(
            ShapeError,
            f"Expected 2D or 3D (batch mode) tensor for input, but got {list(input.shape)}",
        )
    kernel, dilation, padding, stride = _four(kernel_size, dilation, padding, stride)
    size = windows.per_axis(output_size, 2, "output_size")
    x = unsqueeze(input, 0) if input.ndim == 2 else input
    n, places = x.shape[0], kernel[0] * kernel[1]
    rows, columns = _blocks(size, kernel, stride, padding, dilation)
    if x.shape[1] % places or x.shape[2] != rows * columns:
        raise Fact(
            ShapeError,
            f"Expected input's shape to be (n, a multiple of {places}, {rows * columns}), but got {list(x.shape)}",
        )
    c, (high, wide) = x.shape[1] // places, (size[0] + 2 * padding[0], size[1] + 2 * padding[1])
    at = _positions(wide, kernel, dilation, stride, (rows, columns), input.device)
    image = x.new_zeros((n, c, high * wide)).index_add(
        2, at, reshape(x, (n, c, places * rows * columns))
    )
    image = reshape(image, (n, c, high, wide))
    image = slice_dim(image, 2, padding[0], padding[0] + size[0], 1)
    image = slice_dim(image, 3, padding[1], padding[1] + size[1], 1).contiguous()
    return image.squeeze(0) if input.ndim == 2 else image

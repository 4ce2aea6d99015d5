"""Square windows of an image of tokens: taken apart and put together again."""

from __future__ import annotations

from mezzo.nn import functional as F


def pad_to(size: int, window: int) -> int:
    """The smallest multiple of `window` that is not less than `size`."""
    return -(-size // window) * window


def partition(x, window: int):
    """Windows of x, padded with zeros at the right and the bottom.

    Shapes: (b, h, w, c) -> (b * windows, window, window, c), and the padded (height, width)
    """
    batch, height, width, channels = x.shape
    full = pad_to(height, window), pad_to(width, window)
    if full != (height, width):
        x = F.pad(x, (0, 0, 0, full[1] - width, 0, full[0] - height))
    x = x.reshape(batch, full[0] // window, window, full[1] // window, window, channels)
    # Where windows could stay a view (one row of them), products would take them line by line.
    return x.transpose(2, 3).reshape(-1, window, window, channels).contiguous(), full


def unpartition(windows, window: int, full: tuple[int, int], size: tuple[int, int]):
    """The image that `partition` took apart, without its padding.

    Shapes: (b * windows, window, window, c) -> (b, *size, c)
    """
    down, across = full[0] // window, full[1] // window
    x = windows.reshape(-1, down, across, window, window, windows.shape[-1])
    x = x.transpose(2, 3).reshape(-1, *full, windows.shape[-1])
    return x if full == size else x[:, : size[0], : size[1]]

"""Layers that rearrange: Identity, Flatten, Unflatten, PixelShuffle, Upsample."""

from __future__ import annotations

from mezzo.nn import functional as F
from mezzo.nn.layer import FunctionLayer
from mezzo.nn.module import Module


class Identity(Module):
    """Returns its input; takes and ignores any constructor arguments."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Flatten(Module):
    """Makes the axes start_dim to end_dim one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one axis into the sizes given."""

    def __init__(self, dim: int, unflattened_size):
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten: argument 1 (dim) must be an int, got {dim!r}.")
        if not isinstance(unflattened_size, tuple | list) or not all(
            isinstance(size, int) for size in unflattened_size
        ):
            raise TypeError(
                "Unflatten: argument 2 (unflattened_size) must be a tuple of ints, got "
                f"{unflattened_size!r}."
            )
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input):
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class PixelShuffle(FunctionLayer, calls="pixel_shuffle"):
    """(N, C r^2, H, W) -> (N, C, H r, W r)."""

    upscale_factor: int


class PixelUnshuffle(FunctionLayer, calls="pixel_unshuffle"):
    """(N, C, H r, W r) -> (N, C r^2, H, W)."""

    downscale_factor: int


class Upsample(Module):
    """Resizes the spatial axes to `size` or by `scale_factor`."""

    def __init__(
        self,
        size=None,
        scale_factor=None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):
        super().__init__()
        if isinstance(scale_factor, tuple):
            scale_factor = tuple(float(factor) for factor in scale_factor)
        elif scale_factor:
            scale_factor = float(scale_factor)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        by_size = self.scale_factor is None
        size = f"size={self.size!r}" if by_size else f"scale_factor={self.scale_factor!r}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Upsample in mode nearest, under its older name."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Upsample in mode bilinear with align_corners, under its older name."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class ChannelShuffle(FunctionLayer, calls="channel_shuffle"):
    """Channels of several groups dealt out in turn."""

    groups: int


class Fold(FunctionLayer, calls="fold"):
    """Columns of windows (N, C k, L) summed into an image (N, C, H, W)."""

    output_size: int | tuple
    kernel_size: int | tuple
    dilation: int | tuple = 1
    padding: int | tuple = 0
    stride: int | tuple = 1


class Unfold(FunctionLayer, calls="unfold"):
    """The windows of an image (N, C, H, W) as columns (N, C k, L)."""

    kernel_size: int | tuple
    dilation: int | tuple = 1
    padding: int | tuple = 0
    stride: int | tuple = 1

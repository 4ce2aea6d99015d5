"""Pooling layers."""

from __future__ import annotations

from mezzo.nn.layer import FunctionLayer, repeated


class _Pool(FunctionLayer):
    """A window and its stride; the stride is the window unless given."""

    def prepare(self, given):
        if given["stride"] is None:
            given["stride"] = given["kernel_size"]
        return given


class _MaxPool(_Pool):
    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    dilation: int | tuple = 1
    return_indices: bool = False
    ceil_mode: bool = False
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


class MaxPool1d(_MaxPool, calls="max_pool1d"):
    """Largest value in each window of (N, C, L)."""


class MaxPool2d(_MaxPool, calls="max_pool2d"):
    """Largest value in each window of (N, C, H, W)."""


class AvgPool1d(_Pool, calls="avg_pool1d"):
    """Mean of each window of (N, C, L)."""

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    shown = ("kernel_size", "stride", "padding")

    def prepare(self, given):
        given = super().prepare(given)
        return given | {name: repeated(given[name], 1) for name in self.shown}


class AvgPool2d(_Pool, calls="avg_pool2d"):
    """Mean of each window of (N, C, H, W)."""

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    shown = ("kernel_size", "stride", "padding")


class AdaptiveAvgPool1d(FunctionLayer, calls="adaptive_avg_pool1d"):
    """Means of as many windows as the output size asks."""

    output_size: int | tuple


class AdaptiveAvgPool2d(FunctionLayer, calls="adaptive_avg_pool2d"):
    """Means of as many windows as the output size asks; None keeps an axis."""

    output_size: int | tuple | None


class _AdaptiveMax(FunctionLayer):
    output_size: int | tuple | None
    return_indices: bool = False
    shown = ("output_size",)


class AdaptiveMaxPool1d(_AdaptiveMax, calls="adaptive_max_pool1d"):
    """Largest values of as many windows as the output size asks."""


class AdaptiveMaxPool2d(_AdaptiveMax, calls="adaptive_max_pool2d"):
    """Largest values of as many windows as the output size asks; None keeps an axis."""


class MaxPool3d(_MaxPool, calls="max_pool3d"):
    """Largest value in each window of (N, C, D, H, W)."""


class AvgPool3d(_Pool, calls="avg_pool3d"):
    """Mean of each window of (N, C, D, H, W)."""

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    shown = ("kernel_size", "stride", "padding")


class AdaptiveAvgPool3d(FunctionLayer, calls="adaptive_avg_pool3d"):
    """Means of as many windows as the output size asks; None keeps an axis."""

    output_size: int | tuple | None


class AdaptiveMaxPool3d(_AdaptiveMax, calls="adaptive_max_pool3d"):
    """Largest values of as many windows as the output size asks; None keeps an axis."""


class _MaxUnpool(FunctionLayer):
    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    axes = 1

    def prepare(self, given):
        stride = given["stride"]
        given["stride"] = given["kernel_size"] if stride in (None, ()) else stride
        return {name: repeated(value, self.axes) for name, value in given.items()}

    def forward(self, input, indices, output_size=None):
        return super().forward(input, indices, output_size=output_size)


class MaxUnpool1d(_MaxUnpool, calls="max_unpool1d"):
    """The values of MaxPool1d put back where they stood, zeros elsewhere."""


class MaxUnpool2d(_MaxUnpool, calls="max_unpool2d"):
    """The values of MaxPool2d put back where they stood, zeros elsewhere."""

    axes = 2


class MaxUnpool3d(_MaxUnpool, calls="max_unpool3d"):
    """The values of MaxPool3d put back where they stood, zeros elsewhere."""

    axes = 3


class _PowerPool(FunctionLayer):
    norm_type: float
    kernel_size: int | tuple
    stride: int | tuple | None = None
    ceil_mode: bool = False


class LPPool1d(_PowerPool, calls="lp_pool1d"):
    """The p-norm of each window of (N, C, L)."""


class LPPool2d(_PowerPool, calls="lp_pool2d"):
    """The p-norm of each window of (N, C, H, W)."""


class LPPool3d(_PowerPool, calls="lp_pool3d"):
    """The p-norm of each window of (N, C, D, H, W)."""


class _FractionalPool(FunctionLayer):
    kernel_size: int | tuple
    output_size: int | tuple | None = None
    output_ratio: float | tuple | None = None
    return_indices: bool = False
    _random_samples: object = None
    axes = 2
    shown = ()

    def prepare(self, given):
        name = type(self).__name__
        if (given["output_size"] is None) == (given["output_ratio"] is None):
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio, and only one of them"
            )
        if given["output_ratio"] is not None:
            given["output_ratio"] = repeated(given["output_ratio"], self.axes)
            if not all(0 < ratio < 1 for ratio in given["output_ratio"]):
                raise ValueError(
                    f"{name}: output_ratio must be between 0 and 1 (got {given['output_ratio']})"
                )
        given["kernel_size"] = repeated(given["kernel_size"], self.axes)
        return given


class FractionalMaxPool2d(_FractionalPool, calls="fractional_max_pool2d"):
    """Largest values of windows of (N, C, H, W) at random, roughly even places."""


class FractionalMaxPool3d(_FractionalPool, calls="fractional_max_pool3d"):
    """Largest values of windows of (N, C, D, H, W) at random, roughly even places."""

    axes = 3

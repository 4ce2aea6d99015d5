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

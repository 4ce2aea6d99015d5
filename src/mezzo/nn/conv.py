"""Convolutions with a learned weight (out_channels, in_channels / groups, *window)."""

from __future__ import annotations

import math

from mezzo import ops
from mezzo.nn import functional as F
from mezzo.nn import init
from mezzo.nn.layer import repeated
from mezzo.nn.module import Module
from mezzo.nn.parameter import Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What convolutions of every rank share; `axes` and `calls` say which one it is."""

    axes: int
    calls: str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple | str = 0,
        dilation: int | tuple = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = repeated(kernel_size, self.axes)
        self.stride, self.dilation = repeated(stride, self.axes), repeated(dilation, self.axes)
        self.padding = padding if isinstance(padding, str) else repeated(padding, self.axes)
        self.groups, self.padding_mode = groups, padding_mode
        self._check()
        made = {"device": device, "dtype": dtype}
        shape = (*self._channel_axes(), *self.kernel_size)
        self.weight = Parameter(ops.empty(shape, **made))
        self.register_parameter(
            "bias", Parameter(ops.empty((out_channels,), **made)) if bias else None
        )
        self._sides = self._padding_by_side()
        self.reset_parameters()

    def _channel_axes(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels // self.groups

    def _check(self) -> None:
        name = type(self).__name__
        if self.groups <= 0:
            raise ValueError(f"{name}: groups must be a positive integer, got {self.groups}.")
        for side in ("in_channels", "out_channels"):
            if getattr(self, side) % self.groups:
                raise ValueError(
                    f"{name}: {side} must be divisible by groups; got {getattr(self, side)} and "
                    f"{self.groups}."
                )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"{name}: Invalid padding string {self.padding!r}, should be one of 'same', 'valid'."
                )
            if self.padding == "same" and any(step != 1 for step in self.stride):
                raise ValueError(
                    f"{name}: padding='same' is not supported for strided convolutions"
                )
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(
                f"{name}: padding_mode must be one of {set(PADDING_MODES)}, but got "
                f"padding_mode='{self.padding_mode}'"
            )

    def _padding_by_side(self) -> list[int]:
        """Padding as F.pad takes it: last axis first, left before right."""
        sides: list[int] = []
        for axis in reversed(range(self.axes)):
            if self.padding == "same":
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                sides += [total // 2, total - total // 2]
            elif self.padding == "valid":
                sides += [0, 0]
            else:
                sides += [self.padding[axis]] * 2
        return sides

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._sides, mode=self.padding_mode), 0
        convolve = getattr(F, self.calls)
        return convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        for name, usual in (
            ("padding", (0,) * self.axes),
            ("dilation", (1,) * self.axes),
            ("output_padding", (0,) * self.axes),
            ("groups", 1),
        ):
            if getattr(self, name, usual) != usual:
                text += f", {name}={getattr(self, name)}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_Conv):
    """Cross-correlation of (N, C, L) with learned windows."""

    axes, calls = 1, "conv1d"


class Conv2d(_Conv):
    """Cross-correlation of (N, C, H, W) with learned windows."""

    axes, calls = 2, "conv2d"


class Conv3d(_Conv):
    """Cross-correlation of (N, C, D, H, W) with learned windows."""

    axes, calls = 3, "conv3d"


class _ConvTranspose(_Conv):
    """The gradient of a convolution as a layer; weight (in_channels, out_channels / groups, *window)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups: int = 1,
        bias: bool = True,
        dilation=1,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        if padding_mode != "zeros" or isinstance(padding, str):
            raise ValueError(
                f'{type(self).__name__}: Only "zeros" padding mode is supported, with numbers for '
                f"padding; got padding={padding!r}, padding_mode={padding_mode!r}."
            )
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.output_padding = repeated(output_padding, self.axes)

    def _channel_axes(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input, output_size=None):
        convolve = getattr(F, self.calls)
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return convolve(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
        )

    def _extra(self, input, output_size) -> tuple[int, ...]:
        """The output padding that gives the output its size; several sizes fit one input."""
        wanted = tuple(output_size)[-self.axes :]
        sizes = zip(
            input.shape[-self.axes :], self.stride, self.padding, self.dilation, self.kernel_size
        )
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in sizes]
        extra = tuple(w - n for w, n in zip(wanted, least))
        if len(wanted) != self.axes or any(
            not 0 <= e < max(s, d) for e, s, d in zip(extra, self.stride, self.dilation)
        ):
            most = [n + s - 1 for n, s in zip(least, self.stride)]
            raise ValueError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {least} to "
                f"{most} (for an input of {list(input.shape[2:])})"
            )
        return extra


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of (N, C, L)."""

    axes, calls = 1, "conv_transpose1d"


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of (N, C, H, W)."""

    axes, calls = 2, "conv_transpose2d"


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of (N, C, D, H, W)."""

    axes, calls = 3, "conv_transpose3d"

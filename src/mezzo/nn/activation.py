"""Activations: elementwise functions, and the softmax family along one axis."""

from __future__ import annotations

from mezzo import ops
from mezzo.nn import functional as F
from mezzo.nn import init
from mezzo.nn.layer import FunctionLayer
from mezzo.nn.module import Module
from mezzo.nn.parameter import Parameter


class ReLU(FunctionLayer, calls="relu"):
    """max(x, 0)."""

    inplace: bool = False


class ReLU6(FunctionLayer, calls="relu6"):
    """min(max(x, 0), 6)."""

    inplace: bool = False


class Hardtanh(FunctionLayer, calls="hardtanh"):
    """x clamped to [min_val, max_val]."""

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def prepare(self, given):
        if given["max_val"] <= given["min_val"]:
            raise ValueError(
                f"Hardtanh: max_val {given['max_val']} must be above min_val {given['min_val']}."
            )
        return given


class Sigmoid(FunctionLayer, calls="sigmoid"):
    """1 / (1 + exp(-x))."""


class Tanh(FunctionLayer, calls="tanh"):
    """tanh(x)."""


class SiLU(FunctionLayer, calls="silu"):
    """x * sigmoid(x)."""

    inplace: bool = False


class Mish(FunctionLayer, calls="mish"):
    """x * tanh(softplus(x))."""

    inplace: bool = False


class GELU(FunctionLayer, calls="gelu"):
    """x * Phi(x), exactly ('none') or by the tanh formula ('tanh')."""

    approximate: str = "none"


class Softplus(FunctionLayer, calls="softplus"):
    """log(1 + exp(beta x)) / beta; x itself where beta x is over the threshold."""

    beta: float = 1.0
    threshold: float = 20.0


class LeakyReLU(FunctionLayer, calls="leaky_relu"):
    """x where positive, else negative_slope * x."""

    negative_slope: float = 0.01
    inplace: bool = False


class ELU(FunctionLayer, calls="elu"):
    """x where positive, else alpha (exp(x) - 1)."""

    alpha: float = 1.0
    inplace: bool = False


class SELU(FunctionLayer, calls="selu"):
    """ELU with the scale and alpha that keep mean 0 and variance 1."""

    inplace: bool = False


class CELU(FunctionLayer, calls="celu"):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""

    alpha: float = 1.0
    inplace: bool = False


class Hardswish(FunctionLayer, calls="hardswish"):
    """x * relu6(x + 3) / 6."""

    inplace: bool = False
    shown = ()


class Hardsigmoid(FunctionLayer, calls="hardsigmoid"):
    """relu6(x + 3) / 6."""

    inplace: bool = False
    shown = ()


class Softsign(FunctionLayer, calls="softsign"):
    """x / (1 + |x|)."""


class LogSigmoid(FunctionLayer, calls="logsigmoid"):
    """log(sigmoid(x))."""


class Tanhshrink(FunctionLayer, calls="tanhshrink"):
    """x - tanh(x)."""


class Softshrink(FunctionLayer, calls="softshrink"):
    """x moved towards zero by lambd, zero inside."""

    lambd: float = 0.5

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(FunctionLayer, calls="hardshrink"):
    """x where |x| > lambd, else 0."""

    lambd: float = 0.5

    def extra_repr(self) -> str:
        return str(self.lambd)


class Threshold(FunctionLayer, calls="threshold"):
    """x where above the threshold, else value."""

    threshold: float
    value: float
    inplace: bool = False


class GLU(FunctionLayer, calls="glu"):
    """a * sigmoid(b) of the two halves along dim."""

    dim: int = -1


class Softmax(FunctionLayer, calls="softmax"):
    """exp(x) / sum(exp(x)) along dim."""

    dim: int | None = None


class Softmin(FunctionLayer, calls="softmin"):
    """softmax of -x along dim."""

    dim: int | None = None


class LogSoftmax(FunctionLayer, calls="log_softmax"):
    """log(softmax(x)) along dim."""

    dim: int | None = None


class Softmax2d(Module):
    """softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input):
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D (got {input.dim()}D input)")
        return F.softmax(input, -3)


class PReLU(Module):
    """x where positive, else weight * x with a learned weight (one, or one per channel)."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(ops.empty((num_parameters,), device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to its initial value."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(FunctionLayer, calls="rrelu"):
    """x where positive, else x times a slope: random in lower..upper in training, their mean in evaluation."""

    lower: float = 1.0 / 8
    upper: float = 1.0 / 3
    inplace: bool = False

    def options(self) -> dict:
        return super().options() | {"training": self.training}

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (
            ", inplace=True" if self.inplace else ""
        )

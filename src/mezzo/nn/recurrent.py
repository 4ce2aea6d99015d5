"""RNN, LSTM and GRU over sequences, and their cells for one step, with PyTorch's parameter names."""

from __future__ import annotations

import math
import warnings

from mezzo import ops
from mezzo.amp.autocast import is_autocast_enabled
from mezzo.core.tensor import Tensor
from mezzo.nn import init
from mezzo.nn.module import Module
from mezzo.nn.parameter import Parameter
from mezzo.nn.utils.rnn import PackedSequence

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """The parameters and the calls that RNN, LSTM and GRU have in common.

    Parameters are weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k} and weight_hr_l{k}, with _reverse at the
    end for the backward direction; uniform in +-1/sqrt(hidden_size).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        _check_settings(mode, hidden_size, num_layers, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._all_weights = []
        directions, output = 1 + bool(bidirectional), proj_size or hidden_size
        made = {"device": device, "dtype": dtype}
        for layer in range(num_layers):
            given = output * directions if layer else input_size
            shapes = [(_GATES[mode] * hidden_size, given), (_GATES[mode] * hidden_size, output)]
            names = ["weight_ih", "weight_hh"]
            if bias:
                shapes += [(_GATES[mode] * hidden_size,)] * 2
                names += ["bias_ih", "bias_hh"]
            if proj_size:
                shapes.append((proj_size, hidden_size))
                names.append("weight_hr")
            for way in range(directions):
                full = [f"{name}_l{layer}{'_reverse' if way else ''}" for name in names]
                for name, shape in zip(full, shapes):
                    self.register_parameter(name, Parameter(ops.empty(shape, **made)))
                self._all_weights.append(full)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: the parameters need no particular place in memory."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for weights in self.all_weights for weight in weights]

    def _zeros(self, like: Tensor, batch: int) -> tuple[Tensor, ...]:
        """The states to start from where none are given."""
        count = self.num_layers * (1 + bool(self.bidirectional))
        sizes = [self.proj_size or self.hidden_size]
        if self.mode == "LSTM":
            sizes.append(self.hidden_size)
        dtype = like.dtype if like.dtype.is_floating_point else self.weight_hh_l0.dtype
        return tuple(
            ops.zeros((count, batch, size), dtype=dtype, device=like.device) for size in sizes
        )

    def _check_states(self, states: tuple[Tensor, ...], batch: int) -> None:
        count = self.num_layers * (1 + bool(self.bidirectional))
        for name, state, size in zip(
            ("hidden[0]", "hidden[1]") if self.mode == "LSTM" else ("hidden",),
            states,
            (self.proj_size or self.hidden_size, self.hidden_size),
        ):
            if tuple(state.shape) != (count, batch, size):
                raise RuntimeError(
                    f"Expected {name} size {(count, batch, size)}, got {list(state.shape)}"
                )

    def _call(self, input: Tensor, sizes: Tensor | None, states: tuple[Tensor, ...]) -> tuple:
        hx = states if self.mode == "LSTM" else states[0]
        options = (
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            bool(self.bidirectional),
        )
        name = self.mode.lower()
        if sizes is None:
            run = getattr(ops, name)
            return run(input, hx, self._flat_weights, *options, self.batch_first)
        run = getattr(ops, f"{name}_packed")
        return run(input, sizes, hx, self._flat_weights, *options)

    def _forward_packed(self, packed: PackedSequence, states):
        batch = int(packed.batch_sizes[0])
        order = packed.sorted_indices
        if states is None:
            states = self._zeros(packed.data, batch)
        elif order is not None:
            states = tuple(s.index_select(1, order) for s in states)
        self._check_input(packed.data, 2)
        self._check_states(states, batch)
        output, *ended = self._call(packed.data, packed.batch_sizes, states)
        if packed.unsorted_indices is not None:
            ended = [s.index_select(1, packed.unsorted_indices) for s in ended]
        return packed._replace(data=output), tuple(ended)

    def _check_input(self, input: Tensor, *ranks: int) -> None:
        name = type(self).__name__
        if input.dim() not in ranks:
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        weights = self.weight_ih_l0.dtype
        if input.dtype is not weights and not is_autocast_enabled(input.device.type):
            raise ValueError(
                f"{name}: RNN input dtype ({input.dtype}) does not match weight dtype ({weights}). Convert "
                f"input: input.to({weights}), or convert model: model.to({input.dtype})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.shape[-1]}"
            )

    def _forward_padded(self, input: Tensor, states):
        self._check_input(input, 2, 3)
        name, single = type(self).__name__, input.dim() == 2
        at = 0 if self.batch_first else 1
        if single:
            input = input.unsqueeze(at)
        batch = input.shape[at]
        if states is None:
            states = self._zeros(input, batch)
        else:
            want = 2 if single else 3
            for state in states:
                if state.dim() != want:
                    raise RuntimeError(
                        f"{name}: For {'unbatched 2' if single else 'batched 3'}-D input, hx should also be "
                        f"{want}-D but got {state.dim()}-D tensor"
                    )
            if single:
                states = tuple(s.unsqueeze(1) for s in states)
        self._check_states(states, batch)
        output, *ended = self._call(input, None, states)
        if single:
            return output.squeeze(at), tuple(s.squeeze(1) for s in ended)
        return output, tuple(ended)

    def forward(self, input, hx=None):
        """(output, state): see the classes."""
        states = None if hx is None else (hx,)
        run = self._forward_packed if isinstance(input, PackedSequence) else self._forward_padded
        output, ended = run(input, states)
        return output, ended[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        for name, usual in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


def _check_settings(mode: str, hidden: int, layers: int, dropout, projected: int) -> None:
    if mode not in _GATES:
        raise ValueError(f"Unrecognized RNN mode: {mode}")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={layers}",
            stacklevel=4,
        )
    if not isinstance(hidden, int):
        raise TypeError(f"hidden_size should be of type int, got: {type(hidden).__name__}")
    if hidden <= 0:
        raise ValueError("hidden_size must be greater than zero")
    if layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if projected < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if projected >= hidden:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if projected and mode != "LSTM":
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh) over sequences, or relu.

    Shapes: input (T, N, input_size), (N, T, ...) with batch_first, (T, input_size) or a PackedSequence; state
    (layers * directions, N, hidden_size) -> output (T, N, directions * hidden_size), state
    """

    def __init__(self, *args, nonlinearity: str = "tanh", **kwargs):
        if len(args) > 3:  # PyTorch's order: input_size, hidden_size, num_layers, nonlinearity, ...
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        self.nonlinearity = nonlinearity
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)


class GRU(RNNBase):
    """r = sigmoid(x_r + h_r); z = sigmoid(x_z + h_z); n = tanh(x_n + r h_n); h = (1 - z) n + z h over sequences.

    Shapes: input (T, N, input_size), (N, T, ...) with batch_first, (T, input_size) or a PackedSequence; state
    (layers * directions, N, hidden_size) -> output (T, N, directions * hidden_size), state
    """

    def __init__(self, *args, **kwargs):
        super().__init__("GRU", *args, **kwargs)


class LSTM(RNNBase):
    """c = sigmoid(f) c + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c) over sequences, W_hr h with proj_size.

    Shapes: input (T, N, input_size), (N, T, ...) with batch_first, (T, input_size) or a PackedSequence; state
    (h, c), each (layers * directions, N, hidden_size) -> output (T, N, directions * hidden_size), (h, c)
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def forward(self, input, hx=None):
        """(output, (h, c))."""
        run = self._forward_packed if isinstance(input, PackedSequence) else self._forward_padded
        return run(input, None if hx is None else tuple(hx))


# ---- cells


class RNNCellBase(Module):
    """The parameters of a cell: weight_ih, weight_hh, bias_ih, bias_hh."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        made, rows = {"device": device, "dtype": dtype}, num_chunks * hidden_size
        self.weight_ih = Parameter(ops.empty((rows, input_size), **made))
        self.weight_hh = Parameter(ops.empty((rows, hidden_size), **made))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(ops.empty((rows,), **made)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, run, input: Tensor, states: tuple[Tensor, ...] | None, several: bool):
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        if states is None:
            shape = (*input.shape[:-1], self.hidden_size)
            zeros = ops.zeros(shape, dtype=input.dtype, device=input.device)
            states = (zeros, zeros) if several else (zeros,)
        for state in states:
            if state.dim() not in (1, 2):
                raise ValueError(
                    f"{name}: Expected hidden to be 1D or 2D, got {state.dim()}D instead"
                )
        single = input.dim() == 1
        if single:
            input, states = input.unsqueeze(0), tuple(s.unsqueeze(0) for s in states)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        ended = run(input, states if several else states[0], *weights)
        if not single:
            return ended
        return tuple(s.squeeze(0) for s in ended) if several else ended.squeeze(0)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        kind = getattr(self, "nonlinearity", "tanh")
        return text if kind == "tanh" else f"{text}, nonlinearity={kind}"


class RNNCell(RNNCellBase):
    """tanh (or relu) of W_ih x + b_ih + W_hh h + b_hh.

    Shapes: input (N, input_size), state (N, hidden_size) -> state; without N too
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device=None,
        dtype=None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        run = ops.rnn_tanh_cell if self.nonlinearity == "tanh" else ops.rnn_relu_cell
        return self._step(run, input, None if hx is None else (hx,), False)


class LSTMCell(RNNCellBase):
    """One step of an LSTM.

    Shapes: input (N, input_size), (h, c) of (N, hidden_size) -> (h, c); without N too
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        return self._step(ops.lstm_cell, input, None if hx is None else tuple(hx), True)


class GRUCell(RNNCellBase):
    """One step of a GRU.

    Shapes: input (N, input_size), state (N, hidden_size) -> state; without N too
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self._step(ops.gru_cell, input, None if hx is None else (hx,), False)

"""Recurrent networks: LSTM, GRU and the plain network, over whole sequences and for one step.

The input's projection is one product for all steps of a layer; a step is one product with the state and one or
two elementwise kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo import dtypes
from mezzo.core.families.elementwise import elementwise
from mezzo.core.families.fused import slope
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, DTypeError, Fact, ShapeError
from mezzo.kernels import ir as k
from mezzo.ops.activation import relu
from mezzo.ops.activation_smooth import sigmoid
from mezzo.ops.join import cat, parts_of, stack
from mezzo.ops.linalg import addmm, linear
from mezzo.ops.random import dropout as drop
from mezzo.ops.shape import transpose
from mezzo.ops.trigonometric import tanh, tanh_backward
from mezzo.rules import dtypes as rules
from mezzo.rules.samples import S, T

CUDA_LOW = Cast(cuda="low")
LOW = Cast(cpu="low", cuda="low")
PRECISE = ("float32", "float64")

# ---- one step, fused


def _bell(x: Tensor) -> Tensor:
    s = sigmoid(x)
    return s * (1 - s)


def _flat(x: Tensor) -> Tensor:
    y = tanh(x)
    return 1 - y * y


times_sigmoid = slope("times_sigmoid", k.sigmoid, _bell)
times_tanh = slope("times_tanh", k.tanh, _flat)
times_sigmoid_slope = slope(
    "times_sigmoid_slope",
    lambda x: k.sigmoid(x) * (1.0 - k.sigmoid(x)),
    lambda x: _bell(x) * (1 - 2 * sigmoid(x)),
)
times_tanh_slope = slope(
    "times_tanh_slope", lambda x: 1.0 - k.tanh(x) * k.tanh(x), lambda x: -2 * tanh(x) * _flat(x)
)


@elementwise(where="", dtype=rules.float_only,
             kernel=lambda i, f, g, c: k.sigmoid(f) * c + k.sigmoid(i) * k.tanh(g),
             vjp={"write": lambda g, _y, write, _keep, value, _state: times_sigmoid_slope(times_tanh(g, value), write),
                  "keep": lambda g, _y, _write, keep, _value, state: times_sigmoid_slope(g * state, keep),
                  "value": lambda g, _y, write, _keep, value, _state: times_tanh_slope(times_sigmoid(g, write), value),
                  "state": lambda g, _y, _write, keep, _value, _state: times_sigmoid(g, keep)},
             samples=[S(T(3, 4), T(3, 4), T(3, 4), T(3, 4))],
             reference=lambda i, f, g, c: f.sigmoid() * c + i.sigmoid() * g.tanh())  # fmt: skip
def lstm_state(write: Tensor, keep: Tensor, value: Tensor, state: Tensor) -> Tensor:
    """The next cell state of an LSTM: sigmoid(keep) * state + sigmoid(write) * tanh(value)."""


@elementwise(where="", dtype=rules.float_only, kernel=lambda o, c: k.sigmoid(o) * k.tanh(c),
             vjp={"read": lambda g, _y, read, state: times_sigmoid_slope(times_tanh(g, state), read),
                  "state": lambda g, _y, read, state: times_tanh_slope(times_sigmoid(g, read), state)},
             samples=[S(T(3, 4), T(3, 4))], reference=lambda o, c: o.sigmoid() * c.tanh())  # fmt: skip
def lstm_output(read: Tensor, state: Tensor) -> Tensor:
    """The output of an LSTM: sigmoid(read) * tanh(state)."""


def _new_vjp(g, y, reset, reset_hidden, _value, value_hidden):
    inner, gate = tanh_backward(g, y), reset + reset_hidden
    at_gate = times_sigmoid_slope(inner * value_hidden, gate)
    return at_gate, at_gate, inner, times_sigmoid(inner, gate)


@elementwise(where="", dtype=rules.float_only, kernel=lambda r, s, n, m: k.tanh(n + k.sigmoid(r + s) * m), vjp=_new_vjp,
             samples=[S(T(3, 4), T(3, 4), T(3, 4), T(3, 4))],
             reference=lambda r, s, n, m: (n + (r + s).sigmoid() * m).tanh())  # fmt: skip
def gru_value(reset: Tensor, reset_hidden: Tensor, value: Tensor, value_hidden: Tensor) -> Tensor:
    """What a GRU would write: tanh(value + sigmoid(reset + reset_hidden) * value_hidden)."""


def _blend_vjp(g, _y, keep, keep_hidden, value, state):
    gate = keep + keep_hidden
    at_gate, at_state = times_sigmoid_slope(g * (state - value), gate), times_sigmoid(g, gate)
    return at_gate, at_gate, g - at_state, at_state


@elementwise(where="", dtype=rules.float_only, kernel=lambda z, w, n, h: k.sigmoid(z + w) * (h - n) + n, vjp=_blend_vjp,
             samples=[S(T(3, 4), T(3, 4), T(3, 4), T(3, 4))],
             reference=lambda z, w, n, h: (z + w).sigmoid() * (h - n) + n)  # fmt: skip
def gru_state(keep: Tensor, keep_hidden: Tensor, value: Tensor, state: Tensor) -> Tensor:
    """The next state of a GRU: state where the gate keep + keep_hidden is open, value where it is shut."""


# A step: (projected input, state, weights) -> state, a tuple whose first is the output. `joined` says that both biases
# may be added to the input's projection.


def _lstm_step(x, state, w_hh, _bias, w_hr):
    h, c = state
    size = c.shape[-1]
    write, keep, value, read = parts_of(addmm(x, h, w_hh), 1, (size,) * 4)
    c = lstm_state(write, keep, value, c)
    h = lstm_output(read, c)
    return (h if w_hr is None else linear(h, w_hr)), c


def _gru_step(x, state, w_hh, bias, _w_hr):
    (h,) = state
    sizes = (h.shape[-1],) * 3
    hidden = linear(h, transpose(w_hh, 0, 1), bias)
    (r, z, n), (r_h, z_h, n_h) = parts_of(x, 1, sizes), parts_of(hidden, 1, sizes)
    return (gru_state(z, z_h, gru_value(r, r_h, n, n_h), h),)


def _plain_step(activation: Callable) -> Callable:
    def step(x, state, w_hh, _bias, _w_hr):
        return (activation(addmm(x, state[0], w_hh)),)

    return step


class _Kind:
    """One of the networks: its step, gates per unit, states, and whether biases may be joined."""

    def __init__(self, step: Callable, gates: int, states: int = 1, joined: bool = True):
        self.step, self.gates, self.states, self.joined = step, gates, states, joined


_LSTM = _Kind(_lstm_step, 4, states=2)
_GRU = _Kind(_gru_step, 3, joined=False)
_TANH, _RELU = _Kind(_plain_step(tanh), 1), _Kind(_plain_step(relu), 1)


class _Weights:
    """The parameters of one direction of one layer."""

    def __init__(self, given: Sequence[Tensor], biased: bool):
        self.w_ih, self.w_hh = given[:2]
        self.b_ih, self.b_hh = given[2:4] if biased else (None, None)
        rest = given[4 if biased else 2 :]
        self.w_hr = rest[0] if rest else None

    def projected(self, x: Tensor, kind: _Kind) -> Tensor:
        """The part of the gates that the inputs give, for all steps at once."""
        joined = kind.joined and self.b_ih is not None
        return linear(x, self.w_ih, self.b_ih + self.b_hh if joined else self.b_ih)


# ---- sequences


def _run(kind: _Kind, steps: Sequence[Tensor], state: tuple, weights: _Weights, backwards: bool):
    """(outputs in the order of the steps, last state) of a sequence whose batch may shrink from step to step."""
    w_hh, sizes = transpose(weights.w_hh, 0, 1), [x.shape[0] for x in steps]
    first, outputs, ended = state, [], []
    if backwards:
        state = tuple(s.narrow(0, 0, sizes[-1]) for s in first)
    for i in reversed(range(len(steps))) if backwards else range(len(steps)):
        have, need = state[0].shape[0], sizes[i]
        if need < have:
            ended.append(tuple(s.narrow(0, need, have - need) for s in state))
            state = tuple(s.narrow(0, 0, need) for s in state)
        elif need > have:
            state = tuple(
                cat((s, f.narrow(0, have, need - have).to(s.dtype))) for s, f in zip(state, first)
            )
        state = kind.step(steps[i], state, w_hh, weights.b_hh, weights.w_hr)
        outputs.append(state[0])
    if ended:
        state = tuple(cat(parts) for parts in zip(state, *reversed(ended)))
    return outputs[::-1] if backwards else outputs, state


def _layers(kind: _Kind, x: Tensor, split: Callable, join: Callable, states, params, options):
    """All layers: (output, states stacked over layers and directions)."""
    biased, layers, rate, train, both = options
    directions, per = 1 + bool(both), len(params) // (layers * (1 + bool(both)))
    ended = []
    for layer in range(layers):
        ways = []
        for way in range(directions):
            at = layer * directions + way
            weights = _Weights(params[at * per : (at + 1) * per], biased)
            first = tuple(s.select(0, at) for s in states)
            outputs, last = _run(kind, split(weights.projected(x, kind)), first, weights, bool(way))
            ways.append(join(outputs))
            ended.append(last)
        x = ways[0] if directions == 1 else cat(ways, -1)
        if rate and train and layer < layers - 1:
            x = drop(x, rate, True)
    return x, tuple(stack(parts) for parts in zip(*ended))


def _check(kind: _Kind, x: Tensor, batch: int, states, params, options) -> None:
    biased, layers, rate, _, both = options
    directions = 1 + bool(both)
    least = layers * directions * (4 if biased else 2)
    if len(params) not in (least, least + layers * directions):
        raise Fact(ShapeError, f"got {len(params)} parameters; {layers} layers in {directions} directions "
                               f"{'with' if biased else 'without'} biases need {least}")  # fmt: skip
    if not 0 <= rate <= 1:
        raise Fact(ArgumentValueError, f"dropout is {rate}; it must be between 0 and 1")
    if x.shape[-1] != params[0].shape[-1]:
        raise Fact(ShapeError, f"input.size(-1) must be equal to input_size. Expected {params[0].shape[-1]}, got {x.shape[-1]}")  # fmt: skip
    if x.dtype.category != dtypes.FLOAT:
        raise Fact(DTypeError, f"input is {x.dtype.name}; it needs a floating dtype", "Convert with x.float().")  # fmt: skip
    if len(states) != kind.states:
        raise Fact(ShapeError, f"got {len(states)} states; it needs {kind.states}")
    units = (params[1].shape[1], params[1].shape[0] // kind.gates)
    for state, size in zip(states, units):
        want = (layers * directions, batch, size)
        if tuple(state.shape) != want:
            raise Fact(ShapeError, f"Expected hidden size {want}, got {list(state.shape)}")


def _sequence(kind: _Kind, input: Tensor, states, params, options, batch_first: bool):
    if input.ndim != 3:
        raise Fact(ShapeError, f"input must have 3 axes, and has {input.ndim}")
    x = transpose(input, 0, 1) if batch_first else input
    if not x.shape[0]:
        raise Fact(ShapeError, "Expected sequence length to be larger than 0 in RNN")
    _check(kind, x, x.shape[1], states, params, options)
    y, ended = _layers(kind, x, lambda t: t.unbind(0), stack, states, params, options)
    return (transpose(y, 0, 1) if batch_first else y), *ended


def _packed(kind: _Kind, data: Tensor, batch_sizes: Tensor, states, params, options):
    sizes = tuple(batch_sizes.tolist())
    if data.ndim != 2 or sum(sizes) != data.shape[0]:
        raise Fact(ShapeError, f"packed data of shape {list(data.shape)} must have {sum(sizes)} rows, the sum of batch_sizes")  # fmt: skip
    _check(kind, data, sizes[0], states, params, options)
    y, ended = _layers(kind, data, lambda t: parts_of(t, 0, sizes), cat, states, params, options)
    return y, *ended


def _parameters(inputs, hidden, gates, layers=1, both=False, biased=True, projected=0):
    """Samples of parameters, small so that no gate saturates."""
    made, directions = [], 2 if both else 1
    for layer in range(layers):
        for _ in range(directions):
            given = inputs if not layer else directions * (projected or hidden)
            shapes = [(gates * hidden, given), (gates * hidden, projected or hidden)]
            shapes += [(gates * hidden,)] * 2 if biased else []
            shapes += [(projected, hidden)] if projected else []
            made += [T(*s, low=-0.7, high=0.7) for s in shapes]
    return made


def _sequence_samples(gates: int, several: bool) -> list[S]:
    def state(count, size=3):
        made = T(count, 2, size, low=-1, high=1)
        return [made, T(count, 2, 3, low=-1, high=1)] if several else made

    plain, deep = _parameters(4, 3, gates), _parameters(4, 3, gates, 2, True)
    bare = _parameters(4, 3, gates, biased=False)
    found = [
        S(T(5, 2, 4), state(1), plain, True, 1, 0.0, False, False, False, only=PRECISE),
        S(T(2, 3, 4), state(4), deep, True, 2, 0.0, True, True, True, only=PRECISE),
        S(T(1, 2, 4), state(1), bare, False, 1, 0.0, False, False, False, only=PRECISE),
    ]
    if several:
        small = _parameters(4, 3, gates, 2, True, projected=2)
        found.append(S(T(3, 2, 4), state(4, 2), small, True, 2, 0.0, False, True, False, only=PRECISE))  # fmt: skip
    return found


@composite(where="mezzo", cast=LOW, samples=_sequence_samples(4, True), errors=[
    (S(T(5, 2, 3), [T(1, 2, 3), T(1, 2, 3)], _parameters(4, 3, 4), True, 1, 0.0, False, False, False), RuntimeError, "input_size")])  # fmt: skip
def lstm(input: Tensor, hx: Sequence[Tensor], params: Sequence[Tensor], has_biases, num_layers, dropout, train, bidirectional,
         batch_first) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(output, h, c) of a stack of LSTM layers.

    Math:   i, f, g, o = W_ih x + b_ih + W_hh h + b_hh; c = sigmoid(f) c + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c),
            then W_hr h where params have projections
    Shapes: input (t, n, i), hx two of (layers * directions, n, h) -> (t, n, directions * h) and two like hx;
            (n, t, ...) with batch_first
    Source: torch.lstm
    """
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _sequence(_LSTM, input, tuple(hx), tuple(params), options, batch_first)


@composite(where="mezzo", cast=CUDA_LOW, samples=_sequence_samples(3, False))
def gru(input: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases, num_layers, dropout, train, bidirectional,
        batch_first) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(output, h) of a stack of GRU layers.

    Math:   r = sigmoid(x_r + h_r); z = sigmoid(x_z + h_z); n = tanh(x_n + r h_n); h = (1 - z) n + z h,
            x = W_ih x + b_ih, h = W_hh h + b_hh
    Shapes: input (t, n, i), hx (layers * directions, n, h) -> (t, n, directions * h) and one like hx
    Source: torch.gru
    """
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _sequence(_GRU, input, (hx,), tuple(params), options, batch_first)


@composite(where="mezzo", cast=CUDA_LOW, samples=_sequence_samples(1, False))
def rnn_tanh(input: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases, num_layers, dropout, train, bidirectional,
             batch_first) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(output, h) of a stack of plain recurrent layers: h = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Shapes: input (t, n, i), hx (layers * directions, n, h) -> (t, n, directions * h) and one like hx
    Source: torch.rnn_tanh
    """
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _sequence(_TANH, input, (hx,), tuple(params), options, batch_first)


@composite(where="mezzo", cast=CUDA_LOW, samples=_sequence_samples(1, False))
def rnn_relu(input: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases, num_layers, dropout, train, bidirectional,
             batch_first) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(output, h) of a stack of plain recurrent layers: h = relu(W_ih x + b_ih + W_hh h + b_hh).

    Shapes: input (t, n, i), hx (layers * directions, n, h) -> (t, n, directions * h) and one like hx
    Source: torch.rnn_relu
    """
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _sequence(_RELU, input, (hx,), tuple(params), options, batch_first)


# ---- packed sequences: what nn.LSTM and its kin call for a PackedSequence


@composite(where="", cast=LOW, samples=[])
def lstm_packed(data: Tensor, batch_sizes: Tensor, hx: Sequence[Tensor], params: Sequence[Tensor], has_biases, num_layers,
                dropout, train, bidirectional) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """lstm over packed data: the steps of all sequences one below the other."""
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _packed(_LSTM, data, batch_sizes, tuple(hx), tuple(params), options)


@composite(where="", cast=CUDA_LOW, samples=[])
def gru_packed(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases, num_layers, dropout,
               train, bidirectional) -> tuple[Tensor, Tensor]:  # fmt: skip
    """gru over packed data."""
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _packed(_GRU, data, batch_sizes, (hx,), tuple(params), options)


@composite(where="", cast=CUDA_LOW, samples=[])
def rnn_tanh_packed(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases, num_layers, dropout,
                    train, bidirectional) -> tuple[Tensor, Tensor]:  # fmt: skip
    """rnn_tanh over packed data."""
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _packed(_TANH, data, batch_sizes, (hx,), tuple(params), options)


@composite(where="", cast=CUDA_LOW, samples=[])
def rnn_relu_packed(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: Sequence[Tensor], has_biases, num_layers, dropout,
                    train, bidirectional) -> tuple[Tensor, Tensor]:  # fmt: skip
    """rnn_relu over packed data."""
    options = (has_biases, num_layers, dropout, train, bidirectional)
    return _packed(_RELU, data, batch_sizes, (hx,), tuple(params), options)


# ---- cells


def _cell(kind: _Kind, input: Tensor, states: tuple, given: Sequence[Tensor | None]):
    w_ih, w_hh, b_ih, b_hh = given
    for name, x, size in (
        ("input", input, w_ih.shape[1]),
        *(("hidden", h, w_hh.shape[1]) for h in states),
    ):
        if x.ndim != 2 or x.shape[1] != size:
            raise Fact(ShapeError, f"{name} has inconsistent input_size: got {list(x.shape)}, expected (batch, {size})")  # fmt: skip
    if any(h.shape[0] != input.shape[0] for h in states):
        raise Fact(ShapeError, f"Input batch size {input.shape[0]} doesn't match hidden batch size {states[0].shape[0]}")  # fmt: skip
    biased = b_ih is not None
    weights = _Weights((w_ih, w_hh, b_ih, b_hh) if biased else (w_ih, w_hh), biased)
    x = weights.projected(input, kind)
    return kind.step(x, states, transpose(w_hh, 0, 1), weights.b_hh, None)


def _cell_samples(gates: int, several: bool) -> list[S]:
    state = [T(2, 3), T(2, 3)] if several else T(2, 3)
    return [
        S(T(2, 4), state, *_parameters(4, 3, gates), only=PRECISE),
        S(T(2, 4), state, *_parameters(4, 3, gates, biased=False), only=PRECISE),
    ]


@composite(where="mezzo", cast=CUDA_LOW, samples=_cell_samples(4, True),
           errors=[(S(T(2, 5), [T(2, 3), T(2, 3)], *_parameters(4, 3, 4)), RuntimeError, "input_size")])  # fmt: skip
def lstm_cell(input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
              b_hh: Tensor | None = None) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(h, c) after one step of an LSTM.

    Shapes: input (n, i), hx two of (n, h), w_ih (4 h, i), w_hh (4 h, h) -> two of (n, h)
    Source: torch.lstm_cell
    """
    return _cell(_LSTM, input, tuple(hx), (w_ih, w_hh, b_ih, b_hh))


@composite(where="mezzo", cast=CUDA_LOW, samples=_cell_samples(3, False))
def gru_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
             b_hh: Tensor | None = None) -> Tensor:  # fmt: skip
    """h after one step of a GRU.

    Shapes: input (n, i), hx (n, h), w_ih (3 h, i), w_hh (3 h, h) -> (n, h)
    Source: torch.gru_cell
    """
    return _cell(_GRU, input, (hx,), (w_ih, w_hh, b_ih, b_hh))[0]


@composite(where="mezzo", cast=CUDA_LOW, samples=_cell_samples(1, False))
def rnn_tanh_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
                  b_hh: Tensor | None = None) -> Tensor:  # fmt: skip
    """tanh(w_ih input + b_ih + w_hh hx + b_hh).

    Shapes: input (n, i), hx (n, h), w_ih (h, i), w_hh (h, h) -> (n, h)
    Source: torch.rnn_tanh_cell
    """
    return _cell(_TANH, input, (hx,), (w_ih, w_hh, b_ih, b_hh))[0]


@composite(where="mezzo", cast=CUDA_LOW, samples=_cell_samples(1, False))
def rnn_relu_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
                  b_hh: Tensor | None = None) -> Tensor:  # fmt: skip
    """relu(w_ih input + b_ih + w_hh hx + b_hh).

    Shapes: input (n, i), hx (n, h), w_ih (h, i), w_hh (h, h) -> (n, h)
    Source: torch.rnn_relu_cell
    """
    return _cell(_RELU, input, (hx,), (w_ih, w_hh, b_ih, b_hh))[0]

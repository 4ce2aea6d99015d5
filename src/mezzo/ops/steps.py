"""Optimizer steps and gradient unscaling: one kernel over all parameters each.

Formulas are those of PyTorch's optimizers, whose names the arguments carry; `maximize` flips the gradient's sign.
"""

from __future__ import annotations

from mezzo.core.families.multi import multi
from mezzo.kernels import ir as k


def signed(g: k.Expr, maximize: bool) -> k.Expr:
    return -g if maximize else g


def _sgd(p, g, lr, weight_decay, maximize):
    return k.fma(-lr, k.fma(p, weight_decay, signed(g, maximize)), p)


@multi(
    kernel=_sgd,
    lists=("params", "grads"),
    writes=("params",),
    numbers=("lr", "weight_decay"),
    samples=[],
)
def sgd_step(params, grads, lr, weight_decay, maximize):
    """p -= lr * (g + weight_decay * p)."""


def _sgd_momentum(p, g, buffer, lr, weight_decay, momentum, dampening, nesterov, maximize, first):
    g = k.fma(p, weight_decay, signed(g, maximize))
    buffer = g if first else k.fma(buffer, momentum, g * (1.0 - dampening))
    step = k.fma(buffer, momentum, g) if nesterov else buffer
    return k.fma(-lr, step, p), buffer


@multi(kernel=_sgd_momentum, lists=("params", "grads", "buffers"), writes=("params", "buffers"),
       numbers=("lr", "weight_decay", "momentum", "dampening"), samples=[])  # fmt: skip
def sgd_momentum_step(
    params, grads, buffers, lr, weight_decay, momentum, dampening, nesterov, maximize, first
):
    """b = momentum * b + (1 - dampening) * g; p -= lr * b (or g + momentum * b with nesterov)."""


def moments(p, g, m, v, beta1, beta2):
    return k.fma(g - m, 1.0 - beta1, m), k.fma(v, beta2, (1.0 - beta2) * g * g)


def _adam(p, g, m, v, lr, beta1, beta2, weight_decay, eps, correction1, root2, decoupled, maximize):
    g = signed(g, maximize)
    if decoupled:
        p = p * (1.0 - lr * weight_decay)
    else:
        g = k.fma(p, weight_decay, g)
    m, v = moments(p, g, m, v, beta1, beta2)
    return p - lr / correction1 * (m / (k.sqrt(v) / root2 + eps)), m, v


@multi(kernel=_adam, lists=("params", "grads", "exp_avgs", "exp_avg_sqs"), writes=("params", "exp_avgs", "exp_avg_sqs"),
       numbers=("lr", "beta1", "beta2", "weight_decay", "eps", "correction1", "root2"), samples=[])  # fmt: skip
def adam_step(params, grads, exp_avgs, exp_avg_sqs, lr, beta1, beta2, weight_decay, eps, correction1, root2,
              decoupled, maximize):  # fmt: skip
    """Adam, or AdamW with `decoupled`. correction1 = 1 - beta1^t, root2 = sqrt(1 - beta2^t)."""


def _amsgrad(
    p, g, m, v, top, lr, beta1, beta2, weight_decay, eps, correction1, root2, decoupled, maximize
):
    g = signed(g, maximize)
    if decoupled:
        p = p * (1.0 - lr * weight_decay)
    else:
        g = k.fma(p, weight_decay, g)
    m, v = moments(p, g, m, v, beta1, beta2)
    top = k.maximum(top, v)
    return p - lr / correction1 * (m / (k.sqrt(top) / root2 + eps)), m, v, top


@multi(kernel=_amsgrad, lists=("params", "grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"),
       writes=("params", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"),
       numbers=("lr", "beta1", "beta2", "weight_decay", "eps", "correction1", "root2"), samples=[])  # fmt: skip
def amsgrad_step(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, lr, beta1, beta2, weight_decay, eps,
                 correction1, root2, decoupled, maximize):  # fmt: skip
    """Adam with the largest second moment so far."""


def _rmsprop(
    p, g, square, average, buffer, lr, alpha, eps, weight_decay, momentum, centered, maximize
):
    g = k.fma(p, weight_decay, signed(g, maximize))
    square = k.fma(square, alpha, (1.0 - alpha) * g * g)
    spread = square
    if centered:
        average = k.fma(g - average, 1.0 - alpha, average)
        spread = square - average * average
    buffer = k.fma(buffer, momentum, g / (k.sqrt(spread) + eps))
    return k.fma(-lr, buffer, p), square, average, buffer


@multi(kernel=_rmsprop, lists=("params", "grads", "square_avgs", "grad_avgs", "buffers"),
       writes=("params", "square_avgs", "grad_avgs", "buffers"),
       numbers=("lr", "alpha", "eps", "weight_decay", "momentum"), samples=[])  # fmt: skip
def rmsprop_step(params, grads, square_avgs, grad_avgs, buffers, lr, alpha, eps, weight_decay, momentum, centered,
                 maximize):  # fmt: skip
    """RMSprop; with momentum 0 the buffer is the step itself."""


def _rmsprop_plain(p, g, square, lr, alpha, eps, weight_decay, maximize):
    g = k.fma(p, weight_decay, signed(g, maximize))
    square = k.fma(square, alpha, (1.0 - alpha) * g * g)
    return p - lr * (g / (k.sqrt(square) + eps)), square


@multi(kernel=_rmsprop_plain, lists=("params", "grads", "square_avgs"), writes=("params", "square_avgs"),
       numbers=("lr", "alpha", "eps", "weight_decay"), samples=[])  # fmt: skip
def rmsprop_plain_step(params, grads, square_avgs, lr, alpha, eps, weight_decay, maximize):
    """RMSprop without momentum and centering: one state."""


def _adagrad(p, g, total, lr, eps, weight_decay, maximize):
    g = k.fma(p, weight_decay, signed(g, maximize))
    total = k.fma(g, g, total)
    return p - lr * (g / (k.sqrt(total) + eps)), total


@multi(kernel=_adagrad, lists=("params", "grads", "sums"), writes=("params", "sums"),
       numbers=("lr", "eps", "weight_decay"), samples=[])  # fmt: skip
def adagrad_step(params, grads, sums, lr, eps, weight_decay, maximize):
    """Adagrad; lr already carries lr_decay."""


def _unscale(g, inverse):
    scaled = g * inverse
    return scaled, ~(k.abs(g) < float("inf"))


@multi(
    kernel=_unscale,
    lists=("grads",),
    writes=("grads",),
    numbers=("inverse",),
    flags=True,
    samples=[],
)
def unscale(grads, inverse):
    """Multiply gradients by 1 / scale in place; returns whether any was infinite or NaN."""


def _scale(x, factor):
    return x * factor


@multi(kernel=_scale, lists=("tensors",), writes=("tensors",), numbers=("factor",), samples=[])
def scale_all(tensors, factor):
    """Multiply tensors by a number in place."""

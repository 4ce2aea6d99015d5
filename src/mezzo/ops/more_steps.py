"""More optimizer steps, one kernel over all parameters each: Adadelta, Adamax, NAdam, RAdam, ASGD, Rprop."""

from __future__ import annotations

from mezzo.core.families.multi import multi
from mezzo.kernels import ir as k
from mezzo.ops.steps import moments, signed


def _adadelta(p, g, square, delta, lr, rho, eps, weight_decay, maximize):
    g = k.fma(p, weight_decay, signed(g, maximize))
    square = k.fma(square, rho, (1.0 - rho) * g * g)
    step = k.sqrt(delta + eps) / k.sqrt(square + eps) * g
    return k.fma(-lr, step, p), square, k.fma(delta, rho, (1.0 - rho) * step * step)


@multi(kernel=_adadelta, lists=("params", "grads", "square_avgs", "acc_deltas"), writes=("params", "square_avgs", "acc_deltas"),
       numbers=("lr", "rho", "eps", "weight_decay"), samples=[])  # fmt: skip
def adadelta_step(params, grads, square_avgs, acc_deltas, lr, rho, eps, weight_decay, maximize):
    """d = sqrt(acc + eps) / sqrt(square + eps) * g; p -= lr * d."""


def _adamax(p, g, m, top, rate, beta1, beta2, eps, weight_decay, maximize):
    g = k.fma(p, weight_decay, signed(g, maximize))
    m = k.fma(g - m, 1.0 - beta1, m)
    top = k.maximum(top * beta2, k.abs(g) + eps)
    return p - rate * (m / top), m, top


@multi(kernel=_adamax, lists=("params", "grads", "exp_avgs", "exp_infs"), writes=("params", "exp_avgs", "exp_infs"),
       numbers=("rate", "beta1", "beta2", "eps", "weight_decay"), samples=[])  # fmt: skip
def adamax_step(params, grads, exp_avgs, exp_infs, rate, beta1, beta2, eps, weight_decay, maximize):
    """Adam in the infinity norm. rate = lr / (1 - beta1^t)."""


def _nadam(p, g, m, v, now, ahead, beta1, beta2, eps, weight_decay, shrink, root2, decoupled, maximize):  # fmt: skip
    g = signed(g, maximize)
    if decoupled:
        p = p * shrink
    else:
        g = k.fma(p, weight_decay, g)
    m, v = moments(p, g, m, v, beta1, beta2)
    return p - (now * g + ahead * m) / (k.sqrt(v) / root2 + eps), m, v


@multi(kernel=_nadam, lists=("params", "grads", "exp_avgs", "exp_avg_sqs"), writes=("params", "exp_avgs", "exp_avg_sqs"),
       numbers=("now", "ahead", "beta1", "beta2", "eps", "weight_decay", "shrink", "root2"), samples=[])  # fmt: skip
def nadam_step(params, grads, exp_avgs, exp_avg_sqs, now, ahead, beta1, beta2, eps, weight_decay, shrink, root2, decoupled,
               maximize):  # fmt: skip
    """Adam with Nesterov momentum. now and ahead weigh the gradient and the first moment, lr in them."""


def _radam(p, g, m, v, rate, beta1, beta2, eps, weight_decay, shrink, adapted, plain, decoupled, maximize):  # fmt: skip
    g = signed(g, maximize)
    if decoupled:
        p = p * shrink
    else:
        g = k.fma(p, weight_decay, g)
    m, v = moments(p, g, m, v, beta1, beta2)
    return p - rate * m * (adapted / (k.sqrt(v) + eps) + plain), m, v


@multi(kernel=_radam, lists=("params", "grads", "exp_avgs", "exp_avg_sqs"), writes=("params", "exp_avgs", "exp_avg_sqs"),
       numbers=("rate", "beta1", "beta2", "eps", "weight_decay", "shrink", "adapted", "plain"), samples=[])  # fmt: skip
def radam_step(params, grads, exp_avgs, exp_avg_sqs, rate, beta1, beta2, eps, weight_decay, shrink, adapted, plain, decoupled,
               maximize):  # fmt: skip
    """Rectified Adam. rate = lr / (1 - beta1^t); of adapted and plain one is zero."""


def _asgd(p, g, average, keep, eta, mu, weight_decay, maximize):
    g = k.fma(p, weight_decay, signed(g, maximize))
    p = k.fma(-eta, g, p * keep)
    return p, k.fma(p - average, mu, average)


@multi(kernel=_asgd, lists=("params", "grads", "averages"), writes=("params", "averages"),
       numbers=("keep", "eta", "mu", "weight_decay"), samples=[])  # fmt: skip
def asgd_step(params, grads, averages, keep, eta, mu, weight_decay, maximize):
    """p = keep * p - eta * g, and the running average of p."""


def _rprop(p, g, before, size, shrink, grow, least, most, maximize):
    g = signed(g, maximize)
    agree = g * before
    zero = k.const(0, g.type)
    factor = k.where(agree > 0.0, zero + grow, k.where(agree < 0.0, zero + shrink, zero + 1.0))
    size = k.minimum(k.maximum(size * factor, least), most)
    g = k.where(agree < 0.0, zero, g)
    step = k.where(g > 0.0, size, k.where(g < 0.0, -size, zero))
    return p - step, g, size


@multi(kernel=_rprop, lists=("params", "grads", "prevs", "step_sizes"), writes=("params", "prevs", "step_sizes"),
       numbers=("shrink", "grow", "least", "most"), samples=[])  # fmt: skip
def rprop_step(params, grads, prevs, step_sizes, shrink, grow, least, most, maximize):
    """Steps by the sign of the gradient alone, of sizes that grow while the sign stays."""

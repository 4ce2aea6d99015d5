"""L-BFGS: a quasi-Newton method that remembers a few steps (Nocedal & Wright, "Numerical Optimization", 2006)."""

from __future__ import annotations

from mezzo.autograd import enable_grad, no_grad
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError
from mezzo.ops.create import zeros_like
from mezzo.ops.join import cat
from mezzo.optim.optimizer import Optimizer, check


class LBFGS(Optimizer):
    """L-BFGS over one group of parameters; step(closure) evaluates the closure several times.

    line_search_fn: None (fixed steps of lr) or "strong_wolfe".
    Source: torch.optim.LBFGS
    """

    def __init__(self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9,
                 history_size=100, line_search_fn=None):  # fmt: skip
        check("learning rate", lr, 0.0)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentValueError(
                f"LBFGS: line_search_fn is {line_search_fn!r}; it must be None or 'strong_wolfe'."
            )
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, {"lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
                                      "tolerance_change": tolerance_change, "history_size": history_size,
                                      "line_search_fn": line_search_fn})  # fmt: skip
        if len(self.param_groups) != 1:
            raise ArgumentValueError(
                "LBFGS doesn't support per-parameter options (parameter groups). Pass one list."
            )
        self._params: list[Tensor] = self.param_groups[0]["params"]

    def _gradient(self) -> Tensor:
        parts = [(zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in self._params]
        return cat(parts, 0)

    def _move(self, by: float, direction: Tensor) -> None:
        at = 0
        for p in self._params:
            p.add_(direction[at : at + p.numel()].view_as(p), alpha=by)
            at += p.numel()

    def _probe(self, closure, start: list[Tensor], by: float, direction: Tensor):
        """Loss and gradient `by` along a direction from the start; the parameters stay there."""
        for p, s in zip(self._params, start):
            p.copy_(s)
        self._move(by, direction)
        with enable_grad():
            loss = float(closure())
        return loss, self._gradient()

    def step(self, closure):
        """Up to max_iter iterations; returns the first loss.

        closure: clears the gradients, computes the loss, calls backward() and returns the loss.
        """
        with no_grad():
            return self._iterate(closure)

    def _iterate(self, closure):
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        with enable_grad():
            first = closure()
        loss, gradient = float(first), self._gradient()
        state["func_evals"] += 1
        evaluations = 1
        if float(gradient.abs().max()) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(state, gradient, group["history_size"])
            before, last = gradient.clone(), loss
            slope = float(gradient.dot(direction))
            if slope > -group["tolerance_change"]:
                break
            rate = group["lr"]
            if state["n_iter"] == 1:
                rate *= min(1.0, 1.0 / float(gradient.abs().sum()))
            loss, gradient, rate, used = self._search(
                closure, rate, direction, loss, gradient, slope, group, iteration
            )
            evaluations += used
            state["func_evals"] += used
            state.update(prev_gradient=before, d=direction, t=rate)
            largest = float((direction * rate).abs().max())
            if (
                evaluations >= group["max_eval"]
                or float(gradient.abs().max()) <= group["tolerance_grad"]
                or largest <= group["tolerance_change"]
                or abs(loss - last) < group["tolerance_change"]
            ):
                break
        return first

    def _search(self, closure, rate, direction, loss, gradient, slope, group, iteration):
        """(loss, gradient, rate, evaluations) after a step along a direction."""
        if group["line_search_fn"] is None:
            self._move(rate, direction)
            if iteration == group["max_iter"]:
                return loss, gradient, rate, 0
            with enable_grad():
                loss = float(closure())
            return loss, self._gradient(), rate, 1
        start = [p.clone() for p in self._params]
        probe = lambda by: self._probe(closure, start, by, direction)
        found = strong_wolfe(
            probe, rate, direction, loss, gradient, slope, group["tolerance_change"]
        )
        loss, gradient, rate, used = found
        for p, s in zip(self._params, start):
            p.copy_(s)
        self._move(rate, direction)
        return loss, gradient, rate, used

    @staticmethod
    def _direction(state: dict, gradient: Tensor, size: int) -> Tensor:
        """Minus the gradient times the inverse Hessian that the remembered steps imply (two-loop recursion)."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        steps, changes, inverse = state["old_stps"], state["old_dirs"], state["ro"]
        change, step = gradient - state["prev_gradient"], state["d"] * state["t"]
        curvature = float(change.dot(step))
        if curvature > 1e-10:
            if len(changes) == size:
                for kept in (changes, steps, inverse):
                    kept.pop(0)
            changes.append(change)
            steps.append(step)
            inverse.append(1.0 / curvature)
            state["H_diag"] = curvature / float(change.dot(change))
        q, weights = -gradient, []
        for y, s, r in zip(reversed(changes), reversed(steps), reversed(inverse)):
            weights.append(float(s.dot(q)) * r)
            q = q - y * weights[-1]
        d = q * state["H_diag"]
        for y, s, r, w in zip(changes, steps, inverse, reversed(weights)):
            d = d + s * (w - float(y.dot(d)) * r)
        return d


def _cubic(a, fa, ga, b, fb, gb, low=None, high=None) -> float:
    """Where the cubic through two values and slopes is least, within bounds (the middle if it has no least)."""
    low, high = (min(a, b), max(a, b)) if low is None else (low, high)
    d1 = ga + gb - 3 * (fa - fb) / (a - b)
    square = d1 * d1 - ga * gb
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    if a <= b:
        at = b - (b - a) * ((gb + d2 - d1) / (gb - ga + 2 * d2))
    else:
        at = a - (a - b) * ((ga + d2 - d1) / (ga - gb + 2 * d2))
    return min(max(at, low), high)


def strong_wolfe(probe, t, direction, f, g, slope, tolerance, c1=1e-4, c2=0.9, most=25):
    """(value, gradient, t, evaluations): a step that meets the strong Wolfe conditions, by bracketing and cubics."""
    size = float(direction.abs().max())
    value, gradient = probe(t)
    used, new_slope = 1, float(gradient.dot(direction))
    last = (0.0, f, g, slope)
    bracket, is_done = None, False
    for tries in range(most):
        here = (t, value, gradient, new_slope)
        if value > f + c1 * t * slope or (tries and value >= last[1]) or new_slope >= 0:
            if not (value > f + c1 * t * slope or (tries and value >= last[1])) and (
                abs(new_slope) <= -c2 * slope
            ):
                bracket, is_done = [here], True
            else:
                bracket = [last, here]
            break
        if abs(new_slope) <= -c2 * slope:
            bracket, is_done = [here], True
            break
        step = _cubic(last[0], last[1], last[3], t, value, new_slope,
                      t + 0.01 * (t - last[0]), t * 10)  # fmt: skip
        last, t = here, step
        value, gradient = probe(t)
        used, new_slope = used + 1, float(gradient.dot(direction))
    else:
        bracket = [(0.0, f, g, slope), (t, value, gradient, new_slope)]
    if is_done:
        t, value, gradient, _ = bracket[0]
        return value, gradient, t, used
    t, value, gradient, more = _zoom(
        probe, bracket, direction, f, slope, size, tolerance, c1, c2, most - used + 1
    )
    return value, gradient, t, used + more


def _zoom(probe, bracket, direction, f, slope, size, tolerance, c1, c2, most):
    """The best point of a bracket that is narrowed until the conditions hold."""
    best, other = sorted(bracket, key=lambda point: point[1])
    used, is_stalled = 0, False
    while used < most:
        low, high = sorted((best[0], other[0]))
        if (high - low) * size < tolerance:
            break
        t = _cubic(
            bracket[0][0], bracket[0][1], bracket[0][3], bracket[1][0], bracket[1][1], bracket[1][3]
        )
        edge = 0.1 * (high - low)
        if min(high - t, t - low) < edge:
            if is_stalled or t >= high or t <= low:
                t = high - edge if abs(t - high) < abs(t - low) else low + edge
                is_stalled = False
            else:
                is_stalled = True
        else:
            is_stalled = False
        value, gradient = probe(t)
        used, new_slope = used + 1, float(gradient.dot(direction))
        here = (t, value, gradient, new_slope)
        if value > f + c1 * t * slope or value >= best[1]:
            other = here
            best, other = sorted((best, other), key=lambda point: point[1])
        else:
            if abs(new_slope) <= -c2 * slope:
                return t, value, gradient, used
            if new_slope * (other[0] - best[0]) >= 0:
                other = best
            best = here
        bracket = [best, other]
    return best[0], best[1], best[2], used

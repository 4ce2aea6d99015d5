"""gradcheck and gradgradcheck: derivatives compared with finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from mezzo import dtypes
from mezzo.autograd import grad
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentValueError, MezzoError, UnsupportedError
from mezzo.func.vmap import vmap
from mezzo.ops.create import zeros_like
from mezzo.ops.data import from_array
from mezzo.testing.trees import is_differentiable, tensors


class GradcheckError(MezzoError, RuntimeError):
    """A derivative differs from the finite difference."""


def gradcheck(func: Callable, inputs, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
              raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
              check_grad_dtypes: bool = False, check_batched_grad: bool = False,
              check_batched_forward_grad: bool = False, check_forward_ad: bool = False,
              check_backward_ad: bool = True, fast_mode: bool = False, masked: bool | None = None) -> bool:  # fmt: skip
    """True if the gradients of func at inputs agree with central differences.

    inputs: a tensor or a sequence; those with requires_grad are checked and should be float64. eps: the step.
    fast_mode: one random direction instead of every entry. nondet_tol: how far two backward passes may differ.
    check_batched_grad: vmap over the backward pass as well. raise_exception=False returns False instead.
    Raises: GradcheckError naming the input, the output and both derivatives
    Source: torch.autograd.gradcheck.gradcheck
    """
    if check_forward_ad or check_batched_forward_grad:
        raise UnsupportedError(
            "gradcheck: forward-mode derivatives are not there yet. Leave check_forward_ad=False."
        )
    if not check_backward_ad:
        raise ArgumentValueError(
            "gradcheck: nothing to check: check_backward_ad is False and so is check_forward_ad."
        )
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    try:
        checked = _checked_inputs(inputs)
        outputs = _outputs(func, inputs)
        compare = _fast if fast_mode else _slow
        for at, output in enumerate(outputs):
            compare(func, inputs, checked, at, output, eps, atol, rtol)
            _repeatable(output, checked, nondet_tol, at)
            if check_grad_dtypes:
                _same_dtypes(output, checked)
            if check_batched_grad:
                _batched(output, checked, at)
        if check_undefined_grad:
            _undefined(outputs, checked)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(func: Callable, inputs, grad_outputs=None, *, eps: float = 1e-6, atol: float = 1e-5,
                  rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True,
                  nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
                  check_batched_grad: bool = False, check_fwd_over_rev: bool = False,
                  check_rev_over_rev: bool = True, fast_mode: bool = False, masked: bool = False) -> bool:  # fmt: skip
    """gradcheck of the gradients themselves: the second derivatives of func.

    grad_outputs: the incoming gradients, random ones if None (with gaps in memory if
    gen_non_contig_grad_outputs).
    Source: torch.autograd.gradcheck.gradgradcheck
    """
    if check_fwd_over_rev:
        raise UnsupportedError("gradgradcheck: forward-mode derivatives are not there yet.")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    seeds = _seeds(_outputs(func, inputs), grad_outputs, gen_non_contig_grad_outputs)
    checked = [i for i, t in enumerate(inputs) if is_differentiable(t) and t.requires_grad]

    def gradients(*args):
        given, cotangents = args[: len(inputs)], args[len(inputs) :]
        outputs = _outputs(func, given)
        found = grad(
            outputs, [given[i] for i in checked], cotangents, create_graph=True, allow_unused=True
        )
        return tuple(g for g in found if g is not None and g.requires_grad)

    if not gradients(*inputs, *seeds):
        return True  # linear in everything: the second derivative is zero
    return gradcheck(
        gradients, (*inputs, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode,
    )  # fmt: skip


def _seeds(outputs, given, gaps: bool) -> tuple[Tensor, ...]:
    if given is not None:
        return (given,) if isinstance(given, Tensor) else tuple(given)
    rng = np.random.default_rng(0)
    seeds = []
    for output in outputs:
        values = rng.standard_normal((*output.shape, 2)).astype(output.dtype.numpy)
        made = from_array(values[..., 0] if gaps else np.array(values[..., 0], order="C"))
        seeds.append(made.requires_grad_())
    return tuple(seeds)


def _checked_inputs(inputs) -> list[Tensor]:
    checked = [t for t in inputs if is_differentiable(t) and t.requires_grad]
    if not checked:
        raise ArgumentValueError(
            "gradcheck: expects at least one input tensor that requires gradient. Make one with requires_grad=True."
        )
    for at, tensor in enumerate(checked):
        if tensor.dtype is not dtypes.float64:
            warnings.warn(
                f"gradcheck: input {at} is {tensor.dtype.name}; differences are only reliable in float64.",
                UserWarning, stacklevel=3,
            )  # fmt: skip
        if tensor.layout.numel and tensor.layout.has_overlap():
            raise GradcheckError(
                f"gradcheck: input {at} has a stride of zero, so a step would move several elements. clone() it."
            )
    return checked


def _outputs(func, inputs) -> list[Tensor]:
    found = [t for t in tensors(func(*inputs)) if is_differentiable(t) and t.requires_grad]
    if not found:
        raise GradcheckError(
            "gradcheck: no output of the function requires grad. Does it use the inputs that do?"
        )
    return found


def _step(func, inputs, moved: np.ndarray, place, by: float, at: int) -> np.ndarray:
    kept = moved[place].copy()  # a number, or all of it (fast mode)
    moved[place] = kept + by
    try:
        return _differentiable_values(func, inputs, at)
    finally:
        moved[place] = kept


def _differentiable_values(func, inputs, at: int) -> np.ndarray:
    # Recorded, because a function of gradients (gradgradcheck) needs its graph.
    return _outputs(func, inputs)[at].detach()._array().astype(np.float64).ravel()


def _slow(func, inputs, checked, at, output, eps, atol, rtol) -> None:
    """Every entry of the Jacobian of one output by each input."""
    analytic = _jacobian(output, checked)
    for number, (tensor, rows) in enumerate(zip(checked, analytic)):
        memory = tensor.detach()._array()
        numeric = np.zeros_like(rows)
        for column, place in enumerate(np.ndindex(*tensor.shape)):
            above = _step(func, inputs, memory, place, eps, at)
            below = _step(func, inputs, memory, place, -eps, at)
            numeric[:, column] = (above - below) / (2 * eps)
        _agree(numeric, rows, number, at, atol, rtol, "")


def _jacobian(output, checked) -> list[np.ndarray]:
    """By each input: one row per element of the output."""
    rows = [np.zeros((output.layout.numel, t.layout.numel)) for t in checked]
    for row in range(output.layout.numel):
        seed = np.zeros(output.layout.numel)
        seed[row] = 1
        cotangent = from_array(seed.astype(output.dtype.numpy).reshape(output.shape))
        found = grad(output, checked, cotangent, retain_graph=True, allow_unused=True)
        for into, g in zip(rows, found):
            if g is not None:
                into[row] = g.detach()._array().astype(np.float64).ravel()
    return rows


def _fast(func, inputs, checked, at, output, eps, atol, rtol) -> None:
    """One number per input: the derivative along a random direction, weighted by a random cotangent."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.5, 1.5, output.shape)
    cotangent = from_array(weights.astype(output.dtype.numpy))
    found = grad(output, checked, cotangent, retain_graph=True, allow_unused=True)
    for number, (tensor, g) in enumerate(zip(checked, found)):
        memory = tensor.detach()._array()
        direction = rng.uniform(0.5, 1.5, tensor.shape)
        above = _step(func, inputs, memory, ..., eps * direction, at)
        below = _step(func, inputs, memory, ..., -eps * direction, at)
        numeric = np.dot(weights.ravel(), above - below) / (2 * eps)
        analytic = 0.0 if g is None else float((g.detach()._array() * direction).sum())
        _agree(
            np.array([[numeric]]), np.array([[analytic]]), number, at, atol, rtol, " (fast mode)"
        )


def _agree(numeric, analytic, number, at, atol, rtol, how) -> None:
    if np.allclose(analytic, numeric, rtol=rtol, atol=atol, equal_nan=True):
        return
    gap = np.abs(analytic - numeric) - atol - rtol * np.abs(numeric)
    row, column = np.unravel_index(np.argmax(np.where(np.isnan(gap), np.inf, gap)), gap.shape)
    raise GradcheckError(
        f"gradcheck: Jacobian mismatch for output {at} with respect to input {number}{how}: at element {row} of the "
        f"output and {column} of the input,\nnumerical:{numeric[row, column]:.8g}\nanalytical:{analytic[row, column]:.8g}\n"
        "Look at the derivative rule of that input."
    )


def _repeatable(output, checked, tolerance: float, at: int) -> None:
    seed = zeros_like(output.detach()) + 1
    first, second = (
        grad(output, checked, seed, retain_graph=True, allow_unused=True) for _ in range(2)
    )
    for number, (a, b) in enumerate(zip(first, second)):
        if a is None:
            continue
        gap = np.abs(
            a.detach()._array().astype(np.float64) - b.detach()._array().astype(np.float64)
        )
        if gap.size and np.nanmax(gap, initial=0) > tolerance:
            raise GradcheckError(
                f"gradcheck: Backward is not reentrant: two runs for output {at} and input {number} differ by "
                f"{gap.max():.3g}; allowed is {tolerance}."
            )


def _same_dtypes(output, checked) -> None:
    seed = zeros_like(output.detach()) + 1
    for number, g in enumerate(grad(output, checked, seed, retain_graph=True, allow_unused=True)):
        if g is not None and g.dtype is not checked[number].dtype:
            raise GradcheckError(
                f"gradcheck: the gradient of input {number} is {g.dtype.name}; it must be {checked[number].dtype.name}."
            )


def _batched(output, checked, at: int) -> None:
    """vmap over the backward pass equals one backward pass for each cotangent."""
    rng = np.random.default_rng(0)
    seeds = from_array(rng.standard_normal((2, *output.shape)).astype(output.dtype.numpy))

    def pull(seed):
        found = grad(output, checked, seed, retain_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    single = [pull(seeds[i]) for i in range(2)]
    together = vmap(pull)(seeds)
    for number, whole in enumerate(together):
        for i in range(2):
            if not np.allclose(
                whole[i].detach()._array(), single[i][number].detach()._array(), equal_nan=True
            ):
                raise GradcheckError(
                    f"gradcheck: vmap over the backward pass of output {at} differs for input {number}."
                )


def _undefined(outputs: Sequence[Tensor], checked) -> None:
    """An output that takes no part must not break the others' backward pass."""
    if len(outputs) < 2:
        return
    for at, output in enumerate(outputs):
        try:
            grad(output, checked, zeros_like(output.detach()), retain_graph=True, allow_unused=True)
        except MezzoError as error:
            raise GradcheckError(
                f"gradcheck: backward through output {at} alone failed: {error}"
            ) from error

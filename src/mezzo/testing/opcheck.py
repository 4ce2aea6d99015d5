"""opcheck: everything that must hold of an operation, a user's own included."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo.errors import ArgumentValueError, MezzoError
from mezzo.testing import checks

CHECKS: dict[str, Callable] = {
    "test_inputs": checks.check_inputs_kept,
    "test_strides": checks.check_strides,
    "test_gradient": checks.check_gradient,
    "test_vmap": checks.check_vmap,
    "test_meta": checks.check_meta,
    "test_trace": checks.check_trace,
}


class OpCheckError(MezzoError, RuntimeError):
    """An operation breaks a rule that all operations keep."""


def opcheck(op: Callable, args: Sequence, kwargs: dict | None = None, *, test_utils: str | Sequence[str] = tuple(CHECKS),
            raise_exception: bool = True) -> dict[str, object]:  # fmt: skip
    """Test an operation on sample inputs: {name of the check: "SUCCESS" or the exception}.

    op: a mezzo operation, or any function of tensors made of them (an autograd.Function's apply too). Gradients
    are checked for the tensors of args that require grad. test_utils: one check or several of
    test_inputs (left unchanged, repeatable), test_strides (any memory layout), test_gradient (first and
    second derivatives by finite differences), test_vmap (against a loop), test_meta (layouts without
    values), test_trace (the traced program).
    Raises: OpCheckError for the first check that fails, unless raise_exception=False
    Source: torch.library.opcheck
    """
    chosen = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    unknown = [name for name in chosen if name not in CHECKS]
    if unknown:
        raise ArgumentValueError(
            f"opcheck: test_utils has {unknown[0]!r}; it must be among {list(CHECKS)}."
        )
    results: dict[str, object] = {}
    for name in chosen:
        try:
            CHECKS[name](op, tuple(args), kwargs or {})
            results[name] = "SUCCESS"
        except Exception as error:  # whatever it is, it is the finding
            if raise_exception:
                called = getattr(op, "__name__", repr(op))
                raise OpCheckError(f"opcheck: {called}: {name} failed: {error}") from error
            results[name] = error
    return results

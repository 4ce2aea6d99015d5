"""Runs the same snippet with mezzo and with PyTorch and compares what comes out: values or the kind of error."""

from __future__ import annotations

import ast
import math
from types import ModuleType

import numpy as np
import torch

import mezzo

_KINDS = (
    NotImplementedError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    RuntimeError,
)
_LOOSE = {"float16": 2e-3, "bfloat16": 2e-2}


def _plain(value, lib: ModuleType):
    if isinstance(value, lib.Tensor):
        name = str(value.dtype).partition(".")[2]
        seen = list(value.stride()) if value.device.type == "meta" else value.detach().tolist()
        return ("tensor", name, tuple(value.shape), seen, value.requires_grad, value.device.type)
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.shape, value.tolist())
    if isinstance(value, (tuple, list)):
        return [_plain(v, lib) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v, lib) for k, v in value.items()}
    known = (bool, int, float, complex, type(None))
    return value if isinstance(value, known) else str(value).replace("mezzo", "torch")


def _close(a, b, loose: float) -> bool:
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        if a and a[0] in ("tensor", "array"):
            loose = _LOOSE.get(a[1], loose)
        return len(a) == len(b) and all(_close(x, y, loose) for x, y in zip(a, b))
    if isinstance(a, float) and isinstance(b, float):
        return (a != a and b != b) or a == b or math.isclose(a, b, rel_tol=loose, abs_tol=loose)
    if isinstance(a, complex) and isinstance(b, complex):
        return abs(a - b) <= loose * max(1.0, abs(b))
    return type(a) is type(b) and a == b


def outcome(text: str, lib: ModuleType):
    """The value of the last expression, or the error."""
    lib.manual_seed(0)
    names = {"torch": lib, "np": np, "nn": lib.nn, "F": lib.nn.functional}
    tree = ast.parse(text)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    try:
        exec(compile(tree, "<program>", "exec"), names)
        value = eval(compile(last, "<program>", "eval"), names) if last else None
        return _plain(value, lib), None
    except Exception as error:
        return None, error


def check(text: str) -> None:
    """Assert that mezzo does what PyTorch does."""
    (got, failed), (want, refused) = outcome(text, mezzo), outcome(text, torch)
    if refused is None:
        assert failed is None, f"{text}\nmezzo raised {failed!r}"
        assert _close(got, want, 1e-5), f"{text}\nmezzo {got}\ntorch {want}"
        return
    assert failed is not None, f"{text}\ntorch raised {refused!r}, mezzo gave {got}"
    kind = next((k for k in _KINDS if isinstance(refused, k)), Exception)
    assert isinstance(failed, kind), f"{text}\ntorch raised {refused!r}, mezzo {failed!r}"
    assert len(str(failed)) > 20, f"{text}\nthe message says too little: {failed!r}"

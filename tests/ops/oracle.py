"""The oracle: PyTorch's function for a record, and values carried from one to the other.

Every file of this folder walks over the registry: an operation is tested because its record exists.
"""

from __future__ import annotations

import contextlib
import math
import warnings

import ml_dtypes
import numpy as np
import pytest
import signs
import torch

import mezzo
from mezzo import dtypes
from mezzo.core.record import REGISTRY, Record
from mezzo.core.state import STATE
from mezzo.core.tensor import Tensor
from mezzo.devices import device as Device
from mezzo.ops.data import from_array
from mezzo.testing.comparison import tolerances
from mezzo.testing.samples import materialise
from mezzo.testing.trees import tensors

torch.set_num_threads(1)
warnings.filterwarnings("ignore", module="torch")

RECORDS = sorted((r for r in REGISTRY.values() if r.family != "function"), key=lambda r: r.name)
SAMPLED = [r for r in RECORDS if r.samples]
DTYPES = tuple(
    getattr(dtypes, n)
    for n in ("float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool_")
)
FLOATS = DTYPES[:4]
LOW = (dtypes.bfloat16, dtypes.float16)
PLACES = {
    "mezzo": torch,
    "Tensor": torch.Tensor,
    "nn.functional": torch.nn.functional,
    "linalg": torch.linalg,
    "special": torch.special,
    "fft": torch.fft,
}
# Results whose values are unspecified: only their layout is compared.
UNSPECIFIED = {"empty", "empty_like", "empty_strided", "new_empty"}
_FORMATS = {
    "contiguous": torch.contiguous_format,
    "preserve": torch.preserve_format,
    "channels_last": torch.channels_last,
}


def reference(record: Record):
    """PyTorch's function: the record's own reference, or that of the same name in the same place."""
    if record.name in signs.REFERENCES:
        return signs.REFERENCES[record.name]
    if callable(record.reference):
        return record.reference
    if record.reference:
        found = torch
        for part in record.reference.removeprefix("torch.").split("."):
            found = getattr(found, part)
        return found
    for name in (record.name, *record.aliases):
        for place in (*(PLACES[p] for p in record.where if p in PLACES), *PLACES.values()):
            if hasattr(place, name):
                return getattr(place, name)
    raise AssertionError(
        f"{record.name}: no function of PyTorch has this name; give the record a reference="
    )


def to_torch(tree, name: str = ""):
    """Arguments for PyTorch: copies of tensors with their strides and requires_grad, dtypes, devices."""
    if isinstance(tree, Tensor):
        array = tree.detach()._array()
        bits = array.view(np.int16) if tree.dtype is dtypes.bfloat16 else array
        made = torch.from_numpy(
            bits.copy(order="K") if bits.size else np.empty(bits.shape, bits.dtype)
        )
        made = made.view(torch.bfloat16) if tree.dtype is dtypes.bfloat16 else made
        return made.requires_grad_() if tree.requires_grad else made
    if isinstance(tree, dtypes.dtype):
        return getattr(torch, tree.name)
    if isinstance(tree, Device):
        return torch.device(str(tree))
    if isinstance(tree, dict):
        return {k: to_torch(v, k) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)([to_torch(v, name) for v in tree])
    return _FORMATS.get(tree, tree) if name == "memory_format" and isinstance(tree, str) else tree


def from_torch(tree):
    """PyTorch's results as mezzo's, with their strides."""
    if isinstance(tree, torch.Tensor):
        plain = tree.detach().resolve_conj().resolve_neg()
        if plain.dtype is torch.bfloat16:
            return from_array(plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
        return from_array(plain.numpy(force=True))  # gradients may be symbolic zeros
    if isinstance(tree, (tuple, list)) and not isinstance(tree, torch.Size):
        return tuple(from_torch(v) for v in tree)
    return tuple(tree) if isinstance(tree, torch.Size) else tree


def sampled(
    record: Record, dtype=dtypes.float32, requires_grad: bool = False, gradients: bool = False
):
    """(label, args, kwargs) for each sample of a record that is meant for this dtype."""
    for number, sample in enumerate(record.samples):
        if sample.dtypes and dtype.name not in [getattr(d, "name", d) for d in sample.dtypes]:
            continue
        if gradients and not sample.grad:
            continue
        args, kwargs = materialise(sample, dtype, f"{record.name} {number}", requires_grad)
        yield f"{record.name}{sample!r} {dtype.name}", args, kwargs


class Spy:
    """An interpreter that notes which records are entered."""

    rank = -2

    def __init__(self):
        self.seen: set[str] = set()

    def process(self, record, args):
        """Note and run."""
        self.seen.add(record.name)
        if not record.is_composite:
            return record.apply(args)
        with self:
            return record.run(args)

    def process_update(self, record, target, args):
        """Note and run in place."""
        self.seen.add(record.name)
        return record.update(target, args)

    def read(self, tensor, operation):
        """Values may be read."""
        return tensor

    def __enter__(self):
        STATE.stack.insert(0, self)
        return self

    def __exit__(self, *exception):
        STATE.stack.remove(self)


def is_random(record: Record, args, kwargs) -> bool:
    """True if the call draws random numbers, or leaves its result unspecified: values cannot be compared."""
    if record.family == "random" or record.name in UNSPECIFIED:
        return True
    if not record.is_composite:
        return False
    with Spy() as spy:
        attempt(record, args, kwargs)
    return any(REGISTRY[name].family == "random" for name in spy.seen)


class Findings(list):
    """What went wrong, gathered over the samples of one operation and reported together."""

    @contextlib.contextmanager
    def at(self, label: str):
        """Note an exception of the block under a label and go on."""
        try:
            yield
        except Exception as error:
            text = " ".join(str(error).split())
            self.append(f"{label}: {type(error).__name__}: {text[:400]}")

    def report(self) -> None:
        """Fail with everything that was noted."""
        if self:
            shown = self[:12] + [f"and {len(self) - 12} more"] * (len(self) > 12)
            pytest.fail(f"{len(self)} findings:\n  " + "\n  ".join(shown), pytrace=False)


def attempt(function, args, kwargs):
    """(result, None) or (None, exception)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*args, **kwargs), None
        except Exception as error:
            return None, error


def is_missing_kernel(error: Exception) -> bool:
    """True where PyTorch says that it has no CPU kernel for a dtype, not that the call makes no sense."""
    text = str(error)
    return "not implemented for" in text or "not supported for" in text or "mplemented on" in text


def double(tree):
    """PyTorch arguments with floating tensors and dtypes widened to float64."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().double() if tree.is_floating_point() else tree
    if isinstance(tree, torch.dtype):
        return torch.float64 if tree.is_floating_point else tree
    if isinstance(tree, dict):
        return {k: double(v) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)) and not isinstance(tree, torch.Size):
        return type(tree)([double(v) for v in tree])
    return tree


def flat(tree) -> list:
    """Leaves of a result."""
    return [v for t in tree for v in flat(t)] if isinstance(tree, (tuple, list)) else [tree]


def compare(
    actual, expected, truth=None, *, strides: bool = True, values: bool = True, rounded=False
) -> None:
    """Raise unless mezzo's result is PyTorch's: form, dtype, shape, strides, values.

    Values agree if they are within the dtype's tolerance of PyTorch's, or of PyTorch's in float64 from
    the same inputs (`truth`): where PyTorch rounds in between, being more exact is no error.
    """
    got, want = flat(actual), flat(expected)
    assert len(got) == len(want), f"{len(got)} results; PyTorch returns {len(want)}"
    exact = flat(truth) if truth is not None else want
    for number, (a, e, t) in enumerate(zip(got, want, exact)):
        at = f"result {number}: " if len(got) > 1 else ""
        if not isinstance(e, Tensor):
            assert a == e or (a != a and e != e), f"{at}{a!r}; PyTorch returns {e!r}"
            continue
        assert isinstance(a, Tensor), f"{at}{type(a).__name__} instead of a tensor"
        assert tuple(a.shape) == tuple(e.shape), (
            f"{at}shape {list(a.shape)}; PyTorch's is {list(e.shape)}"
        )
        assert a.dtype is e.dtype, f"{at}dtype {a.dtype.name}; PyTorch's is {e.dtype.name}"
        if strides:
            assert visible(a) == visible(e), (
                f"{at}strides {a.layout.strides}; PyTorch's are {e.layout.strides}"
            )
        if values:
            close(a, e, t, at, rounded)


def visible(tensor: Tensor) -> tuple:
    """The strides that matter: of axes longer than one, of tensors that have elements."""
    if not tensor.layout.numel:
        return ()
    return tuple(s for n, s in zip(tensor.shape, tensor.layout.strides) if n > 1)


def close(
    actual: Tensor, expected: Tensor, truth: Tensor, at: str = "", rounded: bool = False
) -> None:
    """Raise unless every value is near PyTorch's or near the true one."""
    a, e, t = (v.detach()._array() for v in (actual, expected, truth))
    if actual.dtype.category < dtypes.FLOAT:
        wrong = a != e
        assert not wrong.any(), (
            f"{at}{int(wrong.sum())} of {a.size} values differ: {a[wrong][:3]}; PyTorch has {e[wrong][:3]}"
        )
        return
    wide = np.complex128 if actual.dtype.is_complex else np.float64
    a, e, t = (v.astype(wide) for v in (a, e, t))
    rtol, atol = tolerances(actual.dtype)
    if rounded and actual.dtype in LOW and t.size:
        atol = max(atol, float(dtypes.finfo(actual.dtype).eps) * float(np.abs(t).max()))
    with np.errstate(all="ignore"):
        near = [np.isclose(a, o, rtol=rtol, atol=atol, equal_nan=True) for o in (e, t)]
        # Beyond the range of a small dtype the true value is an infinity.
        limit = float(dtypes.finfo(actual.dtype).max)
        near.append(
            np.isinf(a) & (np.abs(t) > limit) & (np.sign(a) == np.sign(t))
            if wide is np.float64
            else near[0]
        )
    wrong = ~(near[0] | near[1] | near[2])
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        error = float(np.max(np.abs(np.where(wrong, a - e, 0))))
        raise AssertionError(
            f"{at}{int(wrong.sum())} of {a.size} values differ, by up to {error:.3g} (rtol {rtol}, atol {atol}); at "
            f"{place} {a[place]}, PyTorch {e[place]}, in float64 {t[place]}"
        )


def same_kind(actual: Exception, expected: Exception) -> None:
    """Raise unless code that catches PyTorch's error would catch mezzo's."""
    kinds = [k for k in type(expected).__mro__ if k.__module__ == "builtins"]
    if is_missing_kernel(
        expected
    ):  # RuntimeError until 2.10, then its subclass NotImplementedError
        kinds = [RuntimeError]
    assert isinstance(actual, kinds[0]), (
        f"raises {type(actual).__name__} ({actual}); PyTorch raises {type(expected).__name__}: {str(expected)[:120]}"
    )
    assert isinstance(actual, mezzo.errors.MezzoError), (
        f"raises a bare {type(actual).__name__}: {actual}"
    )


def gradient_inputs(args, kwargs) -> list[Tensor]:
    """The inputs that ask for gradients."""
    return [t for t in tensors((args, kwargs)) if t.requires_grad]


def torch_tensors(tree) -> list[torch.Tensor]:
    """Every torch tensor of a tree."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [t for v in tree for t in torch_tensors(v)] if isinstance(tree, (tuple, list)) else []


def cotangent(shape, dtype, seed: int) -> Tensor:
    """A random incoming gradient."""
    values = np.random.default_rng(seed).uniform(0.2, 1.5, math.prod(shape)).reshape(tuple(shape))
    return from_array(np.asarray(values).astype(dtype.numpy))

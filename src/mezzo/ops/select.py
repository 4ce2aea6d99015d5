"""Choosing and replacing elements: where, masked_fill, fill, and what is not finite."""

from __future__ import annotations

from numbers import Number

from mezzo import dtypes
from mezzo.core.families.elementwise import Elementwise, elementwise
from mezzo.core.families.fused import zero
from mezzo.core.record import composite, registered, update
from mezzo.core.tensor import Tensor, tensor_method
from mezzo.dtypes import FLOAT, INTEGER
from mezzo.errors import ArgumentTypeError, DTypeError, Fact, ShapeError, UnsupportedDTypeError
from mezzo.kernels import ir as k
from mezzo.ops.index import nonzero
from mezzo.rules import batching, samples
from mezzo.rules import dtypes as rules
from mezzo.rules.samples import S, T, truth


def _where_dtype(operands, named):
    have = named["condition"].dtype
    if have not in (dtypes.bool_, dtypes.uint8):
        raise Fact(
            DTypeError,
            f"expected condition to be a boolean tensor, but got {have.name}",
            "Write condition != 0.",
        )
    return rules.promote(operands)


class Where(Elementwise):
    """where(condition) alone asks for indices."""

    def __call__(self, *args, **kwargs):
        if len(args) + len(kwargs) == 1:
            return nonzero(*args, *kwargs.values(), as_tuple=True)
        return super().__call__(*args, **kwargs)


@registered(Where)(kernel=lambda c, a, b: k.where(k.cast(c, "b1"), *_typed(a, b)), dtype=_where_dtype, raw=("condition",),
             where="mezzo",
             vjp={"input": lambda g, _y, c, _a, _b: where(c, g, 0), "other": lambda g, _y, c, _a, _b: where(c, 0, g)},
             samples=[S(truth(2, 3), T(2, 3), T(2, 3)), S(truth(3), T(2, 1), T()), S(truth(2, 3), T(3), 1.5),
                      S(truth(2, 3), -1.0, T(2, 3)), S(truth(0, 3), T(3), 0.0)])  # fmt: skip
def where(condition: Tensor, input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input where the condition holds, else other; where(condition) alone is nonzero(condition, as_tuple=True).

    Math:   y[i] = condition[i] ? input[i] : other[i]
    Shapes: broadcast
    Dtypes: promoted from input and other
    Source: torch.where
    """


def _typed(a, b) -> tuple[k.Expr, k.Expr]:
    return k.lift(a, getattr(b, "type", "f32")), k.lift(b, getattr(a, "type", "f32"))


def _where_method(self, condition, other):
    """The tensor where the condition holds, else other."""
    return where(condition, self, other)


_where_method.__name__ = "where"
tensor_method(_where_method)


def _masked_dtype(operands, named):
    have, value = named["input"].dtype, named["value"]
    if named["mask"].dtype is not dtypes.bool_:
        raise Fact(
            DTypeError,
            f"only supports boolean masks, but got {named['mask'].dtype.name}",
            "Write mask != 0.",
        )
    if isinstance(value, Tensor):
        if value.ndim:
            raise Fact(
                ShapeError,
                f"only supports a 0-dimensional value tensor, but got {value.ndim} dimensions",
            )
        if value.dtype.category > have.category and value.dtype.category >= FLOAT:
            text = f"value of type {value.dtype.name} cannot be converted to {have.name}"
            raise Fact(DTypeError, text, "Convert the tensor first.")
    return have, have


class Filling(Elementwise):
    """Elementwise operations whose last operand becomes elements as it is: a number must fit the dtype."""

    def run(self, args: tuple) -> Tensor:
        self._require_fit(args)
        return super().run(args)

    def update(self, target: Tensor, args: tuple) -> Tensor:
        self._require_fit(args)
        return super().update(target, args)

    def _require_fit(self, args: tuple) -> None:
        have, value = args[0].dtype, args[-1]
        if have.category != INTEGER or not isinstance(value, (int, float)):
            return
        limits = dtypes.iinfo(have)
        if not min(limits.min, -limits.max) <= value <= limits.max:
            text = f"value {value} cannot be converted to type {have.name} without overflow"
            self.fail(Fact(DTypeError, text), args)


filling = registered(Filling)


def _batch_masked_fill(record, size, args, batched):
    """A value for each example is no longer a 0-d tensor: the general choice takes it."""
    if 2 not in batched:
        return batching.elementwise(record, size, args, batched)
    x, mask, value = args
    moved = frozenset({1: 0, 2: 1, 0: 2}[i] for i in batched)
    return batching.elementwise(where, size, (mask, value.to(x.dtype), x), moved)


def _batch_fill(record, size, args, batched):
    x, value = args
    if 1 not in batched:
        return record(x, value)
    shape = tuple(x.shape[1:] if 0 in batched else x.shape)
    return value.to(x.dtype).reshape((size,) + (1,) * len(shape)).expand((size, *shape)).clone()


@filling(kernel=lambda x, mask, value: k.where(mask, k.lift(value, x.type), x), dtype=_masked_dtype, raw=("mask",),
             inplace=True, where="Tensor mezzo", batch=_batch_masked_fill,
             vjp={"input": lambda g, _y, _x, mask, _v: masked_fill(g, mask, 0),
                  "value": lambda g, _y, _x, mask, _v: where(mask, g, 0)},
             samples=[S(T(2, 3), truth(2, 3), 1.5), S(T(2, 3), truth(3), 0), S(T(2, 3), truth(2, 1), T()),
                      S(T(3, low=0, high=9), truth(3), float("-inf")), S(T(0, 3), truth(3), 1.0)])  # fmt: skip
def masked_fill(input: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """input with value where the mask holds.

    Math:   y[i] = mask[i] ? value : input[i]
    Shapes: broadcast; in place, mask broadcasts to input
    Dtypes: that of input
    Source: torch.masked_fill
    """


def _fill_dtype(operands, named):
    have, value = named["input"].dtype, named["value"]
    if isinstance(value, Tensor) and value.ndim:
        raise Fact(
            ShapeError,
            f"only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions",
        )
    return have, have


@filling(kernel=lambda x, value: k.lift(value, x.type), dtype=_fill_dtype, inplace=True, where="mezzo", batch=_batch_fill,
             vjp={"input": lambda g, _y, _x, _v: zero(g), "value": lambda g, _y, _x, _v: g},
             samples=[S(T(2, 3), 1.5), S(T(2, 3), T()), S(T(0, 3), 1.0)])  # fmt: skip
def fill(input: Tensor, value: Tensor | Number) -> Tensor:
    """Every element replaced by value.

    Shapes: input (...) -> (...)
    Source: torch.fill
    """


@tensor_method
def zero_(self):
    """Set every element to zero, in place."""
    return update(fill, self, 0)


def _replace(x: k.Expr, nan, posinf, neginf) -> k.Expr:
    high = k.where(x.eq(float("inf")), k.lift(posinf, x.type), x)
    low = k.where(x.eq(float("-inf")), k.lift(neginf, x.type), high)
    return k.where(k.is_nan(x), k.lift(nan, x.type), low)


@elementwise(
    grad_name="NanToNumBackward0",
    kernel=_replace,
    where="",
    vjp={"input": lambda g, _y, x, *_: where(x - x == 0, g, 0)},
)
def replace_nonfinite(input: Tensor, nan, posinf, neginf) -> Tensor:
    """input with given numbers in place of NaN and the infinities."""


@composite(where="mezzo Tensor", inplace=True,
           samples=[S(T(2, 3)), S(T(3), 1.0, 2.0), S(T(), neginf=-3.0), S(T(0, 2)), S(T(3, kind="int"))])  # fmt: skip
def nan_to_num(input: Tensor, nan=0.0, posinf=None, neginf=None) -> Tensor:
    """input with NaN, inf and -inf replaced: by 0 and the dtype's largest and lowest finite numbers.

    Shapes: input (...) -> (...)
    Source: torch.nan_to_num
    """
    if input.dtype.category <= INTEGER:
        return input.clone()
    limits = dtypes.finfo(input.dtype)
    return replace_nonfinite(
        input, 0.0 if nan is None else nan, limits.max if posinf is None else posinf,
        limits.min if neginf is None else neginf,
    )  # fmt: skip


def _copysign_slope(g, y, a):
    return where(a == 0, 0, g * y / a)


def _copysign(a: k.Expr, b) -> k.Expr:
    return k.copysign(a, k.lift(b, a.type))


@elementwise(kernel=_copysign, dtype=rules.int_to_float, inplace=True,
             vjp={"input": lambda g, y, a, _b: _copysign_slope(g, y, a), "other": lambda g, _y, _a, _b: zero(g)},
             samples=[*samples.binary(), S(T(4), -2.0), S(T(4), 3)])  # fmt: skip
def copysign(input: Tensor, other: Tensor | Number) -> Tensor:
    """The magnitude of input with the sign of other.

    Shapes: broadcast
    Dtypes: float kept; int and bool become the default float
    Source: torch.copysign
    """


def one_dtype(operands, named):
    """Operands of one dtype, which is kept."""
    have = {d for d, _ in operands}
    if len(have) > 1:
        raise Fact(
            DTypeError,
            "is not there for tensors with different dtypes",
            "Convert one with x.to(dtype).",
        )
    return rules.promote(operands)


def _heaviside(x: k.Expr, values: k.Expr) -> k.Expr:
    if x.type == "b1":
        return x | values
    one, zero = k.const(1, x.type), k.const(0, x.type)
    return k.where(x.eq(0), values, k.where(x > 0, one, zero))


@elementwise(kernel=_heaviside, dtype=one_dtype, inplace=True,
             vjp={"input": lambda g, _y, _x, _v: zero(g), "values": lambda g, _y, x, _v: where(x == 0, g, 0)},
             samples=[S(*s.args, grad=False) for s in samples.binary()])  # fmt: skip
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below zero, 1 above, and values at zero.

    Shapes: broadcast
    Source: torch.heaviside
    """


def _next(a: k.Expr, b: k.Expr, storage: str) -> k.Expr:
    """The neighbour of a towards b, by counting in the bits of the storage type."""
    bits = "i64" if a.type == "f64" else "i32"
    count = {"bf16": 1 << 16, "f16": 1 << 13}.get(storage, 1)
    away = (b > a) ^ (a < 0.0)
    counted = k.bitcast(a, bits) + k.where(away, k.const(count, bits), k.const(-count, bits))
    moved = k.bitcast(counted, a.type)
    smallest = {"f16": 2.0**-24, "bf16": 2.0**-133, "f32": 2.0**-149, "f64": 5e-324}[storage]
    tiny = k.copysign(k.const(smallest, a.type), b)
    if storage == "f16":
        # In f32 these are normal numbers: below 2^-14 the step is fixed, and inf steps to 65504.
        step = k.where(b > a, k.const(smallest, a.type), k.const(-smallest, a.type))
        small = (k.abs(a) < 2.0**-14) | (k.abs(a).eq(2.0**-14) & ~away)
        moved = k.where(small, a + step, moved)
        moved = k.where(k.abs(a).eq(float("inf")), k.copysign(k.const(65504.0, a.type), a), moved)
    moved = k.where(a.eq(0.0), tiny, moved)
    return k.where(k.is_nan(a) | k.is_nan(b), a + b, k.where(a.eq(b), b, moved))


@elementwise(grad_name="NextafterBackward0", kernel=_next, dtype=rules.float_only, where="",
             vjp={"input": lambda g, _y, _a, _b, _s: zero(g), "other": lambda g, _y, _a, _b, _s: zero(g)})  # fmt: skip
def next_in(input: Tensor, other: Tensor, storage) -> Tensor:
    """The neighbour of input towards other among the numbers of a storage type."""


@composite(
    where="mezzo Tensor", inplace=True, samples=[S(*s.args, grad=False) for s in samples.binary()]
)
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The floating number next to input in the direction of other.

    Shapes: broadcast
    Source: torch.nextafter
    """
    if not isinstance(other, Tensor):
        raise Fact(
            ArgumentTypeError, f"argument 2 (other) must be a Tensor, not {type(other).__name__}"
        )
    kind = dtypes.promote_types(input.dtype, other.dtype)
    if kind.category <= INTEGER:
        raise Fact(
            UnsupportedDTypeError,
            f"does not take {kind.name}; it needs a floating dtype",
            "Convert with x.float().",
        )
    return next_in(input, other, kind.ir)

"""Matrix products."""

from __future__ import annotations

from numbers import Number

from mezzo.core.families.contraction import absorbing, contraction
from mezzo.core.record import Cast, composite
from mezzo.core.tensor import Tensor
from mezzo.errors import DTypeError, Fact, ShapeError
from mezzo.ops.shape import reshape, squeeze_dims, transpose, unsqueeze
from mezzo.rules import batching, shapes
from mezzo.rules.samples import S, T


def _vjp_input(g, _y, _input, other, _bias, compute, dtype, alpha, beta):
    return product(g, transpose(other, -2, -1), None, compute, _input.dtype, alpha)


def _vjp_other(g, _y, input, _other, _bias, compute, dtype, alpha, beta):
    if (
        _other.ndim == 2 and input.ndim > 2
    ):  # fold the batch into the summed axis: one large product
        input, g = reshape(input, (-1, input.shape[-1])), reshape(g, (-1, g.shape[-1]))
    return product(transpose(input, -2, -1), g, None, compute, _other.dtype, alpha)


def _vjp_bias(g, _y, _a, _b, _bias, compute, dtype, alpha, beta):
    return g if beta == 1 else g * beta


def _batch_product(record, size, args, batched):
    if 2 in batched and not batched & {
        0,
        1,
    }:  # a bias alone: the result's batch comes from the matrices
        args, batched = (batching.front(args[0], False, size), *args[1:]), batched | {0}
    return batching.elementwise(record, size, args, batched)


def _product_name(args: tuple) -> str:
    plain = args[0].ndim == args[1].ndim == 2
    if args[2] is None:
        return "MmBackward0" if plain else "BmmBackward0"
    return "AddmmBackward0" if plain else "BaddbmmBackward0"


def _affine_name(args: tuple) -> str:
    return "MmBackward0" if args[2] is None else "AddmmBackward0"


@contraction(where="", batch=_batch_product, grad_name=_product_name,
             vjp={"input": _vjp_input, "other": _vjp_other, "bias": _vjp_bias},
             samples=[S(T(3, 4), T(4, 5)), S(T(2, 3, 4), T(4, 5)), S(T(2, 1, 3, 4), T(5, 4, 2)), S(T(3, 4), T(4, 5), T(5)),
                      S(T(2, 3, 4), T(2, 4, 5), T(2, 3, 5)), S(T(3, 0), T(0, 5))],
             reference=lambda a, b, bias=None: a @ b if bias is None else a @ b + bias)  # fmt: skip
def product(input: Tensor, other: Tensor, bias: Tensor | None = None, compute=None, dtype=None, alpha=1.0,
            beta=1.0) -> Tensor:  # fmt: skip
    """alpha * (input @ other) + beta * bias for matrices in the last two axes; the batch axes in front broadcast.

    Math:   y[..., i, j] = alpha * sum_k input[..., i, k] * other[..., k, j] + beta * bias[..., i, j], rounded once
    Shapes: (..., m, k), (..., k, n) -> (..., m, n)
    Dtypes: compute: what operands are rounded to while they are packed; sums are float32 or wider;
            dtype: the result's
    """


def contract(input: Tensor, other: Tensor, compute=None) -> Tensor:
    """torch.matmul's rules for vectors, matrices and batches, over product."""
    if input.ndim == 0 or other.ndim == 0:
        raise Fact(
            ShapeError, "both arguments need to be at least 1D", "Use * to scale by a number."
        )
    a = unsqueeze(input, 0) if input.ndim == 1 else input
    b = unsqueeze(other, 1) if other.ndim == 1 else other
    y = product.apply((a, b, None, compute, None, 1.0, 1.0))
    gone = ((-2,) if input.ndim == 1 else ()) + ((-1,) if other.ndim == 1 else ())
    return squeeze_dims(y, gone) if gone else y


@composite(where="mezzo Tensor linalg", operators="__matmul__", cast="low",
           samples=[S(T(3), T(3)), S(T(2, 3), T(3)), S(T(3), T(3, 2)), S(T(2, 3), T(3, 4)), S(T(5, 2, 3), T(3, 4)),
                    S(T(5, 1, 2, 3), T(4, 3, 2)), S(T(0, 3), T(3, 2)), S(T(2, 0), T(0, 3)), S(T(2, 3), T(5, 3, 4))])  # fmt: skip
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, with broadcasting over batch axes.

    Shapes:  (k,), (k,) -> (); (m, k), (k, n) -> (m, n); (..., m, k), (..., k, n) -> (..., m, n)
    Dtypes:  both the same; low precision is summed in float32
    Source:  torch.matmul
    Example: >>> matmul(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]]))
             tensor([[11.]])
    """
    return contract(input, other)


matmul.absorb = absorbing(contract)


def _need(name: str, tensor: Tensor, rank: int) -> None:
    if tensor.ndim != rank:
        raise Fact(ShapeError, f"{name} must be a {rank}-D tensor, and has {tensor.ndim} axes")


def _mm(input: Tensor, mat2: Tensor, compute=None) -> Tensor:
    _need("self", input, 2)
    _need("mat2", mat2, 2)
    return product(input, mat2, None, compute)


@composite(cast="low", aliases="mezzo.spmm", samples=[S(T(2, 3), T(3, 4)), S(T(0, 3), T(3, 2))])
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices; no broadcasting.

    Shapes: (m, k), (k, n) -> (m, n)
    Source: torch.mm
    """
    return _mm(input, mat2)


mm.absorb = absorbing(_mm)


def _bmm(input: Tensor, mat2: Tensor, compute=None) -> Tensor:
    _need("batch1", input, 3)
    _need("batch2", mat2, 3)
    if input.shape[0] != mat2.shape[0]:
        raise Fact(
            ShapeError, f"batch sizes are {input.shape[0]} and {mat2.shape[0]}; they must be equal"
        )
    return product(input, mat2, None, compute)


@composite(cast="low", samples=[S(T(2, 3, 4), T(2, 4, 5))])
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of matrices, batch by batch.

    Shapes: (b, m, k), (b, k, n) -> (b, m, n)
    Source: torch.bmm
    """
    return _bmm(input, mat2)


bmm.absorb = absorbing(_bmm)


@composite(cast=Cast(cuda="low"), samples=[S(T(2, 3), T(3))])
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector.

    Shapes: (m, k), (k,) -> (m,)
    Source: torch.mv
    """
    _need("input", input, 2)
    _need("vec", vec, 1)
    return contract(input, vec)


def _batch_affine(record, size, args, batched):
    if not batched & {1, 2}:  # the input alone: one more axis in front
        return record.apply(args)
    turned = transpose(args[1], -2, -1)
    return _batch_product(product, size, (args[0], turned, *args[2:]), batched)


def _vjp_weight(g, _y, input, _weight, _bias, compute, dtype, alpha, beta):
    if input.ndim > 2:
        input, g = reshape(input, (-1, input.shape[-1])), reshape(g, (-1, g.shape[-1]))
    return product(transpose(g, 0, 1), input, None, compute, _weight.dtype, alpha)


def _vjp_affine_input(g, _y, _input, weight, _bias, compute, dtype, alpha, beta):
    return product(g, weight, None, compute, _input.dtype, alpha)


@contraction(where="", turned=True, batch=_batch_affine, samples=[], grad_name=_affine_name,
             vjp={"input": _vjp_affine_input, "weight": _vjp_weight, "bias": _vjp_bias})  # fmt: skip
def affine(input: Tensor, weight: Tensor, bias: Tensor | None = None, compute=None, dtype=None, alpha=1.0,
           beta=1.0) -> Tensor:  # fmt: skip
    """input @ weight.T + bias, the weight read as layers keep it: no view of it is made.

    Shapes: (..., m, in), (out, in), (out,) -> (..., m, out)
    Dtypes: as for product
    """


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, compute=None) -> Tensor:
    rank, features, w = input.layout.ndim, input.layout.shape[-1:], weight.layout
    if w.ndim not in (1, 2):
        raise Fact(ShapeError, f"weight must be 1-D or 2-D, and has {w.ndim} axes")
    if features != w.shape[-1:]:
        raise Fact(
            ShapeError,
            f"input of shape {list(input.shape)} needs {w.shape[-1]} features in its last axis to fit weight "
            f"{list(w.shape)}: mat1 and mat2 shapes cannot be multiplied",
        )
    if w.ndim == 1:
        y = contract(input, weight, compute)
        return y if bias is None else y + bias
    dtype = input.layout.dtype
    if compute is None and w.dtype is not dtype:
        raise Fact(
            DTypeError,
            f"mat1 and mat2 must have the same dtype, but the input is {dtype.name} and the weight {w.dtype.name}",
            f"Convert the input with x.to(mezzo.{w.dtype.name}), or use autocast.",
        )
    if compute is None and bias is not None and bias.layout.dtype is not dtype:
        raise Fact(
            DTypeError,
            f"bias is {bias.dtype.name} and input {dtype.name}; they must have the same dtype",
            "Convert the module as a whole, with module.to(dtype).",
        )
    if rank > 1:
        return affine.apply((input, weight, bias, compute, None, 1.0, 1.0))
    return squeeze_dims(affine(unsqueeze(input, 0), weight, bias, compute), (0,))


@composite(where="nn.functional", cast="low",
           samples=[S(T(2, 3), T(4, 3), T(4)), S(T(2, 3), T(4, 3)), S(T(3), T(4, 3), T(4)), S(T(2, 5, 3), T(4, 3), T(4)),
                    S(T(0, 3), T(4, 3), T(4))])  # fmt: skip
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias.

    Math:   y[..., o] = sum_i input[..., i] * weight[o, i] + bias[o]
    Shapes: (..., in), (out, in), (out,) -> (..., out)
    Source: torch.nn.functional.linear
    """
    return _linear(input, weight, bias)


linear.absorb = absorbing(_linear)


def _affine(input: Tensor, a: Tensor, b: Tensor, beta, alpha, compute) -> Tensor:
    """beta * input + alpha * (a @ b), rounded once; beta = 0 ignores input, NaNs too."""
    if input.dtype.category < 2:  # PyTorch takes the factors in the tensors' own dtype
        y = product(a, b, None, compute) * int(alpha)
        return y + input * int(beta)
    kept = None if beta == 0 else input
    y = product(a, b, kept, compute, None, float(alpha), float(beta))
    if kept is None and shapes.broadcast([tuple(input.shape), tuple(y.shape)]) != tuple(y.shape):
        raise Fact(
            ShapeError, f"input of shape {list(input.shape)} does not broadcast to {list(y.shape)}"
        )
    return y


def _addmm(input, mat1, mat2, beta=1, alpha=1, compute=None):
    _need("mat1", mat1, 2)
    _need("mat2", mat2, 2)
    return _affine(input, mat1, mat2, beta, alpha, compute)


@composite(where="mezzo Tensor", cast="low", inplace=True,
           samples=[S(T(2, 4), T(2, 3), T(3, 4)), S(T(4), T(2, 3), T(3, 4), beta=0.5, alpha=2), S(T(4), T(2, 3), T(3, 4), beta=0)])  # fmt: skip
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2).

    Shapes: (n,) or (m, n), (m, k), (k, n) -> (m, n)
    Source: torch.addmm
    """
    return _addmm(input, mat1, mat2, beta, alpha)


addmm.absorb = absorbing(_addmm)


def _baddbmm(input, batch1, batch2, beta=1, alpha=1, compute=None):
    _need("batch1", batch1, 3)
    _need("batch2", batch2, 3)
    return _affine(input, batch1, batch2, beta, alpha, compute)


@composite(where="mezzo Tensor", cast="low", inplace=True,
           samples=[S(T(2, 3, 5), T(2, 3, 4), T(2, 4, 5)), S(T(3, 5), T(2, 3, 4), T(2, 4, 5), beta=2, alpha=0.5)])  # fmt: skip
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2).

    Shapes: broadcast to (b, m, n); (b, m, k), (b, k, n) -> (b, m, n)
    Source: torch.baddbmm
    """
    return _baddbmm(input, batch1, batch2, beta, alpha)


baddbmm.absorb = absorbing(_baddbmm)


@composite(where="mezzo Tensor", cast=Cast(cuda="low"), inplace=True,
           samples=[S(T(2), T(2, 3), T(3)), S(T(2), T(2, 3), T(3), beta=0.5, alpha=2)])  # fmt: skip
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * (mat @ vec).

    Shapes: (m,), (m, k), (k,) -> (m,)
    Source: torch.addmv
    """
    _need("mat", mat, 2)
    _need("vec", vec, 1)
    y = _affine(
        unsqueeze(input, -1) if input.ndim else input, mat, unsqueeze(vec, 1), beta, alpha, None
    )
    return squeeze_dims(y, (1,))


@composite(
    where="mezzo Tensor",
    cast="low",
    samples=[S(T(3, 5), T(2, 3, 4), T(2, 4, 5), beta=0.5)],
    inplace=True,
)
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * the sum of batch1[i] @ batch2[i].

    Shapes: (m, n), (b, m, k), (b, k, n) -> (m, n)
    Source: torch.addbmm
    """
    _need("batch1", batch1, 3)
    _need("batch2", batch2, 3)
    count, rows, inner_size = batch1.shape
    if batch2.shape[0] != count:
        raise Fact(ShapeError, f"batch sizes are {count} and {batch2.shape[0]}; they must be equal")
    # The batch joins the summed axis: one product, rounded once.
    left = reshape(transpose(batch1, 0, 1), (rows, count * inner_size))
    return _affine(input, left, reshape(batch2, (-1, batch2.shape[2])), beta, alpha, None)


def _vector_pair(a: Tensor, b: Tensor) -> None:
    _need("self", a, 1)
    _need("tensor", b, 1)
    if a.shape != b.shape:
        raise Fact(
            ShapeError,
            f"inconsistent tensor size, expected the same length, but got {a.shape[0]} and {b.shape[0]}",
        )
    if a.dtype is not b.dtype:
        raise Fact(
            DTypeError,
            f"expected both vectors to have same dtype, but found {a.dtype.name} and {b.dtype.name}",
        )


@composite(where="mezzo Tensor", cast=Cast(cuda="promote"), samples=[S(T(5), T(5)), S(T(0), T(0))])
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors.

    Shapes: (n,), (n,) -> ()
    Source: torch.dot
    """
    _vector_pair(input, tensor)
    return contract(input, tensor)


@composite(where="mezzo Tensor", samples=[S(T(2, 3), T(4, 3)), S(T(3), T(3))])
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Products over the last axes.

    Shapes: (..., k), (..., k) -> (..., ...)
    Source: torch.inner
    """
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    lead, tail = tuple(input.shape[:-1]), tuple(other.shape[:-1])
    if input.ndim == 1 and other.ndim == 1:
        return contract(input, other)
    y = matmul(
        reshape(input, (-1, input.shape[-1])),
        transpose(reshape(other, (-1, other.shape[-1])), 0, 1),
    )
    return reshape(y, lead + tail)


@composite(where="mezzo Tensor", aliases="ger", samples=[S(T(3), T(4))])
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Every product of two vectors' elements.

    Shapes: (m,), (n,) -> (m, n)
    Source: torch.outer
    """
    _need("self", input, 1)
    _need("vec2", vec2, 1)
    return unsqueeze(input, 1) * unsqueeze(vec2, 0)

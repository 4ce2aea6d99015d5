"""autocast: classes taken from the records, and the context's behaviour, against PyTorch's."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch

import mezzo
from mezzo.core.record import REGISTRY
from mezzo.core.state import STATE

# PyTorch's lists (aten/src/ATen/autocast_mode.h, 2.13), by operation. Names that mezzo does not have are passed over.
CUDA = {
    "low": "conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution prelu addmm addmv "
           "addr matmul einsum mm mv vecdot linear addbmm baddbmm bmm chain_matmul multi_dot scaled_dot_product_attention "
           "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    "fp32": "acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow softplus layer_norm rms_norm "
            "native_layer_norm group_norm frobenius_norm nuclear_norm cosine_similarity poisson_nll_loss cosine_embedding_loss nll_loss "
            "hinge_embedding_loss l1_loss smooth_l1_loss huber_loss mse_loss margin_ranking_loss multilabel_margin_loss "
            "soft_margin_loss triplet_margin_loss multi_margin_loss kl_div binary_cross_entropy_with_logits dist pdist cdist "
            "renorm logsumexp",
    "set_dtype": "prod softmax log_softmax cumprod cumsum vector_norm matrix_norm sum",
    "promote": "addcdiv addcmul atan2 bilinear cross dot vdot grid_sample index_put tensordot scatter_add",
    "append_dtype": "norm",
    "banned": "binary_cross_entropy",
}  # fmt: skip
CPU = {
    "low": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc bmm mm matmul baddbmm addmm addbmm "
           "linear vecdot prelu scaled_dot_product_attention lstm",
    "fp32": "avg_pool3d adaptive_avg_pool3d max_pool3d adaptive_max_pool3d reflection_pad1d reflection_pad2d grid_sample "
            "poisson_nll_loss cosine_embedding_loss nll_loss hinge_embedding_loss l1_loss smooth_l1_loss huber_loss mse_loss "
            "margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss kl_div "
            "cross_entropy binary_cross_entropy_with_logits binary_cross_entropy ctc_loss cholesky inverse inv solve pinverse lu_solve qr svd "
            "triangular_solve polar prod quantile nanquantile cdist trace view_as_complex max_unpool1d max_unpool2d max_unpool3d "
            "fractional_max_pool2d fractional_max_pool3d cholesky_inverse cholesky_solve orgqr householder_product cond eigh eigvalsh svdvals "
            "cholesky_ex inv_ex lstsq matrix_rank tensorinv tensorsolve fft fft2 fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 "
            "rfftn",
    "promote": "stack cat index_copy",
}  # fmt: skip

# PyTorch has no class for them and raises for low-precision operands; in mezzo they run in float32, as the other solvers do.
FURTHER = ("solve_triangular", "solve_ex", "lu_factor", "lu", "pinv")


@pytest.mark.parametrize("device, lists", [("cuda", CUDA), ("cpu", CPU)])
def test_classes_are_pytorchs(device, lists):
    expected = {name: kind for kind, names in lists.items() for name in names.split()}
    wrong = []
    for name, record in REGISTRY.items():
        public = bool(record.where)
        want = expected.get(name, "fp32" if device == "cpu" and name in FURTHER else "keep")
        if public and getattr(record.cast, device) != want:
            wrong.append(f"{name}: is {getattr(record.cast, device)}, PyTorch has {want}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", FURTHER)
def test_solvers_run_where_pytorch_has_no_kernel(name):
    def call(lib):
        m = lib.eye(3, dtype=lib.bfloat16)
        further = {"solve_triangular": {"upper": True}}.get(name, {})
        with lib.autocast("cpu", dtype=lib.bfloat16):
            found = getattr(lib.linalg, name)(m, *[m] * name.startswith("solve"), **further)
        return found if isinstance(found, lib.Tensor) else found[0]

    assert call(mezzo).dtype == mezzo.float32
    with pytest.raises(RuntimeError):
        call(torch)


def _dtypes(lib, region):
    """dtypes of results in a region, for float32, bfloat16 and float64 operands."""
    found = {}
    for name in ("float32", "bfloat16", "float64"):
        a = lib.ones(2, 2, dtype=getattr(lib, name))
        with region():
            for op in ("matmul", "exp", "add", "sum"):
                y = getattr(lib, op)(a, a) if op in ("matmul", "add") else getattr(lib, op)(a)
                found[name, op] = str(y.dtype).rpartition(".")[2]
    return found


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_results_have_pytorchs_dtypes(dtype):
    def regions(lib):
        low = getattr(lib, dtype)
        yield lambda: lib.autocast("cpu", dtype=low)
        yield lambda: lib.autocast("cpu", dtype=low, enabled=False)
        yield lambda: lib.amp.autocast("cpu", dtype=low)

    for ours, theirs in zip(regions(mezzo), regions(torch)):
        expected = _dtypes(torch, theirs) if dtype == "bfloat16" else None
        found = _dtypes(mezzo, ours)
        if expected is not None:
            assert found == expected


def _matmul_dtype(a):
    return (a @ a).dtype


def test_nesting_and_disabling():
    a = mezzo.ones(2, 2)
    with mezzo.autocast("cpu"):
        assert _matmul_dtype(a) is mezzo.bfloat16
        with mezzo.autocast("cpu", enabled=False):
            assert _matmul_dtype(a) is mezzo.float32
            with mezzo.autocast("cpu", dtype=mezzo.float16):
                assert _matmul_dtype(a) is mezzo.float16
            assert _matmul_dtype(a) is mezzo.float32
        assert _matmul_dtype(a) is mezzo.bfloat16
    assert _matmul_dtype(a) is mezzo.float32


def test_decorator_and_recursion():
    @mezzo.autocast("cpu")
    def f(a, depth=3):
        return f(a, depth - 1) if depth else _matmul_dtype(a)

    assert f(mezzo.ones(2, 2)) is mezzo.bfloat16
    assert not STATE.stack


def test_exceptions_restore():
    with pytest.raises(ZeroDivisionError), mezzo.autocast("cpu"):
        _ = 1 / 0
    assert not mezzo.is_autocast_enabled("cpu") and not STATE.stack


def test_threads_have_their_own_state():
    found = []
    with mezzo.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append(mezzo.is_autocast_enabled("cpu")))
        thread.start()
        thread.join()
        assert mezzo.is_autocast_enabled("cpu")
    assert found == [False]


def test_wrong_arguments_raise_pytorchs_errors():
    for lib in (mezzo, torch):
        with pytest.raises(ValueError):
            lib.autocast(device_type=3)
        with pytest.raises(RuntimeError):
            lib.autocast("toaster")


def test_cuda_without_a_device_warns_and_is_disabled():
    for lib in (mezzo, torch):
        with pytest.warns(UserWarning, match="CUDA is not available"):
            region = lib.autocast("cuda")
        with region:
            assert (lib.ones(2, 2) @ lib.ones(2, 2)).dtype is lib.float32


def test_other_dtypes_warn_and_are_disabled():
    for lib in (mezzo, torch):
        with pytest.warns(UserWarning):
            region = lib.autocast("cpu", dtype=lib.float64)
        with region:
            assert (lib.ones(2, 2) @ lib.ones(2, 2)).dtype is lib.float32


def test_default_dtypes():
    assert mezzo.get_autocast_dtype("cpu") is mezzo.bfloat16
    assert mezzo.get_autocast_dtype("cuda") is mezzo.float16


def test_gradients_arrive_in_the_parameters_dtype():
    for lib in (mezzo, torch):
        w = lib.ones(3, 3, requires_grad=True)
        x = lib.ones(2, 3)
        with lib.autocast("cpu", dtype=lib.bfloat16):
            y = (x @ w) @ w
        assert y.dtype is lib.bfloat16
        y.sum().backward()
        assert w.grad.dtype is lib.float32 and w.grad.tolist() == [[12.0] * 3] * 3


def test_saved_activations_are_half_size():
    w = mezzo.ones(64, 64, requires_grad=True)
    with mezzo.autocast("cpu"):
        hidden = w.sin()  # float32, computed: what the tape keeps of it is the low copy
        y = hidden @ w
    kept = y.grad_fn.args[0]
    assert kept.dtype is mezzo.bfloat16
    assert y.grad_fn.args[1] is w  # a leaf is cast while packing: no copy is made or kept


def test_cached_leaf_casts_follow_the_version():
    """A leaf cast by an operation that cannot absorb casts is remembered, until the leaf changes."""
    w = mezzo.ones(2, 2, requires_grad=True)
    with mezzo.autocast("cpu") as region:
        entered = region._entered[-1]
        first = entered.cast_one(w, mezzo.bfloat16)
        assert entered.cast_one(w, mezzo.bfloat16) is first
        with mezzo.no_grad():
            w.add_(1)
        assert entered.cast_one(w, mezzo.bfloat16).tolist() == [[2.0, 2.0]] * 2
        with mezzo.no_grad():
            assert not entered.cast_one(w, mezzo.bfloat16).requires_grad
        assert entered.cast_one(w, mezzo.bfloat16).requires_grad


class _Product(mezzo.autograd.Function):
    @staticmethod
    @mezzo.amp.custom_fwd(device_type="cpu", cast_inputs=mezzo.float32)
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        ctx.seen = (a.dtype, mezzo.is_autocast_enabled("cpu"))
        return a @ b

    @staticmethod
    @mezzo.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        _Product.backward_state = mezzo.is_autocast_enabled("cpu")
        return g @ b.transpose(0, 1), a.transpose(0, 1) @ g


def test_custom_functions_choose_their_precision():
    a = mezzo.ones(2, 2, dtype=mezzo.bfloat16, requires_grad=True)
    with mezzo.autocast("cpu"):
        y = _Product.apply(a, a)
    assert y.dtype is mezzo.float32
    y.sum().backward()
    assert _Product.backward_state is False
    outside = _Product.apply(a, a)
    assert outside.dtype is mezzo.bfloat16


def test_autocast_composes_with_vmap():
    a = mezzo.ones(4, 2, 2)
    with mezzo.autocast("cpu"):
        outer = mezzo.vmap(lambda m: m @ m)(a)

    @mezzo.autocast("cpu")
    def f(m):
        return m @ m

    assert outer.dtype is mezzo.bfloat16 and mezzo.vmap(f)(a).dtype is mezzo.bfloat16


def test_in_place_and_out_are_left_alone():
    a = mezzo.ones(2, 2)
    with mezzo.autocast("cpu"):
        out = mezzo.empty(2, 2)
        mezzo.matmul(a, a, out=out)
        assert out.dtype is mezzo.float32 and out.tolist() == [[2.0, 2.0]] * 2
        a.add_(1)
    assert a.dtype is mezzo.float32


def test_ledger_says_what_ran_in_which_dtype():
    a = mezzo.ones(2, 2)
    with warnings.catch_warnings(), mezzo.amp.ledger() as book:
        with mezzo.autocast("cpu"):
            (a @ a + a).sum()
    counts = book.counts()
    assert counts["product"] == {"bfloat16": 1}
    assert counts["sum"] == {"float32": 1}

"""Where mezzo differs from PyTorch on purpose or for now: each with its reason.

The tests compare these tables with what they find, both ways: a gap that closed must leave its table.
"""

from __future__ import annotations

# operation -> {dtype: reason}: PyTorch takes the dtype, mezzo refuses it.
_INTEGER_CONV = "a convolution of integers is a mistake more often than a wish: convert to float"
REFUSED: dict[str, dict[str, str]] = {
    "matmul": {"bool": "PyTorch refuses it too, but not where the summed axis is empty"},
    "avg_pool3d": {"int64": "averages of integers would be cut off: convert to float"},
    "conv1d": dict.fromkeys(("int64", "int32", "uint8"), _INTEGER_CONV),
    "conv2d": dict.fromkeys(("int64", "int32", "uint8"), _INTEGER_CONV),
    "conv3d": dict.fromkeys(("int64", "int32", "uint8"), _INTEGER_CONV),
    "conv_transpose1d": {"int64": _INTEGER_CONV},
    "conv_transpose2d": {"int64": _INTEGER_CONV},
    "conv_transpose3d": {"int64": _INTEGER_CONV},
}

# operation -> {dtype: reason}: mezzo takes a dtype that PyTorch refuses for more than a missing kernel.
ACCEPTED: dict[str, dict[str, str]] = {
    "randint_like": {"bool": "numbers other than zero are True"},
}

# operation -> reason: strides of the result are not compared with PyTorch's.
STRIDES: dict[str, str] = {
    **dict.fromkeys(
        (
            "inv",
            "inverse",
            "solve",
            "qr",
            "linalg_qr",
            "svd",
            "linalg_svd",
            "eigh",
            "cholesky_inverse",
            "cholesky_solve",
            "geqrf",
            "inv_ex",
            "linalg_lu_solve",
            "lstsq",
            "lu_factor",
            "lu_solve",
            "orgqr",
            "householder_product",
            "solve_ex",
            "solve_triangular",
            "tensorinv",
            "triangular_solve",
        ),
        "PyTorch keeps LAPACK's column order; mezzo's results are row-major",
    ),
    "unravel_index": "PyTorch's are views of one stacked tensor",
    **dict.fromkeys(
        ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn", "rfftn", "irfftn"),
        "PyTorch moves the transformed axis inwards in memory; mezzo's results are row-major",
    ),
    "argwhere": "PyTorch's are those of its kernel's scratch memory",
    "nonzero": "PyTorch's are those of its kernel's scratch memory",
}

# operation -> reason: low-precision results may be off by a unit of the largest value, not of each.
ROUNDED: dict[str, str] = {
    "index_add": "alpha * source is rounded before it is added",
    "triplet_margin_with_distance_loss": "distances are rounded before they are subtracted",
} | dict.fromkeys(
    ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "bias is added to the rounded sum of products; PyTorch adds it before rounding",
)

# operation -> reason: the result depends on how the inputs lie in memory, by its meaning.
MEMORY: dict[str, str] = {
    **dict.fromkeys(
        ("inv", "inverse", "solve", "tensorinv", "tensorsolve"),
        "a matrix expanded from one row has no inverse",
    ),
    "as_strided": "reads the memory, not the elements",
    "strided_view": "reads the memory, not the elements",
    "view": "exists only where the memory allows it",
    "view_as": "exists only where the memory allows it",
    "view_shape": "exists only where the memory allows it",
}

# operation -> reason: the result cannot be known without values.
VALUE_DEPENDENT: dict[str, str] = {
    "argwhere": "the number of rows is that of the nonzero values",
    "allclose": "returns a Python bool",
    "equal": "returns a Python bool",
    "repetitions": "the length is the sum of the values",
    "bincount": "the length is that of the largest value",
    "unique": "the length is that of the distinct values",
    "unique_consecutive": "the length is that of the distinct values",
    "masked_select": "the length is that of the true values",
    "nonzero": "the number of rows is that of the nonzero values",
}

# operation -> reason: a batch of 0-d tensors is not compared with a loop.
ZERO_D: dict[str, str] = {
    **VALUE_DEPENDENT,
    "as_strided_scatter": "reads the memory, not the elements",
    "as_strided": "reads the memory, not the elements",
    "strided_view": "reads the memory, not the elements",
    "attention_weights": "takes matrices; scaled_dot_product_attention checks them",
    "one_hot": "counts the classes by reading the values, unless told",
}

# operation -> reason: the first derivative cannot be differentiated again.
ONCE: dict[str, str] = {}

# operation -> reason: the in-place form is allowed where PyTorch refuses it.
INPLACE: dict[str, str] = {}

# operation -> reason: the dtype under autocast differs from PyTorch's.
AUTOCAST: dict[str, str] = {
    "pinv": "PyTorch's own matmul inside rounds the float32 result",
    "affine_grid": "PyTorch's own product inside rounds positions to 8 bits, which is a pixel of 256; here they stay float32",
    "lstm": "PyTorch's dtypes are those of the library path that happens to run; here they are low",
}

# operation -> reason: signature differs from PyTorch's.
SIGNATURES: dict[str, str] = dict.fromkeys(
    ("dsplit", "hsplit", "tensor_split", "vsplit"),
    "one documented name, indices_or_sections, for two compiled overloads",
) | {
    "view": "documented as shape; the compiled overload says size",
    "einsum": "operands are variadic, as documented; the compiled one takes a list",
    "nan_to_num": "nan=0.0 is the documented default; the compiled one says None and means it",
    "broadcast_shapes": "variadic, as documented",
}

# family or operation -> where its records are tested instead: they take no single call that PyTorch has too.
ELSEWHERE: dict[str, str] = {
    "complex form": "complex operands: tests/unit/test_complex.py",
    "polar": "complex tensors: tests/unit/test_complex.py",
    "complex": "complex tensors: tests/unit/test_user_values.py",
    "imag": "complex tensors: tests/unit/test_user_values.py",
    "view_as_complex": "complex tensors: tests/unit/test_user_values.py",
    "view_as_real": "complex tensors: tests/unit/test_user_values.py",
    "compiled": "whole compiled calls and their arguments: tests/unit/test_compile*.py",
    "multi": "optimizers and GradScaler against PyTorch's, in tests/unit",
    "masked": "tests/unit/test_masks.py",
    "move": "test_meta_has_the_layout_of_real_results moves every operation's inputs",
    "blend": "test_running_statistics",
    "gumbel_softmax": "random: tests/unit/test_random.py",
    "keeps": "dropout of attention: tests/unit/test_attention.py",
} | dict.fromkeys(
    ("lstm_packed", "gru_packed", "rnn_tanh_packed", "rnn_relu_packed"),
    "packed sequences: tests/unit/test_recurrent.py",
)

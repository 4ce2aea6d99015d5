"""Process-wide settings by PyTorch's names. But for the precision of products they change no result, and are kept for programs that ask."""

from __future__ import annotations

from mezzo.errors import ArgumentValueError
from mezzo.kernels.cpu.contract import precision as products
from mezzo.kernels.cpu.pool import get_num_threads


class _Chosen:
    deterministic = warn_only = False


class strided:
    """The memory layout of every tensor (torch.strided)."""

    def __eq__(self, other) -> bool:
        # Tensor.layout tells more than PyTorch's: whatever it is, it is strided.
        return isinstance(other, strided) or type(other).__name__ == "Layout"

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "mezzo.strided"


STRIDED = strided()


def get_float32_matmul_precision() -> str:
    """What set_float32_matmul_precision chose. Source: torch.get_float32_matmul_precision"""
    return products.get()


def set_float32_matmul_precision(precision: str) -> None:
    """Choose how exactly matrix products of float32 tensors are computed. Sums are float32 in any case.

    "highest": in full. "high": each number as two bfloat16 terms, 16 significant bits (relative error 2^-17 of a number). "medium": as one,
    8 bits. Processors with bfloat16 products (AMX; for "medium" also AMD's AVX-512) then multiply faster; others, and
    products too small to gain, compute in full. Convolutions and attention always do. It holds for the whole process, for
    what is called from then on, gradients too.

    Source: torch.set_float32_matmul_precision
    """
    if precision not in products.PRECISIONS:
        raise ArgumentValueError(
            f"set_float32_matmul_precision: got {precision!r}; it must be one of {', '.join(products.PRECISIONS)}."
        )
    products.choose(precision)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that are the same in every run; mezzo's kernels always give that.

    Source: torch.use_deterministic_algorithms
    """
    _Chosen.deterministic, _Chosen.warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms chose. Source: torch.are_deterministic_algorithms_enabled"""
    return _Chosen.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Source: torch.is_deterministic_algorithms_warn_only_enabled"""
    return _Chosen.warn_only


def get_num_interop_threads() -> int:
    """Operations run one after another on get_num_threads() threads. Source: torch.get_num_interop_threads"""
    return get_num_threads()

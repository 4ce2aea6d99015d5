"""torch.backends: switches of libraries that mezzo does not have. They can be set, and change nothing."""

from __future__ import annotations


class _Switches:
    """Named settings with their values; is_available() says that the library is absent."""

    def __init__(self, **settings):
        self.__dict__.update(settings)

    def is_available(self) -> bool:
        """False: mezzo's own kernels stand in its place."""
        return False

    is_built = is_available

    def version(self) -> None:
        """None: the library is absent."""
        return None


cudnn = _Switches(
    enabled=False, benchmark=False, deterministic=False, allow_tf32=False, benchmark_limit=10
)
cuda = _Switches(matmul=_Switches(
    allow_tf32=False, allow_fp16_reduced_precision_reduction=False, allow_bf16_reduced_precision_reduction=False
))  # fmt: skip
mps, mkl, mkldnn, openmp = _Switches(), _Switches(), _Switches(enabled=False), _Switches()

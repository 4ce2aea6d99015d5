"""Weight normalisation, spectral normalisation and orthogonal weights as parametrizations."""

from __future__ import annotations

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.core.tensor import Tensor
from mezzo.nn import functional as F
from mezzo.nn.module import Module
from mezzo.nn.utils import parametrize


def norm_over_rest(weight: Tensor, dim: int | None) -> Tensor:
    """The norm over all axes but one."""
    if dim is None or dim == -1:
        return weight.norm()
    axes = tuple(i for i in range(weight.dim()) if i != dim % weight.dim())
    return weight.norm(2, axes, True) if axes else weight.abs()


class _WeightNorm(Module):
    """g v / |v|, v of the weight's shape."""

    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / norm_over_rest(weight_v, self.dim))

    def right_inverse(self, weight):
        """(|weight|, weight)."""
        return norm_over_rest(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """A weight as length times direction: g v / |v|, norms over all axes but dim.

    Source: torch.nn.utils.parametrizations.weight_norm (Salimans & Kingma, 2016)
    """
    return parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """The weight over its largest singular value, estimated by power iteration."""

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ):
        super().__init__()
        if not -weight.dim() <= dim < weight.dim():
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.dim()}, {weight.dim() - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps, self.n_power_iterations = dim % weight.dim(), eps, n_power_iterations
        if weight.dim() > 1:
            with no_grad():
                matrix = self._matrix(weight)
                rows, columns = matrix.shape
                made = {"dtype": matrix.dtype, "device": matrix.device}
                self.register_buffer("_u", F.normalize(ops.randn(rows, **made), dim=0, eps=eps))
                self.register_buffer("_v", F.normalize(ops.randn(columns, **made), dim=0, eps=eps))
                self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        order = (self.dim, *(d for d in range(weight.dim()) if d != self.dim))
        return weight.permute(order).flatten(1)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        with no_grad():
            for _ in range(times):
                self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.t().mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value):
        """The value itself: it is taken to be normalised."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """A weight over its largest singular value. dim: the axis of the outputs (1 for transposed convolutions).

    Source: torch.nn.utils.parametrizations.spectral_norm (Miyato et al., 2018)
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{type(module).__name__}' has no parameter or buffer with name '{name}'")  # fmt: skip
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    made = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return parametrize.register_parametrization(module, name, made)


class _Orthogonal(Module):
    """The matrix exponential, or the Cayley map, of a skew-symmetric matrix."""

    def __init__(self, shape, kind: str):
        super().__init__()
        self.shape, self.kind = tuple(shape), kind

    def forward(self, original):
        rows, columns = self.shape[-2:]
        x, is_wide = (original.mT, True) if rows < columns else (original, False)
        n, k = x.shape[-2:]
        lower = x.tril(-1) if n == k else x.tril()
        if n != k:
            lower = ops.cat((lower, x.new_zeros((*x.shape[:-2], n, n - k))), -1)
            lower = lower.tril(-1)
        skew = lower - lower.mT
        if self.kind == "matrix_exp":
            q = ops.matrix_exp(skew)
        else:
            unit = ops.eye(n, dtype=x.dtype, device=x.device)
            q = ops.solve(unit + skew * -0.5, unit + skew * 0.5)
        q = q.narrow(-1, 0, k)
        return q.mT if is_wide else q


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None) -> Module:
    """A weight with orthonormal rows or columns. orthogonal_map: "matrix_exp" (default) or "cayley".

    The weight starts from the map of what is there. Source: torch.nn.utils.parametrizations.orthogonal
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{type(module).__name__}' has no parameter or buffer with name '{name}'")  # fmt: skip
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")  # fmt: skip
    kind = orthogonal_map or "matrix_exp"
    if kind not in ("matrix_exp", "cayley"):
        raise ValueError(f"orthogonal_map has to be one of 'matrix_exp', 'cayley'. Got: {orthogonal_map}")  # fmt: skip
    return parametrize.register_parametrization(module, name, _Orthogonal(weight.shape, kind), unsafe=True)  # fmt: skip

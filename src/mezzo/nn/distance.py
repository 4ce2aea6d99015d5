"""Similarities of vectors, and normalisation across channels."""

from __future__ import annotations

from mezzo.nn.layer import FunctionLayer


class CosineSimilarity(FunctionLayer, calls="cosine_similarity"):
    """The cosine of the angle between vectors along an axis."""

    dim: int = 1
    eps: float = 1e-8
    shown = ()


class PairwiseDistance(FunctionLayer, calls="pairwise_distance"):
    """The p-norm of the difference of vectors along the last axis."""

    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False
    shown = ()

    def prepare(self, given):
        return {{"p": "norm"}.get(name, name): value for name, value in given.items()}

    def options(self) -> dict:
        return {"p": self.norm, "eps": self.eps, "keepdim": self.keepdim}


class LocalResponseNorm(FunctionLayer, calls="local_response_norm"):
    """Each element divided by a power of the mean square of neighbouring channels."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm, calls="local_response_norm"):
    """LocalResponseNorm of images, with k first set to 1."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1

"""PyTorch's factors with the signs that mezzo fixes: the largest element of each vector is positive."""

from __future__ import annotations

import torch


def signs(columns: torch.Tensor) -> torch.Tensor:
    """The sign of the largest element of each column, as a row."""
    if not columns.numel():
        return torch.ones((*columns.shape[:-2], 1, columns.shape[-1]), dtype=columns.dtype)
    at = columns.abs().argmax(-2, keepdim=True)
    return columns.gather(-2, at).sign().detach()


def eigh(*args, **kwargs):
    """torch.linalg.eigh."""
    values, vectors = torch.linalg.eigh(*args, **kwargs)
    return values, vectors * signs(vectors)


def linalg_svd(*args, **kwargs):
    """torch.linalg.svd."""
    u, s, vh = torch.linalg.svd(*args, **kwargs)
    found, k = signs(u), s.shape[-1]
    turned = vh[..., :k, :] * found[..., :k].transpose(-2, -1)
    return u * found, s, torch.cat((turned, vh[..., k:, :]), -2)


def svd(*args, out=None, **kwargs):
    """torch.svd."""
    u, s, v = torch.svd(*args, **kwargs)
    found = signs(u)
    return u * found, s, v * found[..., : v.shape[-1]]


REFERENCES = {"eigh": eigh, "linalg_svd": linalg_svd, "svd": svd}

"""weight_norm and spectral_norm under their older names: hooks that compute the weight before each call."""

from __future__ import annotations

from mezzo import ops
from mezzo.autograd import no_grad
from mezzo.nn import functional as F
from mezzo.nn.module import Module
from mezzo.nn.parameter import Parameter
from mezzo.nn.utils.parametrizations import norm_over_rest


class _WeightNormHook:
    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, -1 if dim is None else dim

    def compute(self, module: Module):
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_over_rest(v, self.dim))

    def __call__(self, module, inputs):
        module.__dict__[self.name] = self.compute(module)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """A weight as <name>_g times the direction of <name>_v. parametrizations.weight_norm is its successor.

    Source: torch.nn.utils.weight_norm
    """
    if any(isinstance(h, _WeightNormHook) and h.name == name for h in _hooks(module).values()):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = _WeightNormHook(name, dim)
    weight = module._parameters.pop(name)
    module.register_parameter(
        f"{name}_g", Parameter(norm_over_rest(weight, hook.dim).detach().clone())
    )
    module.register_parameter(f"{name}_v", Parameter(weight.detach().clone()))
    module.__dict__[name] = hook.compute(module)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Undo weight_norm: the weight becomes a parameter again. Source: torch.nn.utils.remove_weight_norm"""
    return _removed(module, name, _WeightNormHook, ("_g", "_v"), ())


class _SpectralNormHook:
    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        self.name, self.n, self.dim, self.eps = name, n_power_iterations, dim, eps

    def matrix(self, weight):
        order = (self.dim, *(d for d in range(weight.dim()) if d != self.dim))
        return weight.permute(order).flatten(1)

    def compute(self, module: Module, update: bool = False):
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self.matrix(weight)
        if update:
            with no_grad():
                for _ in range(self.n):
                    v.copy_(F.normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()
        return weight / u.dot(matrix.mv(v))

    def __call__(self, module, inputs):
        module.__dict__[self.name] = self.compute(module, module.training)


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """A weight over its largest singular value. parametrizations.spectral_norm is its successor.

    Source: torch.nn.utils.spectral_norm
    """
    if any(isinstance(h, _SpectralNormHook) and h.name == name for h in _hooks(module).values()):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if n_power_iterations <= 0:
        raise ValueError(
            f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
        )
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    hook = _SpectralNormHook(name, n_power_iterations, dim, eps)
    weight = module._parameters.pop(name)
    rows, columns = hook.matrix(weight.detach()).shape
    made = {"dtype": weight.dtype, "device": weight.device}
    module.register_parameter(f"{name}_orig", weight)
    module.register_buffer(f"{name}_u", F.normalize(ops.randn(rows, **made), dim=0, eps=eps))
    module.register_buffer(f"{name}_v", F.normalize(ops.randn(columns, **made), dim=0, eps=eps))
    module.__dict__[name] = weight.detach()
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Undo spectral_norm. Source: torch.nn.utils.remove_spectral_norm"""
    return _removed(module, name, _SpectralNormHook, ("_orig",), ("_u", "_v"))


def _hooks(module: Module) -> dict:
    return module._forward_pre_hooks


def _removed(module: Module, name: str, kind: type, parameters, buffers) -> Module:
    for key, hook in list(_hooks(module).items()):
        if isinstance(hook, kind) and hook.name == name:
            with no_grad():
                weight = hook.compute(module).clone()
            del _hooks(module)[key]
            module.__dict__.pop(name, None)
            for suffix in (*parameters, *buffers):
                delattr(module, name + suffix)
            module.register_parameter(name, Parameter(weight.detach()))
            return module
    raise ValueError(
        f"{kind.__name__.strip('_').removesuffix('Hook')} of '{name}' not found in {module}"
    )

"""PyTorch's module paths to what mezzo keeps in other files, as `from mezzo.nn.modules.batchnorm import _BatchNorm`."""

from __future__ import annotations

import sys
from types import ModuleType

from mezzo import amp, autograd, distributions, func, nn, profiler
from mezzo.nn import conv, hooks, loss, normalization
from mezzo.nn.layer import repeated
from mezzo.utils import data

_MODULES = """activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold instancenorm
    lazy linear loss module normalization padding pixelshuffle pooling rnn sparse transformer upsampling utils"""
_DISTRIBUTIONS = """bernoulli beta binomial categorical cauchy chi2 dirichlet exponential gamma geometric gumbel
    half_normal independent laplace log_normal mixture_same_family multinomial multivariate_normal negative_binomial
    normal one_hot_categorical poisson relaxed_categorical studentT transformed_distribution uniform"""


def _spell(path: str, contents: dict) -> ModuleType:
    """A module under a path, also found as an attribute of its parent."""
    made = sys.modules.get(path)
    if made is None:
        made = sys.modules[path] = ModuleType(
            path, "Another path to names that mezzo keeps elsewhere."
        )
        parent, _, last = path.rpartition(".")
        setattr(sys.modules[parent], last, made)
    for name, value in contents.items():
        made.__dict__.setdefault(name, value)
    return made


def _public(package: ModuleType) -> dict:
    """What a package's own names are, without its files."""
    return {
        name: value
        for name, value in vars(package).items()
        if not name.startswith("__") and not isinstance(value, ModuleType)
    }


def spell_out() -> None:
    """Make every path importable."""
    inner = {
        "_BatchNorm": normalization._BatchNorm,
        "_InstanceNorm": normalization._InstanceNorm,
        "_Loss": loss._Loss,
        "_ConvNd": conv._Conv,
        "_single": lambda x: repeated(x, 1),
        "_pair": lambda x: repeated(x, 2),
        "_triple": lambda x: repeated(x, 3),
    }
    names = {**_public(nn), **inner}
    _spell("mezzo.nn.modules", names)
    for last in _MODULES.split():
        _spell(f"mezzo.nn.modules.{last}", names)
    for last in _DISTRIBUTIONS.split():
        _spell(f"mezzo.distributions.{last}", _public(distributions))
    _spell("mezzo.nn.parallel", {"DataParallel": nn.DataParallel})
    _spell("mezzo.nn.utils.stateless", {"functional_call": func.functional_call})
    _spell("mezzo.nn.utils.clip_grad", _public(nn.utils))
    _spell("mezzo.utils.hooks", {"RemovableHandle": hooks.RemovableHandle})
    _spell("mezzo.autograd.profiler", _public(profiler))
    _spell("mezzo.autograd.variable", _public(autograd))
    _spell("mezzo.amp.autocast_mode", _public(amp))
    _spell("mezzo.amp.grad_scaler", _public(amp))
    _spell("mezzo.utils.data.dataloader", _public(data))

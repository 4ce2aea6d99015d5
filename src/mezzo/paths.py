"""PyTorch's module paths to what mezzo keeps in other files, as `from mezzo.nn.modules.batchnorm import _BatchNorm`."""

from __future__ import annotations

from mezzo import amp, autograd, func, nn, profiler
from mezzo.nn import conv, hooks, loss, normalization
from mezzo.nn.layer import repeated
from mezzo.spelling import public, spell
from mezzo.utils import data

_MODULES = """activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold instancenorm
    lazy linear loss module normalization padding pixelshuffle pooling rnn sparse transformer upsampling utils"""


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
    names = {**public(nn), **inner}
    spell("mezzo.nn.modules", names)
    for last in _MODULES.split():
        spell(f"mezzo.nn.modules.{last}", names)
    spell("mezzo.nn.parallel", {"DataParallel": nn.DataParallel})
    spell("mezzo.nn.utils.stateless", {"functional_call": func.functional_call})
    spell("mezzo.nn.utils.clip_grad", public(nn.utils))
    spell("mezzo.utils.hooks", {"RemovableHandle": hooks.RemovableHandle})
    spell("mezzo.autograd.profiler", public(profiler))
    spell("mezzo.autograd.variable", public(autograd))
    spell("mezzo.amp.autocast_mode", public(amp))
    spell("mezzo.amp.grad_scaler", public(amp))
    spell("mezzo.utils.data.dataloader", public(data))

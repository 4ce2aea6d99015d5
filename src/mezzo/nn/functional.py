"""Every operation that PyTorch offers in torch.nn.functional.

There is no list here: a record says by its namespace that it belongs, and this module shows them.
"""

from __future__ import annotations

from mezzo import ops

_found = ops.namespace("nn.functional")
globals().update(_found)
__all__ = sorted(_found)


def __getattr__(name: str):
    raise AttributeError(
        f"mezzo.nn.functional has no function {name!r}; it has {len(__all__)} (see dir())."
    )

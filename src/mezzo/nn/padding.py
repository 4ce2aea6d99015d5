"""Padding layers: sizes are (left, right, top, bottom, ...), or one number for all sides."""

from __future__ import annotations

from mezzo.nn.layer import FunctionLayer, repeated


class _Pad(FunctionLayer, calls="pad"):
    """Padding of the last `axes` axes in one mode."""

    padding: int | tuple
    axes = 1

    def prepare(self, given):
        return given | {"padding": repeated(given["padding"], 2 * self.axes)}

    def options(self) -> dict:
        return {"pad": self.padding, **self.fixed}

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    padding: int | tuple
    value: float

    def options(self) -> dict:
        return {"pad": self.padding, "mode": "constant", "value": self.value}

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_Pad):
    fixed = {"mode": "constant", "value": 0.0}


class _ReflectionPad(_Pad):
    fixed = {"mode": "reflect"}


class _ReplicationPad(_Pad):
    fixed = {"mode": "replicate"}


class _CircularPad(_Pad):
    fixed = {"mode": "circular"}


def _family(base: type, name: str, text: str) -> list[type]:
    """The 1d, 2d and 3d classes of one mode."""
    return [
        type(base)(
            f"{name}{axes}d",
            (base,),
            {"__doc__": text.format(axes), "__module__": __name__, "axes": axes},
        )
        for axes in (1, 2, 3)
    ]


ConstantPad1d, ConstantPad2d, ConstantPad3d = _family(
    _ConstantPad, "ConstantPad", "Pads the last {} axes with one value."
)
ZeroPad1d, ZeroPad2d, ZeroPad3d = _family(_ZeroPad, "ZeroPad", "Pads the last {} axes with zeros.")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _family(
    _ReflectionPad, "ReflectionPad", "Pads the last {} axes by reflection at the edge."
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _family(
    _ReplicationPad, "ReplicationPad", "Pads the last {} axes with the value at the edge."
)
CircularPad1d, CircularPad2d, CircularPad3d = _family(
    _CircularPad, "CircularPad", "Pads the last {} axes from the opposite side."
)

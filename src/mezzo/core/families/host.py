"""Operations that NumPy runs: those where a library serves (sorting, decompositions) and generated code has no edge.

    @host(shapes=lambda x, ...: [(shape, dtype), ...])
    def sort(...): ...

`run(*arrays_and_parameters, outs)` gets NumPy views of the operands' memory and writes the outputs'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mezzo import devices, dtypes
from mezzo.core import tape
from mezzo.core.layout import dense
from mezzo.core.record import Primitive, registered
from mezzo.core.tensor import Tensor, common_device, empty
from mezzo.kernels.cpu import capture


class HostPlan:
    """Output layouts and the function that fills them."""

    __slots__ = ("fill", "launch", "layouts", "runs", "single")

    def __init__(self, layouts, fill: Callable, runs: bool, single: bool):
        self.layouts, self.fill, self.runs, self.single = layouts, fill, runs, single
        self.launch: Callable | None = None

    def execute(self, args: tuple):
        """Run on new memory."""
        outs = tuple(empty(x) for x in self.layouts)
        if self.launch is not None:
            self.launch(outs, args)
        elif self.runs:
            fill(self.fill, outs, args)
        return outs[0] if self.single else outs


def fill(function: Callable, outs: Sequence[Tensor], args: Sequence) -> None:
    """function(arrays of outs, *args with arrays for tensors): it writes the outs, and keeps nothing of what it gets."""
    recording = capture.active()
    if recording is not None and recording.strict:
        recording.host(function, outs, args)
        return
    function([o._array() for o in outs], *[_view(a) for a in args])


def _view(value):
    if isinstance(value, Tensor):
        return value._array()
    if isinstance(value, (tuple, list)):
        return type(value)(_view(v) for v in value)
    return value


class Host(Primitive):
    """A record whose outputs NumPy computes. results(*args) -> one (shape, dtype) or a tuple of them.

    native(*args) -> launch(outs, args) where a kernel of ours does it better, else None; layouts stand for tensors.
    """

    family = "host"

    def __init__(self, fn, *, results: Callable, fill: Callable, native: Callable | None = None,
                 **options):  # fmt: skip
        super().__init__(fn, **options)
        self.results, self.fill, self.native = results, fill, native

    def make(self, *args) -> HostPlan:
        known = [a.layout if isinstance(a, Tensor) else a for a in args]
        found = self.results(*known)
        single = len(found) == 2 and isinstance(found[1], dtypes.dtype)
        device = common_device(
            self.name, [args[i] for i in self.operands if isinstance(args[i], Tensor)]
        )
        layouts = [dense(shape, dtype, device) for shape, dtype in ([found] if single else found)]
        plan = HostPlan(layouts, self.fill, device is not devices.meta, single)
        if plan.runs and self.native is not None and all(x.numel for x in layouts):
            plan.launch = self.native(*known)
        return plan

    def run(self, args: tuple):
        outs = self.plan(args).execute(args)
        tape.attach(self, args, outs)
        return outs


host = registered(Host)

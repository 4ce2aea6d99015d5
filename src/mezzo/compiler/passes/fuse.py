"""fuse: elementwise calls on the same elements become one loop.

A group collects calls whose results lie on one shape. It sinks towards its last member, as long as nothing on the
way needs what it writes or writes what it reads. What only members read is never stored. Values pass
between members rounded as a store and a load would round them: a fused program gives the same bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mezzo.compiler.fused import FusedMap
from mezzo.compiler.graph import Buffer, Graph, Node, Region
from mezzo.compiler.passes.fold_constants import constants
from mezzo.core.families.elementwise import STRIDED, Elementwise, Recipe, access
from mezzo.core.layout import Layout, dense
from mezzo.core.tensor import Tensor
from mezzo.kernels import ir
from mezzo.kernels.ir import Expr

SLOTS = 28  # pointers and numbers of one kernel
NODES = 400  # expressions of one kernel
REACH = 64  # calls that a group may sink past


def fuse(graph: Graph) -> Graph:
    """The graph with elementwise calls grouped."""
    return graph.with_nodes(_Fuser(graph).run())


def is_dense_at(region: Region) -> tuple:
    """What identifies the elements of a region in row-major order, whatever the shape."""
    have = region.layout
    if have.is_contiguous:
        return region.buffer, region.offset, have.numel, have.dtype
    return region.buffer, region.offset, have


class _Group:
    """Calls that become one loop over `shape`. is_flat: any shape with as many elements would do."""

    def __init__(self, shape: tuple, is_flat: bool, at: int):
        self.shape, self.is_flat, self.at = shape, is_flat, at
        self.numel = 1
        for n in shape:
            self.numel *= n
        self.members: list[Node] = []
        self.values: dict[tuple, Expr] = {}  # what stands in a region, as far as the group wrote it
        self.stores: dict[
            tuple, tuple[Region, Expr, bool]
        ] = {}  # region, value, whether it is fresh
        self.loads: dict[tuple, tuple[int, Region]] = {}
        self.scalars: list[tuple[object, str]] = []
        self.read: dict[Buffer, set] = {}
        self.written: dict[Buffer, set] = {}
        self.size = 0

    def conflicts(self, node: Node) -> bool:
        """Whether the node must come after the group."""
        return any(r.buffer in self.written for r in node.reads()) or any(
            w.buffer in self.written or w.buffer in self.read for w in node.writes
        )

    def takes(self, node: Node, recipe: Recipe, flat: bool) -> bool:
        """Whether the node may become a member."""
        have = tuple(recipe.out.shape)
        if have != self.shape and not (recipe.out.numel == self.numel and (flat or self.is_flat)):
            return False
        slots = len(self.stores) + len(self.loads) + len(self.scalars)
        if slots + len(recipe.layouts) + len(recipe.scalars) + 1 > SLOTS or self.size > NODES:
            return False
        for region in (node.args[i] for i in recipe.tensors):
            keys = self.written.get(region.buffer)
            if keys is not None and (
                keys != {is_dense_at(region)} or region.layout.numel != self.numel
            ):
                return False
        for region in node.writes:
            key = {is_dense_at(region)}
            if (
                self.read.get(region.buffer, key) != key
                or self.written.get(region.buffer, key) != key
            ):
                return False
        return True

    def add(self, node: Node, recipe: Recipe, flat: bool, constants: dict[Buffer, object]) -> None:
        """Make the node a member."""
        if tuple(recipe.out.shape) != self.shape and not flat:
            self.shape = tuple(recipe.out.shape)
        self.is_flat &= flat
        operands = [node.args[i] for i in recipe.tensors]
        numbers = [
            (node.args[i], to, t) for (i, to), t in zip(recipe.scalars, recipe.kernel.scalars)
        ]

        def leaf(e: Expr) -> Expr | None:
            if e.op == "load":
                return self._value(operands[e.attr], recipe.kernel.ins[e.attr], constants)
            if e.op == "scalar":
                value, to, _ = numbers[e.attr]
                return self._scalar(to(value), e.type)
            return None

        (value,) = ir.substitute(recipe.kernel.exprs, leaf)
        region = node.outs[0] if node.outs else node.writes[0]
        self._store(region, ir.round_to(value, region.layout.dtype.ir), bool(node.outs))
        self.size = len(ir.walk(tuple(v for _, v, _ in self.stores.values())))
        self.members.append(node)

    def _value(self, region: Region, storage: str, constants: dict) -> Expr:
        key = is_dense_at(region)
        found = self.values.get(key)
        if found is not None:
            return found
        if region.buffer in constants:
            return ir.const(constants[region.buffer], ir.COMPUTE[storage])
        at, _ = self.loads.setdefault((key, tuple(region.layout.shape)), (len(self.loads), region))
        self.read.setdefault(region.buffer, set()).add(key)
        return ir.load(at, storage)

    def _scalar(self, value, type: str) -> Expr:
        for i, (known, kind) in enumerate(self.scalars):
            if kind == type and known.__class__ is value.__class__ and repr(known) == repr(value):
                return ir.scalar(i, type)
        self.scalars.append((value, type))
        return ir.scalar(len(self.scalars) - 1, type)

    def _store(self, region: Region, value: Expr, fresh: bool) -> None:
        key = is_dense_at(region)
        before = self.stores.get(key)
        self.stores[key] = (before[0] if before else region, value, before[2] if before else fresh)
        self.values[key] = value
        self.written.setdefault(region.buffer, set()).add(key)

    def emit(self, needed: Counter) -> Node | None:
        """The node of the group; needed: how often each buffer is read outside, or kept."""
        inside = Counter(r.buffer for m in self.members for r in m.reads())
        stores = [
            (region, value, fresh)
            for region, value, fresh in self.stores.values()
            if not fresh or needed[region.buffer] > inside[region.buffer]
        ]
        if not stores:
            return None
        if len(self.members) == 1:
            return self.members[0]
        stores.sort(key=lambda s: not s[2])
        roots = tuple(v for _, v, _ in stores)
        used = [e.attr for e in ir.walk(roots) if e.op == "load"]
        order = list(dict.fromkeys(used))
        numbers = list(dict.fromkeys(e.attr for e in ir.walk(roots) if e.op == "scalar"))
        regions = dict(self.loads.values())

        def renumber(e: Expr) -> Expr | None:
            if e.op == "load":
                return ir.load(order.index(e.attr), regions[e.attr].layout.dtype.ir)
            return ir.scalar(numbers.index(e.attr), e.type) if e.op == "scalar" else None

        record = FusedMap(
            self.shape, ir.substitute(roots, renumber), [regions[i].layout.dtype.ir for i in order],
            [r.layout.dtype.ir for r, _, _ in stores], [self.scalars[i][1] for i in numbers],
            [self._laid(r.layout) for r, _, fresh in stores], [m.record.name for m in self.members],
        )  # fmt: skip
        ins = tuple([self._placed(regions[i]) for i in order])
        fresh = tuple([r for r, _, f in stores if f])
        targets = tuple([r for r, _, f in stores if not f])
        args = (
            ins,
            tuple(map(self._placed, targets)),
            tuple([self.scalars[i][0] for i in numbers]),
        )
        return Node("fused", record, args, fresh, targets, self.members[-1].place)

    def _laid(self, have: Layout) -> Layout:
        fits = tuple(have.shape) == self.shape or have.numel != self.numel or not have.is_contiguous
        return have if fits else dense(self.shape, have.dtype, have.device)

    def _placed(self, region: Region) -> Region:
        return Region(region.buffer, region.offset, self._laid(region.layout))


class _Fuser:
    """One walk over a graph."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.needed: Counter = Counter(r.buffer for n in graph.nodes for r in n.reads())
        self.needed.update(graph.kept)
        self.constants = constants(graph)
        self.open: list[_Group] = []
        self.out: list[Node] = []

    def run(self) -> list[Node]:
        """The new nodes."""
        for at, node in enumerate(self.graph.nodes):
            recipe = recipe_of(node)
            group = None
            if recipe is not None:
                flat = _is_flat(node, recipe)
                group = next(
                    (
                        g
                        for g in reversed(self.open)
                        if self._shares(g, node) and g.takes(node, recipe, flat)
                    ),
                    None,
                )
            self._close(
                g
                for g in list(self.open)
                if g is not group and (g.conflicts(node) or at - g.at > REACH)
            )
            if recipe is None:
                self.out.append(node)
                continue
            if group is None:
                group = _Group(tuple(recipe.out.shape), flat, at)
                self.open.append(group)
            group.add(node, recipe, flat, self.constants)
            group.at = at
        self._close(list(self.open))
        return self.out

    @staticmethod
    def _shares(group: _Group, node: Node) -> bool:
        """Whether a member and the node have something to do with each other."""
        return any(r.buffer in group.written or r.buffer in group.read for r in node.reads())

    def _close(self, groups: Iterable[_Group]) -> None:
        for group in groups:
            self.open.remove(group)
            made = group.emit(self.needed)
            if made is not None:
                self.out.append(made)


def recipe_of(node: Node) -> Recipe | None:
    """The call as a kernel, if it is one that may be fused."""
    record = node.record
    if node.form not in ("call", "update") or node.unless or not isinstance(record, Elementwise):
        return None
    regions = list(node.reads())
    target = node.writes[0].layout if node.writes else None
    out = target or node.outs[0].layout
    if any(r.layout.dtype.is_complex for r in (*regions, *node.outs)) or not out.numel:
        return None
    args = tuple([bare(a) if isinstance(a, Region) else a for a in node.args])
    recipe = record.recipe(target, args)
    checks = type(record).run is not Elementwise.run
    if (
        checks and ir.COMPUTE[out.dtype.ir] not in ir.FLOATS
    ):  # integer division looks at its divisor
        return None
    if recipe.kernel.uses_index:
        return None
    _, _, pattern = access((recipe.out,), recipe.layouts, False)
    return None if STRIDED in pattern else recipe


def bare(region: Region) -> Tensor:
    """A tensor with a layout and nothing else."""
    made = object.__new__(Tensor)
    made.layout, made.storage, made.ptr = region.layout, None, 0
    made.auto = made.base = None
    return made


def _is_flat(node: Node, recipe: Recipe) -> bool:
    """Whether every operand is one number, or runs on as the result does."""
    return recipe.out.is_contiguous and all(
        x.numel == 1 or (x.is_contiguous and x.numel == recipe.out.numel) for x in recipe.layouts
    )


def parts_of(maker: Node):
    """(operands, expressions, numbers, their types, name) of a loop with one result."""
    if isinstance(maker.record, FusedMap):
        ins, _, numbers = maker.args
        kernel = maker.record.kernel
        return list(ins), kernel.exprs, list(numbers), list(kernel.scalars), maker.record.name
    recipe = recipe_of(maker)
    if recipe is None:
        return None
    ins = [maker.args[i] for i in recipe.tensors]
    numbers = [to(maker.args[i]) for i, to in recipe.scalars]
    exprs = (ir.round_to(recipe.kernel.exprs[0], recipe.out.dtype.ir),)
    return ins, exprs, numbers, list(recipe.kernel.scalars), maker.record.name

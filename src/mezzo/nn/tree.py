"""Walking the tree of modules: iterators over children, parameters and buffers, and look-up by path."""

from __future__ import annotations

from collections.abc import Iterator

from mezzo.core.tensor import Tensor
from mezzo.nn.parameter import Parameter


class Tree:
    """The part of Module that walks; Module supplies _modules, _parameters and _buffers."""

    def named_children(self) -> Iterator[tuple[str, Tree]]:
        """(name, module) of the direct children, each module once."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Tree]:
        """The direct children, each once."""
        for _, child in self.named_children():
            yield child

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ):
        """(dotted name, module) of this module and all below it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Tree]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def _named_members(self, members, prefix: str, recurse: bool, remove_duplicate: bool):
        """(dotted name, value) of `members(module)` over the tree, each value once."""
        seen = set()
        if recurse:
            owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        else:
            owners = [(prefix, self)]
        for path, module in owners:
            for name, value in members(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield _join(path, name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter); a tied parameter comes once unless remove_duplicate=False."""
        yield from self._named_members(
            lambda m: m._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer is given."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer)."""
        yield from self._named_members(
            lambda m: m._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # ---- by path ---------------------------------------------------------------------------------

    def get_submodule(self, target: str):
        """The module at a dotted path; "" is this one. Raises AttributeError."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Tree):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module) -> None:
        """Put `module` at a dotted path whose parent exists."""
        if not target:
            raise ValueError("set_submodule: argument 1 (target) is empty; name a submodule.")
        if not isinstance(module, Tree):
            raise ValueError(f"set_submodule: argument 2 (module) is {type(module)}, not a Module.")
        parent, _, name = target.rpartition(".")
        setattr(self.get_submodule(parent), name, module)

    def _get_member(self, target: str, table: str, kind: str):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in getattr(module, table):
            raise AttributeError(f"`{name}` is not {kind}")
        return getattr(module, table)[name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError."""
        return self._get_member(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError."""
        return self._get_member(target, "_buffers", "a buffer")


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name

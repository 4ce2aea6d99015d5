"""The record: all that mezzo knows of an operation, and the door: calling a record.

A record is made by a family's decorator on a real `def` with a real signature. What a user may call
(functions, Tensor methods, operators, in-place and out= forms), autocast lists, docs and tests are
derived from the registry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from numbers import Number
from types import MethodType
from typing import Any

from mezzo import dtypes
from mezzo.core.state import STATE
from mezzo.core.tape import attach, requires_grad
from mezzo.core.tensor import Tensor
from mezzo.errors import ArgumentTypeError, DTypeError, Fact, GradientError, MezzoError, message
from mezzo.kernels.cpu import capture

REGISTRY: dict[str, Record] = {}
_SYNONYMS = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "a": "input",
    "self": "input",
    "value": "src",
}


@dataclasses.dataclass(frozen=True)
class none:
    """Says why a rule is absent; a test refuses silence."""

    reason: str


@dataclasses.dataclass(frozen=True)
class Cast:
    """The autocast class of an operation for each device type.

    One of: keep, low, fp32, set_dtype, append_dtype, promote, banned (see docs/autocast.md).
    """

    cpu: str = "keep"
    cuda: str = "keep"


KEEP = Cast()


class Keyed:
    """What the short way (core/short) reads of a record: who serves its calls, and those with one full tuple."""

    __slots__ = ("applied", "short")


class Record(Keyed):
    """One operation. Calling it is the door: every way to run an operation passes here."""

    family = "record"
    is_composite = False
    node_kind: type | None = None  # of its nodes on the tape, where it is the same for all calls
    complexed: Record | None = None  # what runs instead where an operand is complex (complex_form)

    def __init__(self, fn: Callable, *, where: str = "mezzo Tensor", name: str | None = None, operators: str = "",
                 aliases: str = "", inplace: bool = False, varargs: str | None = None, vjp: Any = None,
                 batch: Any = None, cast: Cast | str = KEEP, samples: Any = (), errors: Any = (),
                 reference: Callable | str | None = None, no_gradient_outputs: Sequence[int] = (),
                 saved_outputs: Sequence[int] | None = None, grad_name: str | Callable[[tuple], str] = ""):  # fmt: skip
        self.fn = fn
        self.name = name or fn.__name__.rstrip("_") or fn.__name__
        self.__name__, self.__doc__, self.__module__ = self.name, fn.__doc__, fn.__module__
        self.where, self.operators, self.aliases = where.split(), operators.split(), aliases.split()
        self.has_inplace, self.samples, self.errors, self.reference = (
            inplace,
            samples,
            errors,
            reference,
        )
        self.cast = Cast(cast, cast) if isinstance(cast, str) else cast
        self.batch, self.no_gradient_outputs = batch, frozenset(no_gradient_outputs)
        # Which outputs a derivative that asks for outputs reads; the others are layouts to it, and free to go.
        self.saved_outputs = None if saved_outputs is None else frozenset(saved_outputs)
        self._read_signature(varargs)
        self._read_vjp(vjp)
        self.grad_name = (
            grad_name or "".join(p.capitalize() for p in self.name.split("_")) + "Backward0"
        )
        if self.name in REGISTRY:
            raise AssertionError(f"two records are called {self.name}: rename one")
        REGISTRY[self.name] = self

    # ---- signature

    def _read_signature(self, varargs: str | None) -> None:
        code, fn = self.fn.__code__, self.fn
        count, extra = code.co_argcount, code.co_kwonlyargcount
        self.names = code.co_varnames[: count + extra]
        self.positional, self.arity = count, count + extra
        self.defaults: dict[str, Any] = dict(fn.__kwdefaults__ or {})
        if fn.__defaults__:
            self.defaults.update(
                zip(self.names[count - len(fn.__defaults__) : count], fn.__defaults__)
            )
        kinds = [str(fn.__annotations__.get(n, "")) for n in self.names]
        self.operands = tuple(i for i, kind in enumerate(kinds) if "Tensor" in kind)
        self.numbers = tuple(
            i for i, kind in enumerate(kinds) if "Tensor" in kind and "Number" in kind
        )
        self.varargs = self.names.index(varargs) if varargs else None
        required = sum(n not in self.defaults for n in self.names[:count])
        tail = tuple(self.defaults.get(n) for n in self.names)
        complete = all(n in self.defaults for n in self.names[count:])
        # How to fill up a call with n positional arguments and no keywords.
        self.tails = (
            {} if varargs or not complete else {n: tail[n:] for n in range(required, count + 1)}
        )

    def bind(self, args: tuple, kwargs: dict) -> tuple:
        """The call's arguments as one tuple in the order of the signature, defaults filled in."""
        if self.varargs is not None and len(args) > self.varargs:
            first = args[self.varargs]
            several = len(args) > self.varargs + 1 and self.varargs == self.positional - 1
            if several or (
                not isinstance(first, (tuple, list))
                and first is not None
                and (isinstance(first, Tensor) or not hasattr(first, "type"))
            ):
                rest = args[self.varargs :]
                args = (*args[: self.varargs], tuple(rest))
        if len(args) > self.positional:
            raise ArgumentTypeError(
                f"{self.name}: takes {self.positional} positional arguments but {len(args)} were given. "
                f"Its signature is {self.signature()}."
            )
        values = list(args)
        kwargs = dict(kwargs)
        for name in self.names[len(args) :]:
            if name in kwargs:
                values.append(kwargs.pop(name))
            elif kwargs and (synonym := self._synonym(name, kwargs)) is not None:
                values.append(kwargs.pop(synonym))
            elif name in self.defaults:
                values.append(self.defaults[name])
            else:
                raise ArgumentTypeError(
                    f"{self.name}: missing required argument '{name}'. Its signature is {self.signature()}."
                )
        if kwargs:
            extra = next(iter(kwargs))
            many = "got multiple values for" if extra in self.names else "got an unexpected keyword"
            raise ArgumentTypeError(
                f"{self.name}: {many} argument '{extra}'. Its signature is {self.signature()}."
            )
        return tuple(values)

    @staticmethod
    def _synonym(name: str, kwargs: dict) -> str | None:
        for other, meant in _SYNONYMS.items():
            if meant == name and other in kwargs:
                return other
        return None

    def signature(self) -> str:
        """The call as a user writes it."""
        parts = []
        for i, name in enumerate(self.names):
            if i == self.positional:
                parts.append("*")
            parts.append(f"{name}={self.defaults[name]!r}" if name in self.defaults else name)
        return f"{self.name}({', '.join(parts)})"

    # ---- derivative

    def _read_vjp(self, vjp) -> None:
        self.vjp_reason = vjp.reason if isinstance(vjp, none) else ""
        self.no_gradient = isinstance(vjp, none)
        self.joint = vjp if callable(vjp) else None
        self.vjps: dict[int, Callable] = {}
        if isinstance(vjp, dict):
            self.vjps = {self.names.index(name): rule for name, rule in vjp.items()}
        self.has_vjp = vjp is not None
        # The rules as the engine calls them: the same functions, or their Shorts once the record is called.
        self.quick_joint, self.quick_vjps = self.joint, dict(self.vjps)
        self.saved_known: dict[tuple, tuple[frozenset | None, bool]] = {}

    def saved(self, wanted: tuple) -> tuple[frozenset | None, bool]:
        """Which operands, and whether the output, the rules for the positions `wanted` read.

        A rule's parameter with a leading underscore is not kept: the rule gets its layout. None
        instead of a set: no operand is kept and none is a list.
        """
        found = self.saved_known.get(wanted)
        if found is None:
            positions = {p if isinstance(p, int) else p[0] for p in wanted}
            rules = (
                [self.joint] if self.joint else [self.vjps[p] for p in positions if p in self.vjps]
            )
            keep, out = set(), False
            for rule in rules:
                names = rule.__code__.co_varnames[: rule.__code__.co_argcount]
                out |= not names[1].startswith("_")
                keep |= {
                    i
                    for i, n in enumerate(names[2:])
                    if not n.startswith("_") and i in self.operands
                }
            plain = not keep and all(isinstance(p, int) for p in wanted)
            found = self.saved_known[wanted] = (None if plain else frozenset(keep), out)
        return found

    # ---- the door

    def __call__(self, *args, **kwargs):
        if not kwargs and (tail := self.tails.get(len(args))) is not None:
            args += tail
        else:
            out = kwargs.pop("out", None)
            args = self.bind(args, kwargs)
            if out is not None:
                return self.call_into(out, args)
        if self.complexed is not None and self.has_complex(args):
            return self.complexed.apply(args)
        try:
            if STATE.stack:
                return interpret(self, args)
            return self.run(args)
        except Exception:
            self.refuse_strangers(args)
            raise

    def refuse_strangers(self, args: tuple) -> None:
        """Raise if an operand is no tensor. Asked only after a call failed, so that good calls pay nothing."""
        for position in self.operands:
            name, value = self.names[position], args[position]
            kind = str(self.fn.__annotations__[name])
            several = kind.startswith("Sequence") or position == self.varargs
            many = several and isinstance(value, (tuple, list))
            fine = (Tensor, Number) if "Number" in kind else Tensor
            for item in value if many else (value,):
                if isinstance(item, fine) or (item is None and "None" in kind):
                    continue
                needs = (
                    "a Tensor or a number"
                    if "Number" in kind
                    else "a tuple of Tensors"
                    if several
                    else "a Tensor"
                )
                shown = repr(item) if isinstance(item, (str, int, float, type(None))) else ""
                raise ArgumentTypeError(
                    f"{self.name}: argument {position + 1} ({name}) is {type(item).__name__} {shown[:40]}".rstrip()
                    + f"; it must be {needs}. Convert numbers and arrays with mezzo.tensor(...)."
                ) from None

    def apply(self, args: tuple):
        """The door for arguments that are already one full tuple."""
        if self.complexed is not None and self.has_complex(args):
            return self.complexed.apply(args)
        return interpret(self, args) if STATE.stack else self.run(args)

    def has_complex(self, args: tuple) -> bool:
        """Whether an operand is a complex tensor or number."""
        for position in self.operands:
            value = args[position]
            if isinstance(value, Tensor):
                if value.layout.dtype.category == dtypes.COMPLEX:
                    return True
            elif isinstance(value, complex):
                return True
        return False

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<{self.family} {self.signature()}>"

    def __reduce__(self):
        return (_by_name, (self.name,))

    def run(self, args: tuple):
        """The call with no interpreter active: rules, kernel, tape."""
        raise NotImplementedError

    def update(self, target: Tensor, args: tuple) -> Tensor:
        """The in-place form: the result of the call replaces target, which is args[0]."""
        if STATE.grad and requires_grad(target):  # derivatives read what is about to be overwritten
            args = (target.clone(), *args[1:])
        result = self.apply(args)
        have, made = target.layout.dtype, result.layout.dtype
        if have.category < made.category:
            fact = Fact(DTypeError, f"result type {made.name} can't be cast to the desired output type {have.name}",
                        "Write the operation out of place, or convert the tensor first.")  # fmt: skip
            self.fail(fact, args)
        return COPY_INTO[0](target, result)

    def call_into(self, out, args: tuple):
        """The out= form: the result is written into out."""
        result = self.apply(args)
        many = isinstance(result, tuple)
        for to, value in zip(out if many else (out,), result if many else (result,)):
            if isinstance(to, Tensor) and (to.requires_grad and STATE.grad):
                raise GradientError(
                    f"{self.name}: functions with out=... arguments don't support automatic differentiation, but "
                    "an argument requires grad. Leave out= away, or work under no_grad()."
                )
            RESIZE_INTO[0](to, value)
        return out

    def fail(self, fact: Fact, args: tuple):
        """Raise the public error for an inner fact, with the operation and what it got."""
        got = ", ".join(
            describe(a) for i, a in enumerate(args) if i in self.operands and a is not None
        )
        advice = f"{fact.advice} " if fact.advice else ""
        error = fact.kind(message(self.name, fact.text, f"{advice}Got {got}." if got else advice))
        error.fact = None if self.where else fact
        raise error from None


DROPPED: list[Callable[[], None]] = []  # called where plans are dropped
COPY_INTO: list = []  # copy_ and its resizing form, set once by ops/copy.py
RESIZE_INTO: list = []


def describe(value) -> str:
    """A short description of an argument for messages."""
    if isinstance(value, Tensor):
        return f"{value.layout.dtype.name}{list(value.layout.shape)}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(describe(v) for v in value)}]"
    return repr(value)


def interpret(record: Record, args: tuple):
    """Hand a call to the innermost interpreter; it runs with itself removed from the stack."""
    stack = STATE.stack
    top = stack.pop()
    try:
        return top.process(record, args)
    finally:
        stack.append(top)


def update(record: Record, target: Tensor, *args, **kwargs) -> Tensor:
    """The in-place form of a record through the door."""
    return update_bound(record, record.bind((target, *args), kwargs))


def update_bound(record: Record, args: tuple) -> Tensor:
    """The in-place form for arguments that are already one full tuple; the target is the first."""
    if record.complexed is not None and record.has_complex(args):
        return Record.update(record, args[0], args)
    if not STATE.stack:
        return record.update(args[0], args)
    stack = STATE.stack
    top = stack.pop()
    try:
        return top.process_update(record, args[0], args)
    finally:
        stack.append(top)


def _by_name(name: str) -> Record:
    return REGISTRY[name]


class Composite(Record):
    """An operation whose body is written with other operations; everything else follows from them."""

    family = "composite"
    is_composite = True

    def __init__(self, fn: Callable, *, free: Sequence[str] = (), **options):
        # free: numbers that reach launches as they are; where one does not, Python makes the call.
        super().__init__(fn, **options)
        self.free = free

    def free_numbers(self) -> dict[int, tuple[float, ...]]:
        """As those of a primitive record."""
        return {self.names.index(name): () for name in self.free}

    def run(self, args: tuple):
        try:
            if self.positional == self.arity:
                return self.fn(*args)
            return self.fn(
                *args[: self.positional],
                **dict(zip(self.names[self.positional :], args[self.positional :])),
            )
        except Fact as fact:
            self.fail(fact, args)
        except MezzoError as error:
            self.retell(error, args)

    def retell(self, error: MezzoError, args: tuple):
        """Raise the error of an internal operation under this name, any other as it is."""
        if error.fact is None:
            raise error
        self.fail(error.fact, args)

    def guarded(self, function: Callable, args: tuple):
        """function(args), with facts and the errors of internal operations told under this name."""
        try:
            return function(args)
        except Fact as fact:
            self.fail(fact, args)
        except MezzoError as error:
            self.retell(error, args)


class ComplexForm(Composite):
    """What a record does where an operand is complex: composed of real operations on the parts."""

    family = "complex form"


def complex_form(record: Record):
    """A decorator: the body is what `record` does with complex operands; it has the record's signature."""

    def wrap(fn: Callable) -> Record:
        record.complexed = ComplexForm(fn, where="", name=f"complex_{record.name}")
        return record.complexed

    return wrap


class Primitive(Record):
    """An operation with a plan: a function of layouts and parameters, remembered between calls.

    make(args) -> Plan. A plan depends on nothing but the layouts of tensors, the kinds of numbers,
    and the values of parameters.
    """

    family = "primitive"
    limit = 4096  # plans kept per record; more means ever-changing shapes, and all are dropped

    def __init__(self, fn, *, make=None, **options):
        super().__init__(fn, **options)
        self.plans: dict = {}
        if make is not None:
            self.make = make

    def key(self, args: tuple):
        """What a plan depends on."""
        return tuple([self._part(a) for a in args])

    @staticmethod
    def _part(value):
        if isinstance(value, Tensor):
            return value.layout
        if isinstance(value, (tuple, list)):
            return tuple(Primitive._part(v) for v in value)
        return (value.__class__, value)

    def free_numbers(self) -> dict[int, tuple[float, ...]]:
        """Positions of numbers that a launch gets as they are, whatever their value, with the values that are not."""
        return {}

    def forget(self) -> None:
        """Drop the plans: a setting that they depend on changed."""
        capture.retire(self.plans)
        # The short way's entries point into plans, and launches may be on their way.
        self.retired, self.plans = self.plans, {}
        for dropped in DROPPED:
            dropped()

    def plan(self, args: tuple):
        """The plan for these arguments, made on first use."""
        key = self.key(args)
        found = self.plans.get(key)
        if found is None:
            try:
                found = self.make(*args)
            except Fact as fact:
                self.fail(fact, args)
            if len(self.plans) >= self.limit:
                Primitive.forget(self)
            found = self.plans.setdefault(key, found)  # another thread's, if it was quicker
        return found

    def run(self, args: tuple):
        plan = self.plan(args)
        outs = plan.execute(args)
        attach(self, args, outs)
        return outs


class FirstLayoutKeyed(Primitive):
    """A primitive whose plan usually depends on the layout of its first operand and on parameters as they stand."""

    def plan(self, args: tuple):
        # Asked for without a look at each argument; nothing else is stored under such a key.
        try:
            found = self.plans.get((args[0].layout, args[1:]))
        except (AttributeError, TypeError):
            found = None
        return super().plan(args) if found is None else found

    def key(self, args: tuple):
        # Axes, sizes and the like are hashable as they stand, but for lists.
        try:
            hash(args[1:])
        except TypeError:
            return super().key(args)
        if isinstance(args[0], Tensor) and not any(isinstance(a, Tensor) for a in args[1:]):
            return (args[0].layout, args[1:])
        return super().key(args)


def registered(family: type[Record], defaults: dict | None = None):
    """A decorator that makes records of a family."""

    def decorator(**options):
        def wrap(fn: Callable) -> Record:
            return family(fn, **{**(defaults or {}), **options})

        return wrap

    return decorator


composite = registered(Composite)


def _forget_plans() -> None:
    for record in REGISTRY.values():
        if isinstance(record, Primitive) and record.plans:
            record.forget()
    for dropped in DROPPED:
        dropped()


dtypes.Defaults.changed.append(
    _forget_plans
)  # integers become the default float in many operations

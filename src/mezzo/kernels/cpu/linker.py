"""Text LLVM IR to machine code at an address: parse, verify, optimise, emit, link; and counters.

Use `jit.load`, which adds what kernels may call (worker threads, conversions); this module is below
the pool and the entry, which are themselves IR.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mezzo.errors import ArgumentValueError, KernelError
from mezzo.kernels.cpu import cache, llvm, system
from mezzo.kernels.cpu.target import Target, host

# An object depends on its IR, the target, LLVM and the pipeline below. Raise this number when the
# pipeline changes: objects of before are then never found again.
PIPELINE = "1"
LEVELS = (0, 1, 2, 3)

_DEFINED = re.compile(
    r'\s*(?P<linkage>private\s|internal\s)?[^@\n]*@(?P<name>"[^"\n]+"|[\w.$-]+)\s*\('
)
_GLOBAL = re.compile(r"(?P<name>[\w.$-]+)\s*=\s*(?:dso_local\s+)?global\b")

lock = threading.RLock()
_serial = itertools.count()


@dataclass
class Counters:
    """What this process compiled and loaded; for tests and `mezzo doctor`."""

    compiled: int = 0
    loaded: int = 0  # found in the cache on disk
    compile_ms: float = 0.0
    load_ms: float = 0.0
    object_bytes: int = 0


counters = Counters()


@dataclass(frozen=True)
class Module:
    """Machine code in memory. It stays until the process ends: addresses never dangle."""

    label: str
    addresses: Mapping[str, int]

    def address(self, name: str) -> int:
        """The address of a function or global that the IR defines."""
        found = self.addresses.get(name)
        if found is None:
            names = ", ".join(sorted(self.addresses)) or "nothing"
            raise KernelError(f"jit: the module defines no @{name}; it defines {names}.")
        return found


def link(
    ir: str,
    *,
    imports: Mapping[str, int] | None = None,
    optimize: int = 2,
    target: Target | None = None,
) -> Module:
    """Machine code for this IR, from the cache if it was compiled before. Not memoised here."""
    if optimize not in LEVELS:
        raise ArgumentValueError(f"jit: optimize is {optimize!r}; it must be 0, 1, 2 or 3.")
    target = target or host()
    with lock:
        _dump(ir)
        name = cache.key(
            PIPELINE,
            ".".join(map(str, llvm.llvm_version_info)),
            target.triple,
            target.name,
            target.features,
            str(optimize),
            ir,
        )
        code = cache.read(name)
        if code is not None:
            try:
                module = _link(code, ir, imports)
                counters.loaded += 1
                return module
            except RuntimeError:
                code = None  # written by another tool chain: compile it anew
        code = compile_object(ir, optimize, target)
        cache.write(name, code)
        return _link(code, ir, imports)


def compile_object(ir: str, optimize: int, target: Target) -> bytes:
    """Object code of this IR for that target."""
    with lock:
        start = time.perf_counter()
        machine = _machine(target, optimize)
        module = _parse(ir, machine)
        if optimize:
            _optimise(module, machine, optimize)
        code = machine.emit_object(module)
        counters.compiled += 1
        counters.compile_ms += (time.perf_counter() - start) * 1e3
        return code


def assembly(ir: str, optimize: int = 2, target: Target | None = None) -> str:
    """The assembler text of this IR, for reading."""
    with lock:
        machine = _machine(target or host(), optimize)
        module = _parse(ir, machine)
        if optimize:
            _optimise(module, machine, optimize)
        return machine.emit_assembly(module)


def _parse(ir: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    # The layout decides the alignment of types while parsing, so it goes first; on the same line,
    # so that line numbers in messages are those of the author's text.
    head = f'target datalayout = "{machine.target_data}" target triple = "{machine.triple}" '
    try:
        module = llvm.parse_assembly(head + ir)
        module.verify()
    except RuntimeError as error:
        raise KernelError(f"jit: the IR is not valid. {error}{_quote(ir, str(error))}") from None
    return module


def _quote(ir: str, problem: str) -> str:
    """The line of the IR that a parser's message points at, with its neighbours."""
    found = re.search(r":(\d+):\d+: error", problem)
    if not found:
        return ""
    lines, at = ir.splitlines(), int(found.group(1))
    shown = [
        f"{'>' if n == at else ' '} {n:4d} | {lines[n - 1]}"
        for n in range(max(1, at - 2), min(len(lines), at + 2) + 1)
    ]
    return "\nIR:\n" + "\n".join(shown)


def _optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine, level: int) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=min(level, 2))
    # Kernels state their vectors and unrolling themselves; the vectorisers run at level 3 only,
    # for loops written in scalars.
    options.loop_vectorization = level == 3
    options.slp_vectorization = level == 3
    options.loop_unrolling = level == 3
    options.loop_interleaving = level == 3
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


_machines: dict[tuple[Target, int], llvm.TargetMachine] = {}
_linkers: list[llvm.LLJIT] = []
_trackers: list[llvm.ResourceTracker] = []  # LLVM unloads the code of one that nobody holds


def _machine(target: Target, optimize: int) -> llvm.TargetMachine:
    level = 0 if optimize == 0 else 3
    found = _machines.get((target, level))
    if found is None:
        _start()
        if target.triple != llvm.get_process_triple():  # code to read, for a foreign processor
            llvm.initialize_all_targets()
            llvm.initialize_all_asmprinters()
        found = llvm.Target.from_triple(target.triple).create_target_machine(
            cpu=target.name,
            features=target.features,
            opt=level,
            reloc="default" if system.WINDOWS else "pic",
            codemodel="jitdefault" if system.WINDOWS else "default",
            jit=True,
        )
        _machines[target, level] = found
    return found


def _start() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _link(code: bytes, ir: str, imports: Mapping[str, int] | None) -> Module:
    start = time.perf_counter()
    if not _linkers:
        _start()
        # RuntimeDyld loads faster, but only JITLink places sections near each other, as Arm needs.
        _linkers.append(llvm.create_lljit_compiler(use_jit_link=system.IS_ARM))
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    for name, address in (imports or {}).items():
        builder.import_symbol(name, address)
    names = defined(ir)
    for name in names:
        builder.export_symbol(name)
    label = f"mezzo{next(_serial)}"
    try:
        tracker = builder.link(_linkers[0], label)
    except RuntimeError as error:
        raise KernelError(
            f"jit: the compiled code does not link: {error}. A kernel may call functions of the C "
            "library and of libm, @mezzo_parallel, and what it imports."
        ) from None
    counters.load_ms += (time.perf_counter() - start) * 1e3
    counters.object_bytes += len(code)
    _trackers.append(tracker)
    return Module(label, {name: tracker[name] for name in names})


def defined(ir: str) -> list[str]:
    """Names of the functions and variables that the IR defines for others."""
    # Splitting first is ten times faster than one expression over a long text.
    functions = map(_DEFINED.match, f"\n{ir}".split("\ndefine ")[1:])
    variables = map(_GLOBAL.match, f"\n{ir}".split("\n@")[1:])
    names = [m["name"].strip('"') for m in functions if m and not m["linkage"]]
    return names + [m["name"] for m in variables if m]


def _dump(ir: str) -> None:
    where = os.environ.get("MEZZO_DUMP_IR")
    if where:
        names = defined(ir)
        stem = re.sub(r"[^\w.-]", "_", names[-1] if names else "module")
        folder = Path(where)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}-{cache.key(ir)[:8]}.ll").write_text(ir)


if hasattr(os, "register_at_fork"):
    # A fork while another thread compiles would leave LLVM's locks taken in the child for ever.
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )

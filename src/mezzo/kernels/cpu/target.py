"""What the processor can do, as LLVM names it, and how MEZZO_CPU_TARGET lowers it.

    host()            the target that kernels are generated for
    named("avx2")     a lower one, for tests
    foreign("neon")   one that this processor cannot run: to read and verify code for it

Targets, lowest first: plain (the base of the architecture), avx2 (AVX2, FMA, F16C), avx512,
avx512bf16 (adds bf16 dot products), native (all that the host has, with fp16 and AMX).
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from mezzo.errors import ArgumentValueError
from mezzo.kernels.cpu import llvm, system

NAMES = ("native", "avx512bf16", "avx512", "avx2", "plain")

_AVX2 = {"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"}
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_BF16 = _AVX512 | {"avx512bf16", "avx512vnni"}
_AMX = ("amx-tile", "amx-bf16", "amx-int8")
# LLVM name of the lowered processor, and what it has: (cpu, extra features, all features).
_LOWERED = {
    "avx512bf16": ("x86-64-v4", "+avx512bf16,+avx512vnni", _BF16),
    "avx512": ("x86-64-v4", "", _AVX512),
    "avx2": ("x86-64-v3", "", _AVX2),
    "plain": ("x86-64", "", set()),
}


@dataclass(frozen=True)
class Target:
    """A processor that code is generated for. `label` is its name in MEZZO_CPU_TARGET."""

    label: str
    name: str
    features: str
    triple: str
    vector_bits: int
    has_fma: bool
    has_f16c: bool
    has_avx2: bool
    has_avx512: bool
    has_avx512_bf16: bool
    has_avx512_fp16: bool
    has_avx512_vnni: bool
    has_amx_bf16: bool
    has_amx_int8: bool
    has_neon: bool

    def lanes(self, bits: int) -> int:
        """How many elements of so many bits one vector register holds."""
        return self.vector_bits // bits


@functools.cache
def host() -> Target:
    """The target of this process: what the processor has, lowered by MEZZO_CPU_TARGET."""
    return named(os.environ.get("MEZZO_CPU_TARGET") or "native")


@functools.cache
def named(label: str) -> Target:
    """The target of that name; raises if it is unknown or this processor cannot run it."""
    if label not in NAMES:
        raise ArgumentValueError(
            f"MEZZO_CPU_TARGET: got {label!r}; it must be one of {', '.join(NAMES)}."
        )
    found = _host_features()
    if label == "native":
        # Our kernels state 512-bit vectors on purpose: undo a tuning that splits loops at 256.
        flags = ",".join(("+" if on else "-") + name for name, on in sorted(found.items()))
        tuned = flags + (",-prefer-256-bit" if system.IS_X86 else "")
        return _target(label, llvm.get_host_cpu_name(), tuned, {n for n, on in found.items() if on})
    if not system.IS_X86:
        if label != "plain":
            raise ArgumentValueError(
                f"MEZZO_CPU_TARGET: {label!r} is an x86-64 target and this processor is "
                f"{system.MACHINE}. Use 'native' or 'plain'."
            )
        return _target(label, "generic", "", {"neon"} if system.IS_ARM else set())
    cpu, extra, needed = _LOWERED[label]
    missing = sorted(name for name in needed if not found.get(name))
    if missing:
        raise ArgumentValueError(
            f"MEZZO_CPU_TARGET: {label!r} needs {', '.join(missing)}, which this processor "
            f"({llvm.get_host_cpu_name()}) does not have. Choose a lower target or 'native'."
        )
    features = ",".join(filter(None, (extra, "-prefer-256-bit")))
    return _target(label, cpu, features, needed)


# What foreign() knows: (triple, cpu, features told to LLVM, all features that matter here).
_FOREIGN = {
    "neon": ("aarch64-unknown-linux-gnu", "neoverse-n1", "", {"neon"}),
    "amx": (
        "x86_64-unknown-linux-gnu",
        "sapphirerapids",
        "-prefer-256-bit",
        _BF16 | {"avx512fp16", *_AMX},
    ),
}


def foreign(label: str) -> Target:
    """A target for code that is read and verified, never run here: neon (64-bit Arm) or amx (Sapphire Rapids).

    Raises: KeyError for another label
    """
    triple, cpu, features, has = _FOREIGN[label]
    return _target(label, cpu, features, has, triple)


@functools.cache
def _host_features() -> dict[str, bool]:
    """LLVM's features of the host, without the tile registers where the kernel refuses them."""
    found = dict(llvm.get_host_cpu_features())
    if found.get("amx-tile") and not system.grant_amx():
        found.update(dict.fromkeys(_AMX, False))
    return found


def _target(
    label: str, cpu: str, features: str, has: set[str], triple: str | None = None
) -> Target:
    avx512 = _AVX512 <= has
    is_arm = system.IS_ARM if triple is None else triple.startswith("aarch64")
    return Target(
        label=label,
        name=cpu,
        features=features,
        triple=triple or llvm.get_process_triple(),
        vector_bits=512 if avx512 else 256 if "avx2" in has else 128,
        has_fma="fma" in has or is_arm,
        has_f16c="f16c" in has,
        has_avx2="avx2" in has,
        has_avx512=avx512,
        has_avx512_bf16=avx512 and "avx512bf16" in has,
        has_avx512_fp16=avx512 and "avx512fp16" in has,
        has_avx512_vnni=avx512 and "avx512vnni" in has,
        has_amx_bf16="amx-tile" in has and "amx-bf16" in has,
        has_amx_int8="amx-tile" in has and "amx-int8" in has,
        has_neon="neon" in has or is_arm,
    )

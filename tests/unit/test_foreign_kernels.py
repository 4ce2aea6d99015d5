"""Kernels for other processors: LLVM takes all of them, and the hearts of products are as they were reviewed."""

from __future__ import annotations

import difflib
import json
import subprocess
import sys

import pytest

from mezzo.errors import ArgumentValueError
from mezzo.kernels.cpu import system, target

FLOATS_AS = {"conv2d": "bfloat16"}  # in terms on tile registers, at these sizes
LABELS = ("plain", "avx2", "avx512", "avx512bf16", "amx", "neon")


def run(root, *arguments: str) -> str:
    command = [sys.executable, str(root / "tools" / "foreign_kernels.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("label", LABELS)
def test_micro_kernels_are_the_reviewed_ones(root, label):
    """Renewed by: python tools/foreign_kernels.py LABEL --write"""
    if label in target.NAMES:
        try:
            target.named(label)
        except ArgumentValueError as error:
            pytest.skip(str(error))
    have = (root / "tests" / "golden" / f"micro-{label}.ll").read_text(encoding="utf-8")
    want = run(root, label, "--golden")
    lines = list(difflib.unified_diff(have.splitlines(), want.splitlines(), lineterm="", n=0))
    assert not lines, "\n".join(lines[:20])


@pytest.mark.parametrize("label", ["neon", "amx"])
def test_llvm_takes_the_kernels_of_every_family(root, label):
    if not system.IS_X86:
        pytest.skip("operations are run on the processor at hand, whose own target this is")
    made = json.loads(run(root, label))
    for kind in ("float32", "bfloat16", "float16"):
        fused = {"neon": "fmla 4s", "amx": "fma zmm"}[label]
        for operation in ("gelu", "softmax", "attention", "depthwise", "few rows"):
            assert fused in made[f"{operation} {kind}"], (operation, kind)
        for operation in ("matmul", "conv2d"):
            tile = label == "amx" and "bfloat16" in (kind, FLOATS_AS.get(operation))
            assert ("tile bf16" if tile else fused) in made[f"{operation} {kind}"], (
                operation,
                kind,
            )
    assert "read f16" in made["matmul float16"]
    foreign = {"neon": ("fma zmm", "fma ymm", "mul xmm"), "amx": ("fmla 4s",)}[label]
    assert not any(set(found) & set(foreign) for found in made.values())

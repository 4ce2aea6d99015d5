"""Kernels for processors that are not at hand: written, verified by LLVM for their target, kept as text to be read.

    python tools/foreign_kernels.py neon            verify the kernels of every family, for 64-bit Arm
    python tools/foreign_kernels.py neon --write    write the golden micro-kernel to tests/golden
    python tools/foreign_kernels.py neon --golden   print it

Operations run here with kernels that do nothing; what would have been compiled is collected. Prints, as JSON, for each
operation the instructions that tell what its kernels are made of. Labels: kernels/cpu/target.py, foreign or lowered.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import mezzo
from mezzo.kernels.cpu import contract, jit, linker, target
from mezzo.nn import functional as F

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
NOTHING = "define void @nothing(ptr %args) {\n  ret void\n}\n"
# What to look for in the machine code: fused multiply-adds with their registers, dot products, tiles, conversions.
TELLING = {
    "fmla 4s": r"\bfmla\s+v\d+\.4s",
    "fma zmm": r"\bvfmadd\d+p[sd]\s.*%zmm",
    "fma ymm": r"\bvfmadd\d+p[sd]\s.*%ymm",
    "mul xmm": r"\bmulps\s",
    "dot bf16": r"\bvdpbf16ps\s",
    "tile bf16": r"\btdpbf16ps\s",
    "round bf16": r"\bvcvtneps2bf16",
    "read f16": r"\b(?:vcvtph2psx?|fcvtl)\s",
}
# The type whose micro-kernel is the golden one of a target: where there are dot products or tiles, they are read.
GOLDEN_TYPE = {"amx": "bf16", "avx512bf16": "bf16"}


def operations() -> dict[str, Callable]:
    """Calls that reach every family of kernels, in the dtypes that matter."""
    found: dict[str, Callable] = {}
    for dtype in (mezzo.float32, mezzo.bfloat16, mezzo.float16):
        x = mezzo.empty(33, 65, dtype=dtype)
        image, kernel = mezzo.empty(2, 8, 12, 12, dtype=dtype), mezzo.empty(8, 8, 3, 3, dtype=dtype)
        heads = mezzo.empty(2, 2, 40, 16, dtype=dtype)
        one = kernel[:, :1].contiguous()
        name = dtype.name
        found |= {
            f"add {name}": lambda x=x: x + x,
            f"gelu {name}": lambda x=x: F.gelu(x),
            f"exp {name}": lambda x=x: x.exp(),
            f"cast {name}": lambda x=x: x.to(mezzo.float64),
            f"sum {name}": lambda x=x: x.sum(0),
            f"sum all {name}": lambda x=x: x.sum(),
            f"softmax {name}": lambda x=x: x.softmax(-1),
            f"layer_norm {name}": lambda x=x: F.layer_norm(x, (65,)),
            f"matmul {name}": lambda x=x: x @ x.t(),
            f"few rows {name}": lambda x=x: x[:2] @ x.t(),
            f"transpose {name}": lambda x=x: x.t().contiguous(),
            f"cumsum {name}": lambda x=x: x.cumsum(0),
            f"cumsum along {name}": lambda x=x: x.cumsum(1),
            f"conv2d {name}": lambda i=image, k=kernel: F.conv2d(i, k, padding=1),
            f"depthwise {name}": lambda i=image, k=one: F.conv2d(i, k, padding=1, groups=8),
            f"argsort {name}": lambda x=x: x[:, :40].argsort(-1),
            f"topk {name}": lambda x=x: x.topk(20),
            f"max_pool2d {name}": lambda i=image: F.max_pool2d(i, 2),
            f"attention {name}": lambda h=heads: F.scaled_dot_product_attention(h, h, h, is_causal=True),
        }  # fmt: skip
    return found


class Collector:
    """Stands in for jit.load: keeps each text, and hands out a kernel that does nothing."""

    def __init__(self):
        self.texts: dict[str, str] = {}
        self.operation = ""
        self.nothing = linker.link(NOTHING).address("nothing")

    def __call__(self, ir: str, **options) -> Collector:
        self.texts.setdefault(ir, self.operation)
        return self

    def address(self, name: str) -> int:
        """The kernel that does nothing, whatever its name."""
        return self.nothing


def collect(chosen: target.Target) -> dict[str, str]:
    """{text of a kernel: the operation that wanted it}, generated for a target."""
    mezzo.empty(2).add(1)  # what runs kernels here is made for the processor at hand
    kinds = operations()
    collector = Collector()
    target.host, jit.load = lambda: chosen, collector  # type: ignore[assignment]
    for name, call in kinds.items():
        collector.operation = name
        call()
    return collector.texts


def micro_kernel(label: str) -> str:
    """The largest micro-kernel of a product for the target, as text."""
    kind = GOLDEN_TYPE.get(label, "f32")
    scheme = contract.scheme(kind, kind, kind, kind, None)
    text = contract.Contraction(scheme).ir()
    name = f"micro_{scheme.row_steps[-1]}_{scheme.vector_steps[-1]}"
    found = re.search(rf"^define internal void @{name}\(.*?^}}\n", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found.group()


def verify(chosen: target.Target) -> dict[str, list[str]]:
    """{operation: what its kernels are made of}; LLVM raises where a text is wrong for the target."""
    report: dict[str, set[str]] = {}
    for ir, operation in collect(chosen).items():
        code = linker.assembly(ir, target=chosen)
        report.setdefault(operation, set()).update(
            k for k, p in TELLING.items() if re.search(p, code)
        )
    return {operation: sorted(found) for operation, found in report.items()}


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--golden", action="store_true")
    options = parser.parse_args()
    label = options.target
    chosen = target.named(label) if label in target.NAMES else target.foreign(label)
    if not (options.write or options.golden):
        json.dump(verify(chosen), sys.stdout)
        return
    target.host = lambda: chosen  # type: ignore[assignment]
    text = micro_kernel(label)
    if options.golden:
        sys.stdout.write(text)
    else:
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"micro-{label}.ll").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

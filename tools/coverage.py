"""Write docs/coverage.md: what every public operation supports, read from the records.

    python tools/coverage.py            write the page
    python tools/coverage.py --check    exit with 1 if the page is not current

A tick means that the derived tests in tests/ops check it; a reason stands where something is absent.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from mezzo import dtypes, ops
from mezzo.core.record import REGISTRY, Record, none
from mezzo.errors import MezzoError
from mezzo.testing.samples import materialise
from mezzo.testing.trees import mapped, tensors

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coverage.md"
SHOWN = {
    "f32": "float32", "f64": "float64", "bf16": "bfloat16", "f16": "float16", "i64": "int64", "i32": "int32",
    "u8": "uint8", "bool": "bool",
}  # fmt: skip
TRIED = 3  # samples per dtype: one that runs is enough

HEAD = """# What every operation supports

Written by `python tools/coverage.py` from the records; a test checks that it is current. {count} operations in
{places}, with {names} public names (methods, functions and aliases), {inplace} of them also in place. A tick is a
promise that `tests/ops` holds the operation to: values in every dtype against PyTorch's, first and second
derivatives (grad, grad²), vmap against a loop, the traced program against the call, and the dtypes under autocast.

| operation | source | {dtypes} | grad | grad² | vmap | trace | autocast cpu / cuda | in place |
|---|---|{rule}|---|---|---|---|---|---|
"""


def tried(record: Record, dtype, requires_grad: bool = False):
    """(asked, device, results) of the first sample call that runs in this dtype; device None if none does.

    asked: whether the samples have tensors of the dtype under test. Layouts alone decide: the samples are
    moved to device "meta", and only what needs values runs on the processor.
    """
    asked = False
    for sample in record.samples[:TRIED]:
        args, kwargs = materialise(sample, dtype, record.name, requires_grad)
        asked |= any(t.dtype is dtype for t in tensors((args, kwargs)))
        if sample.dtypes and dtype.name not in [getattr(d, "name", d) for d in sample.dtypes]:
            continue
        for place in ("meta", "cpu"):
            try:
                moved = [mapped(lambda t, p=place: to_device(t, p), v) for v in (args, kwargs)]
                return asked, place, tensors((record(*moved[0], **moved[1]),))
            except (MezzoError, OverflowError):
                continue
    return asked, None, []


def to_device(tensor, place: str):
    """A leaf on that device that asks for gradients if the tensor does."""
    return tensor.detach().to(place).requires_grad_(tensor.requires_grad)


def tick(reason: str = "") -> str:
    """A tick, or why there is none."""
    return f"no: {reason}" if reason else "✓"


def gradient(record: Record) -> str:
    """Whether there are derivatives: the reason, a dash where no result is differentiable."""
    if record.vjp_reason:
        return tick(record.vjp_reason)
    _, _, outs = tried(record, dtypes.float32, requires_grad=True)
    return tick() if any(o.requires_grad for o in outs) else "–"


def batching(record: Record) -> str:
    """Whether there is a batching rule."""
    if not record.operands:
        return "–"
    return tick(record.batch.reason if isinstance(record.batch, none) else "")


def tracing(record: Record) -> str:
    """Whether a program can be traced through it."""
    places = {tried(record, dtypes.by_name(name))[1] for name in ("float32", "int64", "bool")}
    return tick("" if "meta" in places else "needs values")


def row(record: Record) -> str:
    """One line of the table."""
    supported = []
    for name in SHOWN.values():
        asked, place, _ = tried(record, dtypes.by_name(name))
        supported.append("–" if not asked else "✓" if place else "")
    source = re.search(r"Source:\s*(\S+)", record.__doc__ or "")
    grad = gradient(record)
    cast = (
        record.cast.cpu
        if record.cast.cpu == record.cast.cuda
        else f"{record.cast.cpu} / {record.cast.cuda}"
    )
    cells = [
        record.name, f"`{source[1]}`" if source else "", *supported, grad, grad if len(grad) == 1 else "",
        batching(record), tracing(record), cast, "✓" if record.has_inplace else "",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def page() -> str:
    """The whole page."""
    public = sorted((r for r in REGISTRY.values() if r.where), key=lambda r: r.name)
    places = sorted({place for r in public for place in r.where})
    head = HEAD.format(
        count=len(public), places=", ".join(f"`{p}`" for p in places), names=count_names(public, places),
        inplace=sum(r.has_inplace for r in public), dtypes=" | ".join(SHOWN), rule="|".join(["---"] * len(SHOWN)),
    )  # fmt: skip
    return head + "\n".join(map(row, public)) + "\n"


def count_names(public: list[Record], places: list[str]) -> int:
    """How many names users can call: each function of each place, and each method."""
    functions = sum(len(ops.namespace(place)) for place in places if place != "Tensor")
    methods = {name for r in public if "Tensor" in r.where for name in (r.name, *r.aliases)}
    inplace = {name + "_" for r in public if r.has_inplace for name in (r.name, *r.aliases)}
    return functions + len(methods | inplace)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    wanted = page()
    if parser.parse_args().check:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`mezzo doctor`: what this machine can do, and what it does when measured."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import click
import llvmlite
import llvmlite.binding as llvm
import numpy as np
from rich.console import Console
from rich.table import Table

import mezzo
from mezzo.kernels.cpu import cache, system, target

MATMUL_SIZE = 1024
ADD_ELEMENTS = 1 << 24
SECONDS = 0.4  # spent on each measurement, after one call that compiles


@click.command()
@click.option("--threads", type=click.IntRange(1), help="Worker threads.  [default: all cores]")
@click.option("--measure/--no-measure", default=True, help="Time matmul and add as well.")
def command(threads, measure) -> None:
    """Say what this machine can do: vector units, fast dtypes, threads, GPU, cache, versions."""
    if threads is not None:
        mezzo.set_num_threads(threads)
    console = Console()
    table = Table(title="mezzo doctor", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for part in (versions(), machine(), kernel_cache()):
        for row in part:
            table.add_row(*row)
        table.add_section()
    if measure:
        with console.status("measuring"):
            for row in speeds():
                table.add_row(*row)
    console.print(table)


def versions() -> list[tuple[str, str]]:
    """Rows naming the versions at work."""
    return [
        ("mezzo", mezzo.__version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("numpy", np.__version__),
        ("llvmlite", llvmlite.__version__),
        ("LLVM", ".".join(map(str, llvm.llvm_version_info))),
    ]


def machine() -> list[tuple[str, str]]:
    """Rows about the processor, threads, memory and GPU."""
    host = target.host()
    lowered = os.environ.get("MEZZO_CPU_TARGET")
    note = f" (lowered by MEZZO_CPU_TARGET={lowered})" if lowered else ""
    if mezzo.cuda.is_available():
        gpu = f"{mezzo.cuda.device_count()} CUDA devices"
    else:
        gpu = "none that mezzo can use: everything runs on the CPU"
    return [
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("processor", f"{processor_name()} (for LLVM: {host.name})"),
        ("vector units", vector_units(host) + note),
        ("threads", f"{mezzo.get_num_threads()} of {system.processor_count()} cores"),
        ("memory", f"{system.physical_memory() / 2**30:.1f} GiB"),
        ("GPU", gpu),
    ]


def vector_units(host: target.Target) -> str:
    """The vector width and the extensions that change how a dtype is computed."""
    names = {
        "has_fma": "FMA",
        "has_f16c": "F16C (fp16 loads)",
        "has_avx2": "AVX2",
        "has_avx512": "AVX-512",
        "has_avx512_bf16": "AVX-512 BF16",
        "has_avx512_fp16": "AVX-512 FP16",
        "has_avx512_vnni": "AVX-512 VNNI",
        "has_amx_bf16": "AMX BF16 tiles",
        "has_amx_int8": "AMX INT8 tiles",
        "has_neon": "NEON",
    }
    found = [text for attribute, text in names.items() if getattr(host, attribute)]
    return f"{host.vector_bits} bits: {', '.join(found) or 'the base of the architecture'}"


def processor_name() -> str:
    """The name its maker gave the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    for line in lines:
        label, _, value = line.partition(":")
        if label.strip() == "model name" and value.strip() not in ("", "unknown"):
            return value.strip()
    return platform.processor() or "a processor the system does not name"


def kernel_cache() -> list[tuple[str, str]]:
    """Rows about the compiled kernels on disk."""
    found = cache.info()
    if found["folder"] is None:
        return [("kernel cache", f"off: {found['reason']}")]
    size = f"{found['objects']} kernels, {found['bytes'] / 2**20:.1f} MiB"
    return [("kernel cache", f"{found['folder']}\n{size} of at most {found['limit'] >> 20} MiB")]


def speeds() -> list[tuple[str, str]]:
    """Rows of measured speed: matmul in each float dtype, and an add that memory limits."""
    size = MATMUL_SIZE
    rates = {}
    for dtype in (mezzo.float32, mezzo.bfloat16, mezzo.float16):
        a = mezzo.randn(size, size).to(dtype)
        b = mezzo.randn(size, size).to(dtype)
        rates[dtype] = 2 * size**3 / best_seconds(lambda a=a, b=b: a @ b) / 1e9
    rows = []
    for dtype, rate in rates.items():
        times = rate / rates[mezzo.float32]
        against = "" if dtype is mezzo.float32 else f", {times:.1f}x float32"
        name = str(dtype).rpartition(".")[2]
        rows.append((f"matmul {name}", f"{rate:,.0f} GFLOP/s at {size}x{size}{against}"))
    x, y = mezzo.rand(ADD_ELEMENTS), mezzo.rand(ADD_ELEMENTS)
    moved = 3 * 4 * ADD_ELEMENTS
    rate = moved / best_seconds(lambda: x + y) / 1e9
    rows.append(("add float32", f"{rate:,.1f} GB/s on {ADD_ELEMENTS >> 20} Mi elements"))
    return rows


def best_seconds(call) -> float:
    """The shortest time of a call, over SECONDS of trying; the first call is not counted."""
    call()
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best

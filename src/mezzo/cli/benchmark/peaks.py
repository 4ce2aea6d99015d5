"""What the machine can do at most: multiply-adds from registers, and memory copied.

The kernels touch no memory while they count: independent chains of vector multiply-adds in every register
but two (fp32), of half-precision ones (fp16), of products of bf16 pairs, or of tile products.
"""

from __future__ import annotations

import time

import mezzo
from mezzo.kernels.cpu import entry, jit, target
from mezzo.kernels.cpu.contract import micro
from mezzo.kernels.cpu.contract.writer import Function, Program

BODY = "ptr %ctx, i64 %begin, i64 %end, i64 %worker"
TURNS = 20_000
STREAM_BYTES = 256 << 20


def arithmetic(kind: str, threads: int) -> float | None:
    """GFLOP/s of multiply-adds in fp32, bf16 or fp16 on that many threads; None if fp32's path is used."""
    written = _program(kind)
    if written is None:
        return None
    program, flops = written
    address = jit.load(program.text()).address("peak")
    before = mezzo.get_num_threads()
    mezzo.set_num_threads(threads)
    sink = mezzo.zeros(64)
    try:
        seconds = _best(lambda: entry.launch(address, sink.data_ptr(), TURNS, threads), 15)
    finally:
        mezzo.set_num_threads(before)
    return flops * TURNS * threads / seconds / 1e9


def bandwidth(threads: int) -> float:
    """GB/s of a copy of memory much larger than the second cache, read and written."""
    before = mezzo.get_num_threads()
    mezzo.set_num_threads(threads)
    source = mezzo.ones(STREAM_BYTES // 4)
    to = mezzo.empty_like(source)
    try:
        seconds = _best(lambda: to.copy_(source), 9)
    finally:
        mezzo.set_num_threads(before)
    return 2 * STREAM_BYTES / seconds / 1e9


def _best(call, samples: int) -> float:
    """The least seconds of a call: a peak is what the machine can do undisturbed."""
    call()
    best = float("inf")
    for _ in range(samples):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _program(kind: str) -> tuple[Program, int] | None:
    """The kernel peak(sink, turns, threads), and the operations of one turn."""
    host = target.host()
    program = Program()
    with program.function("body", BODY) as f:
        turns = f.load("i64", f.at("%ctx", 8), 8)
        sink = f.load("ptr", "%ctx", 8)
        with f.loop("%begin", "%end"):
            if kind == "bf16" and host.has_amx_bf16:
                flops = _tiles(f, turns)
            elif kind == "bf16" and host.has_avx512_bf16:
                flops = _vectors(f, turns, sink, "bf16")
            elif kind == "fp16" and host.has_avx512_fp16:
                flops = _vectors(f, turns, sink, "f16")
            elif kind == "fp32":
                flops = _vectors(f, turns, sink, "f32")
            else:
                return None
    with program.function("peak", "ptr %args", linkage="") as f:
        program.declares.add("declare void @mezzo_parallel(ptr, ptr, i64)")
        threads = f.load("i64", f.at("%args", 16), 8)
        f.call("mezzo_parallel", "void", "ptr @body", "ptr %args", f"i64 {threads}")
    return program, flops


def _vectors(f: Function, turns: str, sink: str, kind: str) -> int:
    """As many chains as there are registers but four; the sums are stored so that none is dropped."""
    host = target.host()
    lanes = host.lanes(16 if kind == "f16" else 32)
    chains = 28 if host.has_avx512 else 12
    element = "half" if kind == "f16" else "float"
    vector = f"<{lanes} x {element}>"
    sums = [f.variable(vector, "zeroinitializer") for _ in range(chains)]
    pairs = f"<{2 * lanes} x bfloat>"
    # read at run time: constants would be folded away
    given = pairs if kind == "bf16" else vector
    factor = f.let(f"load volatile {given}, ptr {sink}, align 4")
    with f.loop(0, turns):
        for slot in sums:
            total = f.load(vector, slot)
            if kind == "bf16":
                name = "llvm.x86.avx512bf16.dpbf16ps.512"
                done = f.intrinsic(name, vector, (vector, total), (pairs, factor), (pairs, factor))
            else:
                name = f"llvm.fma.v{lanes}f{16 if kind == 'f16' else 32}"
                done = f.intrinsic(
                    name, vector, (vector, factor), (vector, factor), (vector, total)
                )
            f.store(vector, done, slot)
    for slot in sums:
        f.do(f"store volatile {vector} {f.load(vector, slot)}, ptr {sink}, align 4")
    return chains * lanes * (4 if kind == "bf16" else 2)


def _tiles(f: Function, turns: str) -> int:
    """Four accumulating tiles, as in the micro-kernel, without its loads."""
    micro.open_tiles(f)
    for tile in range(8):
        f.program.declares.add("declare void @llvm.x86.tilezero(i8 immarg)")
        f.do(f"call void @llvm.x86.tilezero(i8 {tile})")
    f.program.declares.add("declare void @llvm.x86.tdpbf16ps(i8 immarg, i8 immarg, i8 immarg)")
    with f.loop(0, turns):
        for total, left, right in ((0, 4, 6), (1, 4, 7), (2, 5, 6), (3, 5, 7)):
            f.do(f"call void @llvm.x86.tdpbf16ps(i8 {total}, i8 {left}, i8 {right})")
    micro.close_tiles(f)
    return 4 * 2 * 16 * 16 * 32

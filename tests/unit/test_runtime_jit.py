"""Targets, text IR to machine code, conversions of half and bfloat, and the object cache."""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from mezzo.errors import ArgumentValueError, KernelError
from mezzo.kernels.cpu import cache, jit, linker, target
from mezzo.kernels.cpu.entry import launch

SRC = Path(__file__).resolve().parents[2] / "src"

SCALE = """
; test {tag}
define void @kernel(ptr %s) {{
entry:
  %p = load ptr, ptr %s
  %np = getelementptr i64, ptr %s, i64 1
  %n = load i64, ptr %np
  %fp = getelementptr i64, ptr %s, i64 2
  %d = load double, ptr %fp
  %f = fptrunc double %d to float
  %v0 = insertelement <16 x float> poison, float %f, i32 0
  %v = shufflevector <16 x float> %v0, <16 x float> poison, <16 x i32> zeroinitializer
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %a = getelementptr float, ptr %p, i64 %i
  %x = load <16 x float>, ptr %a, align 4
  %y = fmul <16 x float> %x, %v
  store <16 x float> %y, ptr %a, align 4
  %j = add i64 %i, 16
  %c = icmp ult i64 %j, %n
  br i1 %c, label %loop, label %done
done:
  ret void
}}
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(SRC), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )


def runnable() -> list[str]:
    found = []
    for name in target.NAMES:
        try:
            target.named(name)
        except ArgumentValueError:
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("name", runnable())
@pytest.mark.parametrize("optimize", linker.LEVELS)
def test_every_target_and_level_runs(name, optimize):
    module = jit.load(SCALE.format(tag="levels"), optimize=optimize, target=target.named(name))
    x = np.arange(64, dtype=np.float32)
    launch(module.address("kernel"), x.ctypes.data, 64, 2.5)
    np.testing.assert_array_equal(x, np.arange(64, dtype=np.float32) * np.float32(2.5))


def test_avx512_keeps_whole_registers():
    if not target.host().has_avx512:
        text = jit.assembly(SCALE.format(tag="zmm"))
        assert "zmm" not in text
        return
    for name in ("native", "avx512"):
        assert "zmm" in jit.assembly(SCALE.format(tag="zmm"), target=target.named(name))
    assert "zmm" not in jit.assembly(SCALE.format(tag="zmm"), target=target.named("avx2"))


def test_targets_only_lower():
    native = target.named("native")
    for name in runnable():
        lowered = target.named(name)
        assert lowered.vector_bits <= native.vector_bits
        for flag in ("has_avx512", "has_avx512_bf16", "has_avx512_fp16", "has_amx_bf16"):
            assert getattr(lowered, flag) <= getattr(native, flag)
    plain = target.named("plain")
    assert plain.vector_bits == 128 and plain.lanes(32) == 4


def test_target_from_the_environment():
    code = "from mezzo.kernels.cpu.target import host; print(host().label, host().vector_bits)"
    assert python(code, MEZZO_CPU_TARGET="plain").stdout.split() == ["plain", "128"]
    refused = python(code, MEZZO_CPU_TARGET="sse9")
    assert "MEZZO_CPU_TARGET: got 'sse9'; it must be one of native" in refused.stderr


def test_libm_imports_and_memo():
    ir = """
declare double @lgamma(double)
declare double @twice(double)
define void @kernel(ptr %s) {
  %p = load ptr, ptr %s
  %x = load double, ptr %p
  %y = call double @lgamma(double %x)
  %z = call double @twice(double %y)
  store double %z, ptr %p
  ret void
}
"""
    kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    twice = kind(lambda value: 2 * value)
    imports = {"twice": ctypes.cast(twice, ctypes.c_void_p).value}
    module = jit.load(ir, imports=imports)
    assert jit.load(ir, imports=imports) is module
    x = np.array([5.5])
    launch(module.address("kernel"), x.ctypes.data)
    assert x[0] == pytest.approx(2 * math.lgamma(5.5), rel=1e-15)


def test_bad_ir_is_quoted():
    with pytest.raises(KernelError) as caught:
        jit.load("define void @kernel(ptr %s) {\n  %x = load nonsense, ptr %s\n  ret void\n}\n")
    text = str(caught.value)
    assert "the IR is not valid" in text and ">    2 |   %x = load nonsense, ptr %s" in text
    with pytest.raises(RuntimeError, match="not valid"):
        jit.load(
            "define void @k() {\n  br label %a\na:\n  %x = add i32 %y, 1\n  %y = add i32 1, 1\n"
            "  ret void\n}\n"
        )


def test_unknown_names():
    with pytest.raises(KernelError, match=r"defines no @other; it defines kernel"):
        jit.load(SCALE.format(tag="names")).address("other")
    with pytest.raises(KernelError, match="does not link"):
        jit.load(
            "declare void @no_such_function()\ndefine void @kernel(ptr %s) {\n"
            "  call void @no_such_function()\n  ret void\n}\n"
        )
    with pytest.raises(ArgumentValueError, match="optimize is 7"):
        jit.load(SCALE.format(tag="level"), optimize=7)


CONVERT = """
; {name}
define void @kernel(ptr %s) {{
entry:
  %ip = load ptr, ptr %s
  %o = getelementptr i64, ptr %s, i64 1
  %op = load ptr, ptr %o
  %c = getelementptr i64, ptr %s, i64 2
  %n = load i64, ptr %c
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %a = getelementptr {source}, ptr %ip, i64 %i
  %x = load {source}, ptr %a
  %y = {name} {source} %x to {result}
  %b = getelementptr {result}, ptr %op, i64 %i
  store {result} %y, ptr %b
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""
DTYPES = {"half": np.float16, "bfloat": ml_dtypes.bfloat16, "float": np.float32, "double": float}


def converted(name, source, result, values, where):
    ir = CONVERT.format(name=name, source=source, result=result)
    out = np.empty(len(values), DTYPES[result])
    address = jit.load(ir, target=target.named(where)).address("kernel")
    launch(address, values.ctypes.data, out.ctypes.data, len(values))
    return out


@pytest.mark.parametrize("where", runnable())
@pytest.mark.parametrize("wide", ["float", "double"])
def test_half_to_wide_is_exact(where, wide):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(
        converted("fpext", "half", wide, halves, where), halves.astype(DTYPES[wide])
    )


def hard_values(dtype, narrow) -> np.ndarray:
    """Values around every midpoint between neighbours of the narrow type, and the special ones."""
    with np.errstate(invalid="ignore"):  # signalling NaNs are among them
        every = np.arange(65536, dtype=np.uint16).view(narrow).astype(np.float64)
    every = np.sort(every[np.isfinite(every)])
    middles = ((every[1:] + every[:-1]) / 2).astype(dtype)
    top = np.array([65519.9, 65520, 1e30, 3.4e38, np.inf, -np.inf, np.nan, 1e-8, -0.0], dtype)
    nearby = [np.nextafter(middles, dtype(s * np.inf)) for s in (1, -1)]
    return np.concatenate([every.astype(dtype), middles, *nearby, top])


@pytest.mark.parametrize("where", runnable())
@pytest.mark.parametrize("wide", ["float", "double"])
def test_wide_to_half_rounds_to_even(where, wide):
    values = hard_values(np.dtype(DTYPES[wide]).type, np.float16)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    np.testing.assert_array_equal(converted("fptrunc", wide, "half", values, where), expected)


@pytest.mark.parametrize("where", runnable())
@pytest.mark.parametrize("wide", ["float", "double"])
def test_wide_to_bfloat_rounds_to_even(where, wide):
    values = hard_values(np.dtype(DTYPES[wide]).type, ml_dtypes.bfloat16)
    # vcvtneps2bf16 takes subnormals as zero by design, so they are left out.
    values = values[~(np.abs(values) < 1.2e-38)]
    got = converted("fptrunc", wide, "bfloat", values, where).astype(np.float64)
    # The reference is ours: ml_dtypes goes through float and rounds doubles twice.
    every = np.arange(32640, dtype=np.uint16).view(ml_dtypes.bfloat16).astype(np.float64)
    above = np.searchsorted(every, np.abs(values.astype(np.float64)))
    high = np.append(every, 2.0**128)[np.minimum(above, len(every))]
    low = every[np.maximum(above - 1, 0)]
    size = np.abs(values.astype(np.float64))
    up = (size - low > high - size) | ((size - low == high - size) & (above % 2 == 0))
    expected = np.where(up, high, low)
    expected = np.where((expected >= 2.0**128) | np.isinf(size), np.inf, expected)
    expected = np.where(np.isnan(size), np.nan, expected) * np.where(np.signbit(values), -1, 1)
    np.testing.assert_array_equal(got, expected)


def test_cache_is_found_again_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path / "objects"))
    ir = SCALE.format(tag="cached")
    before = linker.counters.compiled, linker.counters.loaded
    linker.link(ir)
    linker.link(ir)
    assert (linker.counters.compiled, linker.counters.loaded) == (before[0] + 1, before[1] + 1)
    info = cache.info()
    assert info["objects"] == 1 and info["bytes"] > 100
    (path,) = (tmp_path / "objects").glob("*.o")
    assert (tmp_path / "objects").stat().st_mode & 0o077 == 0

    for damage in (
        lambda data: data[:-7],
        lambda data: data[:90] + b"!" + data[91:],
        lambda _: b"",
    ):
        path.write_bytes(damage(path.read_bytes()))
        compiled = linker.counters.compiled
        module = linker.link(ir)
        assert linker.counters.compiled == compiled + 1
        x = np.ones(16, np.float32)
        launch(module.address("kernel"), x.ctypes.data, 16, 3.0)
        assert x.tolist() == [3.0] * 16
    assert cache.clear() == 1
    assert cache.info()["objects"] == 0


def test_cache_trims_the_oldest(tmp_path, monkeypatch):
    monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path))
    for age, name in enumerate("abc"):
        cache.write(cache.key(name), name.encode() * 1000)
        os.utime(tmp_path / (cache.key(name) + ".o"), (1000 + age, 1000 + age))
    assert cache.trim(limit=2500) == 1
    assert cache.read(cache.key("a")) is None
    assert cache.read(cache.key("c")) == b"c" * 1000


def test_cache_without_a_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="compiled again in every process"):
        module = linker.link(SCALE.format(tag="memory only"))
    assert module.address("kernel")
    assert cache.info()["folder"] is None and cache.info()["reason"]


def test_cache_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("MEZZO_CACHE_DIR", str(tmp_path))
    cache.folder()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        cache.write(cache.key("x"), b"x")
    cache.write(cache.key("x"), b"x")  # said once
    assert cache.read(cache.key("x")) is None


def test_dump(tmp_path, monkeypatch):
    monkeypatch.setenv("MEZZO_DUMP_IR", str(tmp_path / "dump"))
    ir = SCALE.format(tag="dumped")
    linker.link(ir)
    (path,) = (tmp_path / "dump").iterdir()
    assert path.name.startswith("kernel-") and path.read_text() == ir


def test_threads_compile_at_once():
    modules = []

    def work(k):
        modules.append(jit.load(SCALE.format(tag=f"thread {k % 3}")))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(modules) == 9 and len({id(m) for m in modules}) == 3


def test_nothing_is_compiled_by_importing_twice():
    code = (
        "from mezzo.kernels.cpu import jit, entry, memory, pool\n"
        "pool.get_num_threads(); print(jit.counters.compiled)"
    )
    python(code)
    assert python(code).stdout.strip() == "0"

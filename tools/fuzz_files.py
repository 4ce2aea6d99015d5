"""Load damaged and hostile files by the thousand: every one must load or raise the one error, and do nothing else.

    python tools/fuzz_files.py [--count 20000] [--seed 0]

Files of every format are made, changed in memory and loaded in a child process: as bytes, from a path and mapped. A
case fails that raises anything but FileFormatError (or, where the file may say on which device its tensors lay,
DeviceError), that takes longer than 10 seconds or 256 MiB, that reads outside of the file's memory (blocks end at
pages without access), that opens, runs or imports anything (an audit hook watches), or that crashes. What loaded is
read to its ends. The seed and the number of a case make it again: --first N --count 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import itertools
import json
import mmap
import os
import pickle
import pickletools
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMORY = 256 << 20  # bytes that a case may take beyond what the process has at its start
SECONDS = 10
ENOUGH = 20  # crashes after which to stop
INTERESTING = (0, 1, 2, 127, 128, 255, 256, 1 << 15, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62, (1 << 63) - 1, (1 << 64) - 1)  # fmt: skip
# Events of loading a file: opening it, mapping it, looking at memory.
QUIET = (
    "open",
    "builtins.id",
    "array.__new__",
    "mmap.__new__",
    "ctypes.",
    "object.__getattr__",
    "sys._getframe",
    "os.fspath",
)


# ---- the files that are changed


class Hostile:
    """Pickled by name: what a reader that trusts its file would call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def corpus(folder: Path) -> None:
    """Write the whole files to a folder, as kind-name."""
    import torch

    import mezzo

    torch.manual_seed(0)
    base = torch.arange(24.0).reshape(6, 4)
    weight = torch.nn.Parameter(torch.ones(3, 2))
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    data = {
        "views": [base, base[1], base.t(), base[::2, 1::2]], "tied": [weight, weight], "state": state,
        "half": torch.ones(3).bfloat16(), "z": torch.ones(2, dtype=torch.complex64), "none": torch.empty(0, 2),
        "plain": [None, True, -3, 1 << 70, 0.5, 1j, "text", b"ab", bytearray(b"x"), {1, 2}, (1, (2, ()))],
        "kinds": [torch.float16, torch.device("cpu"), torch.Size([2, 3])], "meta": torch.empty(3, device="meta"),
    }  # fmt: skip
    legacy = {k: v for k, v in data.items() if k != "meta"}
    torch.save(data, folder / "zip-torch")
    torch.save({**legacy, "s": {1}}, folder / "zip-protocol4", pickle_protocol=4)
    torch.save(legacy, folder / "legacy-torch", _use_new_zipfile_serialization=False)
    torch.save({"x": base}, folder / "legacy-small", _use_new_zipfile_serialization=False)
    mezzo.save(mezzo.load(folder / "zip-torch"), folder / "zip-mezzo")
    with (
        zipfile.ZipFile(folder / "zip-torch") as old,
        zipfile.ZipFile(folder / "zip-deflated", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    flat = {"a": mezzo.ones(3, 2), "b": mezzo.ones(5).bfloat16(), "c": mezzo.arange(7)}
    mezzo.save(flat | {"d": flat["a"]}, folder / "a.safetensors")
    (folder / "a.safetensors").rename(folder / "safe-mezzo")
    (folder / "native-old").write_bytes((ROOT / "tests/unit/files/version1.mz").read_bytes())
    canary = str(folder / "canary")
    hostile = [
        Hostile(os.system, f"touch {canary}"), Hostile(eval, f"open({canary!r}, 'w')"),
        Hostile(exec, f"open({canary!r}, 'w')"), Hostile(getattr, "text", "upper"),
        Hostile(subprocess.check_output, ["touch", canary]), Hostile(__import__, "antigravity"),
    ]  # fmt: skip
    for number, value in enumerate(hostile):
        for name, new in (("zip", True), ("legacy", False)):
            torch.save(
                {"x": base, "y": value},
                folder / f"{name}-hostile{number}",
                _use_new_zipfile_serialization=new,
            )
    for protocol in range(6):
        (folder / f"legacy-pickle{protocol}").write_bytes(pickle.dumps(hostile, protocol=protocol))


# ---- changes


def noise(r: random.Random, data: bytes) -> bytes:
    """Bytes changed, cut, doubled or moved anywhere."""
    out = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 4, 8))):
        at = r.randrange(len(out) + 1)
        length = min(r.choice((1, 2, 4, 8, 16, 100)), len(out) - at)
        action = r.randrange(7)
        if action == 0 and length:
            out[at] ^= 1 << r.randrange(8)
        elif action == 1:
            out[at : at + length] = r.randbytes(length)
        elif action == 2:
            size = r.choice((1, 2, 4, 8))
            value = r.choice(INTERESTING) & ((1 << 8 * size) - 1)
            out[at : at + size] = value.to_bytes(size, r.choice(("little", "little", "big")))
        elif action == 3:
            del out[at : at + length]
        elif action == 4:
            out[at:at] = out[at : at + length]
        elif action == 5:
            other = r.randrange(len(out) + 1)
            out[other : other + length] = out[at : at + length]
        else:
            del out[r.choice((at, max(len(out) - length, 0))) :]
    return bytes(out)


OPCODES = [op.code.encode("latin-1") for op in pickletools.opcodes]


def pickled(r: random.Random, data: bytes) -> bytes:
    """A pickle with instructions changed, put in, left out or doubled."""
    try:
        places = [at for _, _, at in pickletools.genops(data)] + [len(data)]
    except Exception:
        return noise(r, data)
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    numbers = [at for at, piece in enumerate(pieces) if piece[:1] in b"KMJ\x8a"]
    for _ in range(r.choice((1, 1, 1, 2, 3, 6))):
        at = r.randrange(len(pieces))
        action = r.randrange(10)
        if action > 6 and numbers:  # sizes, strides, offsets
            at = r.choice(numbers)
            pieces[min(at, len(pieces) - 1)] = number(r)
        elif action == 0:
            pieces[at] = r.choice(OPCODES) + pieces[at][1:]
        elif action == 1:
            pieces.insert(at, r.choice(pieces))
        elif action == 2 and len(pieces) > 1:
            del pieces[at]
        elif action == 3:
            pieces[at] = number(r)
        elif action == 4:
            pieces.insert(at, r.choice((b")R", b"}b", b"Q", b"(t", b"h\x01", b"]q\x01a", b"\x81", b"h\x00h\x00\x86q\x00")) * r.choice((1, 1, 3, 200)))  # fmt: skip
        elif action == 5:
            other = r.randrange(len(pieces))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        else:
            pieces[at] = pieces[at][:1] + noise(r, pieces[at][1:])
    return b"".join(pieces)


def number(r: random.Random) -> bytes:
    """An instruction that pushes a number."""
    value = r.choice(INTERESTING) * r.choice((1, 1, -1)) + r.randrange(-2, 3)
    value = value if r.random() < 0.5 else r.randrange(9)
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def archive(r: random.Random, data: bytes) -> bytes:
    """A zip archive whose members were changed, with a sound directory and right checksums."""
    try:
        old = zipfile.ZipFile(io.BytesIO(data))
        members = [(name, old.read(name)) for name in old.namelist()]
    except Exception:
        return noise(r, data)
    out = io.BytesIO()
    where = r.randrange(len(members)) if r.random() < 0.2 else 0
    with zipfile.ZipFile(
        out, "w", r.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as new:
        for index, (name, content) in enumerate(members):
            if index == where:
                content = pickled(r, content) if name.endswith(".pkl") else noise(r, content)
            if r.random() < 0.02:
                continue
            new.writestr(name if r.random() < 0.98 else name + "x", content)
    return out.getvalue()


def headed(r: random.Random, kind: str, data: bytes) -> bytes:
    """A file with a JSON header that was changed, with its right length and checksum."""
    place, start = ("<Q", 8) if kind == "safe" else ("<8sIIQ", 24)
    if len(data) < start:
        return noise(r, data)
    head = list(struct.unpack_from(place, data))
    text = data[start : start + head[-1]]
    try:
        changed = (
            json.dumps(shaken(r, json.loads(text))).encode() if r.random() < 0.7 else noise(r, text)
        )
    except ValueError:
        changed = noise(r, text)
    head[-1] = len(changed)
    if kind == "native":
        head[2] = zlib.crc32(changed)
    body = (
        data[start + len(text) :].lstrip(b"\0") if kind == "native" else data[start + len(text) :]
    )
    padding = bytes(-(start + len(changed)) % 64) if kind == "native" else b""
    return struct.pack(place, *head) + changed + padding + body


def shaken(r: random.Random, value):
    """JSON data with some values replaced."""
    if r.random() < 0.03:
        return r.choice(
            (*INTERESTING, -1, 0.5, "x", "F32", "BF16", None, True, [], {}, [1 << 62], {"$": "set"})
        )
    if isinstance(value, list):
        return [shaken(r, part) for part in value]
    if isinstance(value, dict):
        return {key if r.random() < 0.99 else "y": shaken(r, part) for key, part in value.items()}
    return value


def changed(r: random.Random, kind: str, data: bytes) -> bytes:
    """The file of a case."""
    way = r.random()
    if way < 0.3:
        return noise(r, data)
    if kind == "zip":
        return archive(r, data)
    if kind in ("safe", "native"):
        return headed(r, kind, data)
    return pickled(r, data)


# ---- the child


class Watch:
    """Notes what a load does besides reading its file."""

    def __init__(self):
        self.on, self.seen = False, []

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.on or event.startswith(QUIET[1:]):
            return
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) <= set("rb"):
            return
        if (
            event == "open"
            and arguments[1] is None
            and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            return
        self.seen.append(f"{event}{arguments!r:.200}")


def child(folder: Path, seed: int, first: int, count: int) -> None:
    """Run cases; the number of each stands in the file `progress` while it runs."""
    import fuzz_files  # the classes of hostile pickles are this module's

    import mezzo

    files = [
        (p.name.partition("-")[0], p.read_bytes())
        for p in sorted(folder.iterdir())
        if "-" in p.name
    ]
    watch, loader = Watch(), Loader(mezzo)
    for kind, data in files:  # what is imported late is imported now
        for way in range(3):
            loader.run(kind, data, way, None)
    fuzz_files.changed(random.Random(0), *files[0])
    sys.addaudithook(watch)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, pages + MEMORY))
    progress = os.open(folder / "progress", os.O_CREAT | os.O_RDWR)
    results, slowest = Counter(), 0.0
    for case in range(first, first + count):
        os.pwrite(progress, b"%-12d" % case, 0)
        r = random.Random(f"{seed} {case}")
        kind, data = changed_file(r, files)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        start, watch.on = time.perf_counter(), True
        outcome = loader.run(kind, data, r.randrange(3), r.choice((None, "cpu")))
        watch.on = False
        slowest = max(slowest, time.perf_counter() - start)
        faulthandler.cancel_dump_traceback_later()
        if watch.seen:
            outcome = f"failed: did {watch.seen[:3]}"
            watch.seen.clear()
        results[
            f"{kind} {outcome}" if not outcome.startswith("failed") else f"case {case} {outcome}"
        ] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"results": results, "slowest": slowest, "peak": peak}))


def changed_file(r: random.Random, files: list) -> tuple[str, bytes]:
    """(format, content) of a case."""
    kinds = sorted({kind for kind, _ in files})
    kind = r.choice((*kinds, "zip", "zip"))  # the format that is used most
    data = r.choice([content for other, content in files if other == kind])
    for _ in range(r.choice((1, 1, 1, 2))):
        data = changed(r, kind, data)
    return kind, data


class Loader:
    """Loads a file and reads all of it."""

    def __init__(self, mezzo):
        self.mezzo = mezzo
        self.fine = (mezzo.io.FileFormatError, mezzo.errors.DeviceError)

    def run(self, kind: str, data: bytes, way: int, place) -> str:
        """'loaded', 'refused', or 'failed: why'."""
        try:
            if way == 0:
                found = self.mezzo.load(io.BytesIO(data), map_location=place)
            else:
                descriptor = os.memfd_create("case")
                try:
                    os.write(descriptor, data)
                    found = self.mezzo.load(f"/proc/self/fd/{descriptor}", place, mmap=way == 2)
                finally:
                    os.close(descriptor)
            self.touch(found)
        except self.fine as problem:
            if isinstance(problem, self.mezzo.io.FileFormatError) or place is None:
                return "refused"
            return f"failed: {problem!r:.300}"
        except BaseException as problem:
            return f"failed: {problem!r:.300}"
        return "loaded"

    def touch(self, found) -> None:
        """Read every tensor at its first and last byte, and all of it where it is small."""
        waiting, seen = [found], set()
        while waiting:
            value = waiting.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, self.mezzo.Tensor):
                self.touch_tensor(value)
            elif isinstance(value, dict):
                waiting.extend([*value.values(), *getattr(value, "__dict__", {}).values()])
            elif isinstance(value, list | tuple | set | frozenset):
                waiting.extend(value)

    def touch_tensor(self, tensor) -> None:
        if tensor.is_meta or not tensor.numel():
            return
        low, high = tensor.layout.extent()
        start = tensor.ptr - tensor.storage.ptr
        if start + low < 0 or start + high > tensor.storage.nbytes:
            raise AssertionError(f"{tensor.shape} {tensor.stride()} lies outside of its storage")
        flat = tensor.storage, tensor.storage.ptr, tensor.storage.nbytes
        memory = self.mezzo.core.tensor.array_over(
            flat[0], flat[1], self.mezzo.core.layout.dense((flat[2],), self.mezzo.uint8)
        )
        if memory[start + low] is None or memory[start + high - 1] is None or memory.sum() < 0:
            raise AssertionError("memory without values")
        if tensor.numel() < 10_000:
            tensor.detach().clone()


# ---- the parent


def main() -> int:
    """Run the cases in child processes and tell what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seed, options.first, options.count)
        return 0
    results, slowest, peak = Counter(), 0.0, 0
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus(folder)
        next_case, end = options.first, options.first + options.count
        while next_case < end:
            count = min(end - next_case, 5000)
            answer, stopped = run_child(folder, options.seed, next_case, count)
            if answer is None:
                results[f"case {stopped[0]} failed: {stopped[1]}"] += 1
                next_case = stopped[0] + 1
                if len(results) > ENOUGH:
                    break
                continue
            results.update(answer["results"])
            slowest, peak = max(slowest, answer["slowest"]), max(peak, answer["peak"])
            next_case += count
        if (folder / "canary").exists():
            results["canary failed: a file ran a command"] += 1
    failed = {name: n for name, n in results.items() if "failed" in name}
    for result, times in sorted(results.items()):
        print(f"{times:8d}  {result}")
    took = time.perf_counter() - began
    print(
        f"{options.count} files, {len(failed)} failures; slowest {slowest * 1e3:.0f} ms, peak {peak >> 10} MiB, {took:.0f} s"
    )
    return 1 if failed else 0


def run_child(folder: Path, seed: int, first: int, count: int):
    """(what the child found, None), or (None, (the case that stopped it, how))."""
    limit = 60 + count / 20
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(folder)]
    command += ["--seed", str(seed), "--first", str(first), "--count", str(count)]
    paths = [
        str(ROOT / "src"),
        str(Path(__file__).parent),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    env = {**os.environ, "MEZZO_GUARD": "1", "PYTHONPATH": os.pathsep.join(paths)}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=limit)
        how, text = f"exit {done.returncode}", done.stderr[-3000:]
    except subprocess.TimeoutExpired:
        done, how, text = None, f"no end after {limit:.0f} s", ""
    if done is not None and done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1]), None
    progress = folder / "progress"
    case = int(progress.read_text()) if progress.exists() else first
    return None, (case, f"{how} {text}")


if __name__ == "__main__":
    raise SystemExit(main())

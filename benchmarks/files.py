"""Time and memory of loading and saving a checkpoint, beside PyTorch's, each in a process of its own.

    python benchmarks/files.py [--mib 900] [--rounds 5]

Makes a file of tensors of 1 MiB in a temporary folder. Wall and processor time of the call alone; memory is what
the process's peak grew by. The file is in the page cache; the medians are of alternating rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MAKE = """
import sys, torch
n = int(sys.argv[1])
torch.save({f"layer.{i}.weight": torch.randn(512, 512) for i in range(n)}, sys.argv[2])
"""
RUN = """
import json, os, sys, time, resource
framework, action, path = sys.argv[1:]
T = __import__(framework)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
state = T.load(path) if action == "save" else None
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
if action == "save":
    T.save(state, path + ".copy")
else:
    state = T.load(path, mmap=action == "map")
wall, cpu, after = time.perf_counter() - wall, time.process_time() - cpu, peak()
first = time.perf_counter()
total = sum(float(x.sum()) for x in state.values())
print(json.dumps([wall, cpu, after - before, time.perf_counter() - first]))
"""
CASES = [(f, a) for a in ("load", "map", "save") for f in ("mezzo", "torch")]


def main() -> None:
    """Make the file, run the rounds, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found: dict[tuple, list] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "checkpoint.pt")
        subprocess.run([sys.executable, "-c", MAKE, str(options.mib), path], check=True)
        for _ in range(options.rounds):
            for case in CASES:
                command = [sys.executable, "-c", RUN, *case, path]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[case].append(json.loads(done.stdout))
    print(f"{options.mib} MiB in tensors of 1 MiB, median of {options.rounds}\n")
    print("| | wall | least wall | processor | memory | first pass over the data |")
    print("|---|---|---|---|---|---|")
    for (framework, action), rows in found.items():
        wall, cpu, grown, first = (statistics.median(column) for column in zip(*rows))
        least = min(row[0] for row in rows)
        print(
            f"| {framework} {action} | {wall:.2f} s | {least:.2f} s | {cpu:.2f} s | {grown:.0f} MiB | {first:.2f} s |"
        )


if __name__ == "__main__":
    main()

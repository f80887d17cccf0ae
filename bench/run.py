#!/usr/bin/env python3
"""`secondhop run` against the floor: whole processes, one interpreter, compiled, taken in turns.

The ratio is the median of pairwise ratios, since the machine drifts more than the programs differ.
The gap after each run lets the kernel finish with its namespaces, which would stall the next one.
Writes nothing; docs/benchmarks.md keeps the figures worth keeping. Run it by `make bench`.
"""

import compileall
import os
import py_compile
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS, GAP = 20, 0.2
ROOT = Path(__file__).resolve().parent.parent
SECONDHOP = str(Path(sys.executable).parent / "secondhop")


def whole(command: list[str], gap: float = 0.0) -> float:
    """Milliseconds from before the process exists until it is reaped; it must succeed."""
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )
    elapsed = (time.perf_counter() - start) * 1000
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-2000:]
        sys.exit(
            f"{' '.join(command)}: exit {done.returncode}, so there is nothing to time\n{last}"
        )
    time.sleep(gap)
    return elapsed


def line(what: str, times: list[float]) -> str:
    ordered = sorted(times)
    return (
        f"{what:20}{statistics.median(ordered):7.1f} ms   {ordered[0]:.1f} to {ordered[-1]:.1f} ms"
    )


def main() -> None:
    compileall.compile_dir(ROOT / "src", quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        compiled = f"{folder}/floor.pyc"
        py_compile.compile(str(ROOT / "bench/floor.py"), compiled, doraise=True)
        floor, run = [sys.executable, compiled, "--job"], [SECONDHOP, "run"]
        pairs: list[tuple[float, float]] = []
        for number in range(-1, PAIRS):
            floor_first = number % 2 == 0
            taken = [whole(each, GAP) for each in ((floor, run) if floor_first else (run, floor))]
            if number >= 0:  # the pair before warms the caches
                pairs.append((taken[0], taken[1]) if floor_first else (taken[1], taken[0]))
    ratios = [ours / theirs for theirs, ours in pairs]
    print(f"{PAIRS} pairs, whole processes, {os.cpu_count()} cores, median and range")
    print(line("floor", [theirs for theirs, _ in pairs]) + "   (40-48 ms is known to be possible)")
    print(line("secondhop run", [ours for _, ours in pairs]) + "   (target: under 250 ms)")
    print(
        f"{'ratio':20}{statistics.median(ratios):7.2f}      {min(ratios):.2f} to {max(ratios):.2f}"
    )
    for arguments, target in (["--help"], 100), (["explain"], 200):
        times = [whole([SECONDHOP, *arguments]) for _ in range(PAIRS)]
        print(line(f"secondhop {arguments[0]}", times) + f"   (target: under {target} ms)")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""`secondhop run` against the floor: whole processes, one interpreter, compiled, taken in turns.

The ratio is the median of pairwise ratios, since the machine drifts more than the programs differ.
Seconds of the processor, of all processes together, stand beside: other work lengthens them less.
The gap after each run lets the kernel finish with its namespaces, which would stall the next one.
Writes nothing; docs/benchmarks.md keeps the figures worth keeping. Run it by `make bench`.
"""

import compileall
import os
import py_compile
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PAIRS, GAP = 20, 0.2
ROOT = Path(__file__).resolve().parent.parent
SECONDHOP = str(Path(sys.executable).parent / "secondhop")


class Taken(NamedTuple):
    """Milliseconds, by the clock and of the processor."""

    clock: float
    cpu: float


def whole(command: list[str], gap: float = 0.0) -> Taken:
    """From before the process exists until it is reaped; it must succeed."""
    start, used = time.perf_counter(), of_children()
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )
    taken = Taken((time.perf_counter() - start) * 1000, of_children() - used)
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-2000:]
        sys.exit(
            f"{' '.join(command)}: exit {done.returncode}, so there is nothing to time\n{last}"
        )
    time.sleep(gap)
    return taken


def of_children() -> float:
    """Milliseconds of the processor that children and theirs have used, as far as reaped."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def line(what: str, taken: list[Taken]) -> str:
    ordered = sorted(each.clock for each in taken)
    cpu = statistics.median(each.cpu for each in taken)
    return (
        f"{what:20}{statistics.median(ordered):7.1f} ms   {ordered[0]:.1f} to {ordered[-1]:.1f} ms"
        f"   CPU {cpu:.0f} ms"
    )


def main() -> None:
    compileall.compile_dir(ROOT / "src", quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        compiled = f"{folder}/floor.pyc"
        py_compile.compile(str(ROOT / "bench/floor.py"), compiled, doraise=True)
        floor, run = [sys.executable, compiled, "--job"], [SECONDHOP, "run"]
        pairs: list[tuple[Taken, Taken]] = []
        for number in range(-1, PAIRS):
            floor_first = number % 2 == 0
            taken = [whole(each, GAP) for each in ((floor, run) if floor_first else (run, floor))]
            if number >= 0:  # the pair before warms the caches
                pairs.append((taken[0], taken[1]) if floor_first else (taken[1], taken[0]))
    ratios = [ours.clock / theirs.clock for theirs, ours in pairs]
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

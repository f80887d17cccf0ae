#!/usr/bin/env python3
"""Seconds from `lab up` until the nodes are Ready, the Service answers, and all pods are ready.

Run it by `make bench`; the labs are taken down, and live in a temporary folder.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SECONDHOP = str(Path(sys.executable).parent / "secondhop")
EXAMPLE = str(Path(__file__).parents[1] / "docs/examples/cluster.yaml")
RUNS, PATIENCE, PAUSE = 5, 60.0, 3.0


def secondhop(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SECONDHOP, "lab", *arguments], capture_output=True, text=True)


def measured(options: Sequence[str], pods: int) -> tuple[float, float, float, float]:
    """Seconds to Ready nodes, to an answer, to ready pods; MiB at the end."""
    begun = time.monotonic()
    up = secondhop("up", *options)
    assert up.returncode == 0, up.stderr
    ready = time.monotonic() - begun
    address = "172.17.26.70:30316" if EXAMPLE in options else "172.17.0.10:30080"
    until(lambda: secondhop("exec", "client", "--", "curl", "-sf", "-m1", address).returncode == 0)
    answered = time.monotonic() - begun
    until(lambda: f"{pods} of {pods} pods ready" in secondhop("status").stdout)
    all_ready = time.monotonic() - begun
    found = re.search(r"(\d+) MiB", secondhop("status").stdout)
    assert found is not None
    secondhop("down")
    time.sleep(PAUSE)  # the kernel's clean-up of a lab stalls the next one
    return ready, answered, all_ready, float(found[1])


def until(holds: object) -> None:
    deadline = time.monotonic() + PATIENCE
    assert callable(holds)
    while not holds():
        assert time.monotonic() < deadline


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        for name, options, pods in (
            ("2 nodes, the reference Service", ("-f", EXAMPLE), 1),
            ("50 nodes, 200 pods", ("--nodes", "50", "--pods", "200"), 200),
        ):
            rows = [measured(options, pods) for _ in range(RUNS)]
            ready, answered, all_ready, memory = (
                sorted(c)[RUNS // 2] for c in zip(*rows, strict=True)
            )
            print(
                f"{name}: nodes Ready {ready:.2f} s, Service answers {answered:.2f} s,"
                f" all pods ready {all_ready:.2f} s, {memory:.0f} MiB"
            )


if __name__ == "__main__":
    main()

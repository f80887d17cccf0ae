#!/usr/bin/env python3
"""What loading a large cluster costs, and every answer about it, at three sizes (bench/cluster.py).

The peer is parsing alone (json.loads, yaml.CSafeLoader): the least that any tool must do with the
same file. Seconds are of the processor, which other programs on the machine disturb least; each
figure is that of a process of its own, the best of three. Run it by `make bench`; writes only to a
temporary folder.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PARTS = (25, 5, 1)
FORMS = {"slices.json": "json.loads", "pods.json": "json.loads", "slices.yaml": "CSafeLoader"}
"""The input, and what parses it at least."""
RUNS = 3
GENERATOR = str(Path(__file__).with_name("cluster.py"))
SECONDHOP = str(Path(sys.executable).parent / "secondhop")
LOAD = (
    "from secondhop.manifests import examine, read_files\n{start}\nexamine(read_files([{file!r}]))"
)
JOBS = {
    "json.loads": "import json\n{start}\njson.loads(open({file!r}).read())",
    "CSafeLoader": "import yaml\n{start}\nyaml.load(open({file!r}).read(), yaml.CSafeLoader)",
    "load": LOAD,
    "all findings": (
        "import gc\nfrom secondhop.check import check\n"
        "from secondhop.manifests import examine, read_files\n"
        "found = examine(read_files([{file!r}]))\ngc.freeze()\n{start}\ncheck(found)"
    ),
}
"""What is timed, from `start` to the end."""
START = "from time import process_time; at = process_time()"
CHOSEN = """
import json
items = json.load(open({file!r}))["items"]
one = next(i for i in items if i["kind"] == "Service" and i["spec"]["type"] == "LoadBalancer")
print(one["metadata"]["name"], one["metadata"]["namespace"], one["spec"]["externalTrafficPolicy"])
"""


def run(*command: str) -> tuple[float, float, str]:
    """Processor seconds of the whole process, its peak MiB, and the end of what it printed."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)}: exit {process.returncode}")
        out.seek(max(0, out.seek(0, os.SEEK_END) - 100))
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read().decode()


def timed(job: str, file: Path) -> tuple[float, float]:
    """Seconds from the start of the job itself, and peak MiB."""
    code = JOBS[job].format(file=str(file), start=START) + "\nprint(process_time() - at)"
    found = [run(sys.executable, "-c", code) for _ in range(RUNS)]
    return min((float(last), peak) for _, peak, last in found)


def whole(file: Path, *command: str) -> tuple[float, float]:
    """Seconds and peak MiB of a command about this file."""
    return min(run(SECONDHOP, *command, "-f", str(file))[:2] for _ in range(RUNS))


def flip(file: Path) -> tuple[str, ...]:
    """`diff` of the first Service with a load balancer, to the other policy."""
    *_, last = run(sys.executable, "-c", CHOSEN.format(file=str(file)))
    name, namespace, policy = last.split()
    other = {"Local": "Cluster", "Cluster": "Local"}[policy]
    return "diff", f"svc/{name}", "-n", namespace, "--set", f"externalTrafficPolicy={other}"


def main() -> None:
    print("CPU seconds, their ratio to parsing the same file, peak, and growth from size to size")
    before: dict[tuple[str, str], float] = {}
    for parts in PARTS:
        for form, peer in FORMS.items():
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, form)
                run(sys.executable, GENERATOR, str(file), str(parts))
                print(f"1/{parts}, {form}: {file.stat().st_size / 1e6:.0f} MB")
                floor = 0.0
                for what, seconds, peak in figures(file, peer):
                    floor = floor or seconds
                    grown = f"  x{seconds / before[form, what]:.1f}" if parts != PARTS[0] else ""
                    before[form, what] = seconds
                    told = f"{seconds:8.2f} s{seconds / floor:8.1f}{peak:7.0f} MiB{grown}"
                    print(f"  {what:20}{told}", flush=True)


def figures(file: Path, peer: str) -> Iterator[tuple[str, float, float]]:
    """What was measured, seconds and peak MiB; the peer first."""
    yield peer, *timed(peer, file)
    yield "load", *timed("load", file)
    if file.name == "slices.json":
        yield "all findings", *timed("all findings", file)
        for command in ("check",), ("explain",), flip(file):
            yield f"secondhop {command[0]}", *whole(file, *command)


if __name__ == "__main__":
    main()

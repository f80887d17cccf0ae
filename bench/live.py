#!/usr/bin/env python3
"""What a snapshot of a large cluster costs: 5,000 nodes, 10,000 Services, 50,000 endpoints
(bench/cluster.py), served page by page by a stand-in for kubectl.

The peer is the same answer from the same objects in one file. Seconds are of the wall and of the
processor, the stand-in's apart; peak memory is of secondhop's own process and, of the stand-in, the
largest. Run it by `make bench`; writes only to a temporary folder.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PAGE = 500
GENERATOR = str(Path(__file__).with_name("cluster.py"))
SECONDHOP = str(Path(sys.executable).parent / "secondhop")
PATHS = {
    "Service": "_api_v1_services",
    "Pod": "_api_v1_pods",
    "Node": "_api_v1_nodes",
    "EndpointSlice": "_apis_discovery.k8s.io_v1_endpointslices",
    "NetworkPolicy": "_apis_networking.k8s.io_v1_networkpolicies",
    "DaemonSet": "_apis_apps_v1_daemonsets",
}
PROGRAM = """#!{python} -IS
import os, sys
words = sys.argv[1:]
if "view" in words:
    print('{{"contexts": [{{"name": "bench", "context": {{}}}}]}}')
    sys.exit()
path = words[-1][len("--raw="):]
path, _, query = path.partition("?")
page = query.partition("continue=")[2] or "0"
try:
    file = os.open("{folder}/" + path.replace("/", "_") + "." + page, os.O_RDONLY)
except FileNotFoundError:
    sys.stderr.write("Error from server (NotFound): not found\\n")
    sys.exit(1)
while data := os.read(file, 1 << 20):
    os.write(1, data)
"""


def serve(objects: list[dict[str, Any]], folder: Path) -> None:
    """Write the pages, and the program that hands them out."""
    for kind, name in PATHS.items():
        items = [one for one in objects if one["kind"] == kind]
        for first in range(0, max(len(items), 1), PAGE):
            page = items[first : first + PAGE]
            metadata = {"continue": str(first + PAGE)} if first + PAGE < len(items) else {}
            version = page[0]["apiVersion"] if page else "v1"
            whole = {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata}
            (folder / f"{name}.{first}").write_text(json.dumps(whole | {"items": page}))
    (folder / "_version.0").write_text('{"gitVersion": "v1.36.0"}')
    program = folder / "kubectl"
    program.write_text(PROGRAM.format(python=sys.executable, folder=folder))
    program.chmod(0o755)


def measure(environment: dict[str, str], *command: str) -> tuple[float, float, float]:
    """Seconds of the wall, of the processor, and peak MiB of the process itself."""
    begun = time.monotonic()
    process = subprocess.Popen([SECONDHOP, *command], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit {process.returncode}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    print("wall, CPU (kubectl's stand-in included), peak MiB of secondhop")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = []
        for form in ("slices.json", "pods.json"):
            subprocess.run([sys.executable, GENERATOR, str(folder / form), "1"], check=True)
            objects.append(json.loads((folder / form).read_text())["items"])
        slices, pods = objects
        whole = [*slices, *(one for one in pods if one["kind"] == "Pod")]
        file = folder / "whole.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": whole}))
        serve(whole, folder)
        print(f"{len(whole)} objects, {file.stat().st_size / 1e6:.0f} MB")
        path = {"PATH": f"{folder}:{os.environ['PATH']}"}
        for what, options in {
            "from one file": ("-f", str(file)),
            "through kubectl": ("-A", "--context", "bench"),
        }.items():
            for verb in ("check", "explain"):
                wall, cpu, peak = measure(os.environ | path, verb, *options)
                print(f"  {verb} {what:16} {wall:6.1f} s {cpu:6.1f} s {peak:6.0f} MiB", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A node's proxy on the lab's API: its first sync, one change of an endpoint, its memory, and what
a connection through its rules costs.

`bench/sync.py --services K --endpoints N -o json`; `--external PATH` measures a stock kube-proxy on
the same API in the same run. API (services.py), proxy (ownproxy.py) and pods (machines.py) are
processes of their own, API and proxy speak HTTPS, all in a user namespace with the socket buffer of
every user.

firstSyncSeconds: from the proxy's start, its interpreter's included, until a connection to the last
Service is answered; all objects are in the API before. firstSyncCpuSeconds: what the proxy's
process computed until then, which other work on the machine lengthens less. changeSeconds,
changeP99Seconds: from the API's answer to the write of an EndpointSlice until a connection reaches
the new backend. rssMiB: the most the proxy's process held. path: connections to a Service's cluster
IP against connections to the pod itself, over the same cables, in many short bursts that take
turns: handshakes that the kernel makes alone. Writes nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
from machines import NEW, OLD, SILENT, World, base, built, handshakes, reached
from sandboxed import forked, sandboxed
from services import FIRST_SERVICE, NODE_PORTS, Api, furnish, moved, pods_of, serve

from secondhop.lab.netns import Namespace
from secondhop.lab.stockproxy import configuration
from secondhop.model.cluster import ProxyMode

CHANGES, ROUNDS, BURST = 50, 400, 25
PAUSE = 0.25
"""Seconds between two changes, so that each is one and not many."""
SECONDS = 60.0
OWN = str(Path(__file__).with_name("ownproxy.py"))
LOG = 5000
"""Characters of what a proxy said that are worth showing."""
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


class Result(NamedTuple):
    """What was measured of one proxy."""

    firstSyncSeconds: float
    firstSyncCpuSeconds: float
    changeSeconds: float
    changeP99Seconds: float
    rssMiB: float
    connectP50Ratio: float
    connectionsRatio: float

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        fields = {name: round(value, 4) for name, value in self._asdict().items()}
        path = {name: fields.pop(name) for name in ("connectP50Ratio", "connectionsRatio")}
        return {**fields, "path": path}


def until(client: Namespace, number: int, wanted: bytes) -> None:
    """Try until a Service answers so."""
    deadline = time.monotonic() + SECONDS
    address = str(FIRST_SERVICE + number)
    while time.monotonic() < deadline:
        try:
            if reached(client, address, 80, 0.02)[0] == wanted:
                return
        except OSError:
            pass
    raise TimeoutError(f"web-{number} did not answer {wanted!r} in {SECONDS:.0f} s")


def changes(api: Api, client: Namespace, services: int) -> list[float]:
    """Seconds that each took."""
    found = []
    for turn in range(CHANGES):
        number = turn * 7919 % services
        for port, wanted in ((NEW, b"n"), (OLD, b"o")):
            moved(api, number, port)
            begun = time.perf_counter()
            until(client, number, wanted)
            found.append(time.perf_counter() - begun)
            time.sleep(PAUSE)
    return found


def path(world: World, api: Api, number: int, endpoints: int) -> tuple[float, float]:
    """Connect p50 and connections a second, each as a ratio to the direct way. The rate is that of
    the quarter of the bursts that other work of the machine disturbed least."""
    direct, service = (pods_of(number, endpoints)[0], SILENT), (str(FIRST_SERVICE + number), 80)
    moved(api, number, SILENT)
    deadline = time.monotonic() + SECONDS
    while not handshakes(world, service, 1)[1] and time.monotonic() < deadline:
        time.sleep(PAUSE)
    bursts: list[list[list[float]]] = [[], []]
    for _ in range(ROUNDS):
        for way, target in enumerate((direct, service)):
            took, came = handshakes(world, target, BURST)
            assert came == BURST, f"{came} of {BURST} connections came to port {SILENT}"
            bursts[way].append(took)
    moved(api, number, OLD)
    p50s = [statistics.median(itertools.chain(*way)) for way in bursts]
    fast = [statistics.quantiles(map(sum, way), n=4)[0] for way in bursts]
    return p50s[1] / p50s[0], fast[0] / fast[1]


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and in kernel mode (clock_getcpuclockid(3); /proc is
    that of other process ids)."""
    return time.clock_gettime(~pid << 3 | 2)


def measured(world: World, api: Api, command: list[str], services: int, endpoints: int) -> Result:
    """One proxy, from its start to its end. Raises TimeoutError with what it said."""
    environ = {**os.environ, "PATH": os.environ.get("PATH", "") + SBIN}
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        with world.node.namespace:
            proxy = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            until(world.client, services - 1, b"o")
            first = time.perf_counter() - begun, cpu_seconds(proxy.pid)
            until(world.client, 0, b"o")
            time.sleep(1.0)
            times = changes(api, world.client, services)
            ratios = path(world, api, min(services, NODE_PORTS) - 1, endpoints)
        except TimeoutError as error:
            log.seek(0)
            raise TimeoutError(f"{error}; the proxy said: {log.read()[-LOG:]}") from None
        finally:
            proxy.send_signal(signal.SIGKILL)
            _, _, usage = os.wait4(proxy.pid, 0)
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return Result(*first, statistics.median(times), p99, usage.ru_maxrss / 1024, *ratios)


def external_command(program: Path, mode: ProxyMode, folder: Path) -> list[str]:
    """A stock kube-proxy with the same settings, which waits as little as it can be told."""
    config = configuration(base(mode).proxy, "node", str(folder / "kubeconfig"))
    (folder / "config.json").write_text(json.dumps(config))
    return [str(program), f"--config={folder / 'config.json'}"]


def run(services: int, endpoints: int, mode: ProxyMode, external: Path | None) -> dict[str, Any]:
    """Everything, inside the sandbox."""
    worlds = [built() for _ in range(2 if external else 1)]
    with tempfile.TemporaryDirectory(prefix="secondhop-bench-") as name:
        folder = Path(name)
        ready, told = os.pipe()
        forked(lambda: serve([world.node for world in worlds], folder / "kubeconfig", told))
        os.read(ready, 1)
        api = Api(worlds[0].node.namespace, folder / "kubeconfig")
        furnish(api, services, endpoints)
        own = [sys.executable, OWN, str(folder / "kubeconfig"), mode]
        found: dict[str, Any] = {"services": services, "endpoints": endpoints, "mode": mode}
        found |= measured(worlds[0], api, own, services, endpoints).told()
        if external:
            version = subprocess.run([str(external), "--version"], capture_output=True, text=True)
            command = external_command(external, mode, folder)
            theirs: dict[str, Any] = {"version": version.stdout.strip()}
            try:
                theirs |= measured(worlds[1], api, command, services, endpoints).told()
            except TimeoutError as error:  # its one transaction may not fit an unprivileged socket
                theirs["failed"] = str(error)
            found["external"] = theirs
    return found


@click.command(help=__doc__)
@click.option("--services", default=1000, show_default=True)
@click.option("--endpoints", default=5, show_default=True)
@click.option("--mode", type=click.Choice(["nftables", "iptables"]), default="nftables")
@click.option("--external", type=click.Path(path_type=Path, exists=True), help="A kube-proxy.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
def main(
    services: int, endpoints: int, mode: ProxyMode, external: Path | None, output: str
) -> None:
    found = sandboxed(lambda: run(services, endpoints, mode, external and external.resolve()))
    if output == "json":
        print(json.dumps(found))
        return
    theirs = found.pop("external", None)
    for name, value in found.items():
        print(
            f"{name:18} {value}"
            + (f"   kube-proxy: {theirs[name]}" if theirs and name in theirs else "")
        )


if __name__ == "__main__":
    main()

"""A stock kube-proxy in our proxy's seat: one process in each node's network namespace.

It meets the API at a port of its node's 127.0.0.1 and nothing else of the lab. Its configuration
and kubeconfig are memory files, so that nothing of them is left, whatever ends the lab.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..dataplane import flannel
from ..dataplane.node import families
from ..errors import EnvironmentUnable, LabError
from ..model.cluster import Cluster, Family, Proxy
from . import iptables
from .ask import get
from .daemon import Daemon
from .netns import Namespace

METRICS_PORT = 10249
_SECONDS = 25.0
"""For all that it takes to bring the rules to a change, its own start included: twice that is less
than who waits for the lab's rules has patience for."""
_POLL_SECONDS = 0.03
_ASK_SECONDS = 5.0
_SETTLE_SECONDS, _LONGEST_SETTLE = 0.1, 2.0
_NO_NEWS_SECONDS = 2.0
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_STAMP = re.compile(
    r"^kubeproxy_sync_proxy_rules_last_(queued_)?timestamp_seconds(\{[^}]*\})? (\S+)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Stock:
    """The kube-proxy that is to run on every node. program: its path. kubeconfig: the text of one
    that is valid on every node. logs: a folder for `kube-proxy-NODE.log`, None for memory only."""

    program: str
    kubeconfig: str
    logs: Path | None = None


def configuration(proxy: Proxy, node: str, kubeconfig: str) -> Mapping[str, Any]:
    """A KubeProxyConfiguration of a node. kubeconfig: a path.

    Of conntrack nothing is set: its table's size is the machine's, which no user namespace may
    change.
    """
    local = ",".join(map(str, proxy.detect_local))
    quickly = {"minSyncPeriod": "10ms", "syncPeriod": "30s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": proxy.mode,
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": kubeconfig},
        "bindAddress": "0.0.0.0",
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": f"127.0.0.1:{METRICS_PORT}",
        "nodePortAddresses": list(map(str, proxy.node_port_addresses)),
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": local,
        "iptables": {
            **quickly,
            "masqueradeAll": proxy.masquerade_all,
            "localhostNodePorts": proxy.localhost_node_ports,
        },
        "nftables": {**quickly, "masqueradeAll": proxy.masquerade_all},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "oomScoreAdj": 0,
    }


def version(program: str) -> str:
    """What `kube-proxy --version` says. Raises EnvironmentUnable if it is no such program."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_ASK_SECONDS
        )
        said = done.stdout.strip() or done.stderr.strip()
    except (OSError, UnicodeError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if not said.startswith("Kubernetes v"):
        raise EnvironmentUnable(
            f"proxy.external: {program} is no kube-proxy: --version says {said[:200]!r}",
            "Give the path of a kube-proxy for this machine in the Lab file.",
        )
    return said


class Stamps(NamedTuple):
    """When the last sync was asked for, by the family that was asked last, and when the last one
    ended, by the family that is furthest behind; seconds since 1970, 0 for never."""

    queued: float
    synced: float
    rests: bool
    """Whether no family has been asked for a sync since its last."""


def stamps(metrics: str) -> Stamps:
    """What kube-proxy's metrics tell of its syncs. Older ones do not tell families apart."""
    queued: dict[str, float] = {}
    synced: dict[str, float] = {}
    for is_queued, family, value in _STAMP.findall(metrics):
        (queued if is_queued else synced)[family] = float(value)
    begun = {family: at for family, at in queued.items() if at}
    ended = [synced.get(family, 0.0) for family in begun]
    rests = all(synced.get(family, 0.0) >= at for family, at in begun.items())
    return Stamps(max(begun.values(), default=0.0), min(ended, default=0.0), rests)


class StockProxy:
    """One node's rules, written by a stock kube-proxy; flannel's are written by us."""

    def __init__(self, namespace: Namespace, stock: Stock) -> None:
        self._namespace, self._stock = namespace, stock
        self._flannel: dict[Family, iptables.Loader] = {}
        self._told: tuple[object, object] | None = None
        self._queued = 0.0
        self._daemon: Daemon | None = None
        self._started = asyncio.Event()

    async def ended(self) -> None:
        """Wait for its end, which is the lab's. Raises LabError."""
        await self._started.wait()
        assert self._daemon is not None
        await self._daemon.ended()

    async def sync(self, cluster: Cluster) -> None:
        """Wait until kube-proxy has done what there was to do. Raises LabError,
        EnvironmentUnable."""
        for family in families(cluster):
            await self._sync_flannel(cluster, family)
        if self._daemon is None:
            self._daemon = self._start(cluster.proxy)
            self._started.set()
        told = cluster.services, cluster.endpoints
        if told not in (self._told, ((), {})):  # for nothing there is nothing to wait for
            await self._rest(self._daemon)
            self._told = told

    async def touched(self) -> bool:
        """Its rules are its own affair, and it leaves flannel's alone."""
        return False

    async def _sync_flannel(self, cluster: Cluster, family: Family) -> None:
        loader = self._flannel.pop(family, None) or iptables.Loader(self._namespace, family)
        try:
            await loader.sync(flannel.rules(cluster, cluster.node(self._namespace.name), family))
        except BaseException:
            loader.close()
            raise
        self._flannel[family] = loader  # one that has failed would take kube-proxy's for its own

    async def _rest(self, daemon: Daemon) -> None:
        """Wait until it has been asked for a sync since it rested last, and rests again.

        A sync that is asked for during another begins right after it and shows in neither stamp, so
        rest must last as long as two syncs would take. Changes that it ignores ask for none.
        """
        begun = time.monotonic()
        last, since = Stamps(0, 0, False), begun
        while (now := time.monotonic()) < begun + _SECONDS:
            daemon.check()
            found = await self._stamps()
            if found != last:
                last, since = found, now
            news = found.queued > self._queued or now - begun > _NO_NEWS_SECONDS
            settle = min(max(_SETTLE_SECONDS, 2 * (found.synced - found.queued)), _LONGEST_SETTLE)
            if found.synced and found.rests and news and now - since >= settle:
                self._queued = found.queued
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise LabError(
            f"{daemon.name} has not come to rest within {_SECONDS:.0f} s; it said last:\n"
            f"{daemon.last_lines()}",
            "Try again on a quieter machine, or leave proxy.external out of the Lab file.",
        )

    async def _stamps(self) -> Stamps:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                with self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                    target = "127.0.0.1", METRICS_PORT
                    await asyncio.get_running_loop().sock_connect(sock, target)
                    return stamps(await get(sock, "127.0.0.1", "/metrics"))
        except (OSError, ValueError, TimeoutError):  # it does not listen yet
            return Stamps(0, 0, rests=False)

    def _start(self, proxy: Proxy) -> Daemon:
        node, stock = self._namespace.name, self._stock
        kubeconfig = _memory_file("kubeconfig", stock.kubeconfig)
        wanted = configuration(proxy, node, f"/proc/self/fd/{kubeconfig}")
        config = _memory_file("config", json.dumps(wanted))
        try:
            return Daemon(
                f"kube-proxy on {node}",
                [stock.program, f"--config=/proc/self/fd/{config}"],
                log=_log(stock, node),
                namespace=self._namespace,
                environ=_environ(),
                kept=[kubeconfig, config],
            )
        finally:
            os.close(kubeconfig)
            os.close(config)


def _environ() -> dict[str, str]:
    """With sbin, which is on no ordinary user's PATH."""
    return {**os.environ, "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), _SBIN])}


def _memory_file(name: str, text: str) -> int:
    descriptor = os.memfd_create(name)
    os.write(descriptor, text.encode())
    return descriptor


def _log(stock: Stock, node: str) -> int:
    if stock.logs is None:
        return os.memfd_create("log")
    path = stock.logs / f"kube-proxy-{node}.log"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

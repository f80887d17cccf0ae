"""A lab that lives by itself, with controllers and a balancer in front, so that one can break it
and count."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ..apiserver.bootstrap import bootstrap
from ..client import Object, meta
from ..controllers.conditions import is_true
from ..controllers.run import run as run_controllers
from ..errors import LabError
from ..model.cluster import Address, Cluster, Endpoint, Service
from .embedded import Embedded, first_of
from .faults import inject
from .load import Load, Shot, handshakes
from .nodeapi import embedded
from .ordered import create, settings
from .timing import RELIST, timing

if TYPE_CHECKING:
    from ..manifests import Lab

_SECONDS = 40.0
_LOOK_SECONDS = 0.02
_PORTS = range(2000, 32768)
"""Below those that a kernel chooses itself."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be measured. described: what the Lab document says. objects: what is created."""

    base: Cluster
    described: Lab
    objects: Sequence[Object]


class Answer(NamedTuple):
    """What one load brought: its connections, and the cluster nodes that each of the answered ones
    crossed, as far as its TTL told."""

    shots: list[Shot]
    hops: list[int]


class Notice(NamedTuple):
    """Something that changed. at: by `time.monotonic`. service: whose business it is alone; empty:
    everybody's."""

    at: float
    what: str
    service: str = ""


class Rehearsal:
    """One such lab. Its public methods are what `rehearse.Stage` may ask for, `start` first."""

    _lab: Embedded

    def __init__(self) -> None:
        self._seated = contextlib.AsyncExitStack()
        self._loads: dict[str, Load] = {}
        self._notices: list[Notice] = []
        self._ports = itertools.cycle(_PORTS)

    async def start(self, script: Script) -> None:
        """Build it, wait for its nodes, create the objects."""
        base, described = script.base, script.described
        grace = described.node_grace_seconds
        self._one_place = described.balancer.kind == "single-node"
        real = replace(timing(grace), relist=RELIST)
        self._lab = await self._seated.enter_async_context(
            embedded(base, described.external_proxy, real, described.balancer)
        )
        bootstrap(self._lab.server, base.cni.service_cidrs[0])
        controllers = run_controllers(self._lab.api, settings(described, base.kube_version))
        tasks = [self._lab.run(), controllers, self._watch()]
        self._living = asyncio.gather(*tasks)
        await self._until(self._nodes_unready)
        await create(self._lab.api, script.objects)

    async def settled(self) -> Cluster:
        """Wait until nothing is on its way any more; the cluster as its proxies see it."""
        await self._until(self._restless)
        return self._lab.view.cluster

    async def inject(self, fault: str, target: str) -> float:
        """Do one of `faults.FAULTS`; when, by `time.monotonic`."""
        await inject(self._lab, fault, target)
        return time.monotonic()

    async def ways(self) -> dict[str, tuple[str, ...]]:
        """The nodes to which the balancer sends, by Service."""
        return {
            str(service): self._lab.router.way(service.ingress[0].ip) for service in self._served()
        }

    async def begin(self, rate: float, seed: int) -> None:
        """Connections at this rate to the balancer's address of every Service that has one."""
        client = self._lab.wiring.client.namespace
        for number, service in enumerate(self._served()):
            target = service.ingress[0].ip, service.ports[0].port
            self._loads[str(service)] = Load(client, target, rate, seed + number, self._ports)

    async def end(self) -> tuple[dict[str, Answer], list[Notice]]:
        """What came of them, by Service, and what was noticed since the last time."""
        loads, self._loads = self._loads, {}
        found = {name: await load.end() for name, load in loads.items()}
        notices, self._notices = self._notices, []
        return {name: Answer(shots, self._hops(shots)) for name, shots in found.items()}, notices

    async def handshakes(self, service: str | None, seconds: float) -> list[float]:
        """Connections back to back through the balancer's address of a Service; None: to the pods
        of all of them, in turn, without any Service."""
        client = self._lab.wiring.client.namespace
        if service is None:
            targets = self._bare()
        else:
            found = next(s for s in self._served() if str(s) == service)
            targets = [(found.ingress[0].ip, found.ports[0].port)]
        turn = itertools.cycle(targets)
        return await handshakes(client, lambda: next(turn), seconds)

    def _bare(self) -> list[tuple[Address, int]]:
        """Every ready endpoint, with a way to it from outside of the cluster."""
        cluster = self._lab.view.cluster
        found = {
            (endpoint.address, endpoint.port): endpoint.node
            for service in self._served()
            for endpoint in _endpoints(cluster, service)
            if endpoint.ready
        }
        for (address, _), node in found.items():
            self._lab.router.send(address, [node] if node else [])
        return list(found)

    def _hops(self, shots: Sequence[Shot]) -> list[int]:
        """Each node that forwards takes one off the TTL, and so does the router in front of them;
        a hostNetwork pod is reached without its node's forwarding."""
        found = []
        for shot in shots:
            arrival = self._lab.arrivals.pop((shot.source, shot.port), None)
            if arrival is not None:
                found.append(arrival.forwards - 1 + arrival.host_network)
        return found

    def _served(self) -> list[Service]:
        return [service for service in self._lab.view.cluster.services if service.ingress]

    # --- waiting and watching -----------------------------------------------------------------

    async def _until(self, unmet: Callable[[], Awaitable[str]]) -> None:
        """Wait until nothing is unmet any more. Raises LabError."""
        end = time.monotonic() + _SECONDS
        while why := await unmet():
            if self._living.done():
                raise first_of(self._living.exception())
            if time.monotonic() > end:
                raise LabError(
                    f"the lab did not come to rest within {_SECONDS:.0f} s: {why}",
                    "Try again on a quieter machine.",
                )
            await asyncio.sleep(0.01)

    async def _nodes_unready(self) -> str:
        nodes = (await self._lab.api.list("Node")).items
        ready = [meta(node)[1] for node in nodes if is_true(node, "Ready")]
        return ", ".join(f"node {name} is not Ready" for name in self._lab.kubelets.keys() - ready)

    async def _restless(self) -> str:
        """What is still on its way; empty if nothing is."""
        if unready := await self._nodes_unready():
            return unready
        api, cluster = self._lab.api, self._lab.view.cluster
        for pod in (await api.list("Pod")).items:
            if "deletionTimestamp" in pod["metadata"] or not is_true(pod, "Ready"):
                return f"pod {meta(pod)[1]} comes or goes"
        for one in (await api.list("Deployment")).items:
            status, wanted = one.get("status", {}), one["spec"]["replicas"]
            current = status.get("observedGeneration") == one["metadata"]["generation"]
            updated, available = status.get("updatedReplicas"), status.get("availableReplicas")
            if not (current and wanted == updated == available):
                return f"Deployment {meta(one)[1]} has {available} of {wanted} pods"
        for service in cluster.services:
            if service.type == "LoadBalancer" and (
                not service.ingress or self._ways(service) != self._wanted(cluster, service)
            ):
                return f"the balancer has not found the nodes of Service {service}"
        behind = [name for name, p in self._lab.proxies.items() if p.agreed is not cluster]
        return ", ".join(f"node {name} has not the newest rules" for name in behind)

    def _ways(self, service: Service) -> set[str]:
        return {*self._lab.router.way(service.ingress[0].ip)}

    def _wanted(self, cluster: Cluster, service: Service) -> set[str]:
        """The nodes that the balancer sends to when it has heard everything; any one of them, if it
        has but one."""
        nodes = {node.name for node in cluster.nodes}
        if service.external_traffic_policy == "Local":
            endpoints = _endpoints(cluster, service)
            nodes &= {str(endpoint.node) for endpoint in endpoints if endpoint.ready}
        if self._one_place:
            return self._ways(service) & nodes or nodes
        return nodes

    async def _watch(self) -> None:
        """Note what changes, as soon as one can see it."""
        await self._lab.view.filled()
        before = await self._facts()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now, at = await self._facts(), time.monotonic()
            for kind, of, service in sorted(before ^ now):
                told = _TOLD[kind][(kind, of, service) in now].format(of)
                self._notices.append(Notice(at, told, service))
            before = now

    async def _facts(self) -> frozenset[tuple[str, str, str]]:
        """What holds now: of which kind, of what, and for which Service alone."""
        nodes = (await self._lab.api.list("Node")).items
        found = {("node", meta(node)[1], "") for node in nodes if is_true(node, "Ready")}
        cluster = self._lab.view.cluster
        for service in self._served():
            found |= {("way", node, str(service)) for node in self._ways(service)}
            endpoints = _endpoints(cluster, service)
            found |= {("pod", endpoint.pod, "") for endpoint in endpoints if endpoint.ready}
        return frozenset(found)


def _endpoints(cluster: Cluster, service: Service) -> Sequence[Endpoint]:
    """Those behind its balancer's first address."""
    return cluster.endpoints_of(service, service.ports[0], service.ingress[0].ip.version)


_TOLD = {
    "node": ("{} is NotReady", "{} is Ready"),
    "way": ("the balancer leaves {} out", "the balancer sends to {}"),
    "pod": ("{} is no longer ready", "{} is ready"),
}
"""How a fact is told when it ends, and when it begins."""

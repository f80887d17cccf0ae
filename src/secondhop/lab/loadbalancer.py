"""A load balancer outside the cluster: brings the addresses of its pool to healthy nodes.

Like a real one it knows Services by the API and nodes by what their health checks answer, from
outside: healthCheckNodePort under externalTrafficPolicy Local, else kube-proxy's /healthz
(semantics §6.3). It does not heed the exclude-from-external-load-balancers label, and without any
healthy node the address goes nowhere (docs/balancers.md, `healthy-nodes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..client import Api, Object
from ..client.informer import Informer, Key
from ..errors import LabError
from ..manifests.stored import stored_service
from ..model.cluster import Address, Node, Service
from .healthchecks import HEALTHZ_PORT
from .request import status_of
from .router import Router

if TYPE_CHECKING:
    from ..manifests.lab_balancer import Balancer

_RETRY_SECONDS = 1.0


class Check(NamedTuple):
    """What is asked: /healthz of a node, at its address of one family."""

    node: str
    address: Address
    port: int


class Health:
    """The verdict over one Check: healthy; None until there is one. It turns when `threshold`
    answers in a row say so; the first good answer of all counts at once."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._against = 0
        self.healthy: bool | None = None

    def hear(self, good: bool) -> bool:
        """Take one answer; whether the verdict turned."""
        self._against = 0 if good == self.healthy else self._against + 1
        at_once = good and self.healthy is None
        if not at_once and self._against < self._threshold:
            return False
        self.healthy, self._against = good, 0
        return True


def health_port(service: Service) -> int:
    """The port of every node whose /healthz tells whether it is to get a Service's connections."""
    if service.external_traffic_policy == "Local" and service.health_check_node_port:
        return service.health_check_node_port
    return HEALTHZ_PORT


def chosen(
    verdicts: Mapping[str, bool | None], now: Sequence[str], *, one: bool
) -> tuple[str, ...]:
    """The nodes that get an address. verdicts: by node, in order. now: those that have it, which
    keep it until something is known against them. one: it has one place, and stays there."""
    fit = [node for node, ok in verdicts.items() if ok or (ok is None and node in now)]
    if one:
        fit = [node for node in now if node in fit][:1] or fit[:1]
    return tuple(fit)


class LoadBalancer:
    """The balancer of a lab. `run` is its life."""

    def __init__(self, api: Api, router: Router, nodes: Sequence[Node], how: Balancer) -> None:
        self._router, self._nodes, self._how = router, nodes, how
        self._informer = Informer(api, "Service", self._heard)
        self._services: dict[Key, Service] = {}
        self._health: dict[Check, Health] = {}
        self._checking: dict[Check, asyncio.Task[None]] = {}
        self._sent: set[Address] = set()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Follow the API and the nodes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informer.run())
            while True:
                await self._news.wait()
                self._news.clear()
                try:
                    self._settle(group)
                except LabError:  # a segment is down: its nodes cannot be next hops
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._news.set()

    def _heard(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is None:
            self._services.pop(key, None)
        else:
            self._services[key] = stored_service(after)
        self._news.set()

    def _settle(self, group: asyncio.TaskGroup) -> None:
        """Ask what there is to ask, and route by what is known."""
        ports = {
            entry.ip: health_port(service)
            for service in self._services.values()
            for entry in service.ingress
            if any(entry.ip in network for network in self._how.pool)
        }
        asked = {ip: self._checks(ip, port) for ip, port in ports.items()}
        wanted = {check for checks in asked.values() for check in checks}
        for check in self._checking.keys() - wanted:
            self._checking.pop(check).cancel()
            del self._health[check]
        for check in wanted - self._checking.keys():
            self._health[check] = Health(self._how.threshold)
            self._checking[check] = group.create_task(self._check(check))
        self._sent |= asked.keys()
        for ip in self._sent:
            verdicts = {c.node: self._health[c].healthy for c in asked.get(ip, ())}
            nodes = chosen(verdicts, self._router.way(ip), one=self._how.kind == "single-node")
            if nodes != self._router.way(ip):
                self._router.send(ip, nodes)
        self._sent = set(asked)

    def _checks(self, ip: Address, port: int) -> list[Check]:
        return [
            Check(node.name, own, port)
            for node in self._nodes
            if (own := node.address(ip.version)) is not None
        ]

    async def _check(self, check: Check) -> None:
        """Ask every interval, from outside."""
        loop, interval = asyncio.get_running_loop(), self._how.interval
        while True:
            due = loop.time() + interval
            good = False
            try:
                async with asyncio.timeout(interval):
                    good = await self._status(check) == 200
            except (OSError, TimeoutError, ValueError):
                pass
            if self._health[check].hear(good):
                self._news.set()
            await asyncio.sleep(due - loop.time())

    async def _status(self, check: Check) -> int:
        return await status_of(self._router.namespace, check.address, check.port, "/healthz")

"""The embedded cluster: an API, kubelets and proxies in one event loop, on the lab's wiring. Each
part knows the others only through the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..apiserver.agent import Execution, LogOptions
from ..apiserver.local import LocalApi
from ..apiserver.server import Server
from ..apiserver.store import Store
from ..controllers.events import Recorder
from ..errors import ApiError, LabError
from ..model.cluster import Address, Cluster
from .capture import Arrivals
from .kubelet import Kubelet
from .probe import Refusals
from .proxy import NodeProxy
from .rtnetlink import Netlink
from .timing import USUAL, Timing
from .view import View
from .wiring import Wiring

_BURST = 3
"""Rounds of the proxies that may follow each other at once. When more is changing, they rest after
each as long as it took, so that changes go together and half of the time is left for others."""
_LONGEST_REST = 1.0
_SHORT_SECONDS = 1.0
"""Before another try when the system had no descriptor or process left for one."""


class Embedded:
    """A cluster of nodes whose store is empty. base: its machines, network and proxy settings.
    timing: the kubelets'."""

    def __init__(self, base: Cluster, timing: Timing = USUAL) -> None:
        self.wiring = Wiring(base)
        self.refusals = Refusals()
        self.arrivals: Arrivals = {}
        self.store = Store()
        self.server = Server(self.store, base.cni.service_cidrs)
        self.api = LocalApi(self.server)
        self._events = Recorder(self.api, time.time)
        self.view = View(self.api, base)
        self.kubelets = {
            node.name: Kubelet(
                self.api,
                node,
                _Cables(self.wiring, node.name),
                self._events,
                self.arrivals,
                timing=timing,
            )
            for node in base.nodes
        }
        self._proxies = [
            NodeProxy(netlink.namespace, self.refusals.report)
            for netlink in self.wiring.nodes.values()
        ]
        self._turned = asyncio.Condition()
        self._agreed: Cluster | None = None

    async def run(self) -> None:
        """Live until cancelled."""
        self.wiring.wait_ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run())
            for kubelet in self.kubelets.values():
                group.create_task(kubelet.run())
            group.create_task(self.view.run())
            group.create_task(self._proxy())

    async def agreed(self, wanted: Callable[[Cluster], bool]) -> None:
        """Wait until the nodes' kernels agree with a cluster that is as wanted."""
        async with self._turned:
            await self._turned.wait_for(lambda: self._agreed is not None and wanted(self._agreed))

    async def _proxy(self) -> None:
        """Bring every node's rules to what the API says, whenever it says something new."""
        await self.view.filled()
        in_a_row, took = 0, 0.0
        while True:
            resting = time.monotonic()
            await self.view.changed.wait()
            self.view.changed.clear()
            cluster, begun = self.view.cluster, time.monotonic()
            in_a_row = in_a_row + 1 if begun - resting < took else 1
            syncs = (proxy.sync(cluster) for proxy in self._proxies)
            failures = [f for f in await asyncio.gather(*syncs, return_exceptions=True) if f]
            if failures:
                if not all(isinstance(failure, OSError) for failure in failures):
                    raise failures[0]
                await asyncio.sleep(_SHORT_SECONDS)
                self.view.changed.set()
                continue
            async with self._turned:
                self._agreed = cluster
                self._turned.notify_all()
            took = time.monotonic() - begun
            if in_a_row >= _BURST:
                await asyncio.sleep(min(took, _LONGEST_REST))


@dataclass(frozen=True, slots=True)
class _Cables:
    """One node's part of the wiring."""

    wiring: Wiring
    node: str

    @property
    def netlink(self) -> Netlink:
        return self.wiring.nodes[self.node]

    async def plug(self, pod: str, addresses: Sequence[Address]) -> Netlink:
        return await self.wiring.plug(self.node, pod, addresses)

    def unplug(self, pod: str) -> None:
        self.wiring.unplug(pod)


class PodAgent:
    """The way to every pod: to the kubelet of its node."""

    def __init__(self, api: LocalApi, kubelets: Mapping[str, Kubelet]) -> None:
        self._api, self._kubelets = api, kubelets

    async def logs(
        self, namespace: str, name: str, container: str | None, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """See apiserver.agent.Agent."""
        kubelet = await self._kubelet(namespace, name)
        async for piece in kubelet.logs(namespace, name, container, options):
            yield piece

    async def execute(
        self,
        namespace: str,
        name: str,
        container: str | None,
        command: Sequence[str],
        **streams: Any,
    ) -> Execution:
        """See apiserver.agent.Agent."""
        kubelet = await self._kubelet(namespace, name)
        return await kubelet.execute(namespace, name, container, list(command), **streams)

    async def _kubelet(self, namespace: str, name: str) -> Kubelet:
        pod = await self._api.get("Pod", name, namespace)
        node = pod["spec"].get("nodeName")
        if not node:
            raise ApiError(400, "BadRequest", f"pod {name} does not have a host assigned")
        if node not in self._kubelets:
            raise ApiError(500, "InternalError", f"no kubelet of a node {node} is known")
        return self._kubelets[node]


def first_of(error: BaseException | None) -> BaseException:
    """What began it, of a group of failures."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error or LabError("the lab ended", "Run `secondhop doctor`, then try again.")

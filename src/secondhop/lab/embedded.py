"""The embedded cluster: API, controllers, kubelets and proxies in one event loop, on the lab's
wiring. Each part knows the others only through the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from ..apiserver.agent import Execution, LogOptions
from ..apiserver.bootstrap import bootstrap
from ..apiserver.local import LocalApi
from ..apiserver.server import Server
from ..apiserver.store import Store
from ..controllers.events import Recorder
from ..controllers.loop import Settings
from ..controllers.run import run as run_controllers
from ..errors import ApiError
from ..model.cluster import Cluster
from .capture import Arrivals
from .kubelet import Kubelet
from .probe import Refusals
from .proxy import NodeProxy
from .rtnetlink import Netlink
from .timing import USUAL, Timing
from .view import View
from .wiring import Wiring

_PAUSE_SECONDS = 0.02
"""At least, and as long as the last round took, between two rounds of the proxies: so that changes
which come together go together, and the rest of the lab gets on."""
_SHORT_SECONDS = 1.0
"""Before another try when the system had no descriptor or process left for one."""


class Embedded:
    """A cluster of nodes without workloads, from `start` on.

    base: its machines, network and proxy settings. settings: the controllers'. timing: the
    kubelets'.
    """

    def __init__(
        self,
        base: Cluster,
        settings: Settings,
        api_port: int = 6443,
        timing: Timing = USUAL,
    ) -> None:
        self._base = base
        self.wiring = Wiring(base)
        self.refusals = Refusals()
        self.arrivals: Arrivals = {}
        self.server = Server(Store(), base.cni.service_cidrs)
        bootstrap(self.server, base.cni.service_cidrs[0], api_port)
        self.api = LocalApi(self.server)
        self._settings = settings
        self._events = Recorder(self.api, settings.now)
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
        self.synced = asyncio.Condition()
        self.round: Cluster | None = None
        """What the nodes' kernels agree with."""

    async def run(self) -> None:
        """Live until cancelled."""
        self.wiring.wait_ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(run_controllers(self.api, self._settings))
            group.create_task(self._events.run())
            for kubelet in self.kubelets.values():
                group.create_task(kubelet.run())
            group.create_task(self.view.run())
            group.create_task(self._proxy())

    async def _proxy(self) -> None:
        """Bring every node's rules to what the API says, whenever it says something new."""
        loop = asyncio.get_running_loop()
        await self.view.filled()
        while True:
            await self.view.changed.wait()
            self.view.changed.clear()
            cluster, begun = self.view.cluster, loop.time()
            syncs = (proxy.sync(cluster) for proxy in self._proxies)
            failures = [f for f in await asyncio.gather(*syncs, return_exceptions=True) if f]
            if failures:
                if not all(isinstance(failure, OSError) for failure in failures):
                    raise failures[0]
                await asyncio.sleep(_SHORT_SECONDS)
                self.view.changed.set()
                continue
            async with self.synced:
                self.round = cluster
                self.synced.notify_all()
            await asyncio.sleep(max(_PAUSE_SECONDS, loop.time() - begun))


@dataclass(frozen=True, slots=True)
class _Cables:
    """One node's part of the wiring."""

    wiring: Wiring
    node: str

    @property
    def netlink(self) -> Netlink:
        return self.wiring.nodes[self.node]

    async def plug(self, pod: str, address: IPv4Address) -> Netlink:
        return await self.wiring.plug(self.node, pod, address)

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

"""The embedded cluster: an API, kubelets and proxies in one event loop, on the lab's wiring. Each
part knows the others only through the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..apiserver.agent import Execution, LogOptions
from ..apiserver.local import LocalApi
from ..apiserver.server import Server
from ..apiserver.store import Store
from ..client import Api, Object
from ..controllers.events import Recorder
from ..errors import ApiError, LabError
from ..model.cluster import Address, Cluster
from .capture import Arrivals
from .kubelet import Kubelet
from .probe import Refusals
from .proxy import NodeProxy
from .proxyloop import ProxyLoop, Syncing
from .router import Router
from .rtnetlink import Netlink
from .timing import USUAL, Timing
from .uplink import Uplink
from .view import View
from .wiring import Wiring

if TYPE_CHECKING:
    from ..manifests.lab_balancer import Balancer
    from .loadbalancer import LoadBalancer
    from .stockproxy import Stock, StockProxy

_PATIENCE = 3.0
"""Seconds for which a proxy may fail before who waits for it hears why."""


class Embedded:
    """A cluster of nodes whose store is empty. base: its machines, network and proxy settings.
    timing: the kubelets'. balancer: what stands outside; None: nothing. stock: the kube-proxy in
    the proxies' seats, None for our own. api: what everybody uses in place of the own server."""

    def __init__(
        self,
        base: Cluster,
        timing: Timing = USUAL,
        balancer: Balancer | None = None,
        *,
        stock: Stock | None = None,
        api: Api | None = None,
    ) -> None:
        self.wiring = Wiring(base)
        self.router = Router(self.wiring, base)
        self.refusals = Refusals()
        self.arrivals: Arrivals = {}
        self.store = Store()
        self.server = Server(self.store, base.cni.service_cidrs)
        self.api: Api = api or LocalApi(self.server)
        self._events = Recorder(self.api, time.time)
        self.view = View(self.api, base)
        self.kubelets = {
            node.name: Kubelet(
                Uplink(self.api, self.wiring.nodes[node.name].namespace),
                node,
                _Cables(self.wiring, node.name),
                self._events,
                self.arrivals,
                timing=timing,
            )
            for node in base.nodes
        }
        self._stock: list[StockProxy] = []
        self.proxies = {
            name: ProxyLoop(name, self._seat(netlink, stock), self._tell, self._turn)
            for name, netlink in self.wiring.nodes.items()
        }
        self._balancer: LoadBalancer | None = None
        if balancer is not None:
            from .loadbalancer import LoadBalancer  # throw-away labs start without it

            self._balancer = LoadBalancer(self.api, self.router, base.nodes, balancer)
        self._turned = asyncio.Event()

    def _seat(self, netlink: Netlink, stock: Stock | None) -> Syncing:
        """Who sits in the proxy's seat of a node."""
        if stock is None:
            return NodeProxy(netlink.namespace, self.refusals.report, self._tell)
        from .stockproxy import StockProxy  # most labs run without

        self._stock.append(StockProxy(netlink.namespace, stock))
        return self._stock[-1]

    async def run(self) -> None:
        """Live until cancelled."""
        self.wiring.wait_ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run())
            for kubelet in self.kubelets.values():
                group.create_task(kubelet.run())
            group.create_task(self.view.run())
            for proxy in self.proxies.values():
                group.create_task(proxy.run(self.view))
            for stock in self._stock:
                group.create_task(stock.ended())
            if self._balancer is not None:
                group.create_task(self._balancer.run())

    async def agreed(self, wanted: Callable[[Cluster], bool]) -> None:
        """Wait until the nodes' kernels agree with a cluster that is as wanted. Raises what a proxy
        that does not get any further complains of."""
        while not self._agree(wanted):
            for proxy in self.proxies.values():
                if proxy.complaint and time.monotonic() - proxy.failing_since > _PATIENCE:
                    raise proxy.complaint
            turned = self._turned
            await turned.wait()

    def _agree(self, wanted: Callable[[Cluster], bool]) -> bool:
        states = {id(proxy.agreed): proxy.agreed for proxy in self.proxies.values()}
        return all(state is not None and wanted(state) for state in states.values())

    def _turn(self) -> None:
        """A proxy has got further, or has not."""
        self._turned.set()
        self._turned = asyncio.Event()

    def _tell(self, about: Object, reason: str, message: str) -> None:
        self._events.tell(about, "kube-proxy", reason, message, "Warning")


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

    def __init__(self, api: Api, kubelets: Mapping[str, Kubelet]) -> None:
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

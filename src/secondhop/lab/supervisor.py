"""The lab's own process: builds it, keeps it, and answers what the caller asks over the channel."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pickle
import resource
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import LabError
from ..model.cluster import Address, Cluster, Endpoint, ServicePortName
from ..model.fate import Observation
from ..model.flow import Flow, Source
from .capture import Arrival
from .client import LENGTH, failure, framed
from .embedded import Embedded, first_of
from .netns import Namespace
from .nodeapi import embedded
from .probe import Prober, answers
from .staging import Stage, verdicts

if TYPE_CHECKING:
    from ..model.trace import Recording


def main(channel: socket.socket, make: Callable[[], object] | None = None) -> None:
    """Answer requests until the caller closes the channel. Runs as pid 1 of the sandbox. make: what
    has a method for each request; None: a Supervisor."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each pod takes a few descriptors
    asyncio.run(_serve(channel, make or Supervisor))


async def _serve(channel: socket.socket, make: Callable[[], object]) -> None:
    channel.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=channel)
    lab = make()
    while True:
        try:
            (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            verb, arguments = pickle.loads(await reader.readexactly(size))
        except asyncio.IncompleteReadError:
            return
        try:
            answer: tuple[bool, object] = (True, await getattr(lab, verb)(*arguments))
        except Exception:
            answer = failure()
        writer.write(framed(answer))
        await writer.drain()


_SECONDS = 60.0
T = TypeVar("T")


class Supervisor:
    """One lab. Its public methods are what `client.Lab` may ask for, `start` first and once."""

    _cluster: Cluster
    _lab: Embedded

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._seated = contextlib.AsyncExitStack()
        self._answers_all = False

    async def start(
        self, cluster: Cluster, kube_proxy: str | None
    ) -> tuple[dict[str, bool], list[str]]:
        """Build the cluster, start its pods; which of them became ready, by `namespace/name`, and
        what is out of the ordinary. kube_proxy: path of a stock one, None for our own."""
        self._cluster = cluster
        own = []
        if kube_proxy is not None:
            from .stockproxy import version

            own.append(
                f"kube-proxy is a stock one, {version(kube_proxy)} ({kube_proxy}): its rules report"
                " no drops, so each was waited out"
            )
        self._lab = await self._seated.enter_async_context(embedded(cluster, kube_proxy))
        self._stage = Stage(self._lab.store)
        self._stage.furnish(cluster)
        self._living = asyncio.create_task(self._lab.run())
        ready, notes = await self._alive(verdicts(self._lab.api, cluster))
        if unset := ", ".join(dict.fromkeys(self._lab.wiring.unset)):
            notes.append(f"not to be set here, so rejections may take a second: {unset}")
        return ready, [*own, *notes]

    async def program(self, cluster: Cluster) -> None:
        """Let the API say what these objects say, until every node's kernel agrees."""
        self._stage.show(cluster)

        def same(now: Cluster) -> bool:
            return set(now.services) == set(cluster.services) and (
                _told(now.endpoints) == _told(cluster.endpoints)
            )

        await self._alive(self._lab.agreed(same))

    async def deliver(self, address: Address, node: str | None) -> None:
        """From now on the network outside brings an address to this node, or nowhere."""
        self._lab.router.send(address, [node] if node else [])

    async def inject(self, fault: str, target: str) -> None:
        """See faults."""
        from .faults import inject  # most labs see none

        await inject(self._lab, fault, target)

    async def _alive(self, waiting: Coroutine[Any, Any, T]) -> T:
        """What comes of waiting, unless the lab ends before. Raises what it ended with."""
        task = asyncio.ensure_future(waiting)
        await asyncio.wait({task, self._living}, timeout=_SECONDS, return_when="FIRST_COMPLETED")
        if task.done():
            return task.result()
        task.cancel()
        if self._living.done():
            raise first_of(self._living.exception())
        raise LabError(
            f"the lab's nodes did not come to rest within {_SECONDS:.0f} s",
            "Try again on a quieter machine.",
        )

    async def observe(
        self, flows: Sequence[Flow], attempts: int, wait_timeouts: bool
    ) -> list[tuple[Observation, str]]:
        """Try flows of one via with fresh connections, together; of each the observation, and the
        first reply as it came."""
        await self._bring(flows)
        probers = [await self._prober(flow, wait_timeouts) for flow in flows]
        tries = (p.observe(f.destination, attempts) for p, f in zip(probers, flows, strict=True))
        return await asyncio.gather(*tries)

    async def _bring(self, flows: Sequence[Flow]) -> None:
        """Let the network outside bring each flow where it shall."""
        if not self._answers_all and not all(flow.is_reference for flow in flows):
            from .unroutable import answer_unroutable  # the reference experiment needs none of it

            await answer_unroutable(self._lab.wiring.router)
            self._answers_all = True
        for flow in flows:
            if flow.via:
                await self.deliver(flow.destination.address, flow.via)

    async def hold(self, flow: Flow) -> None:
        """Open a connection that stays, if it succeeds."""
        prober = await self._prober(flow)
        if connection := await prober.hold(flow.destination):
            self._held.append(connection)

    async def held(self) -> tuple[int, int]:
        """How many of the connections that were opened to stay answer once more, and of how many;
        they are closed."""
        alive = 0
        for connection in self._held:
            alive += await answers(connection)
            connection.close()
        total = len(self._held)
        self._held.clear()
        return alive, total

    async def trace(self, place: str, flow: Flow) -> Recording:
        """Make one connection from a place of the lab, and record it wherever it shows."""
        from .recorder import record  # an experiment starts without it

        await self._bring([flow])
        return await record(self._lab, place, flow)

    async def _prober(self, flow: Flow, wait_timeouts: bool = False) -> Prober:
        namespace = await self._sender(flow.source)
        source = flow.source.ip
        if flow.source.kind == "node":
            source = namespace.source_towards(flow.destination.address) or source
        return Prober(
            namespace,
            source,
            self._lab.refusals,
            self._lab.arrivals,
            hops=functools.partial(self._hops, flow),
            wait_timeouts=wait_timeouts,
        )

    async def _sender(self, source: Source) -> Namespace:
        """Where a source sends from. A pod that there is none of yet is there from then on."""
        wiring = self._lab.wiring
        if source.kind != "pod" or source.node is None:
            return wiring.namespace(f"node/{source.node}" if source.node else "client")
        name = wiring.pod_at(source.ip)
        if name is None:
            name = f"{source.name}/{source.ip}"
            await wiring.plug(source.node, name, [source.ip])
        return wiring.namespace(f"pod/{name}")

    def _hops(self, flow: Flow, arrival: Arrival) -> int | None:
        """The cluster nodes that a request crossed, by what the TTL lost: one for each of them that
        forwarded it and for each time it passed the router. A node does not forward what it
        delivers to a hostNetwork pod of its own, and VXLAN hides the router. None for other flows
        than those from the client to a node port."""
        if not flow.is_reference:
            return None
        lost = arrival.forwards - self._routers(flow.source.ip, flow.destination.address)
        if not arrival.host_network:
            return lost
        entry = flow.destination.address
        home = self._cluster.node(arrival.node).address(entry.version)
        return lost + 1 - (self._routers(entry, home) if home else 0)

    def _routers(self, one: Address, other: Address) -> int:
        """How often a packet between two addresses outside the pod network passes the router."""
        interfaces = [*self._cluster.client, *(i for n in self._cluster.nodes for i in n.addresses)]
        network = next(i.network for i in interfaces if i.ip == one)
        return 0 if other in network else 1

    async def descriptors(self) -> dict[str, int]:
        """This process's descriptor of each namespace, by its name in the lab."""
        return {name: found.fd for name, found in self._lab.wiring.namespaces().items()}


def _told(
    endpoints: Mapping[ServicePortName, tuple[Endpoint, ...]],
) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """The endpoints of the service ports that have some."""
    return {name: found for name, found in endpoints.items() if found}

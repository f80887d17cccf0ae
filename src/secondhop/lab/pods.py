"""Pods: a namespace with an address, a listening whoami, and a readiness probe.

`traefik/whoami` runs the built-in whoami with its arguments and environment. Any other image is
stood in for by whoami on the ports that the container or the Service's endpoints name: where
traffic lands does not depend on what answers.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from ipaddress import IPv4Address

from ..errors import LabError
from ..model.cluster import Cluster, Pod, Probe
from .capture import Arrival, Arrivals, keep_syn, saved_ttl
from .rtnetlink import Netlink
from .whoami import Whoami
from .wiring import Wiring
from .workloads import listeners, workloads

_BACKLOG = 1024
_MANY = 65536
_LONGEST_PROBE = 10.0
_PATIENCE = 3600.0
"""The real whoami waits for ever; a connection held through an experiment must not tell."""


class Pods:
    """Runs the pods of every node of a lab."""

    def __init__(self, cluster: Cluster, wiring: Wiring) -> None:
        self._cluster = cluster
        self._wiring = wiring
        self._accepting: set[asyncio.Task[object]] = set()
        self.arrivals: Arrivals = {}
        self.notes: list[str] = []
        """Why pods are not ready."""

    async def start(self) -> dict[str, bool]:
        """Start every placed pod; which of them became ready, by `namespace/name`."""
        pods = [pod for pod in workloads(self._cluster) if pod.node in self._wiring.nodes]
        for node in self._cluster.nodes:
            mine = [p for p in pods if p.node == node.name and not p.host_network]
            self._wiring.add_pods(node.name, [(_key(p), _address(p)) for p in mine])
        serving = [self._serve(pod) for pod in pods]
        self._wiring.wait_ready()
        ready = await asyncio.gather(*map(self._ready, pods, serving))
        return {str(pod): up for pod, up in zip(pods, ready, strict=True)}

    def _serve(self, pod: Pod) -> bool:
        """Start what listens in a pod; False if it cannot, as a container that ends at once."""
        netlink = self._netlink(pod)
        for config in listeners(self._cluster, pod):
            listener = netlink.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("0.0.0.0", config.port))
            except OSError as error:
                said = f"it cannot listen on port {config.port}: {error.strerror}"
                self.notes.append(f"pod {pod} on {pod.node} is not ready: {said}")
                return False
            keep_syn(listener)
            listener.listen(_BACKLOG)
            whoami = Whoami(config, netlink.addresses, lambda line: None, _PATIENCE)
            accept = functools.partial(self._accept, listener, whoami, pod)
            asyncio.get_running_loop().add_reader(listener, accept)
        return True

    def _accept(self, listener: socket.socket, whoami: Whoami, pod: Pod) -> None:
        """Hand a connection to whoami, and note with which TTL its SYN came."""
        try:
            connection, peer = listener.accept()
        except OSError:  # the client has gone again
            return
        if len(self.arrivals) >= _MANY:
            self.arrivals.clear()
        self.arrivals[peer] = Arrival(saved_ttl(connection), pod.node or "", pod.host_network)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(
            loop.connect_accepted_socket(whoami, connection)
        )
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def _netlink(self, pod: Pod) -> Netlink:
        if pod.host_network and pod.node:
            return self._wiring.nodes[pod.node]
        return self._wiring.pods[_key(pod)]

    async def _ready(self, pod: Pod, serving: bool) -> bool:
        """The pod's own word, and its containers' readiness probes, asked from its node."""
        if not pod.ready or not serving or pod.node is None:
            return False
        for probe in [c.readiness for c in pod.containers if c.readiness]:
            if not await _passes(self._wiring.nodes[pod.node], _address(pod), probe):
                asked = "connection to" if probe.path is None else f"GET {probe.path} on"
                said = f"its readiness probe, {asked} port {probe.port}, failed"
                self.notes.append(f"pod {pod} on {pod.node} is not ready: {said}")
                return False
        return True


async def _passes(node: Netlink, address: IPv4Address, probe: Probe) -> bool:
    """One readiness probe: a connection, and for httpGet an answer from 200 to 399."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(min(probe.timeout, _LONGEST_PROBE)):
            with node.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                await loop.sock_connect(sock, (str(address), probe.port))
                if probe.path is None:
                    return True
                host = f"{address}:{probe.port}"
                request = f"GET {probe.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                await loop.sock_sendall(sock, request.encode())
                answer = await loop.sock_recv(sock, 64)
                return 200 <= int(answer.split(b" ", 2)[1]) < 400
    except (OSError, TimeoutError, ValueError, IndexError):
        return False


def _key(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name or _address(pod)}"


def _address(pod: Pod) -> IPv4Address:
    for address in pod.addresses:
        if isinstance(address, IPv4Address):
            return address
    raise LabError(
        f"pod {pod} has no IPv4 address, and the lab's wiring is IPv4",
        "Use `secondhop explain`, which predicts both families.",
    )

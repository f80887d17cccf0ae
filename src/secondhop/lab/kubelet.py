"""Pods: a namespace with an address, a listening whoami, and a readiness probe.

`traefik/whoami` runs the built-in whoami with its arguments and environment. Any other image is
stood in for by whoami on the ports that the container or the Service's endpoints name: where
traffic lands does not depend on what answers.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address

from ..errors import LabError
from ..model.cluster import Cluster, Pod, Probe
from .capture import Arrivals, keep_syn, saved_ttl
from .images import is_whoami
from .rtnetlink import Netlink
from .whoami import Settings, Whoami, settings
from .wiring import Wiring

_BACKLOG = 1024
_MANY = 65536


class Kubelet:
    """Runs the pods of every node of a lab."""

    def __init__(self, cluster: Cluster, wiring: Wiring) -> None:
        self._cluster = cluster
        self._wiring = wiring
        self._accepting: set[asyncio.Task[object]] = set()
        self.arrivals: Arrivals = {}

    async def start(self) -> dict[str, bool]:
        """Start every placed pod; which of them became ready, by `namespace/name`."""
        pods = [pod for pod in workloads(self._cluster) if pod.node]
        for node in self._cluster.nodes:
            mine = [p for p in pods if p.node == node.name and not p.host_network]
            self._wiring.add_pods(node.name, [(_key(p), _address(p)) for p in mine])
        for pod in pods:
            self._serve(pod)
        self._wiring.wait_ready()
        ready = await asyncio.gather(*(self._ready(pod) for pod in pods))
        return {str(pod): up for pod, up in zip(pods, ready, strict=True)}

    def _serve(self, pod: Pod) -> None:
        netlink = self._netlink(pod)
        for config in _listeners(self._cluster, pod):
            listener = netlink.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("0.0.0.0", config.port))
            except OSError as error:
                raise LabError(
                    f"pod {pod} on {pod.node} cannot listen on port {config.port}: "
                    f"{error.strerror}",
                    "Two hostNetwork pods of one node need different ports.",
                ) from None
            keep_syn(listener)
            listener.listen(_BACKLOG)
            whoami = Whoami(config, netlink.addresses, lambda line: None)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener, whoami)

    def _accept(self, listener: socket.socket, whoami: Whoami) -> None:
        """Hand a connection to whoami, and note with which TTL its SYN came."""
        try:
            connection, peer = listener.accept()
        except OSError:  # the client has gone again
            return
        if len(self.arrivals) >= _MANY:
            self.arrivals.clear()
        self.arrivals[peer] = saved_ttl(connection)
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

    async def _ready(self, pod: Pod) -> bool:
        """The pod's own word, and its containers' readiness probes, asked from its node."""
        probes = [c.readiness for c in pod.containers if c.readiness]
        if not pod.ready or not pod.node:
            return False
        node = self._wiring.nodes[pod.node]
        answers = [await _passes(node, _address(pod), probe) for probe in probes]
        return all(answers)


def workloads(cluster: Cluster) -> Iterable[Pod]:
    """The pods, and one for each endpoint that no pod stands behind (slices without pods)."""
    yield from cluster.pods
    known = {address for pod in cluster.pods for address in pod.addresses}
    for name, endpoints in cluster.endpoints.items():
        for endpoint in endpoints:
            if endpoint.address in known:
                continue
            known.add(endpoint.address)
            on_nic = any(i.ip == endpoint.address for n in cluster.nodes for i in n.addresses)
            yield Pod(
                name.namespace,
                endpoint.pod,
                _node_of(cluster, endpoint.address) or endpoint.node,
                (endpoint.address,),
                host_network=on_nic,
            )


def _node_of(cluster: Cluster, address: object) -> str | None:
    for node in cluster.nodes:
        if any(i.ip == address for i in node.addresses) or any(
            address in c for c in node.pod_cidrs
        ):
            return node.name
    return None


def _listeners(cluster: Cluster, pod: Pod) -> list[Settings]:
    """What listens in the pod: its whoami containers as they are configured; without any, a
    stand-in on every port that its containers, their probes or its endpoints name."""
    own = [
        settings(pod.name, container.args, container.env)
        for container in pod.containers
        if is_whoami(container.image)
    ]
    if own:
        return own
    named = {p.port for c in pod.containers for p in c.ports if p.protocol == "TCP"}
    probed = {c.readiness.port for c in pod.containers if c.readiness}
    behind = {
        endpoint.port
        for name, endpoints in cluster.endpoints.items()
        for endpoint in endpoints
        if name.protocol == "TCP" and endpoint.address in pod.addresses
    }
    return [Settings(hostname=pod.name, port=port) for port in sorted(named | probed | behind)]


async def _passes(node: Netlink, address: IPv4Address, probe: Probe) -> bool:
    """One readiness probe: a connection, and for httpGet an answer from 200 to 399."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(probe.timeout):
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

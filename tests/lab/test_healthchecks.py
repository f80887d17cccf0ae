"""What a node answers to those who ask for its health, over sockets in its own namespace."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any, NamedTuple, TypeVar

import pytest
from proxying import Proxied, proxied
from support import sandboxed

from secondhop.lab import healthchecks
from secondhop.lab.netns import Namespace
from secondhop.lab.proxy import NodeProxy
from secondhop.lab.rtnetlink import Netlink
from secondhop.model.cluster import (
    Address,
    Cluster,
    Endpoint,
    Node,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
)

T = TypeVar("T")
PORT = 32000
OWN = healthchecks.HEALTHZ_PORT
NODE = Node("gz1", (ip_interface("192.168.8.1/32"), ip_interface("fd00:8::1/128")))
OTHER = ip_interface("192.168.8.99/32")
WEB = Service(
    "default",
    "web",
    (ServicePort("", "TCP", 80, 30080),),
    "LoadBalancer",
    (ip_address("10.43.0.10"), ip_address("fd00:43::10")),
    external_traffic_policy="Local",
    health_check_node_port=PORT,
)
HERE = Endpoint(ip_address("10.42.0.2"), 80, node="gz1")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


def cluster(*endpoints: Endpoint, web: Service = WEB, mode: ProxyMode = "iptables") -> Cluster:
    served = {web.port_name(web.ports[0]): endpoints}
    return Cluster((NODE,), services=(web,), endpoints=served, proxy=Proxy(mode))


class Asked:
    """A node with its proxy."""

    def __init__(self) -> None:
        netlink = Netlink(namespace := Namespace.create("gz1"))
        netlink.link_up(1, "lo")
        for address in (*NODE.addresses, OTHER):
            netlink.address(1, address)
        netlink.commit()
        self.namespace = namespace
        self.events: list[str] = []
        self.proxy = NodeProxy(namespace, lambda *_: None, self._tell)

    def _tell(self, about: dict[str, Any], reason: str, message: str) -> None:
        self.events.append(f"{about['kind']} {about['metadata']['name']} {reason}: {message}")

    async def get(
        self, port: int, path: str = "/", to: Address = NODE.addresses[0].ip, method: str = "GET"
    ) -> Answer | str:
        """The answer, or why there is none."""
        return await fetched(self.namespace, port, path, to, method)


async def fetched(
    namespace: Namespace, port: int, path: str, to: Address, method: str = "GET"
) -> Answer | str:
    kind = socket.AF_INET if to.version == 4 else socket.AF_INET6
    loop = asyncio.get_running_loop()
    with namespace.socket(kind, socket.SOCK_STREAM) as sock:
        try:
            await loop.sock_connect(sock, (str(to), port))
        except OSError as error:
            return type(error).__name__
        request = f"{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
        await loop.sock_sendall(sock, request.encode())
        said = b""
        while part := await loop.sock_recv(sock, 65536):
            said += part
    head, _, body = said.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return Answer(int(first.split()[1]), dict(line.split(": ") for line in lines), body)


def asked(body: Callable[[Asked], Awaitable[T]]) -> T:
    async def play() -> T:
        async with asyncio.timeout(20):
            return await body(Asked())

    return sandboxed(lambda: asyncio.run(play()))


def test_a_services_check_says_how_many_endpoints_are_here() -> None:
    async def body(node: Asked) -> list[Any]:
        found: list[Any] = []
        second = replace(HERE, address=ip_address("10.42.0.3"))
        for endpoints in ([HERE, second], [HERE], [], [replace(HERE, node="xjp1")]):
            await node.proxy.sync(cluster(*endpoints))
            found.append(await node.get(PORT, "/healthz"))
        return found

    two, one, none, elsewhere = asked(body)
    assert two.body == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n'
        '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}'
    )
    assert two.headers["Content-Type"] == "application/json"
    assert two.headers["X-Content-Type-Options"] == "nosniff"
    answers = [(a.status, a.headers["X-Load-Balancing-Endpoint-Weight"]) for a in (two, one, none)]
    assert answers == [(200, "2"), (200, "1"), (503, "0")]
    assert elsewhere.status == 503


def test_any_path_and_method_will_do() -> None:
    async def body(node: Asked) -> list[Any]:
        await node.proxy.sync(cluster(HERE))
        return [await node.get(PORT, "/any?thing", method=m) for m in ("POST", "DELETE", "HEAD")]

    post, delete, head = asked(body)
    assert post.status == delete.status == head.status == 200
    assert post.body == delete.body
    assert head.body == ""


def test_it_comes_and_goes_with_the_policy() -> None:
    async def body(node: Asked) -> list[Any]:
        found: list[Any] = []
        for web in (
            replace(WEB, external_traffic_policy="Cluster"),
            WEB,
            replace(WEB, health_check_node_port=PORT + 1),
            replace(WEB, external_traffic_policy="Cluster"),
        ):
            await node.proxy.sync(cluster(HERE, web=web))
            found.append([await node.get(port) for port in (PORT, PORT + 1)])
        return found

    closed = "ConnectionRefusedError"
    before, local, moved, after = asked(body)
    assert before == after == [closed, closed]
    assert (local[0].status, local[1]) == (200, closed)
    assert (moved[0], moved[1].status) == (closed, 200)


@pytest.mark.parametrize(("mode", "open_there"), [("iptables", True), ("nftables", False)])
def test_it_listens_on_the_addresses_of_node_ports(mode: ProxyMode, open_there: bool) -> None:
    """Every one of the node's in iptables mode, the primary one in nftables mode."""

    async def body(node: Asked) -> list[Any]:
        six = replace(HERE, address=ip_address("fd00:42::2"))
        await node.proxy.sync(cluster(HERE, six, six, mode=mode))
        return [await node.get(PORT, to=a.ip) for a in (*NODE.addresses, OTHER)]

    four, six, other = asked(body)
    assert four.status == six.status == 200
    assert isinstance(other, Answer) == open_there


def test_a_taken_port_is_told_and_tried_again() -> None:
    async def body(node: Asked) -> list[Any]:
        with node.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
            taken.bind(("0.0.0.0", PORT))
            taken.listen()
            await node.proxy.sync(cluster(HERE))
        told = list(node.events)
        await node.proxy.sync(cluster(HERE))
        return [told, await node.get(PORT)]

    told, later = asked(body)
    assert told == [
        "Service web FailedToStartServiceHealthcheck: node gz1 failed to start healthcheck on port"
        " 32000: address already in use"
    ]
    assert later.status == 200


def test_kube_proxys_own_health_is_about_its_node() -> None:
    async def body(node: Asked) -> list[Any]:
        found: list[Any] = []
        for deleting in (False, True):
            of = replace(NODE, deleting=deleting)
            await node.proxy.sync(replace(cluster(HERE), nodes=(of,)))
            for path in ("/healthz", "/livez", "/else"):
                found.append(await node.get(OWN, path))
        found += [await node.get(OWN, "/healthz", to=NODE.addresses[1].ip), await node.get(PORT)]
        return found

    good, alive, nothing, leaving, still, _, six, service = asked(body)
    assert [a.status for a in (good, alive, nothing)] == [200, 200, 404]
    assert [a.status for a in (leaving, still, six)] == [503, 200, 503]
    assert service.status == 200, "a Service's check ignores what happens to the node"
    told = json.loads(good.body)
    assert list(told) == ["lastUpdated", "currentTime", "nodeEligible", "healthy", "status"]
    assert told["nodeEligible"] is told["healthy"] is True
    assert told["lastUpdated"] == told["currentTime"]
    assert list(told["status"]) == ["IPv4", "IPv6"]
    assert "nodeEligible" not in json.loads(alive.body)
    late = json.loads(leaving.body)
    assert (late["nodeEligible"], late["healthy"]) == (False, True)
    assert late["lastUpdated"] < late["currentTime"]


def test_a_proxy_that_cannot_keep_up_is_not_healthy() -> None:
    async def body(node: Asked) -> list[Any]:
        await node.proxy.sync(cluster(HERE))

        async def refusing(*_: object, **__: object) -> None:
            raise OSError("out of everything")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("secondhop.lab.iptables.Loader.sync", refusing)
            with pytest.raises(OSError, match="everything"):
                await node.proxy.sync(cluster())
            soon = [await node.get(OWN, "/healthz"), await node.get(PORT)]
            patch.setattr(healthchecks, "UNHEALTHY_SECONDS", -1.0)
            late = [await node.get(OWN, "/healthz"), await node.get(PORT)]
        await node.proxy.sync(cluster(HERE))
        return [*soon, *late, await node.get(OWN, "/healthz")]

    soon, service_soon, late, service_late, mended = asked(body)
    assert [a.status for a in (soon, service_soon)] == [200, 200]
    assert [a.status for a in (late, service_late)] == [503, 503]
    assert json.loads(service_late.body)["serviceProxyHealthy"] is False
    assert mended.status == 200


def test_a_node_says_that_it_is_leaving_from_what_the_api_says_of_it() -> None:
    """Known, tainted by the autoscaler, as before, gone (semantics §6.2)."""
    leaving = {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}

    async def body(world: Proxied) -> list[object]:
        found: list[object] = []

        async def ask() -> None:
            await world.agreed()
            answer = await fetched(world.namespace, OWN, "/healthz", NODE.addresses[0].ip)
            found.append(isinstance(answer, Answer) and answer.status)

        await ask()
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gz1"}}
        await world.api.create(node)
        await ask()
        for taints in ([leaving], []):
            await world.api.patch("Node", "gz1", "", {"spec": {"taints": taints}})
            await ask()
        await world.api.delete("Node", "gz1")
        await ask()
        return found

    assert proxied("nftables", body) == [503, 200, 503, 200, 503]

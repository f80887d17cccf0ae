"""What becomes of UDP flows when endpoints change (semantics §5.5), in a kernel, in both modes and
families: the same client socket throughout, which a connection tracking entry would hold."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from support import sandboxed

from secondhop.lab.netns import Namespace
from secondhop.lab.proxy import NodeProxy
from secondhop.lab.rtnetlink import Netlink
from secondhop.model.cluster import (
    Cluster,
    Endpoint,
    Family,
    Node,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
)

NODE = Node("gz1", (ip_interface("192.168.8.1/32"), ip_interface("fd00:8::1/128")))
KINDS = {4: socket.AF_INET, 6: socket.AF_INET6}
DNS = Service(
    "default",
    "dns",
    (ServicePort("", "UDP", 53, 30053),),
    "NodePort",
    (ip_address("10.43.0.10"), ip_address("fd00:43::10")),
)


def cluster(mode: ProxyMode, *endpoints: Endpoint, exists: bool = True) -> Cluster:
    return Cluster(
        (NODE,),
        services=(DNS,) if exists else (),
        endpoints={DNS.port_name(DNS.ports[0]): endpoints} if exists else {},
        proxy=Proxy(mode, detect_local=(ip_network("10.42.0.0/16"), ip_network("fd00:42::/56"))),
    )


class World:
    """A node that is client and endpoints as well. One flow goes to the cluster IP, one to the node
    port."""

    def __init__(self, mode: ProxyMode, family: Family) -> None:
        self.mode = mode
        netlink = Netlink(namespace := Namespace.create("gz1"))
        netlink.link_up(1, "lo")
        for address in NODE.addresses:
            netlink.address(1, address)
        netlink.commit()
        with namespace:
            for services in ("10.43.0.0/16", "fd00:43::/112"):
                subprocess.run(["/sbin/ip", "route", "add", services, "dev", "lo"], check=True)
        self.proxy = NodeProxy(namespace, lambda *_: None)
        own, cluster_ip = NODE.address(family), DNS.cluster_ip(family)
        assert own
        assert cluster_ip
        kind = KINDS[family]
        self.backends = {name: namespace.socket(kind, socket.SOCK_DGRAM) for name in "ab"}
        self.endpoints = {}
        for port, (name, sock) in enumerate(self.backends.items(), 5301):
            sock.bind((str(own), port))
            self.endpoints[name] = Endpoint(own, port, node="gz1")
        self.clients = [namespace.socket(kind, socket.SOCK_DGRAM) for _ in "ab"]
        for client, target in zip(self.clients, ((cluster_ip, 53), (own, 30053)), strict=True):
            client.bind((str(own), 0))
            client.connect((str(target[0]), target[1]))

    async def sync(self, *endpoints: Endpoint, exists: bool = True) -> None:
        await self.proxy.sync(cluster(self.mode, *endpoints, exists=exists))

    def sent(self) -> list[str]:
        """Which backend gets the next datagram of each flow; empty for none."""
        found = []
        for client in self.clients:
            client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # an earlier datagram's refusal
            try:
                client.send(b"?")
            except OSError as error:
                found.append(type(error).__name__)
                continue
            found.append("".join(n for n, sock in self.backends.items() if _received(sock)))
        return found


def _received(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(16))
    except BlockingIOError:
        return False


async def flows(mode: ProxyMode, family: Family) -> dict[str, list[str]]:
    world, found = World(mode, family), {}
    a, b = world.endpoints["a"], world.endpoints["b"]
    await world.sync(exists=False)
    found["before the Service exists"] = world.sent()
    await world.sync(a)
    found["from a black hole to served"] = world.sent()
    await world.sync(a, b)
    found["its endpoint stays"] = world.sent()
    await world.sync(replace(a, ready=False, terminating=True), b)
    found["its endpoint still serves"] = world.sent()
    await world.sync(b)
    found["its endpoint has gone"] = world.sent()
    await world.sync(replace(b, port=5301))
    found["the port of its endpoint has changed"] = world.sent()
    await world.sync()
    found["nobody serves"] = world.sent()
    return found


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_flows_follow_the_endpoints(mode: ProxyMode, family: Family) -> None:
    found = sandboxed(lambda: asyncio.run(flows(mode, family)))
    unserved = found.pop("before the Service exists")
    assert "a" not in unserved
    assert "b" not in unserved
    assert found == {
        "from a black hole to served": ["a", "a"],
        "its endpoint stays": ["a", "a"],
        "its endpoint still serves": ["a", "a"],
        "its endpoint has gone": ["b", "b"],
        "the port of its endpoint has changed": ["a", "a"],
        "nobody serves": ["a", "a"],
    }

"""An untouched Service while all others change: never a moment in which it is broken."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from proxying import Proxied, proxied
from support import sandboxed

from secondhop.lab.netns import Namespace
from secondhop.lab.proxy import NodeProxy
from secondhop.lab.rtnetlink import Netlink
from secondhop.model.cluster import (
    Cluster,
    Endpoint,
    Node,
    Policy,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
    ServicePortName,
)

ADDRESS = ip_interface("192.168.8.1/32")
NODE = Node("gz1", (ADDRESS,))
TARGET, NODE_PORT = 8080, 30000
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close at once, so that no port is left waiting."""


def service(number: int) -> Service:
    port = ServicePort("", "TCP", 80, NODE_PORT + number)
    return Service(
        "default", f"web-{number}", (port,), "NodePort", (ip_address(f"10.43.0.{number}"),)
    )


def changed(draw: random.Random, mode: ProxyMode) -> Cluster:
    """Service 0 as ever, served by the node itself; any of the others, in any state."""
    services = [service(0)]
    for number in range(1, 12):
        if draw.random() < 0.8:
            policy: Policy = draw.choice(("Cluster", "Local"))
            timeout = draw.choice((None, 60))
            of = replace(service(number), external_traffic_policy=policy, affinity_timeout=timeout)
            services.append(of)

    def endpoints(of: Service) -> tuple[Endpoint, ...]:
        if of == services[0]:
            return (Endpoint(ADDRESS.ip, TARGET, node="gz1"),)
        return tuple(Endpoint(ip_address(f"10.42.0.{k}"), 80) for k in range(draw.randrange(4)))

    return Cluster(
        (NODE,),
        services=tuple(services),
        endpoints={
            ServicePortName("default", of.name, "", "TCP"): endpoints(of) for of in services
        },
        proxy=Proxy(mode, detect_local=(ip_network("10.42.0.0/16"),)),
    )


class Watched:
    """Connections to Service 0, one after the other, as long as the block takes: how many, and what
    went wrong with them. The node itself is client and backend."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind((str(ADDRESS.ip), TARGET))
        self._listener.listen(1024)
        self.count, self.wrong = 0, list[str]()

    async def __aenter__(self) -> None:
        self._client = asyncio.create_task(self._connecting())

    async def __aexit__(self, *_: object) -> None:
        self._client.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._client

    async def _connecting(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.001)
            with self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.count += 1
                try:
                    async with asyncio.timeout(0.9):
                        await loop.sock_connect(sock, (str(ADDRESS.ip), NODE_PORT))
                        (await loop.sock_accept(self._listener))[0].close()
                except (OSError, TimeoutError) as error:
                    self.wrong.append(repr(error))


async def watched(mode: ProxyMode, changes: int) -> tuple[int, list[str]]:
    """Connections, and what went wrong, while a proxy is told of one cluster after the other."""
    netlink = Netlink(namespace := Namespace.create("gz1"))
    netlink.link_up(1, "lo")
    netlink.address(1, ADDRESS)
    netlink.commit()
    proxy = NodeProxy(namespace, lambda packet, refusal: None)
    draw = random.Random(7)
    await proxy.sync(changed(draw, mode))
    async with (client := Watched(namespace)):
        for _ in range(changes):
            await proxy.sync(changed(draw, mode))
    return client.count, client.wrong


LONG = [
    pytest.param("iptables", 1000, marks=pytest.mark.soak),
    pytest.param("nftables", 1000, marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("mode", "changes"), [("iptables", 60), ("nftables", 300), *LONG])
def test_an_untouched_service_answers_throughout(mode: ProxyMode, changes: int) -> None:
    count, wrong = sandboxed(lambda: asyncio.run(watched(mode, changes)))
    assert wrong == []
    assert count > changes


@pytest.mark.parametrize(("mode", "changes"), [("iptables", 30), ("nftables", 60), *LONG])
def test_so_it_does_while_a_live_proxy_follows_the_api(mode: ProxyMode, changes: int) -> None:
    """Services come and go and change, and so do their endpoints, in both families; after each
    change the kernel has come up with it."""

    async def body(world: Proxied) -> tuple[int, list[str], list[str]]:
        draw = random.Random(7)
        await world.service(0)
        await world.endpoints(0, str(ADDRESS.ip), port=TARGET)
        await world.agreed()
        there: set[int] = set()
        async with (client := Watched(world.namespace)):
            for _ in range(changes):
                await change(world, draw, there)
                await world.agreed()
        return client.count, client.wrong, world.events

    count, wrong, events = proxied(mode, body)
    assert wrong == []
    assert events == []
    assert count > changes


async def change(world: Proxied, draw: random.Random, there: set[int]) -> None:
    """One of the others comes, goes, changes, or is served by others."""
    number = draw.randrange(1, 12)
    name = f"web-{number}"
    if number not in there:
        await world.service(number)
        there.add(number)
    elif draw.random() < 0.3:
        await world.api.delete("Service", name, "default")
        there.remove(number)
    elif draw.random() < 0.4:
        spec = {
            "externalTrafficPolicy": draw.choice(("Cluster", "Local")),
            "sessionAffinity": draw.choice(("None", "ClientIP")),
        }
        await world.api.patch("Service", name, "default", {"spec": spec})
    else:
        pods = [f"{draw.choice(('10.42.0.', 'fd00:42::'))}{k}" for k in range(2, 5)]
        await world.endpoints(number, *draw.sample(pods, draw.randrange(4)))

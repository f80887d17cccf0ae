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


async def watched(mode: ProxyMode, changes: int) -> tuple[int, list[str]]:
    """Connections to Service 0 one after the other, as long as the changes take: how many, and
    what went wrong with them."""
    netlink = Netlink(namespace := Namespace.create("gz1"))
    netlink.link_up(1, "lo")
    netlink.address(1, ADDRESS)
    netlink.commit()
    loop = asyncio.get_running_loop()
    listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((str(ADDRESS.ip), TARGET))
    listener.listen(1024)
    proxy = NodeProxy(namespace, lambda packet, refusal: None)
    draw = random.Random(7)
    await proxy.sync(changed(draw, mode))
    count, wrong = 0, []

    async def connecting() -> None:
        nonlocal count
        while True:
            await asyncio.sleep(0.001)
            with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                count += 1
                try:
                    async with asyncio.timeout(0.9):
                        await loop.sock_connect(sock, (str(ADDRESS.ip), NODE_PORT))
                        (await loop.sock_accept(listener))[0].close()
                except (OSError, TimeoutError) as error:
                    wrong.append(repr(error))

    client = asyncio.create_task(connecting())
    for _ in range(changes):
        await proxy.sync(changed(draw, mode))
    client.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await client
    return count, wrong


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("iptables", 60),
        ("nftables", 300),
        pytest.param("iptables", 1000, marks=pytest.mark.soak),
        pytest.param("nftables", 1000, marks=pytest.mark.soak),
    ],
)
def test_an_untouched_service_answers_throughout(mode: ProxyMode, changes: int) -> None:
    count, wrong = sandboxed(lambda: asyncio.run(watched(mode, changes)))
    assert wrong == []
    assert count > changes

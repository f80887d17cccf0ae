"""A node's proxy on an API of its own, and nothing else: no kubelet, no cables."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, TypeVar

from support import nft_contents, sandboxed

from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.local import LocalApi
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import Store
from secondhop.client import Object, meta
from secondhop.client.api import Event, Listing
from secondhop.client.informer import Informer, Key
from secondhop.errors import EnvironmentUnable
from secondhop.lab.netns import Namespace
from secondhop.lab.proxy import NodeProxy
from secondhop.lab.proxyloop import ProxyLoop
from secondhop.lab.rtnetlink import Netlink
from secondhop.lab.view import View
from secondhop.model.cluster import Cluster, Cni, Node, Proxy, ProxyMode

T = TypeVar("T")
SECONDS = 20.0
KINDS = "Service", "EndpointSlice", "Node"
"""In the order of the View's informers."""
FOUR, SIX = ip_interface("192.168.8.1/32"), ip_interface("fd00:8::1/128")
PODS = ip_network("10.42.0.0/16"), ip_network("fd00:42::/56")
SERVICES = ip_network("10.43.0.0/16"), ip_network("fd00:43::/112")


def base(mode: ProxyMode) -> Cluster:
    """A dual-stack node without pods of its own."""
    subnets = ip_network("10.42.0.0/24"), ip_network("fd00:42::/64")
    return Cluster(
        (Node("gz1", (FOUR, SIX), subnets),),
        cni=Cni(pod_cidrs=PODS, service_cidrs=SERVICES),
        proxy=Proxy(mode, detect_local=PODS),
    )


class FlakyApi(LocalApi):
    """An API that can be away."""

    away = False

    def _there(self) -> None:
        if self.away:
            raise ConnectionRefusedError("the API is away")

    async def list(self, kind: str, namespace: str = "", **selectors: str) -> Listing:
        """See Api."""
        self._there()
        return await super().list(kind, namespace, **selectors)

    async def watch(self, kind: str, namespace: str = "", **selectors: Any) -> AsyncIterator[Event]:
        """See Api."""
        self._there()
        async for event in super().watch(kind, namespace, **selectors):
            self._there()
            yield event


class Proxied:
    """The node, its API, and hands on both."""

    def __init__(self, mode: ProxyMode) -> None:
        netlink = Netlink(namespace := Namespace.create("gz1"))
        netlink.link_up(1, "lo")
        for address in (FOUR, SIX):
            netlink.address(1, address)
        netlink.commit()
        self.namespace, self.events = namespace, list[str]()
        server = Server(Store(), SERVICES)
        bootstrap(server, SERVICES[0])
        self.api = FlakyApi(server)
        self.view = View(self.api, base(mode))
        self.proxy = NodeProxy(namespace, lambda *_: None, self._tell)
        self.loop = ProxyLoop("gz1", self.proxy, self._tell)

    def _tell(self, about: Object, reason: str, message: str) -> None:
        self.events.append(f"{about['kind']} {about['metadata']['name']} {reason}: {message}")

    async def service(self, number: int, **spec: Any) -> None:
        """A NodePort Service of both families, without endpoints yet."""
        ports = [{"name": "p", "port": 80, "nodePort": 30000 + number}]
        families = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
        value = {"type": "NodePort", "ports": ports, **families, **spec}
        metadata = {"namespace": "default", "name": f"web-{number}"}
        await self.api.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": value}
        )

    async def endpoints(self, number: int, *addresses: str, port: int = 8080) -> None:
        """What serves a Service from now on, in one slice for each family."""
        for family in (4, 6):
            name = f"web-{number}-{family}"
            with contextlib.suppress(Exception):
                await self.api.delete("EndpointSlice", name, "default")
            mine = [a for a in addresses if ip_address(a).version == family]
            labels = {"kubernetes.io/service-name": f"web-{number}"}
            await self.api.create(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {"namespace": "default", "name": name, "labels": labels},
                    "addressType": f"IPv{family}",
                    "ports": [{"name": "p", "port": port, "protocol": "TCP"}],
                    "endpoints": [{"addresses": [a], "nodeName": "gz1"} for a in mine],
                }
            )

    async def until(self, met: Callable[[], object]) -> None:
        """Wait for something."""
        async with asyncio.timeout(SECONDS):
            while not met():
                await asyncio.sleep(0.005)

    async def agreed(self) -> None:
        """Wait until the kernel is where the API is."""
        for informer, kind in zip(self.view._informers, KINDS, strict=True):
            stored = {meta(v): v["metadata"] for v in (await LocalApi.list(self.api, kind)).items}
            await self.until(partial(_same, informer, stored))
        await self.until(lambda: self.loop.agreed is self.view.cluster)

    async def fresh(self) -> list[str]:
        """What a kernel has that was brought here at once."""
        namespace = Namespace.create("gz1")
        proxy = NodeProxy(namespace, lambda *_: None)
        with contextlib.suppress(EnvironmentUnable):
            await proxy.sync(self.view.cluster)
        return contents(namespace)


def _same(informer: Informer, stored: Mapping[Key, Object]) -> bool:
    return {key: value["metadata"] for key, value in informer.objects.items()} == stored


def contents(namespace: Namespace) -> list[str]:
    """All rules, comparable: nft's tables, and iptables' as its own program prints them."""
    tables = [text for text in nft_contents(namespace) if "'kube-proxy'" in text]
    for program in ("iptables-nft-save", "ip6tables-nft-save"):
        with namespace:
            done = subprocess.run(
                [f"/usr/sbin/{program}"], capture_output=True, text=True, check=True
            )
        lines = done.stdout.splitlines()
        tables += [f"{program} {line.rstrip()}" for line in _ordered(lines)]
    return tables


def _ordered(lines: list[str]) -> list[str]:
    """The chains of each table by name; of each chain the rules in their order."""
    kept = [line.split(" [")[0] for line in lines if line and line[0] != "#" and line != "COMMIT"]
    table, keyed = "", []
    for number, line in enumerate(kept):
        table = line if line[0] == "*" else table
        chain = line.split()[1] if line.startswith("-A") else line.split()[0]
        keyed.append((table, line[0], chain, number if line[0] == "-" else 0, line))
    return [f"{key[0]} {key[-1]}" for key in sorted(keyed)]


def proxied(mode: ProxyMode, body: Callable[[Proxied], Awaitable[T]]) -> T:
    """Run a test's body beside a proxy at work; the proxy must outlive it."""

    async def play() -> T:
        world = Proxied(mode)
        running = [
            asyncio.create_task(world.view.run()),
            asyncio.create_task(world.loop.run(world.view)),
        ]
        acting = asyncio.ensure_future(body(world))
        await asyncio.wait([*running, acting], return_when="FIRST_COMPLETED")
        for task in running:
            if task.done():
                task.result()
        return await acting

    return sandboxed(lambda: asyncio.run(play()))

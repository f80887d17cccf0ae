"""The outside load balancer on real packets: spread, health checks, failover, and what a fault does
to a client in front of it (semantics §14)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address, ip_network
from typing import Any, Literal

import pytest
from embedding import NODES, Life, is_true, living, whoami

from secondhop.client import Object
from secondhop.controllers.loop import Settings
from secondhop.lab import faults, loadbalancer
from secondhop.manifests.lab_balancer import Balancer

VIP = "192.0.2.1"
POOL = (ip_network("192.0.2.0/28"),)
PROBE = {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
STAND_IN_PORT = 10999


class Beacon:
    """A health check port of a node that answers well, but for the next `bad` times."""

    def __init__(self, life: Life, node: str) -> None:
        self.bad = self.asked = 0
        listener = life.lab.wiring.nodes[node].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("0.0.0.0", STAND_IN_PORT))
        self.listener = listener

    async def serve(self) -> None:
        server = await asyncio.start_server(self._answer, sock=self.listener)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(b"HTTP/1.1 503 No\r\n\r\n" if self.bad else b"HTTP/1.1 200 OK\r\n\r\n")
            self.bad = max(0, self.bad - 1)
            writer.close()

    async def asked_more(self, times: int) -> None:
        """Wait until it was asked that often again."""
        then = self.asked + times
        await eventually(lambda: self.asked >= then)


@contextlib.asynccontextmanager
async def beacons(life: Life) -> AsyncIterator[dict[str, Beacon]]:
    found = {node: Beacon(life, node) for node in life.lab.kubelets}
    serving = [asyncio.create_task(beacon.serve()) for beacon in found.values()]
    try:
        yield found
    finally:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def eventually(met: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not met():
            await asyncio.sleep(0.01)


async def expose(life: Life, policy: str) -> Object:
    """A LoadBalancer Service before the pods, once it has its address."""
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": policy,
        "selector": {"app": "web"},
        "ports": [{"port": 80}],
    }
    metadata = {"name": "web", "namespace": "default"}
    made = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    await life.api.create(made)
    async with asyncio.timeout(15):
        while not (await life.get("web", "Service"))["status"].get("loadBalancer"):
            await asyncio.sleep(0.01)
    return await life.get("web", "Service")


def way(life: Life) -> tuple[str, ...]:
    return life.lab.router.way(ip_address(VIP))


async def answers(life: Life, count: int, seconds: float = 5) -> Counter[str]:
    """Who answers that many fresh connections of the client, `-` for none in so many seconds."""
    seen: Counter[str] = Counter()

    async def once() -> None:
        try:
            reply = await life.fetch(VIP, seconds=seconds)
            seen[re.findall(r"Hostname: (\S+)", reply)[0]] += 1
        except (OSError, TimeoutError):
            seen["-"] += 1

    await asyncio.gather(*(once() for _ in range(count)))
    return seen


async def answered(life: Life, count: int, wanted: set[str]) -> None:
    """Wait until those answer that many connections, all of them and nobody else: on a busy machine
    an answer, or a node's to a health check, may come too late."""
    seconds = 1 if "-" in wanted else 5
    async with asyncio.timeout(30):
        while set(await answers(life, count, seconds)) != wanted:
            await asyncio.sleep(0.05)


async def served(life: Life) -> None:
    """Wait until all that is tried is answered: the proxies know of the Service."""
    async with asyncio.timeout(15):
        while "-" in await answers(life, 8, seconds=1):
            await asyncio.sleep(0.05)


def balanced(
    body: Callable[[Life], Awaitable[Any]],
    kind: Literal["ecmp", "single-node"] = "ecmp",
    *,
    grace: float = 60,
) -> None:
    """Run a test before a cluster with a quick balancer and a pod on each node. grace: of nodes
    that are not heard of, in seconds."""

    async def play(life: Life) -> None:
        for node in NODES:
            container = whoami(readinessProbe=PROBE)
            await life.pod(f"on-{node['name']}", container, node=node["name"])
        for node in NODES:
            await life.until(f"on-{node['name']}", is_true)
        await body(life)

    living(
        play,
        settings=Settings(pool=POOL, node_grace_seconds=grace),
        balancer=Balancer(kind, POOL, interval=0.1, threshold=2),
    )


def test_a_service_gets_an_address_and_loses_it() -> None:
    async def body(life: Life) -> None:
        made = await expose(life, "Cluster")
        assert made["status"]["loadBalancer"]["ingress"] == [{"ip": VIP, "ipMode": "VIP"}]
        await eventually(lambda: way(life) == ("gz1", "xjp1"))
        await served(life)
        await answered(life, 64, {"on-gz1", "on-xjp1"})
        await life.api.delete("Service", "web", "default")
        await eventually(lambda: way(life) == ())

    balanced(body)


def test_under_local_a_node_is_in_while_it_has_a_ready_pod() -> None:
    """Which pod answers tells through which node a connection came."""

    async def body(life: Life) -> None:
        await expose(life, "Local")
        await eventually(lambda: way(life) == ("gz1", "xjp1"))
        await answered(life, 64, {"on-gz1", "on-xjp1"})  # spread by source ports
        await faults.inject(life.lab, "unready", "on-gz1")
        await eventually(lambda: way(life) == ("xjp1",))
        await answered(life, 32, {"on-xjp1"})
        await faults.inject(life.lab, "unready", "default/on-xjp1")
        await eventually(lambda: way(life) == ())
        with pytest.raises(OSError, match="Errno 101"):
            await life.fetch(VIP)
        await faults.inject(life.lab, "ready", "on-gz1")
        await eventually(lambda: way(life) == ("gz1",))
        await answered(life, 32, {"on-gz1"})

    balanced(body)


def test_health_checks_that_flap_end_in_the_right_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loadbalancer, "HEALTHZ_PORT", STAND_IN_PORT)

    async def body(life: Life) -> None:
        async with beacons(life) as beacon:
            await expose(life, "Cluster")
            await eventually(lambda: way(life) == ("gz1", "xjp1"))
            for _ in range(4):
                beacon["gz1"].bad = 1
                await beacon["gz1"].asked_more(3)
                assert way(life) == ("gz1", "xjp1"), "one bad answer at a time"
            for bad in (3, 1, 5, 2):
                beacon["gz1"].bad = beacon["xjp1"].bad = bad
                await beacon["gz1"].asked_more(bad)
            await eventually(lambda: way(life) == ("gz1", "xjp1"))
            beacon["gz1"].bad = 1_000_000
            await eventually(lambda: way(life) == ("xjp1",))

    balanced(body)


def test_a_single_node_has_the_address_until_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loadbalancer, "HEALTHZ_PORT", STAND_IN_PORT)

    async def body(life: Life) -> None:
        async with beacons(life) as beacon:
            await expose(life, "Cluster")
            await eventually(lambda: way(life) == ("gz1",))
            await served(life)
            await faults.inject(life.lab, "cut", "gz1")
            await eventually(lambda: way(life) == ("xjp1",))
            await faults.inject(life.lab, "mend", "gz1")
            await beacon["gz1"].asked_more(4)
            assert way(life) == ("xjp1",), "it does not go back by itself"
            beacon["xjp1"].bad = 1_000_000
            await eventually(lambda: way(life) == ("gz1",))
            await served(life)

    balanced(body, "single-node")


def test_under_cluster_a_dead_nodes_pods_are_chosen_until_its_grace_ends() -> None:
    """The balancer has long left the node; under Local that is the end of it (semantics §14)."""

    async def body(life: Life) -> None:
        await expose(life, "Cluster")
        await eventually(lambda: way(life) == ("gz1", "xjp1"))
        await served(life)
        await faults.inject(life.lab, "cut", "gz1")
        await eventually(lambda: way(life) == ("xjp1",))
        await answered(life, 32, {"-", "on-xjp1"})
        local = {"spec": {"externalTrafficPolicy": "Local"}}
        await life.api.patch("Service", "web", "default", local)
        await answered(life, 32, {"on-xjp1"})
        await eventually(lambda: way(life) == ("xjp1",))
        assert is_true(await life.get("gz1", "Node")), "the control plane has yet to notice"
        assert is_true(await life.get("on-gz1"))

    balanced(body)


def test_after_the_grace_all_are_served_again_and_the_node_comes_back() -> None:
    async def body(life: Life) -> None:
        await expose(life, "Cluster")
        await eventually(lambda: way(life) == ("gz1", "xjp1"))
        await faults.inject(life.lab, "cut", "gz1")
        await life.until("on-gz1", lambda pod: not is_true(pod))
        await eventually(lambda: way(life) == ("xjp1",))
        await served(life)
        await answered(life, 32, {"on-xjp1"})
        await faults.inject(life.lab, "mend", "gz1")
        await eventually(lambda: way(life) == ("gz1", "xjp1"))
        await life.until("on-gz1", is_true)
        await served(life)

    balanced(body, grace=1)

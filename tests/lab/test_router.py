"""Where the router sends what is no machine's, and cut cables, as iproute2 and curl see them."""

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from support import enter, pod, sandboxed, service, world

from secondhop.errors import LabError
from secondhop.lab.client import Lab
from secondhop.lab.router import Router
from secondhop.lab.wiring import Wiring

VIP = ip_address("192.0.2.80")
SERVED = world(
    pod("web-0", "xjp1"),
    service(externalIPs=[str(VIP)], externalTrafficPolicy="Local"),
)


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with Lab() as started:
        started.start(SERVED.cluster)
        started.program(SERVED.cluster)
        yield started


def curl(of: Lab) -> tuple[int, str]:
    done = enter(of, "client", "curl", "-s", "--max-time", "1", f"http://{VIP}/")
    return done.returncode, done.stdout


def test_an_external_address_goes_where_the_network_is_told(running: Lab) -> None:
    assert curl(running) == (7, ""), "no route"
    running.deliver(VIP, "gz1")
    assert curl(running) == (28, ""), "gz1 has no pod: it drops under Local"
    running.deliver(VIP, "xjp1")
    assert "RemoteAddr: 192.168.22.2" in curl(running)[1]
    running.deliver(VIP, None)
    assert curl(running) == (7, "")


def test_taking_back_what_was_not_given_is_nothing(running: Lab) -> None:
    running.deliver(ip_address("192.0.2.99"), None)


def test_a_nodes_own_address_stays_with_it(running: Lab) -> None:
    running.deliver(ip_address("192.168.8.1"), "xjp1")
    shown = enter(running, "router", "ip", "route", "get", "192.168.8.1").stdout
    assert "via" not in shown


def test_several_nodes_share_by_addresses_and_ports() -> None:
    def play() -> tuple[list[dict[str, Any]], set[str], str]:
        cluster = SERVED.cluster
        wiring = Wiring(cluster)
        wiring.wait_ready()
        router = Router(wiring, cluster)
        router.send(VIP, ["xjp1", "gz1"])
        with wiring.router.namespace:
            route = subprocess.run(
                ["ip", "-json", "route", "show", str(VIP)], capture_output=True, check=True
            )
            ways = set()
            for port in range(40000, 40064):
                asked = ["ip", "-json", "route", "get", str(VIP), "from", "192.168.22.2"]
                asked += ["iif", "lan0", "ipproto", "tcp", "sport", str(port), "dport", "80"]
                got = subprocess.run(asked, capture_output=True, check=True)
                ways.add(json.loads(got.stdout)[0]["gateway"])
        return json.loads(route.stdout), ways, repr(router.way(VIP))

    routes, ways, way = sandboxed(play)
    assert way == "('gz1', 'xjp1')"
    assert [hop["gateway"] for hop in routes[0]["nexthops"]] == ["192.168.8.1", "172.17.26.70"]
    assert ways == {"192.168.8.1", "172.17.26.70"}


def test_what_the_kernel_refuses_changes_nothing() -> None:
    """The router's own segment is down: its nodes cannot be next hops."""

    def play() -> tuple[str, tuple[str, ...]]:
        cluster = SERVED.cluster
        wiring = Wiring(cluster)
        wiring.wait_ready()
        router = Router(wiring, cluster)
        router.send(VIP, ["gz1"])
        with wiring.router.namespace:
            subprocess.run(["ip", "link", "set", "lan2", "down"], check=True)
        try:
            router.send(VIP, ["xjp1"])
        except LabError as error:
            return error.message, router.way(VIP)
        raise AssertionError("accepted")

    said, way = sandboxed(play)
    assert said.startswith("the kernel refused to change the route to 192.0.2.80")
    assert way == ("gz1",)

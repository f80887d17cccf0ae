"""Where the router sends what is no machine's, and cut cables, as iproute2 and curl see them."""

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from support import enter, lab, pod, sandboxed, service, world

from secondhop.errors import LabError
from secondhop.lab.client import Lab
from secondhop.lab.router import Router
from secondhop.lab.wiring import Wiring

VIP = ip_address("192.0.2.80")
SERVED = world(
    pod("web-0", "xjp1"),
    service(externalIPs=[str(VIP)], externalTrafficPolicy="Local"),
)
BOTH_FAMILIES = world(
    lab(
        [
            {"name": "gz1", "addresses": ["192.168.8.1", "fd00:8::1"]},
            {"name": "xjp1", "addresses": ["172.17.26.70", "fd00:26::70"]},
        ],
        client={"addresses": ["192.168.22.2", "fd00:22::2"]},
    )
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


@pytest.mark.parametrize(
    ("vip", "client", "gateways"),
    [
        ("192.0.2.80", "192.168.22.2", ["192.168.8.1", "172.17.26.70"]),
        ("2001:db8::80", "fd00:22::2", ["fd00:8::1", "fd00:26::70"]),
    ],
)
def test_several_nodes_share_by_addresses_and_ports(
    vip: str, client: str, gateways: list[str]
) -> None:
    def play() -> tuple[list[list[str]], set[str]]:
        wiring = Wiring(BOTH_FAMILIES.cluster)
        wiring.wait_ready()
        router = Router(wiring, BOTH_FAMILIES.cluster)
        seen = []
        with wiring.router.namespace:
            for nodes in (["gz1"], ["xjp1", "gz1"], ["xjp1"], [], ["gz1", "xjp1"]):
                router.send(ip_address(vip), nodes)
                seen.append(hops("show", vip))
            ports = range(40000, 40064)
            tcp = ("from", client, "iif", "lan0", "ipproto", "tcp", "dport", "80", "sport")
            return seen, {hops("get", vip, *tcp, str(port))[0] for port in ports}

    gz1, xjp1 = gateways
    assert sandboxed(play) == ([[gz1], [gz1, xjp1], [xjp1], [], [gz1, xjp1]], {gz1, xjp1})


def hops(verb: str, address: str, *more: str) -> list[str]:
    """The gateways of a route, as iproute2 says here."""
    family = "-6" if ":" in address else "-4"
    command = ["ip", "-json", family, "route", verb, address, *more]
    routes = json.loads(subprocess.run(command, capture_output=True, check=True).stdout or "[]")
    return [hop["gateway"] for route in routes for hop in route.get("nexthops", [route])]


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

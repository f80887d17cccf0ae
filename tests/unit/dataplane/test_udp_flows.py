"""Which UDP flows are forgotten, and when (semantics §5.5)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from secondhop.dataplane.udp_flows import changed_endpoints, served
from secondhop.model.cluster import (
    Cluster,
    Endpoint,
    Ingress,
    Node,
    Service,
    ServicePort,
    ServicePortName,
)

DNS = Service(
    "default",
    "dns",
    (ServicePort("u", "UDP", 53, 30053), ServicePort("t", "TCP", 53, 30053)),
    "LoadBalancer",
    (ip_address("10.43.0.10"),),
    external_ips=(ip_address("198.51.100.1"),),
    ingress=(Ingress(ip_address("203.0.113.1")), Ingress(ip_address("203.0.113.2"), "Proxy")),
)
A, B = (Endpoint(ip_address(f"10.42.0.{n}"), 5353, node="gz1") for n in (2, 3))
UDP, TCP = (DNS.port_name(port) for port in DNS.ports)
WEB = ServicePortName("default", "web", "", "TCP")
GONE = (ip_address("10.42.0.9"), 5353)


def stale(to: str, port: int, answers: tuple[object, int], *endpoints: Endpoint) -> bool:
    node = Node("gz1", (ip_interface("192.168.8.1/24"),))
    found = served(Cluster((node,), services=(DNS,), endpoints={UDP: endpoints}), 4)
    return found.stale((ip_address(to), port), answers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("to", "port", "forgotten"),
    [
        ("10.43.0.10", 53, True),
        ("10.43.0.10", 54, False),
        ("198.51.100.1", 53, True),
        ("203.0.113.1", 53, True),
        ("203.0.113.2", 53, False),
        ("192.168.8.1", 30053, True),
        ("8.8.8.8", 30053, True),
        ("192.168.8.1", 53, False),
    ],
)
def test_a_flow_to_a_service_whose_backend_has_gone(to: str, port: int, forgotten: bool) -> None:
    """A node port on any address, whoever's it is."""
    assert stale(to, port, GONE, A) is forgotten


@pytest.mark.parametrize(
    ("answers", "endpoints", "forgotten"),
    [
        ((A.address, A.port), [A, B], False),
        ((A.address, A.port), [B], True),
        ((A.address, A.port + 1), [A], True),
        ((A.address, A.port), [replace(A, ready=False, terminating=True), B], False),
        ((A.address, A.port), [replace(A, ready=False, serving=False), B], True),
        ((A.address, A.port), [], False),
        ((A.address, A.port), [replace(B, serving=False)], False),
        ((ip_address("10.43.0.10"), 53), [A], True),
    ],
)
def test_who_serves_keeps_his_flows(
    answers: tuple[object, int], endpoints: list[Endpoint], forgotten: bool
) -> None:
    """Nothing where nobody serves; what was never translated is forgotten once somebody does."""
    assert stale("10.43.0.10", 53, answers, *endpoints) is forgotten


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        ({}, {UDP: (A,)}, True),
        ({UDP: (A,)}, {UDP: (A,)}, False),
        ({UDP: (A,)}, {UDP: (A, B)}, True),
        ({UDP: (A,)}, {}, True),
        ({UDP: (A,), TCP: (A,)}, {UDP: (A,), TCP: (B,)}, True),
        ({WEB: (A,)}, {WEB: (B,)}, False),
        ({UDP: (A,), WEB: (A,)}, {UDP: (A,), WEB: (B,)}, False),
    ],
)
def test_it_is_looked_for_when_endpoints_of_a_service_with_a_udp_port_changed(
    old: dict[ServicePortName, tuple[Endpoint, ...]],
    new: dict[ServicePortName, tuple[Endpoint, ...]],
    asked: bool,
) -> None:
    assert changed_endpoints(old, new) is asked

"""Which Services' health checks a node answers, where, and with how many endpoints (semantics
§6.1)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from secondhop.dataplane.health_checks import HealthCheck, health_checks
from secondhop.model.cluster import (
    Cluster,
    Endpoint,
    Family,
    Node,
    Proxy,
    Service,
    ServicePort,
)

NODE = Node(
    "gz1",
    (ip_interface("192.168.8.1/24"), ip_interface("fd00:8::1/64")),
    (ip_network("10.42.0.0/24"),),
)
USUAL = Proxy()
WEB = Service(
    "default",
    "web",
    (ServicePort("http", "TCP", 80, 30080), ServicePort("https", "TCP", 443, 30443)),
    "LoadBalancer",
    (ip_address("10.43.0.10"), ip_address("fd00:43::10")),
    external_traffic_policy="Local",
    health_check_node_port=32000,
)


def endpoint(number: int, node: str = "gz1", family: int = 4, **fields: Any) -> Endpoint:
    base = ip_address("10.42.0.0" if family == 4 else "fd00:42::")
    return Endpoint(base + number, 8080, node=node, **fields)


def checks(
    *endpoints: Endpoint, web: Service = WEB, family: Family = 4, of: Proxy = USUAL
) -> list[HealthCheck]:
    served = {web.port_name(port): endpoints for port in web.ports}
    return health_checks(
        Cluster((NODE,), services=(web,), endpoints=served, proxy=of), NODE, family
    )


LEAVING: dict[str, Any] = {"ready": False, "serving": True, "terminating": True}


@pytest.mark.parametrize(
    ("endpoints", "count"),
    [
        ([], 0),
        ([endpoint(2)], 1),
        ([endpoint(2), endpoint(3)], 2),
        ([endpoint(2), endpoint(3, "xjp1")], 1),
        ([endpoint(2, ready=False, serving=False)], 0),
        ([endpoint(2, **LEAVING)], 0),
        ([endpoint(2, terminating=True)], 1),
        ([endpoint(2), endpoint(2, family=6), endpoint(3, family=6)], 1),
    ],
)
def test_ready_endpoints_here_count_each_address_once(
    endpoints: list[Endpoint], count: int
) -> None:
    [check] = checks(*endpoints)
    assert check == HealthCheck("default", "web", 4, None, 32000, count)


@pytest.mark.parametrize(
    "web",
    [
        replace(WEB, external_traffic_policy="Cluster"),
        replace(WEB, type="NodePort"),
        replace(WEB, health_check_node_port=0),
        replace(WEB, proxy_name="other"),
        replace(WEB, cluster_ips=WEB.cluster_ips[1:]),
    ],
)
def test_a_service_that_does_not_qualify_has_none(web: Service) -> None:
    assert checks(endpoint(2), web=web) == []


@pytest.mark.parametrize(
    ("of", "family", "where"),
    [
        (Proxy("iptables"), 4, [None]),
        (Proxy("nftables"), 4, ["192.168.8.1"]),
        (Proxy("nftables"), 6, ["fd00:8::1"]),
        (Proxy("nftables", (ip_network("0.0.0.0/0"),)), 4, [None]),
        (
            Proxy("iptables", (ip_network("192.168.0.0/16"), ip_network("10.0.0.0/8"))),
            4,
            ["192.168.8.1", "10.42.0.1", "10.42.0.0"],
        ),
        (Proxy("nftables", (ip_network("127.0.0.0/8"),)), 4, ["127.0.0.1"]),
    ],
)
def test_it_listens_where_node_port_addresses_say(
    of: Proxy, family: Family, where: list[str | None]
) -> None:
    found = checks(endpoint(2), of=of, family=family)
    assert [check.address and str(check.address) for check in found] == where

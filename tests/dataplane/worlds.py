"""Random Services as one node meets them, wide enough for every kind of rule and element."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from hypothesis import strategies as st
from support import in_proxy_order

from secondhop.model.cluster import (
    Cluster,
    Cni,
    Endpoint,
    Ingress,
    Node,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
)

NODE = Node(
    "gz1",
    (ip_interface("192.168.8.1/24"), ip_interface("fd00:8::1/64")),
    (ip_network("10.42.0.0/24"), ip_network("fd00:42::/64")),
)
PODS = (ip_network("10.42.0.0/16"), ip_network("fd00:42::/56"))
RANGES = (
    (),
    (ip_network("203.0.113.0/24"),),
    (ip_network("192.168.0.0/16"), ip_network("192.168.8.0/24"), ip_network("fd00::/16")),
)


def proxy(mode: ProxyMode = "nftables", **fields: Any) -> Proxy:
    return Proxy(mode, **{"detect_local": PODS, **fields})


def service(number: int, **fields: Any) -> Service:
    """A NodePort Service of two ports and both families, with addresses of its own."""
    own = number + 10
    return Service(
        **{
            "namespace": "default",
            "name": f"web-{number}",
            "ports": (
                ServicePort("p", "TCP", 80, 30000 + number),
                ServicePort("dns", "UDP", 53, 30000 + number),
            ),
            "type": "LoadBalancer",
            "cluster_ips": (ip_address("10.43.0.0") + own, ip_address("fd00:43::") + own),
            **fields,
        }
    )


def endpoint(number: int, family: int = 4, **fields: Any) -> Endpoint:
    """A pod; even ones are here."""
    base = "10.42.0.0" if family == 4 else "fd00:42::"
    node = "xjp1" if number % 2 else "gz1"
    return Endpoint(ip_address(base) + 2 + number, 80, f"web-{number}", node, **fields)


def cluster(services: dict[Service, list[Endpoint]], of: Proxy | None = None) -> Cluster:
    """What node gz1 has to know, the same endpoints for each port of a Service."""
    return Cluster(
        (NODE,),
        services=tuple(services),
        endpoints={
            one.port_name(port): in_proxy_order(endpoints)
            for one, endpoints in services.items()
            for port in one.ports
        },
        cni=Cni(service_cidrs=(ip_network("10.43.0.0/16"), ip_network("fd00:43::/112"))),
        proxy=of or proxy(),
    )


@st.composite
def endpoints(draw: st.DrawFn) -> list[Endpoint]:
    found = []
    for number in draw(st.sets(st.integers(0, 4))):
        leaving = draw(st.booleans())
        found += [
            endpoint(number, family, ready=not leaving, terminating=leaving) for family in (4, 6)
        ]
    return found


@st.composite
def services(draw: st.DrawFn) -> dict[Service, list[Endpoint]]:
    policy = st.sampled_from(["Cluster", "Local"])
    found = {}
    for number in draw(st.sets(st.integers(0, 5), max_size=4)):
        vip = ip_address("203.0.113.0") + number
        made = service(
            number,
            external_traffic_policy=draw(policy),
            internal_traffic_policy=draw(policy),
            external_ips=draw(st.sampled_from([(), (ip_address("198.51.100.7"),)])),
            ingress=draw(st.sampled_from([(), (Ingress(vip),), (Ingress(vip, "Proxy"),)])),
            source_ranges=draw(st.sampled_from(RANGES)),
            affinity_timeout=draw(st.sampled_from([None, None, 60, 10800])),
        )
        found[made] = draw(endpoints())
    return found


PROXIES = st.sampled_from(
    [
        proxy(),
        proxy(detect_local=()),
        proxy(masquerade_all=True),
        proxy(node_port_addresses=(ip_network("0.0.0.0/0"), ip_network("::/0"))),
        proxy(node_port_addresses=(ip_network("192.168.0.0/16"), ip_network("10.42.0.0/16"))),
    ]
)

WORLDS = st.builds(cluster, services(), PROXIES)

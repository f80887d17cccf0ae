"""Random clusters, wide enough to meet every rule."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from secondhop.model.cluster import Cluster, CniBackend, Endpoint, Ingress, IPMode, Node, ProxyMode

from .build import EXTERNAL_IP, LAN, LB_IP, NODES, cluster, endpoint, host_endpoint

POLICIES = st.sampled_from(["Cluster", "Local"])
IP_MODES: st.SearchStrategy[IPMode] = st.sampled_from(["VIP", "Proxy"])
MODES: st.SearchStrategy[ProxyMode] = st.sampled_from(["iptables", "nftables"])
BACKENDS: st.SearchStrategy[CniBackend] = st.sampled_from(["vxlan", "host-gw"])
CONDITIONS = st.sampled_from(
    [
        {},
        {"ready": False, "serving": False},
        {"ready": False, "terminating": True},
        {"ready": False, "serving": False, "terminating": True},
        {"ready": False},
    ]
)
RANGES = st.sampled_from([(), ("192.168.22.0/24",), ("10.42.0.0/16",), ("198.51.100.0/24",)])


@st.composite
def endpoints(
    draw: st.DrawFn, nodes: tuple[Node, ...], hints: bool, most: int = 4
) -> list[Endpoint]:
    """Up to `most` pods of these nodes, some on the host network, in any condition."""
    found: dict[str, Endpoint] = {}
    for number in range(2, 2 + draw(st.integers(0, most))):
        on = draw(st.sampled_from(nodes))
        fields: dict[str, Any] = draw(CONDITIONS)
        if hints and draw(st.booleans()):
            fields = fields | {
                "zone_hints": frozenset({draw(st.sampled_from(["zone-a", "zone-b"]))})
            }
            if draw(st.booleans()):
                fields = fields | {"node_hints": frozenset({on.name})}
        one = (
            host_endpoint(on, **fields)
            if draw(st.integers(0, 5)) == 0
            else endpoint(on, number, **fields)
        )
        found[str(one)] = one
    return list(found.values())


@st.composite
def clusters(
    draw: st.DrawFn, *, hints: bool = True, policy: str | None = None, odd: bool = True
) -> Cluster:
    """A cluster of one Service; odd: also without flannel's masquerade or a detector, and with
    masqueradeAll or nodePortAddresses. The external addresses may be a node's own."""
    backend = draw(BACKENDS)
    nodes = LAN if backend == "host-gw" else NODES
    its_own = nodes[0].addresses[0].ip
    service: dict[str, Any] = {
        "type": draw(st.sampled_from(["NodePort", "LoadBalancer"])),
        "external_traffic_policy": policy or draw(POLICIES),
        "internal_traffic_policy": draw(POLICIES),
        "external_ips": draw(st.sampled_from([(), (ip_address(EXTERNAL_IP),), (its_own,)])),
        "ingress": (Ingress(draw(st.sampled_from([ip_address(LB_IP), its_own])), draw(IP_MODES)),),
        "source_ranges": tuple(ip_network(r) for r in draw(RANGES)),
        "health_check_node_port": 32000,
    }
    proxy: dict[str, Any] = {}
    if odd and draw(st.booleans()):
        proxy["masquerade_all"] = draw(st.booleans())
        proxy["node_port_addresses"] = draw(
            st.sampled_from([(), ("primary",), (ip_network("192.168.0.0/16"),)])
        )
        if draw(st.booleans()):
            proxy["detect_local"] = ()
    return cluster(
        *draw(endpoints(nodes, hints)),
        mode=draw(MODES),
        nodes=nodes[: draw(st.integers(1, 3))] if odd else nodes,
        backend=backend,
        masquerade=not odd or draw(st.booleans()),
        proxy=proxy,
        **service,
    )

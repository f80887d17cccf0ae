"""A cluster of three nodes, each on a subnet of its own, as small as a test needs it."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from support import in_proxy_order

from secondhop.model.cluster import (
    Cluster,
    Cni,
    CniBackend,
    Endpoint,
    Family,
    Node,
    Protocol,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
)
from secondhop.model.fate import Outcome
from secondhop.model.flow import Destination, Flow, Source
from secondhop.model.version import NEWEST, KubeVersion
from secondhop.predict import predict

CLUSTER_IP = "10.43.0.10"
LB_IP = "203.0.113.10"
EXTERNAL_IP = "203.0.113.20"
CLIENT = "192.168.22.2"
NODE_PORT = 30080
POD_CIDRS = (ip_network("10.42.0.0/16"), ip_network("fd00:10:42::/48"))
SERVICE_CIDRS = (ip_network("10.43.0.0/16"), ip_network("fd00:10:43::/112"))


def node(name: str, number: int, *addresses: str, zone: str | None = None) -> Node:
    """A node with the pod CIDRs 10.42.N.0/24 and fd00:10:42:N::/64."""
    cidrs = (ip_network(f"10.42.{number}.0/24"), ip_network(f"fd00:10:42:{number}::/64"))
    return Node(name, tuple(ip_interface(a) for a in addresses), cidrs, zone)


GZ1 = node("gz1", 0, "192.168.8.1/24", "192.168.8.101/24", "fd00:192:168:8::1/64", zone="zone-a")
XJP1 = node("xjp1", 1, "172.17.26.70/24", "fd00:172:17:26::70/64", zone="zone-b")
SHA1 = node("sha1", 2, "192.168.9.1/24", "fd00:192:168:9::1/64", zone="zone-a")
NODES = (GZ1, XJP1, SHA1)
LAN = (
    node("gz1", 0, "192.168.22.10/24"),
    node("xjp1", 1, "192.168.22.11/24"),
    node("sha1", 2, "192.168.22.12/24"),
)
"""The same nodes on one subnet, as host-gw needs them."""


def endpoint(on: Node, number: int = 2, family: Family = 4, **fields: Any) -> Endpoint:
    """A pod of that node: address N of its pod CIDR, port 80."""
    cidr = on.pod_cidr(family)
    assert cidr is not None
    return Endpoint(cidr[number], 80, f"web-{on.name}-{number}", on.name, **fields)


def host_endpoint(on: Node, **fields: Any) -> Endpoint:
    """A hostNetwork pod of that node."""
    address = on.address(4)
    assert address is not None
    return Endpoint(address, 80, f"web-{on.name}", on.name, **fields)


def unready(on: Node, number: int = 2) -> Endpoint:
    return endpoint(on, number, ready=False, serving=False)


def leaving(on: Node, number: int = 2) -> Endpoint:
    """Terminating, but still serving."""
    return endpoint(on, number, ready=False, terminating=True)


def cluster(
    *endpoints: Endpoint,
    mode: ProxyMode = "iptables",
    nodes: tuple[Node, ...] = NODES,
    backend: CniBackend = "vxlan",
    masquerade: bool = True,
    protocol: Protocol = "TCP",
    node_port: int = NODE_PORT,
    proxy: dict[str, Any] | None = None,
    kube_version: KubeVersion = NEWEST,
    **service: Any,
) -> Cluster:
    """One Service default/web with one port, of type NodePort unless told otherwise."""
    port = ServicePort("http", protocol, 80, node_port)
    fields: dict[str, Any] = {"type": "NodePort", "cluster_ips": (ip_address(CLUSTER_IP),)}
    web = Service("default", "web", (port,), **(fields | service))
    settings: dict[str, Any] = {"mode": mode, "detect_local": POD_CIDRS} | (proxy or {})
    return Cluster(
        nodes,
        (ip_interface(f"{CLIENT}/24"), ip_interface("fd00:192:168:22::2/64")),
        services=(web,),
        endpoints={web.port_name(port): in_proxy_order(endpoints)},
        cni=Cni(backend, POD_CIDRS, SERVICE_CIDRS, masquerade),
        proxy=Proxy(**settings),
        kube_version=kube_version,
    )


def client(ip: str = CLIENT) -> Source:
    return Source("client", "client", ip_address(ip))


def pod(on: Node, number: int = 250, family: Family = 4) -> Source:
    cidr = on.pod_cidr(family)
    assert cidr is not None
    return Source("pod", f"pod@{on.name}", cidr[number], on.name)


def host(on: Node, family: Family = 4) -> Source:
    address = on.address(family)
    assert address is not None
    return Source("node", on.name, address, on.name)


def flow(
    source: Source,
    to: Node | str,
    port: int | None = None,
    via: Node | None = None,
    protocol: Protocol = "TCP",
) -> Flow:
    """To a node's node port, or to port 80 of an address."""
    if isinstance(to, Node):
        address = to.address(source.ip.version)
        assert address is not None
        destination = Destination("nodePort", address, port or NODE_PORT, protocol, to.name)
    else:
        destination = Destination("address", ip_address(to), port or 80, protocol)
    return Flow(source, destination, via.name if via else None)


def seen(outcome: Outcome) -> str:
    """The fate, or for a delivered flow the distinct addresses that pods see, in order."""
    if outcome.fate != "delivered":
        return outcome.fate
    return " ".join(sorted({str(b.source_ip) for b in outcome.backends}))


def fates(there: Cluster, sent: Flow) -> str:
    """What comes of a flow, in a word or two."""
    return seen(predict(there, sent))

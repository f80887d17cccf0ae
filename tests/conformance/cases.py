"""The recordings in `data/`, read into the model (`compact.py` tells how they were made)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from support import in_proxy_order

from secondhop.model.cluster import (
    Address,
    Cluster,
    Cni,
    Endpoint,
    Ingress,
    Node,
    Proxy,
    Service,
    ServicePort,
    ServicePortName,
)
from secondhop.model.fate import Fate, HealthAnswer
from secondhop.model.flow import Destination, Flow, Source

DATA = Path(__file__).parent / "data"


def _node(name: str, number: int, zone: str, *addresses: str) -> Node:
    cidrs = ip_network(f"10.42.{number}.0/24"), ip_network(f"fd00:10:42:{number}::/64")
    return Node(name, tuple(map(ip_interface, addresses)), cidrs, zone)


CLIENT = (ip_interface("192.168.22.2/24"), ip_interface("fd00:192:168:22::2/64"))
GZ1 = ("192.168.8.1/24", "192.168.8.101/24", "100.64.0.11/24", "fd00:192:168:8::1/64")
XJP1 = ("172.17.26.70/24", "172.17.26.101/24", "100.64.0.12/24", "fd00:172:17:26::70/64")
SHA1 = ("192.168.9.1/24", "192.168.9.101/24", "100.64.0.13/24", "fd00:192:168:9::1/64")
NODES = (
    _node("gz1", 0, "zone-a", *GZ1),
    _node("xjp1", 1, "zone-b", *XJP1),
    _node("sha1", 2, "zone-a", *SHA1),
)
POD_CIDRS = (ip_network("10.42.0.0/16"), ip_network("fd00:10:42::/48"))
SERVICE_CIDRS = (ip_network("10.43.0.0/16"), ip_network("fd00:10:43::/112"))


@dataclass(frozen=True)
class Probe:
    """Connections of one kind in one recorded scenario, and what came of them. pods, sources: how
    often each pod answered, and how often a source address was seen."""

    flow: Flow
    attempts: int
    fate: Fate
    pods: Mapping[str, int]
    sources: Mapping[Address, int]
    http: HealthAnswer | None


@dataclass(frozen=True)
class Scenario:
    """One recorded state of a cluster with its probes."""

    name: str
    cluster: Cluster
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class UnitFlow:
    """One packet of Kubernetes' own unit tests at one node, and what its tracer said."""

    number: int
    cluster: Cluster
    flow: Flow
    output: str
    masqueraded: bool


@dataclass(frozen=True)
class Selection:
    """One case of endpoint selection: which lists come out of the endpoints for the service."""

    number: int
    node: Node
    service: Service
    endpoints: tuple[Endpoint, ...]
    uses_cluster: bool
    uses_local: bool
    cluster: frozenset[str]
    local: frozenset[str]
    anywhere: bool


RATE_LIMITED = {
    ("truth t3 iptables", "host@xjp1", "192.168.8.1:30080", None),
    ("truth t3 nftables", "pod@sha1", "172.17.26.70:30080", None),
    ("truth y4 iptables", "pod@xjp1", "192.168.8.1:30080", None),
    ("truth y4 nftables", "pod@sha1", "192.168.8.1:30080", None),
    ("truth y7 nftables", "pod@xjp1", "203.0.113.20:80", "gz1"),
}
"""Probes that are not comparable: silence recorded where the node's ICMP rate limit had swallowed
every one of its REJECTs. In the same scenario other senders were rejected at that address."""


def key(scenario: Scenario, probe: Probe) -> tuple[str, str, str, str | None]:
    flow = probe.flow
    name = scenario.name.partition(":")[0]
    return name, flow.source.name, str(flow.destination), flow.via


def _lines(name: str) -> Iterator[dict[str, Any]]:
    for line in gzip.decompress((DATA / name).read_bytes()).decode().splitlines():
        yield json.loads(line)


def _service(row: dict[str, Any], namespace: str = "default", name: str = "web") -> Service:
    return Service(
        namespace,
        name,
        tuple(ServicePort(*port) for port in row["ports"]),
        row["type"],
        tuple(ip_address(ip) for ip in row["clusterIPs"]),
        tuple(ip_address(ip) for ip in row["externalIPs"]),
        tuple(Ingress(ip_address(ip), mode) for ip, mode in row["ingress"]),
        tuple(ip_network(cidr) for cidr in row["ranges"]),
        row["externalTrafficPolicy"],
        row["internalTrafficPolicy"],
        row["affinity"],
        row["health"],
    )


def _conditions(letters: str) -> dict[str, Any]:
    names = {"ready": "r", "serving": "s", "terminating": "t"}
    return {name: letter in letters for name, letter in names.items()}


@cache
def recorded() -> tuple[Scenario, ...]:
    """Every scenario of the recordings `truth` (IPv4) and `truth6` (both families)."""
    return tuple(_scenario(row) for row in _lines("recorded.jsonl.gz"))


def _scenario(row: dict[str, Any]) -> Scenario:
    service = _service(row["service"])
    endpoints = in_proxy_order(
        Endpoint(
            ip_address(ip),
            row["targetPort"],
            pod,
            node,
            **_conditions(letters),
            zone_hints=frozenset(zones),
            node_hints=frozenset(nodes),
        )
        for ip, pod, node, letters, zones, nodes in row["endpoints"]
    )
    addresses = row["nodePortAddresses"]
    cluster = Cluster(
        nodes=NODES,
        client=CLIENT,
        services=(service,),
        endpoints={service.port_name(service.ports[0]): endpoints},
        cni=Cni(pod_cidrs=POD_CIDRS, service_cidrs=SERVICE_CIDRS),
        proxy=Proxy(
            row["mode"],
            tuple(a if a == "primary" else ip_network(a) for a in addresses),
            detect_local=POD_CIDRS,
        ),
    )
    by_name = {e.pod: e for e in endpoints}
    return Scenario(
        f"{row['recording']} {row['scenario']} {row['mode']}: {row['title']}",
        cluster,
        tuple(_probe(probe, by_name) for probe in row["probes"]),
    )


def _probe(row: list[Any], endpoints: Mapping[str, Endpoint]) -> Probe:
    sender, (address, port, protocol), via, attempts, fate, pods, sources = row
    destination = Destination("address", ip_address(address), port, protocol)
    flow = Flow(_sender(sender, destination.address.version, endpoints), destination, via)
    if fate == "http":
        return Probe(flow, attempts, Fate.DELIVERED, {}, {}, HealthAnswer(pods, sources))
    seen = {ip_address(ip): count for ip, count in sources.items()}
    return Probe(flow, attempts, Fate(fate), pods, seen, None)


def _sender(name: str, family: int, endpoints: Mapping[str, Endpoint]) -> Source:
    """`client`, `host@NODE`, `pod@NODE` (a probe pod at .250), `backend:POD@NODE`."""
    if name == "client":
        return Source("client", name, next(c.ip for c in CLIENT if c.version == family))
    kind, _, node_name = name.partition("@")
    node = next(n for n in NODES if n.name == node_name)
    if kind.startswith("backend:"):
        pod = kind.removeprefix("backend:")
        return Source("pod", pod, endpoints[pod].address, node.name)
    if kind == "pod":
        cidr = next(c for c in node.pod_cidrs if c.version == family)
        return Source("pod", name, cidr[250], node.name)
    address = next(a.ip for a in node.addresses if a.version == family)
    return Source("node", name, address, node.name)


@cache
def packetflow() -> tuple[UnitFlow, ...]:
    """The packet-flow cases of both backends' unit tests."""
    return tuple(flow for row in _lines("packetflow.jsonl.gz") for flow in _unit_flows(row))


def _unit_flows(row: dict[str, Any]) -> Iterator[UnitFlow]:
    settings = row["node"]
    node = Node(settings["name"], tuple(ip_interface(a) for a in settings["addresses"]))
    endpoints: dict[ServicePortName, list[Endpoint]] = {}
    for name, ip, port, node_name, letters in row["endpoints"]:
        endpoint = Endpoint(ip_address(ip), port, "", node_name, **_conditions(letters))
        endpoints.setdefault(ServicePortName(*name), []).append(endpoint)
    cluster = Cluster(
        nodes=(node,),
        services=tuple(_service(s, s["namespace"], s["name"]) for s in row["services"]),
        endpoints={name: in_proxy_order(es) for name, es in endpoints.items()},
        cni=Cni(service_cidrs=_networks(settings["serviceCIDR"])),
        proxy=Proxy(
            row["mode"],
            tuple(ip_network(a) for a in settings["nodePortAddresses"]),
            _networks(settings["detectLocal"]),
            settings["masqueradeAll"],
            settings["localhostNodePorts"],
        ),
    )
    for number, source, (address, port, protocol), output, masqueraded in row["flows"]:
        flow = Flow(
            Source("address", source, ip_address(source)),
            Destination("address", ip_address(address), port, protocol),
        )
        yield UnitFlow(number, cluster, flow, output, masqueraded)


def _networks(cidr: str | None) -> tuple[Any, ...]:
    return (ip_network(cidr),) if cidr else ()


@cache
def categorize() -> tuple[Selection, ...]:
    """The cases of Kubernetes' TestCategorizeEndpoints."""
    return tuple(_selection(row) for row in _lines("categorize.jsonl.gz"))


def _selection(row: dict[str, Any]) -> Selection:
    node = Node(row["node"] or "this", (), (), row["zone"])
    endpoints = []
    for name, here, letters, zones, nodes in row["endpoints"]:
        ip, _, port = name.rpartition(":")
        endpoints.append(
            Endpoint(
                ip_address(ip),
                int(port),
                node=node.name if here else None,
                **_conditions(letters),
                zone_hints=frozenset(zones),
                node_hints=frozenset(nodes),
            )
        )
    stated = row["service"]
    accessible = bool(stated.get("nodePort"))
    inside, outside = stated.get("internalPolicyLocal"), stated.get("externalPolicyLocal")
    service = Service(
        "default",
        "web",
        (ServicePort("", "TCP", 80, stated.get("nodePort", 0)),),
        "NodePort" if accessible else "ClusterIP",
        (SERVICE_CIDRS[0][9],),
        external_traffic_policy="Local" if outside else "Cluster",
        internal_traffic_policy="Local" if inside else "Cluster",
    )
    cluster, local, anywhere = row["expect"]
    return Selection(
        row["id"],
        node,
        service,
        tuple(endpoints),
        not inside or accessible,
        bool(inside or (outside and accessible)),
        frozenset(cluster or ()),
        frozenset(local or ()),
        anywhere,
    )

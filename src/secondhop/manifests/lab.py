"""The Lab document: the world around a cluster's objects (product.md "Lab file")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, ip_interface
from typing import Literal

from ..model.cluster import Cni, CniBackend, Interface, Network, Node, Proxy, ProxyMode
from .api.syntax import BAD_IP
from .lab_balancer import Balancer, read_balancer
from .lab_rules import check
from .problems import Path, invalid
from .ranges import NODE_PREFIX, POD_RANGES, SERVICE_RANGES, free_parts, overlap, probable
from .resource import Resource


@dataclass(frozen=True, slots=True)
class Lab:
    """What a Lab document says, checked and completed.

    external_proxy: path of a stock kube-proxy binary. placement: workload -> the nodes that its
    replicas prefer, one entry a replica, cycling. node_grace_seconds: how long a dead node's pods
    stay ready. balancer: what stands outside. stated: the top-level sections that the document
    itself gives.
    """

    client: tuple[Interface, ...]
    nodes: tuple[Node, ...]
    cni: Cni
    proxy: Proxy
    external_proxy: str | None = None
    placement: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    node_grace_seconds: float = 50
    balancer: Balancer = field(default_factory=Balancer)
    stated: frozenset[str] = frozenset()


def read_lab(
    resource: Resource, stated: Iterable[str], nodes: Sequence[Node], pods: Sequence[Network]
) -> Lab:
    """The Lab of a document whose missing sections were filled in.

    nodes: known from Node objects, used when the document states none. pods: addresses that pods
    have in the input. Mistakes are refused on the resource.
    """
    stated = frozenset(stated)
    own = "nodes" in stated or not nodes
    nodes = _nodes(resource) if own else tuple(nodes)
    client = _interfaces(resource, ("client",))
    outside = [i.network for node in nodes for i in node.addresses]
    if "client" in stated:
        outside += [i.network for i in client]
    cni = _cni(resource, "network" in stated, nodes, outside, pods)
    nodes = tuple(_with_pod_cidrs(nodes, cni.pod_cidrs))
    lab = Lab(
        client=client,
        nodes=nodes,
        cni=cni,
        proxy=_proxy(resource, cni),
        external_proxy=resource.get("proxy", "external"),
        placement=_placement(resource),
        node_grace_seconds=_grace(resource),
        stated=stated,
    )
    lab = replace(lab, client=client_aside(lab, cni))
    segments = (i.network for i in (*lab.client, *(i for n in nodes for i in n.addresses)))
    taken = [*segments, *cni.pod_cidrs, *cni.service_cidrs]
    lab = replace(lab, balancer=read_balancer(resource, taken))
    check(
        resource, lab.nodes, lab.client, lab.cni, own_nodes=own, own_placement="placement" in stated
    )
    return lab


def _nodes(resource: Resource) -> tuple[Node, ...]:
    return tuple(
        Node(
            name=entry["name"],
            addresses=_interfaces(resource, ("nodes", n)),
            pod_cidrs=_networks(resource, ("nodes", n), "podCIDR"),
            zone=entry.get("zone"),
        )
        for n, entry in enumerate(resource.get("nodes") or [])
    )


def _interfaces(resource: Resource, path: Path) -> tuple[Interface, ...]:
    """The addresses of a node or the client, with the prefix that they have or get."""
    found = []
    for where, text in _one_or_many(resource, path, "address", "addresses"):
        try:
            address = ip_interface(text)
        except ValueError:
            resource.refuse(where, invalid(text, BAD_IP), "Write an address, or address/prefix.")
            continue
        if "/" not in text:
            address = ip_interface(f"{text}/{NODE_PREFIX[address.version]}")
        found.append(address)
    return tuple(found)


def _networks(resource: Resource, path: Path, name: str) -> tuple[Network, ...]:
    entries = _one_or_many(resource, path, name, f"{name}s")
    found = (resource.network(where, text) for where, text in entries)
    return tuple(network for network in found if network is not None)


def _one_or_many(resource: Resource, path: Path, one: str, many: str) -> list[tuple[Path, str]]:
    """The values of a field that is written in the singular or as a list."""
    single, several = resource.get(*path, one), resource.get(*path, many)
    if single is not None and several is not None:
        resource.refuse((*path, one), f"both {one} and {many} are given", f"Keep only {many}.")
    if several is not None:
        return [((*path, many, n), text) for n, text in enumerate(several)]
    return [] if single is None else [((*path, one), single)]


def _cni(
    resource: Resource,
    stated: bool,
    nodes: Sequence[Node],
    outside: Sequence[Network],
    pods: Sequence[Network],
) -> Cni:
    """The network section; ranges that it does not state are those the nodes' were cut from."""
    ranges = _networks(resource, ("network",), "podCIDR") if stated else ()
    services = _networks(resource, ("network",), "serviceCIDR") if stated else ()
    own = [cidr for node in nodes for cidr in node.pod_cidrs]
    parts = [*own, *pods]
    families = sorted(
        {part.version for part in parts} | {i.version for n in nodes for i in n.addresses}
    )
    if not ranges:
        ranges = tuple(
            _pod_range(usual, own, parts, outside)
            for usual in POD_RANGES
            if usual.version in families
        )
    if not services:
        services = tuple(r for r in SERVICE_RANGES if r.version in {p.version for p in ranges})
    backend: CniBackend = "host-gw" if resource.get("network", "backend") == "host-gw" else "vxlan"
    return Cni(backend=backend, pod_cidrs=ranges, service_cidrs=services)


def _pod_range(
    usual: Network, own: Sequence[Network], parts: Sequence[Network], outside: Sequence[Network]
) -> Network:
    """The range of one family that holds nodes' pod CIDRs and pods; without the pods, if they lie
    so far away that it would hold Services too."""
    family = usual.version
    whole = probable([part for part in parts if part.version == family], usual, outside)
    if any(overlap(whole, services) for services in SERVICE_RANGES):
        return probable([part for part in own if part.version == family], usual, outside)
    return whole


def _with_pod_cidrs(nodes: Sequence[Node], ranges: Sequence[Network]) -> Iterable[Node]:
    """Nodes that have no pod CIDR get the next free part of each range of their families."""
    taken = [cidr for node in nodes for cidr in node.pod_cidrs]
    free = {whole.version: free_parts(whole, taken) for whole in ranges}
    for node in nodes:
        if node.pod_cidrs:
            yield node
            continue
        families = {address.version for address in node.addresses}
        parts = [next(left, None) for family, left in free.items() if family in families]
        yield replace(node, pod_cidrs=tuple(part for part in parts if part is not None))


def client_aside(lab: Lab, cni: Cni) -> tuple[Interface, ...]:
    """The client; the default one moves to a documentation range if its address is in use."""
    ranges = (*cni.pod_cidrs, *cni.service_cidrs)
    used = {address.ip for node in lab.nodes for address in node.addresses}
    clash = any(i.ip in used or any(i.ip in cidr for cidr in ranges) for i in lab.client)
    return (
        (IPv4Interface("203.0.113.2/24"),) if clash and "client" not in lab.stated else lab.client
    )


def _proxy(resource: Resource, cni: Cni) -> Proxy:
    mode: ProxyMode = "nftables" if resource.get("proxy", "mode") == "nftables" else "iptables"
    texts = resource.get("proxy", "nodePortAddresses") or []
    path = ("proxy", "nodePortAddresses")
    accepted: list[Network | Literal["primary"]] = []
    if "primary" in texts and len(texts) > 1:
        resource.refuse(
            path, "can't use both 'primary' and CIDRs", "Write [primary], or CIDRs alone."
        )
        texts = []
    for n, text in enumerate(texts):
        if text == "primary":
            accepted.append("primary")
        elif (network := resource.network((*path, n), text)) is not None:
            accepted.append(network)
    return Proxy(mode=mode, node_port_addresses=tuple(accepted), detect_local=cni.pod_cidrs)


def _grace(resource: Resource) -> float:
    seconds = float(resource.get("nodeGraceSeconds"))
    if not 0 <= seconds < float("inf"):
        why = invalid(resource.get("nodeGraceSeconds"), "must be greater than or equal to 0")
        resource.refuse(("nodeGraceSeconds",), why, "Give seconds; 50 is the default.")
    return seconds


def _placement(resource: Resource) -> dict[str, tuple[str, ...]]:
    section = resource.get("placement") or {}
    return {
        name: tuple(where) if isinstance(where, list) else (where,)
        for name, where in section.items()
        if where
    }

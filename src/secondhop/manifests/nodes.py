"""Node objects, and what the scheduler looks at in a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any, NamedTuple

from ..model.cluster import Interface, Network, Node
from .ranges import NODE_PREFIX
from .resource import Resource

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_DELETING = "ToBeDeletedByClusterAutoscaler"
_REPELS = ("NoSchedule", "NoExecute")


class Machine(NamedTuple):
    """A node as the scheduler sees it. taints: those that repel; unschedulable counts as one."""

    node: Node
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, Any], ...] = ()


def read_node(resource: Resource) -> Node:
    """The Node of an object. Its InternalIPs (or, of a family without one, its ExternalIPs) are
    given the usual prefix, since Kubernetes does not know it."""
    stated = resource.get("status", "addresses") or []
    addresses: list[Interface] = []
    for kind in ("InternalIP", "ExternalIP"):
        for n, entry in enumerate(stated):
            if entry.get("type") != kind:
                continue
            ip = resource.address(("status", "addresses", n, "address"), entry.get("address") or "")
            if ip and (kind == "InternalIP" or ip.version not in {i.version for i in addresses}):
                addresses.append(ip_interface(f"{ip}/{NODE_PREFIX[ip.version]}"))
    if not addresses:
        resource.refuse(
            ("status", "addresses"),
            "Required value: the node has no InternalIP",
            "Take the Node from `kubectl get nodes -o yaml`, or describe it in a Lab document.",
        )
    return Node(
        name=resource.name,
        addresses=tuple(addresses),
        pod_cidrs=_pod_cidrs(resource),
        zone=resource.labels.get(ZONE),
        deleting=bool(resource.get("metadata", "deletionTimestamp"))
        or any(taint["key"] == _DELETING for taint in resource.get("spec", "taints") or []),
        excluded=EXCLUDED in resource.labels,
    )


def _pod_cidrs(resource: Resource) -> tuple[Network, ...]:
    one, many = resource.get("spec", "podCIDR"), resource.get("spec", "podCIDRs")
    entries = (
        [(("spec", "podCIDRs", n), text) for n, text in enumerate(many)]
        if many
        else [(("spec", "podCIDR"), one)]
        if one
        else []
    )
    found = (resource.network(path, text) for path, text in entries)
    return tuple(network for network in found if network is not None)


def nodes_of_pods(pods: Iterable[Resource]) -> list[Node]:
    """The nodes that running pods tell of: nodeName, hostIP, and the range of the pods' addresses;
    for input that has pods but no Node objects."""
    found: dict[str, Node] = {}
    for pod in pods:
        name, host, ip = (
            pod.get("spec", "nodeName"),
            pod.get("status", "hostIP"),
            pod.get("status", "podIP"),
        )
        if not (name and host):
            continue
        address = pod.address(("status", "hostIP"), host)
        if address is None:
            continue
        own = (ip_interface(f"{address}/{NODE_PREFIX[address.version]}"),)
        node = found.setdefault(name, Node(name, own))
        if ip and not node.pod_cidrs and not pod.get("spec", "hostNetwork"):
            inner = pod.address(("status", "podIP"), ip)
            if inner is not None:
                cidr = ip_interface(f"{inner}/{NODE_PREFIX[inner.version]}").network
                found[name] = replace(node, pod_cidrs=(cidr,))
    return list(found.values())


def machines(nodes: Sequence[Node], resources: Iterable[Resource]) -> tuple[Machine, ...]:
    """The nodes with the labels and taints of their objects, if they have any."""
    known = {resource.name: resource for resource in resources}
    return tuple(_machine(node, known.get(node.name)) for node in nodes)


def _machine(node: Node, resource: Resource | None) -> Machine:
    labels = {HOSTNAME: node.name, "name": node.name}
    if node.zone:
        labels |= {ZONE: node.zone, "zone": node.zone}
    if resource is None:
        return Machine(node, labels)
    taints = [t for t in resource.get("spec", "taints") or [] if t.get("effect") in _REPELS]
    if resource.get("spec", "unschedulable"):
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    return Machine(node, labels | resource.labels, tuple(taints))

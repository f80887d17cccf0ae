"""What a Lab must not say: checks of a whole Lab, after its fields have been read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from ..model.cluster import Cni, Interface, Network, Node
from .problems import Path, did_you_mean, shown
from .ranges import inside, overlap
from .resource import Resource


def check(
    resource: Resource,
    nodes: Sequence[Node],
    client: Sequence[Interface],
    cni: Cni,
    *,
    own_nodes: bool,
    own_placement: bool,
) -> None:
    """Refuse what cannot be built. Nodes of Node objects are not the Lab's to refuse, nor is the
    default placement, which is a wish."""
    _ranges(resource, cni)
    _one_a_family(resource, ("client",), client)
    if own_placement:
        _placement(resource, nodes)
    if own_nodes:
        _backend(resource, nodes, cni)
        _names(resource, nodes)
        for n, node in enumerate(nodes):
            _node(resource, ("nodes", n), node, cni)
        _pod_cidrs(resource, nodes)
        _addresses(resource, nodes, client, cni)


def _ranges(resource: Resource, cni: Cni) -> None:
    for name, ranges in (("podCIDR", cni.pod_cidrs), ("serviceCIDR", cni.service_cidrs)):
        _one_a_family(resource, ("network", name), ranges)
    for pods in cni.pod_cidrs:
        for services in cni.service_cidrs:
            if overlap(pods, services):
                resource.refuse(
                    ("network",),
                    f"podCIDR {pods} overlaps serviceCIDR {services}",
                    "Choose ranges that share no address.",
                )


def _one_a_family(resource: Resource, path: Path, values: Sequence[Interface | Network]) -> None:
    for one, other in combinations(values, 2):
        if one.version == other.version:
            resource.refuse(
                path,
                f"{one} and {other} are both IPv{one.version}",
                "Give at most one for each family, IPv4 first.",
            )


def _names(resource: Resource, nodes: Sequence[Node]) -> None:
    if not nodes:
        resource.refuse(("nodes",), "no node at all", "List at least one, or leave `nodes` out.")
    first: dict[str, int] = {}
    for n, node in enumerate(nodes):
        path = ("nodes", n, "name")
        resource.subdomain(path, node.name)
        if node.name in first:
            resource.refuse(
                path,
                f"Duplicate value: {shown(node.name)}: nodes[{first[node.name]}] has that name",
                "Give every node a name of its own.",
            )
        first.setdefault(node.name, n)


def _node(resource: Resource, path: Path, node: Node, cni: Cni) -> None:
    """One node by itself."""
    stated = resource.get(*path, "address") or resource.get(*path, "addresses")
    if not stated:
        resource.refuse((*path, "address"), "Required value", "Give the node an address.")
    _one_a_family(resource, (*path, "podCIDR"), node.pod_cidrs)
    where = (*path, "podCIDRs" if resource.get(*path, "podCIDRs") else "podCIDR")
    for cidr in node.pod_cidrs:
        same = [whole for whole in cni.pod_cidrs if whole.version == cidr.version]
        if same and not any(inside(cidr, whole) for whole in same):
            resource.refuse(
                where,
                f"{cidr} is not inside network.podCIDR {same[0]}",
                f"Take a part of {same[0]}, or widen network.podCIDR.",
            )
        if cidr.num_addresses < 4:
            resource.refuse(
                where,
                f"{cidr} has no room for a pod: its base and first address are the node's own",
                f"Use a /{cidr.max_prefixlen - 2} or larger.",
            )
        if node.addresses and node.address(4 if cidr.version == 4 else 6) is None:
            resource.refuse(
                where,
                f"IPv{cidr.version} pods on a node without an IPv{cidr.version} address",
                "Add an address of that family under `addresses`, or drop the range.",
            )
    if not node.pod_cidrs and node.addresses and cni.pod_cidrs and resource.get(*where) is None:
        resource.refuse(
            path,
            f"network.podCIDR {cni.pod_cidrs[0]} has no free part left for this node",
            "Widen network.podCIDR, or give the node a podCIDR.",
        )


def _pod_cidrs(resource: Resource, nodes: Sequence[Node]) -> None:
    claims = [(n, cidr) for n, node in enumerate(nodes) for cidr in node.pod_cidrs]
    for (m, one), (n, other) in combinations(claims, 2):
        if m != n and overlap(one, other):
            resource.refuse(
                ("nodes", n, "podCIDR"),
                f"{other} overlaps {one} of node {nodes[m].name}",
                "Give every node a range of its own.",
            )


def _backend(resource: Resource, nodes: Sequence[Node], cni: Cni) -> None:
    """host-gw routes pods through the neighbours' addresses: one segment is needed."""
    if cni.backend != "host-gw":
        return
    for family in {cidr.version for node in nodes for cidr in node.pod_cidrs}:
        own = [next((i for i in n.addresses if i.version == family), None) for n in nodes]
        subnets = {i.network for i in own if i is not None}
        if len(subnets) > 1:
            resource.refuse(
                ("network", "backend"),
                f"host-gw needs all nodes in one subnet; they are in {_listed(subnets)}",
                "Put the nodes into one subnet, or use backend: vxlan.",
            )


def _listed(subnets: set[Network]) -> str:
    return ", ".join(sorted(map(str, subnets)))


def _placement(resource: Resource, nodes: Sequence[Node]) -> None:
    names = [node.name for node in nodes]
    for workload, where in (resource.get("placement") or {}).items():
        wanted = where if isinstance(where, list) else [where]
        for name in wanted:
            if name not in names:
                resource.refuse(
                    ("placement", workload),
                    f"there is no node {shown(name)}",
                    did_you_mean(name, names),
                )


def _addresses(
    resource: Resource, nodes: Sequence[Node], client: Sequence[Interface], cni: Cni
) -> None:
    """Addresses against each other and against the ranges."""
    owned = list(_owned(resource, nodes, client))
    for path, owner, address in owned:
        _usable(resource, path, address)
        for what, ranges in (("podCIDR", cni.pod_cidrs), ("serviceCIDR", cni.service_cidrs)):
            for cidr in ranges:
                if address.ip in cidr:
                    resource.refuse(
                        path,
                        f"{address.ip} of {owner} lies inside network.{what} {cidr}",
                        "Choose an address outside the cluster's own ranges.",
                    )
                elif overlap(address.network, cidr):
                    resource.refuse(
                        path,
                        f"subnet {address.network} of {owner} overlaps network.{what} {cidr}",
                        "Use a longer prefix, or other ranges.",
                    )
    for (_, owner, one), (path, second, other) in combinations(owned, 2):
        if one.ip == other.ip:
            resource.refuse(
                path,
                f"{other.ip} of {second} is also the address of {owner}",
                "Change one of them.",
            )
        elif one.network != other.network and overlap(one.network, other.network):
            resource.refuse(
                path,
                f"subnet {other.network} of {second} overlaps {one.network} of {owner}",
                "Use the same prefix length where they share a segment, else separate subnets.",
            )
    for subnet in dict.fromkeys(address.network for _, _, address in owned):
        members = [(path, address) for path, _, address in owned if address.network == subnet]
        room = subnet.num_addresses - (2 if subnet.version == 4 and subnet.prefixlen < 31 else 1)
        if len(members) >= room:
            resource.refuse(
                members[-1][0],
                f"subnet {subnet} has no room for the router beside {len(members)} member(s)",
                "Use a shorter prefix.",
            )


def _owned(
    resource: Resource, nodes: Sequence[Node], client: Sequence[Interface]
) -> Iterator[tuple[Path, str, Interface]]:
    """Every address with its field and its owner's name."""
    for owner, base, addresses in (
        *((f"node {node.name}", ("nodes", n), node.addresses) for n, node in enumerate(nodes)),
        ("the client", ("client",), client),
    ):
        many = resource.get(*base, "addresses") is not None
        for n, address in enumerate(addresses):
            yield (*base, "addresses", n) if many else (*base, "address"), owner, address


def _usable(resource: Resource, path: Path, address: Interface) -> None:
    ip, subnet = address.ip, address.network
    why = ""
    if ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local:
        why = "is not an address that a machine on a network can have"
    elif subnet.num_addresses > 2 and ip == subnet.network_address:
        why = f"is the base address of {subnet}"
    elif ip.version == 4 and subnet.num_addresses > 2 and ip == subnet.broadcast_address:
        why = f"is the broadcast address of {subnet}"
    if why:
        resource.refuse(path, f"{ip} {why}", "Choose a host address.")

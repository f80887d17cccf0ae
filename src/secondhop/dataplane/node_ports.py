"""Which of a node's addresses answer node ports (semantics §1.4, §3.2)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

from ..model.cluster import Address, Cluster, Family, Network, Node, Proxy

LOOPBACK = IPv4Network("127.0.0.0/8")


def accepted_ranges(proxy: Proxy, node: Node, family: Family) -> tuple[Network, ...]:
    """`nodePortAddresses` as the proxy of one family takes it; empty for every address.

    "primary", the default in nftables mode, is the node's InternalIP. Nothing left for the family
    means every address; so does a range of zero length, whatever stands beside it.
    """
    own = [ip_network(ip) for ip in [node.address(family)] if ip]
    if not proxy.node_port_addresses and proxy.mode == "nftables":
        return tuple(own)
    every: list[Network] = []
    for one in proxy.node_port_addresses:
        every += own if one == "primary" else [one]
    ranges = tuple(n for n in every if n.version == family)
    return () if any(n.prefixlen == 0 for n in ranges) else ranges


def localhost_node_ports(proxy: Proxy, node: Node) -> bool:
    """Whether 127.0.0.1:nodePort works on this node, for which kube-proxy sets route_localnet.

    Only in iptables mode, only for IPv4, if not switched off, and if the accepted addresses reach
    into 127.0.0.0/8 (semantics §1.4).
    """
    if proxy.mode != "iptables" or not proxy.localhost_node_ports:
        return False
    ranges = accepted_ranges(proxy, node, 4)
    return not ranges or any(n.overlaps(LOOPBACK) for n in ranges)


def answering_addresses(cluster: Cluster, node: Node, family: Family) -> list[Address] | None:
    """This node's addresses that answer node ports; None for all that are of type LOCAL.

    An IPv6 loopback address never answers, an IPv4 one only with localhost node ports.
    """
    accepted = listening_addresses(cluster, node, family)
    if accepted == [None]:
        return None
    localhost = localhost_node_ports(cluster.proxy, node)
    return [ip for ip in accepted if ip and (not ip.is_loopback or (ip.version == 4 and localhost))]


def listening_addresses(cluster: Cluster, node: Node, family: Family) -> list[Address | None]:
    """This node's addresses that `nodePortAddresses` accepts, which is where health checks listen
    (semantics §6.1); only None for all there are."""
    ranges = accepted_ranges(cluster.proxy, node, family)
    if not ranges:
        return [None]
    every = _interface_addresses(cluster, node, family)
    return [ip for ip in every if any(ip in n for n in ranges)]


def _interface_addresses(cluster: Cluster, node: Node, family: Family) -> list[Address]:
    """What the node's devices have: lo, its NIC, cni0, and flannel.1 under VXLAN."""
    lo: Address = IPv4Address("127.0.0.1") if family == 4 else IPv6Address("::1")
    own: list[Address | None] = [lo]
    own += [i.ip for i in node.addresses if i.version == family]
    own.append(node.bridge_address(family))
    if cluster.cni.backend == "vxlan":
        own.append(node.overlay_address(family))
    return [ip for ip in own if ip]

"""Where a packet leaves a node, and the address masquerading therefore writes (semantics §4)."""

from __future__ import annotations

from typing import NamedTuple

from ..model.cluster import Address, Cluster, Endpoint, Family, Node


class Exit(NamedTuple):
    """An outgoing device of a node and the address MASQUERADE takes from it (None: it has none)."""

    device: str
    address: Address | None


class Place(NamedTuple):
    """Where an endpoint's address leads: its node (None: outside the cluster), and whether the
    address is the node's own, which makes it a hostNetwork pod. label: `ip:port`."""

    node: Node | None
    on_host: bool
    label: str


class Routes:
    """Who owns an address, and how nodes reach each other: flannel's routes."""

    def __init__(self, cluster: Cluster):
        self.cni = cluster.cni
        self._nodes = {node.name: node for node in cluster.nodes}
        self._hosts = {i.ip: node for node in cluster.nodes for i in node.addresses}
        self._local = dict(self._hosts)
        self._pod_hosts: dict[tuple[int, int], dict[int, Node]] = {}
        self._exits: dict[tuple[str, int], tuple[Exit, Exit]] = {}
        self._places: dict[tuple[Address, int], Place] = {}
        for node in cluster.nodes:
            for cidr in node.pod_cidrs:
                bits = cidr.max_prefixlen - cidr.prefixlen
                ranges = self._pod_hosts.setdefault((cidr.version, bits), {})
                ranges[int(cidr.network_address) >> bits] = node
                self._add_devices(node, cidr.version)

    def _add_devices(self, node: Node, family: Family) -> None:
        """cni0 and, with VXLAN, flannel's device: both have an address of the pod CIDR."""
        bridge, overlay = node.bridge_address(family), node.overlay_address(family)
        device = "flannel.1" if family == 4 else "flannel-v6.1"
        self._exits[node.name, family] = Exit("cni0", bridge), Exit(device, overlay)
        devices = (bridge, overlay) if self.cni.backend == "vxlan" else (bridge,)
        self._local |= {ip: node for ip in devices if ip is not None}

    def node(self, name: str) -> Node | None:
        """The node of that name, if there is one."""
        return self._nodes.get(name)

    def host(self, ip: Address) -> Node | None:
        """The node that has this address on its NIC, where the network outside delivers it."""
        return self._hosts.get(ip)

    def pod_host(self, ip: Address) -> Node | None:
        """The node whose pod CIDR holds this address: flannel's routes lead there."""
        for (version, bits), ranges in self._pod_hosts.items():
            if version == ip.version:
                node = ranges.get(int(ip) >> bits)
                if node is not None:
                    return node
        return None

    def is_local(self, node: Node, ip: Address) -> bool:
        """Whether the kernel of `node` takes this address for its own."""
        owner = self._local.get(ip)
        return owner is node if owner is not None else ip.is_loopback

    def place(self, endpoint: Endpoint) -> Place:
        """Where the endpoint is: what its address says counts for packets, not its `nodeName`."""
        key = endpoint.address, endpoint.port
        place = self._places.get(key)
        if place is None:
            host = self._hosts.get(endpoint.address)
            node = host or self.pod_host(endpoint.address) or self._nodes.get(endpoint.node or "")
            place = self._places[key] = Place(node, host is not None, str(endpoint))
        return place

    def way_out(self, node: Node, ip: Address) -> Exit:
        """The device by which `node` sends a packet for `ip`, not one of its own addresses.

        MASQUERADE writes that device's address (§4.2), and a process of the node starts from it.
        """
        return self.way_to(node, self.pod_host(ip), ip)

    def way_to(self, node: Node, pod_host: Node | None, ip: Address) -> Exit:
        """As `way_out`, for an address known to be in the pod CIDR of `pod_host`, or in none."""
        exits = self._exits.get((node.name, ip.version))
        if pod_host is None or exits is None:
            return Exit("its NIC", nic_address(node, ip))
        if pod_host is node:
            return exits[0]
        if self.cni.backend == "vxlan":
            return exits[1]
        return Exit("its NIC", nic_address(node, pod_host.address(ip.version) or ip))

    def own_source(self, node: Node, ip: Address) -> Address | None:
        """The source a process of `node` gets when it dials `ip`; None without an address of the
        family. Dialling one's own address uses that very address."""
        return ip if self.is_local(node, ip) else self.way_out(node, ip).address

    def flannel_masquerades(self, node: Node, source: Address, destination: Address) -> bool:
        """Whether flannel's own rules replace the source of a packet that leaves `node` without
        kube-proxy's mark (§4.3, the rules in their order). A node without a pod CIDR has none."""
        own = node.pod_cidr(destination.version)
        if own is None or not self.cni.masquerade:
            return False
        to_pods = self._in_pod_network(destination)
        if destination in own or (source in own and to_pods):
            return False
        if self._in_pod_network(source):
            return not destination.is_multicast
        return to_pods

    def _in_pod_network(self, ip: Address) -> bool:
        return any(ip in cidr for cidr in self.cni.pod_cidrs if cidr.version == ip.version)


def nic_address(node: Node, toward: Address) -> Address | None:
    """The NIC's address in the subnet of the next hop, else its first of the family (§4.2)."""
    family = [i for i in node.addresses if i.version == toward.version]
    for interface in family:
        if toward in interface.network:
            return interface.ip
    return family[0].ip if family else None

"""The lab's cables: client, router and nodes, the pods' bridges, and flannel's overlay.

    client ─┐                       ┌─ node: eth0 · cni0 ─ pods
            ├─ router: one bridge ──┤        flannel.1, flannel-v6.1 (VXLAN) or plain
    node ───┘   for each segment    └─ node … routes (host-gw)

Every NIC with an address in the same subnet shares a segment, which is a bridge of the router; a
node has eth0 with its first address of each family, and one more NIC for each further subnet. The
router has an address in each subnet and no route beyond them, so a Service's cluster IP is
unroutable from outside. Devices and routes are those of flannel, with an overlay for each family:
cni0 has the first address of the node's pod CIDR, the overlay's device the base address (semantics
§4.2).

IPv6 is made to be there at once: no duplicate detection, and who is on a wire is known to the
others before the first packet, since a burst to a neighbour yet to be found loses some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_interface
from itertools import permutations
from typing import NamedTuple, TypeAlias

from ..dataplane.node_ports import localhost_node_ports
from ..errors import LabError
from ..model.cluster import Address, Cluster, Interface, Network, Node
from . import barrier, sysctls
from .netns import Namespace
from .rtnetlink import Devconf, Netlink
from .segments import by_nic, mac, segments

_LO, _ETH0, _CNI0 = 1, 2, 4
_OVERLAYS = {4: ("flannel.1", 3), 6: ("flannel-v6.1", 5)}
"""Name and number of the VXLAN device of each family."""
_FIRST_POD_PORT = 10
_MTU = 1500
_OVERLAY_MTU = {4: _MTU - 50, 6: _MTU - 70}
_VNI, _VXLAN_PORT = 1, 8472

# A new namespace may inherit the host's settings, so every one that matters is written down; the
# others are in sysctls.py.
_QUIET = {Devconf.RP_FILTER: 0, Devconf.SEND_REDIRECTS: 0}
_FORWARD = {**_QUIET, Devconf.FORWARDING: 1}


class End(NamedTuple):
    """Who is at one end of a wire: link, its hardware address, and the addresses there."""

    netlink: Netlink
    link: int
    mac: str
    interfaces: Sequence[Interface]


Wire: TypeAlias = list[End]


class _Nic(NamedTuple):
    """A machine's NIC, plugged into the router."""

    machine: Netlink
    link: int
    name: str


class Wiring:
    """The namespaces of one lab and the links between them. `nodes` and `pods` are by name."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._netlinks: list[Netlink] = []
        self._with_ipv6 = any(i.version == 6 for n in cluster.nodes for i in n.addresses)
        self._pod_mtu = min(_OVERLAY_MTU[cidr.version] for n in cluster.nodes for cidr in _cidrs(n))
        self._outside_wires: list[Wire] = []
        self.unset: list[str] = []
        """sysctls that could not be written (a read-only /proc/sys)."""
        self.client = self._namespace("client")
        self.router = self._namespace("router")
        self.nodes = {node.name: self._namespace(node.name) for node in cluster.nodes}
        self.pods: dict[str, Netlink] = {}
        self._homes: dict[str, Sequence[Address]] = {}
        self._ports = dict.fromkeys(self.nodes, _FIRST_POD_PORT)
        for forwarder in (self.router, *self.nodes.values()):
            self.unset += sysctls.forwarder(forwarder.namespace, ipv6=self._with_ipv6)
        self._outside()
        for node in cluster.nodes:
            self._node(node)

    def namespace(self, name: str) -> Namespace:
        """One of `namespaces`; KeyError if unknown."""
        return self.namespaces()[name]

    def namespaces(self) -> dict[str, Namespace]:
        """All, by name: `client`, `router`, `node/NAME` and `pod/NAME`."""
        found = {"client": self.client, "router": self.router}
        found |= {f"node/{name}": netlink for name, netlink in self.nodes.items()}
        found |= {f"pod/{name}": netlink for name, netlink in self.pods.items()}
        return {name: netlink.namespace for name, netlink in found.items()}

    def pod_at(self, address: Address) -> str | None:
        """Which pod has this address, if one has."""
        return next((name for name, has in self._homes.items() if address in has), None)

    async def plug(self, node: str, pod: str, addresses: Sequence[Address]) -> Netlink:
        """One more pod, once its cable can be used. Raises LabError."""
        port = f"veth{self._ports[node]:x}"
        try:
            wire = self._pod(node, pod, addresses)
            await barrier.plugged({self.pods[pod]: ("eth0",), self.nodes[node]: (port, "cni0")})
            _introduce([wire])
        except BaseException:
            self.unplug(pod)
            raise
        return self.pods[pod]

    def unplug(self, pod: str) -> None:
        """Let go of a pod's namespace; the kernel takes it and its cable down in its own time."""
        netlink = self.pods.pop(pod, None)
        if netlink is None:
            return
        del self._homes[pod]
        self._netlinks.remove(netlink)
        netlink.close()
        netlink.namespace.close()

    def wait_ready(self) -> None:
        """Wait until a packet can go everywhere (barrier.py). Raises LabError after ten seconds."""
        barrier.wait(self._netlinks)
        _introduce(self._outside_wires)

    # --- parts ------------------------------------------------------------------------------

    def _namespace(self, name: str) -> Netlink:
        netlink = Netlink(Namespace.create(name))
        if self._with_ipv6:  # before there is a link that they are to be for
            self.unset += sysctls.with_ipv6(netlink.namespace)
        netlink.link_up(_LO, "lo")
        self._netlinks.append(netlink)
        return netlink

    def _outside(self) -> None:
        """The segments: client and nodes plugged into the router's bridges."""
        nics = self._nics()
        found = segments(nics)
        bridges: dict[_Nic, int] = {}
        for number, segment in enumerate(found):
            bridge, name = 10 + number, f"lan{number}"
            gateways = tuple(segment.gateways.values())
            router = End(self.router, bridge, mac("0200", gateways[0].ip), gateways)
            self.router.bridge(name, bridge, mac=router.mac, mtu=_MTU)
            self.router.link_up(bridge, name, conf=_FORWARD)
            for gateway in gateways:
                self.router.address(bridge, gateway)
            bridges |= dict.fromkeys(segment.members, bridge)
            self._outside_wires.append([router, *(_end(nic, nics[nic]) for nic in segment.members)])
        for port, (nic, own) in enumerate(nics.items()):
            self.router.veth(
                f"port{port}",
                1000 + port,
                nic.name,
                nic.link,
                nic.machine.namespace,
                mac=mac("fe00", own[0].ip),
                peer_mac=_end(nic, own).mac,
                master=bridges[nic],
            )
        self.router.commit()
        for segment in found:
            for nic in segment.members:
                self._machine(nic, nics[nic], segment.gateways)
        self.client.commit()

    def _nics(self) -> dict[_Nic, tuple[Interface, ...]]:
        """The client's and the nodes' NICs with their addresses. A machine's eth0 comes first: of
        several devices, lo borrows the first one's address where it has to lend one."""
        machines = {self.client: self._cluster.client}
        machines |= {self.nodes[node.name]: node.addresses for node in self._cluster.nodes}
        if homeless := [m.namespace.name for m, own in machines.items() if not own]:
            raise LabError(f"{', '.join(homeless)} has no address", "Give it one in the Lab file.")
        found = {}
        for machine, addresses in machines.items():
            for number, own in enumerate(by_nic(addresses)):
                link = self._next_port(machine.namespace.name) if number else _ETH0
                found[_Nic(machine, link, f"eth{number}")] = own
        return found

    def _next_port(self, node: str) -> int:
        """The number of a further link of a node."""
        self._ports[node] += 1
        return self._ports[node] - 1

    def _machine(
        self, nic: _Nic, own: Sequence[Interface], gateways: Mapping[Network, Interface]
    ) -> None:
        """The client's or a node's end: its addresses, and by eth0 the way out of each family."""
        machine = nic.machine
        conf = _QUIET if machine is self.client else self._node_conf(machine.namespace.name)
        machine.link_up(nic.link, nic.name, conf=conf)
        # Of equals the kernel sends from the first IPv4 address, and the IPv6 one that came last.
        four, six = ([i for i in own if i.version == family] for family in (4, 6))
        for interface in (*four, *six[::-1]):
            machine.address(nic.link, interface)
        for first in {i.version: i for i in reversed(own)}.values():
            if nic.link == _ETH0:
                machine.route(None, gateways[first.network].ip, _ETH0)

    def _node_conf(self, name: str) -> dict[int, int]:
        """Settings of a node's devices: kube-proxy wants route_localnet where it lets localhost
        use node ports (semantics §1.4)."""
        localhost = localhost_node_ports(self._cluster.proxy, self._cluster.node(name))
        return {**_FORWARD, Devconf.ROUTE_LOCALNET: int(localhost)}

    def _node(self, node: Node) -> None:
        """One node's own devices, and its routes to the other nodes' pods."""
        here, conf = self.nodes[node.name], self._node_conf(node.name)
        overlay = self._cluster.cni.backend == "vxlan"
        for cidr in node.pod_cidrs if overlay else ():
            name, index = _OVERLAYS[cidr.version]
            here.vxlan(
                name,
                index,
                vni=_VNI,
                local=_nic(node, cidr),
                port=_VXLAN_PORT,
                mac=mac("0e42", cidr[0]),
                mtu=_OVERLAY_MTU[cidr.version],
            )
            here.link_up(index, name, conf=conf)
            here.address(index, ip_interface((cidr[0], cidr.max_prefixlen)))
        here.bridge("cni0", _CNI0, mac=_bridge_mac(node), mtu=self._pod_mtu)
        here.link_up(_CNI0, "cni0", conf=conf)
        for cidr in node.pod_cidrs:
            here.address(_CNI0, ip_interface((cidr[1], cidr.prefixlen)))
        families = {cidr.version for cidr in node.pod_cidrs}
        for other in self._cluster.nodes:
            for theirs in other.pod_cidrs:
                if other.name != node.name and theirs.version in families:
                    self._route(here, other, theirs, overlay)
        here.commit()

    def _pod(self, node: str, name: str, addresses: Sequence[Address]) -> Wire:
        """A namespace with eth0, an address of each family that the pod has one of, and default
        routes over cni0."""
        cidrs = {cidr.version: cidr for cidr in self._cluster.node(node).pod_cidrs}
        here, port = self.nodes[node], self._next_port(node)
        pod = self.pods[name] = self._namespace(f"pod/{name}")
        self._homes[name] = addresses
        own = [ip_interface((a, cidrs[a.version].prefixlen)) for a in addresses]
        gateways = [ip_interface(cidr[1]) for cidr in cidrs.values()]
        wire = [
            End(here, _CNI0, _bridge_mac(self._cluster.node(node)), gateways),
            End(pod, _ETH0, mac("0a58", addresses[0]), own),
        ]
        veth = f"veth{port:x}"
        here.veth(
            veth,
            port,
            "eth0",
            _ETH0,
            pod.namespace,
            mac=mac("fe58", addresses[0]),
            peer_mac=wire[1].mac,
            master=_CNI0,
        )
        here.link_up(port, veth, conf=self._node_conf(node), mtu=self._pod_mtu)
        here.hairpin(port, veth)
        here.commit()
        pod.link_up(_ETH0, "eth0", conf=_QUIET, mtu=self._pod_mtu)
        for interface in own:
            pod.address(_ETH0, interface)
            pod.route(None, cidrs[interface.version][1], _ETH0)
        pod.commit()
        return wire

    def _route(self, here: Netlink, other: Node, theirs: Network, overlay: bool) -> None:
        nic = _nic(other, theirs)
        if not overlay:
            here.route(theirs, nic, _ETH0)
            return
        _, index = _OVERLAYS[theirs.version]
        where = mac("0e42", theirs[0])
        here.neighbour(index, theirs[0], where)
        here.forwarding_entry(index, where, nic)
        here.route(theirs, theirs[0], index, onlink=True)


def _end(nic: _Nic, own: Sequence[Interface]) -> End:
    return End(nic.machine, nic.link, mac("0200", own[0].ip), own)


def _introduce(wires: Iterable[Wire]) -> None:
    """Let all ends of a wire know each other's IPv6 addresses; IPv4's are found in time. Not before
    the links are up: one that comes up forgets whom it knew."""
    for wire in wires:
        with_ipv6 = [end for end in wire if any(i.version == 6 for i in end.interfaces)]
        for one, other in permutations(with_ipv6, 2):
            for interface in other.interfaces:
                if interface.version == 6:
                    one.netlink.neighbour(one.link, interface.ip, other.mac, permanent=False)
        for end in with_ipv6:
            end.netlink.commit()


def _cidrs(node: Node) -> tuple[Network, ...]:
    """Where its pods' addresses come from. Raises LabError if there is no such range."""
    if not node.pod_cidrs:
        raise LabError(
            f"node {node.name} has no pod CIDR, and the lab's pod network is flannel's",
            "Give it a podCIDR in the Lab file.",
        )
    return node.pod_cidrs


def _nic(node: Node, cidr: Network) -> Address:
    """The node's address in a family in which it is to be reached. Raises LabError if it has
    none."""
    address = node.address(cidr.version)
    if address is None:
        raise LabError(
            f"{cidr} is to be reached through node {node.name}, which has no IPv{cidr.version}"
            " address",
            "Give it one under `addresses`, or leave out that range.",
        )
    return address


def _bridge_mac(node: Node) -> str:
    return mac("0a58", node.pod_cidrs[0][1])

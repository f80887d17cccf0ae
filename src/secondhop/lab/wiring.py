"""The lab's cables: client, router and nodes, the pods' bridges, and flannel's overlay.

    client ─┐                       ┌─ node: eth0 · cni0 ─ pods
            ├─ router: one bridge ──┤        flannel.1 (VXLAN) or plain routes (host-gw)
    node ───┘   for each subnet     └─ node …

Everything with an address in the same subnet shares a segment, which is a bridge of the router; the
router has an address in each and no route beyond them, so a Service's cluster IP is unroutable from
outside. Wiring is IPv4. Devices and routes are those of flannel: cni0 has the first address of the
node's pod CIDR, flannel.1 the base address (semantics §4.2).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from ..dataplane.node_ports import localhost_node_ports
from ..errors import LabError
from ..model.cluster import Cluster, Node
from .netns import Namespace
from .rtnetlink import OPERSTATE_UP, PORT_FORWARDING, Devconf, Netlink

_LO, _ETH0, _FLANNEL, _CNI0 = 1, 2, 3, 4
_FIRST_POD_PORT = 10
_MTU, _OVERLAY_MTU = 1500, 1450
_VNI, _VXLAN_PORT = 1, 8472
_READY_SECONDS = 10.0

# A new namespace may inherit the host's settings, so every one that matters is written down.
_QUIET = {Devconf.RP_FILTER: 0, Devconf.SEND_REDIRECTS: 0}
_FORWARD = {**_QUIET, Devconf.FORWARDING: 1}
_SYSCTLS = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/all/route_localnet": "0",  # else it would beat every device's own
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/icmp_msgs_per_sec": "100000",
    "net/ipv4/icmp_msgs_burst": "10000",
    "net/ipv4/fib_multipath_hash_policy": "1",  # by addresses and ports: the router's balancer
    "net/ipv6/fib_multipath_hash_policy": "1",
}


class Wiring:
    """The namespaces of one lab and the links between them. `nodes` and `pods` are by name."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._netlinks: list[Netlink] = []
        self.unset: list[str] = []
        """sysctls that could not be written (a read-only /proc/sys)."""
        self.client = self._namespace("client")
        self.router = self._namespace("router")
        self.nodes = {node.name: self._namespace(node.name) for node in cluster.nodes}
        self.pods: dict[str, Netlink] = {}
        self._ports = dict.fromkeys(self.nodes, _FIRST_POD_PORT)
        for forwarder in (self.router, *self.nodes.values()):
            self._sysctls(forwarder.namespace)
        self._outside()
        for node in cluster.nodes:
            self._node(node)

    def namespace(self, name: str) -> Namespace:
        """The namespace of `client`, `router`, `node/NAME` or `pod/NAME`; KeyError if unknown."""
        kind, _, rest = name.partition("/")
        fixed = {"client": self.client, "router": self.router}
        if kind in fixed:
            return fixed[kind].namespace
        return {"node": self.nodes, "pod": self.pods}[kind][rest].namespace

    def add_pods(self, node: str, pods: Iterable[tuple[str, IPv4Address]]) -> None:
        """Give pods of one node a namespace with eth0, an address and a default route over cni0."""
        cidr = _cidr(self._cluster.node(node))
        here, conf = self.nodes[node], self._node_conf(node)
        new = []
        for name, address in pods:
            pod = self.pods[name] = self._namespace(f"pod/{name}")
            port = self._ports[node]
            self._ports[node] += 1
            veth = f"veth{port:x}"
            here.veth(
                veth,
                port,
                "eth0",
                _ETH0,
                pod.namespace,
                mac=_mac("fe58", address),
                peer_mac=_mac("0a58", address),
                master=_CNI0,
            )
            here.link_up(port, veth, conf=conf, mtu=_OVERLAY_MTU)
            here.hairpin(port, veth)
            new.append((pod, address))
        here.commit()
        for pod, address in new:
            pod.link_up(_ETH0, "eth0", conf=_QUIET, mtu=_OVERLAY_MTU)
            pod.address(_ETH0, IPv4Interface((address, cidr.prefixlen)))
            pod.route(None, cidr[1], _ETH0)
            pod.commit()

    async def plug(self, node: str, pod: str, address: IPv4Address) -> Netlink:
        """One more pod, once its cable can be used. Raises LabError."""
        port = f"veth{self._ports[node]:x}"
        try:
            self.add_pods(node, [(pod, address)])
            deadline = time.monotonic() + _READY_SECONDS
            while any(map(_unready, self._cable(node, pod), (("eth0",), (port, "cni0")))):
                if time.monotonic() > deadline:
                    raise _not_up(self._cable(node, pod))
                await asyncio.sleep(0.0005)
        except BaseException:
            self.unplug(pod)
            raise
        return self.pods[pod]

    def _cable(self, node: str, pod: str) -> tuple[Netlink, Netlink]:
        return self.pods[pod], self.nodes[node]

    def unplug(self, pod: str) -> None:
        """Let go of a pod's namespace; the kernel takes it and its cable down in its own time."""
        netlink = self.pods.pop(pod, None)
        if netlink is None:
            return
        self._netlinks.remove(netlink)
        netlink.close()
        netlink.namespace.close()

    def wait_ready(self) -> None:
        """The readiness barrier: every veth operationally up, every bridge port forwarding, and
        every bridge that has ports up as well.

        Without it a few runs in a hundred lose their first packet and pay a second. A bridge that
        was set up before its first port came drops what it is to send until its own carrier event
        has run; that takes microseconds then, but up to a second for one set up later. Raises
        LabError after ten.
        """
        deadline = time.monotonic() + _READY_SECONDS
        waiting = self._netlinks
        while waiting := [netlink for netlink in waiting if _unready(netlink)]:
            if time.monotonic() > deadline:
                raise _not_up(waiting)
            time.sleep(0.0002)

    # --- parts ------------------------------------------------------------------------------

    def _namespace(self, name: str) -> Netlink:
        netlink = Netlink(Namespace.create(name))
        netlink.link_up(_LO, "lo")
        self._netlinks.append(netlink)
        return netlink

    def _sysctls(self, namespace: Namespace) -> None:
        with namespace:
            for key, value in _SYSCTLS.items():
                try:
                    with open(f"/proc/sys/{key}", "w") as setting:
                        setting.write(value)
                except FileNotFoundError:
                    pass  # this kernel has no such limit per namespace
                except OSError:
                    self.unset.append(key)

    def _outside(self) -> None:
        """The segments: client and nodes plugged into the router's bridges."""
        members: list[tuple[Netlink, IPv4Interface]] = [(self.client, self._client_address())]
        members += [(self.nodes[n.name], _nic(n)) for n in self._cluster.nodes]
        gateways = _gateways([interface for _, interface in members])
        bridges = {}
        for number, (network, gateway) in enumerate(gateways.items()):
            bridges[network] = index = 10 + number
            bridge = f"lan{number}"
            self.router.bridge(bridge, index, mac=_mac("0200", gateway.ip), mtu=_MTU)
            self.router.link_up(index, bridge, conf=_FORWARD)
            self.router.address(index, gateway)
        for number, (member, interface) in enumerate(members):
            self.router.veth(
                f"port{number}",
                1000 + number,
                "eth0",
                _ETH0,
                member.namespace,
                mac=_mac("fe00", interface.ip),
                peer_mac=_mac("0200", interface.ip),
                master=bridges[interface.network],
            )
        self.router.commit()
        for member, interface in members:
            conf = _QUIET if member is self.client else self._node_conf(member.namespace.name)
            member.link_up(_ETH0, "eth0", conf=conf)
            member.address(_ETH0, interface)
            member.route(None, gateways[interface.network].ip, _ETH0)
        self.client.commit()

    def _client_address(self) -> IPv4Interface:
        for interface in self._cluster.client:
            if isinstance(interface, IPv4Interface):
                return interface
        raise _no_ipv4("the client")

    def _node_conf(self, name: str) -> dict[int, int]:
        """Settings of a node's devices: kube-proxy wants route_localnet where it lets localhost
        use node ports (semantics §1.4)."""
        localhost = localhost_node_ports(self._cluster.proxy, self._cluster.node(name))
        return {**_FORWARD, Devconf.ROUTE_LOCALNET: int(localhost)}

    def _node(self, node: Node) -> None:
        """One node's own devices, and its routes to the other nodes' pods."""
        here, conf = self.nodes[node.name], self._node_conf(node.name)
        cidr = _cidr(node)
        overlay = self._cluster.cni.backend == "vxlan"
        if overlay:
            here.vxlan(
                "flannel.1",
                _FLANNEL,
                vni=_VNI,
                local=_nic(node).ip,
                port=_VXLAN_PORT,
                mac=_mac("0e42", cidr[0]),
                mtu=_OVERLAY_MTU,
            )
            here.link_up(_FLANNEL, "flannel.1", conf=conf)
            here.address(_FLANNEL, IPv4Interface((cidr[0], 32)))
        here.bridge("cni0", _CNI0, mac=_mac("0a58", cidr[1]), mtu=_OVERLAY_MTU)
        here.link_up(_CNI0, "cni0", conf=conf)
        here.address(_CNI0, IPv4Interface((cidr[1], cidr.prefixlen)))
        for other in self._cluster.nodes:
            if other.name != node.name:
                self._route(here, other, overlay)
        here.commit()

    def _route(self, here: Netlink, other: Node, overlay: bool) -> None:
        theirs = _cidr(other)
        if not overlay:
            here.route(theirs, _nic(other).ip, _ETH0)
            return
        mac = _mac("0e42", theirs[0])
        here.neighbour(_FLANNEL, theirs[0], mac)
        here.forwarding_entry(_FLANNEL, mac, _nic(other).ip)
        here.route(theirs, theirs[0], _FLANNEL, onlink=True)


def _unready(netlink: Netlink, only: Container[str] | None = None) -> list[str]:
    """The links, of those that are of interest, over which nothing goes yet."""
    links = netlink.links()
    with_ports = {link.bridge for link in links}
    return [
        link.name
        for link in links
        if (only is None or link.name in only)
        and (
            (link.operstate != OPERSTATE_UP and (link.kind == "veth" or link.number in with_ports))
            or link.port_state not in (None, PORT_FORWARDING)
        )
    ]


def _not_up(waiting: Iterable[Netlink]) -> LabError:
    names = ", ".join(f"{netlink.namespace.name}: {_unready(netlink)}" for netlink in waiting)
    return LabError(
        f"links did not come up within {_READY_SECONDS:.0f} s ({names})",
        "Run `secondhop doctor`; if it finds nothing, try again on a quieter machine.",
    )


def _gateways(members: Iterable[IPv4Interface]) -> dict[IPv4Network, IPv4Interface]:
    """The router's address in each subnet: the highest that nobody has."""
    taken: dict[IPv4Network, set[IPv4Address]] = {}
    for interface in members:
        taken.setdefault(interface.network, set()).add(interface.ip)
    return {network: _free(network, used) for network, used in taken.items()}


def _free(network: IPv4Network, used: set[IPv4Address]) -> IPv4Interface:
    address = network.broadcast_address - 1
    while address in used:
        address -= 1
    if address <= network.network_address:
        raise LabError(
            f"subnet {network} has no address left for the lab's router",
            "Give the Lab's addresses a shorter prefix, for example /24.",
        )
    return IPv4Interface((address, network.prefixlen))


def _nic(node: Node) -> IPv4Interface:
    for interface in node.addresses:
        if isinstance(interface, IPv4Interface):
            return interface
    raise _no_ipv4(f"node {node.name}")


def _cidr(node: Node) -> IPv4Network:
    for cidr in node.pod_cidrs:
        if isinstance(cidr, IPv4Network):
            return cidr
    raise _no_ipv4(f"node {node.name}'s pods")


def _no_ipv4(whose: str) -> LabError:
    return LabError(
        f"{whose} has no IPv4 address, and the lab's wiring is IPv4",
        "Give it one in the Lab file, or use `secondhop explain`, which predicts both families.",
    )


def _mac(prefix: str, address: IPv4Address) -> str:
    """A locally administered hardware address: two fixed bytes, then the IPv4 address."""
    return prefix + address.packed.hex()

"""The network outside the cluster, as far as it changes: where the lab's router sends addresses
that are no machine's, and whose cables are cut."""

from __future__ import annotations

import socket
import struct
from collections.abc import Container, Iterable, Mapping, Sequence
from ipaddress import ip_network

from ..model.cluster import Address, Cluster
from .netlink import REPLACE, attribute
from .rtnetlink import LinkState, Netlink
from .wiring import Wiring

_SETLINK, _NEWROUTE, _DELROUTE = 19, 24, 25
_UP = 1
_LINK = struct.Struct("=BxHiII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEXT_HOP = struct.Struct("=HBBi")
_MAIN_TABLE, _STATIC, _UNICAST = 254, 4, 1
_DESTINATION, _GATEWAY, _MULTIPATH = 1, 5, 9


class Router(Netlink):
    """The lab's router. Its segments are the wiring's; these are its routes beyond them."""

    def __init__(self, wiring: Wiring, cluster: Cluster) -> None:
        super().__init__(wiring.router.namespace)
        self._nodes, self._machines = wiring.nodes, cluster.nodes
        self._ways: dict[Address, tuple[str, ...]] = {}

    def way(self, address: Address) -> tuple[str, ...]:
        """The nodes to which an address is sent, in the cluster's order."""
        return self._ways.get(address, ())

    def send(self, address: Address, nodes: Iterable[str]) -> None:
        """Send what goes to an address to these nodes and no others, in one step: equal shares, by
        a hash of addresses and ports. No node: it is unroutable. Nodes without an address of the
        family get nothing; what is a node's own address stays with it. Raises LabError; then it is
        sent to where it was."""
        wanted = set(nodes)
        gateways = {
            node.name: own
            for node in self._machines
            if node.name in wanted and (own := node.address(address.version)) is not None
        }
        if any(address == interface.ip for node in self._machines for interface in node.addresses):
            return
        if gateways:
            self._route(_NEWROUTE, REPLACE, address, _hops(list(gateways.values())))
        elif address in self._ways:
            self._route(_DELROUTE, 0, address, b"")
        self.commit()
        self._ways[address] = tuple(gateways)

    def plug(self, node: str, plugged: bool) -> None:
        """Cut a node's cables at the router's end, or mend them. The node notices that its own
        links are down; its addresses and routes stay."""
        for link in self._cables(node):
            body = _LINK.pack(socket.AF_UNSPEC, 0, link.peer, _UP if plugged else 0, _UP)
            self._add(_SETLINK, 0, body, f"{'mend' if plugged else 'cut'} {node}'s cable")
        self.commit()

    def cable(self, node: str) -> Mapping[Netlink, Container[str]]:
        """The links between a node and the router, by their names in each of the two."""
        here = {link.number: link for link in self.links()}
        cables = self._cables(node)
        ports = [here[cable.peer] for cable in cables]
        names = {link.name for port in ports for link in (port, here[port.bridge])}
        return {self._nodes[node]: {cable.name for cable in cables}, self: names}

    def _cables(self, node: str) -> list[LinkState]:
        links = self._nodes[node].links()
        return [link for link in links if link.kind == "veth" and not link.bridge]

    def _route(self, kind: int, flags: int, address: Address, hops: bytes) -> None:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        head = _ROUTE.pack(
            family, ip_network(address).prefixlen, 0, 0, _MAIN_TABLE, _STATIC, 0, _UNICAST, 0
        )
        body = head + attribute(_DESTINATION, address.packed) + hops
        self._add(kind, flags, body, f"change the route to {address}")


def _hops(gateways: Sequence[Address]) -> bytes:
    """Next hops of equal weight."""
    if len(gateways) == 1:
        return attribute(_GATEWAY, gateways[0].packed)
    each = [attribute(_GATEWAY, gateway.packed) for gateway in gateways]
    hops = [_NEXT_HOP.pack(_NEXT_HOP.size + len(hop), 0, 0, 0) + hop for hop in each]
    return attribute(_MULTIPATH, b"".join(hops))

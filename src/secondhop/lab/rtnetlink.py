"""rtnetlink: links, addresses, routes, neighbours, and their state.

Interfaces are created with indexes of our choice, so that nothing needs to be looked up.
Numbers are those of <linux/rtnetlink.h>, <linux/if_link.h>, <linux/neighbour.h>.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from ..model.cluster import Address, Interface, Network
from .batch import Batch
from .netlink import CREATE, REPLACE, attribute, attributes
from .netns import Namespace

_NEWLINK, _GETLINK, _SETLINK, _NEWADDR, _GETADDR = 16, 18, 19, 20, 22
_NEWROUTE, _GETROUTE, _NEWNEIGH = 24, 26, 28
_UP = 1
_NESTED = 0x8000
_REACHABLE, _PERMANENT, _NOARP = 0x02, 0x80, 0x40
_NTF_SELF, _ONLINK = 2, 4
_NODAD = 2
_RTN_LOCAL = 2
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")

OPERSTATE_UP = 6
PORT_FORWARDING = 3


class Devconf:
    """Per-device IPv4 settings (net.ipv4.conf.DEV.*) that netlink can set without /proc/sys."""

    FORWARDING, SEND_REDIRECTS, RP_FILTER, ROUTE_LOCALNET = 1, 6, 8, 26


class LinkState(NamedTuple):
    """What the readiness barrier needs to know of a link.

    bridge: number of the one it is a port of, or 0. port_state: None unless it is one. peer: number
    of a veth's other end, in its own namespace.
    """

    number: int
    name: str
    kind: str
    operstate: int
    bridge: int
    port_state: int | None
    peer: int


def _nest(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(attributes))


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _name(text: str) -> bytes:
    return text.encode() + b"\0"


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


class Netlink(Batch):
    """The links, addresses, routes and neighbours of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace)
        self._deaf: set[Address] = set()

    def link_up(
        self, index: int, what: str, *, conf: Mapping[int, int] | None = None, mtu: int = 0
    ) -> None:
        """Set a link up, with its IPv4 settings (refused at creation) in the same message."""
        self._link(_SETLINK, 0, index, _mtu(mtu) + _af_spec(conf or {}), f"set {what} up")

    def veth(
        self,
        name: str,
        index: int,
        peer: str,
        peer_index: int,
        peer_namespace: Namespace,
        *,
        mac: str,
        peer_mac: str,
        master: int = 0,
    ) -> None:
        """A pair: the near end here, up; the far end in another namespace, down until set up
        there (it cannot be created up)."""
        far = (
            _LINK.pack(socket.AF_UNSPEC, 0, peer_index, 0, 0)
            + attribute(3, _name(peer))
            + attribute(1, _mac(peer_mac))
            + attribute(28, _u32(peer_namespace.fd))
        )
        near = attribute(3, _name(name)) + attribute(1, _mac(mac))
        if master:
            near += attribute(10, _u32(master))
        info = _nest(18, attribute(1, b"veth"), _nest(2, attribute(1, far)))
        self._link(_NEWLINK, CREATE, index, near + info, f"create {name}")

    def bridge(self, name: str, index: int, *, mac: str, mtu: int) -> None:
        """A bridge that passes what it switches through iptables (bridge-nf-call-iptables, without
        which a pod cannot reach a pod of its own node through a clusterIP) and whose address is
        pinned: unpinned it changes as ports come and go."""
        data = _nest(
            2,
            attribute(23, b"\0"),  # no multicast snooping: nothing here needs its timers
            attribute(36, b"\1"),
            attribute(37, b"\1"),
        )
        body = (
            attribute(3, _name(name))
            + attribute(1, _mac(mac))
            + _mtu(mtu)
            + _nest(18, attribute(1, b"bridge"), data)
        )
        self._link(_NEWLINK, CREATE, index, body, f"create {name}")

    def hairpin(self, index: int, what: str) -> None:
        """Let a bridge port send back where a frame came from: a pod that reaches itself."""
        body = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0) + _nest(12, attribute(4, b"\1"))
        self._add(_SETLINK, 0, body, f"hairpin mode on {what}")

    def vxlan(
        self,
        name: str,
        index: int,
        *,
        vni: int,
        local: Address,
        port: int,
        mac: str,
        mtu: int,
    ) -> None:
        """flannel's overlay device: it learns nothing, its neighbours are told."""
        data = _nest(
            2,
            attribute(1, _u32(vni)),
            attribute(4 if local.version == 4 else 17, local.packed),
            attribute(7, b"\0"),
            attribute(15, struct.pack("!H", port)),
        )
        body = (
            attribute(3, _name(name))
            + attribute(1, _mac(mac))
            + _mtu(mtu)
            + _nest(18, attribute(1, b"vxlan"), data)
        )
        self._link(_NEWLINK, CREATE, index, body, f"create {name}")

    def address(self, index: int, interface: Interface) -> None:
        """Give a link an address. IPv6 without duplicate detection: nobody else is here."""
        body = _ADDRESS.pack(
            _family(interface.ip), interface.network.prefixlen, _NODAD, 0, index
        ) + attribute(1, interface.ip.packed)
        if interface.version == 4:
            body += attribute(2, interface.ip.packed)
            body += attribute(4, interface.network.broadcast_address.packed)
        else:
            self._deaf.add(interface.ip)
        self._add(_NEWADDR, CREATE, body, f"address {interface}")

    def route(
        self,
        network: Network | None,
        via: Address,
        index: int,
        *,
        onlink: bool = False,
    ) -> None:
        """A route over a gateway; no network means the default route. onlink: the gateway is
        reachable on that link whatever its addresses say."""
        destination = attribute(1, network.network_address.packed) if network else b""
        body = (
            _ROUTE.pack(
                _family(via),
                network.prefixlen if network else 0,
                0,
                0,
                254,  # main table
                4,  # RTPROT_STATIC
                0,
                1,  # unicast
                _ONLINK if onlink else 0,
            )
            + destination
            + attribute(5, via.packed)
            + attribute(4, _u32(index))
        )
        self._add(_NEWROUTE, CREATE, body, f"route {network or 'default'} via {via}")

    def neighbour(self, index: int, address: Address, mac: str, *, permanent: bool = True) -> None:
        """That address has this hardware address: for good, or as if it had just been asked."""
        state = _PERMANENT if permanent else _REACHABLE
        head = struct.pack("=BxxxiHBB", _family(address), index, state, 0, 0)
        body = head + attribute(1, address.packed) + attribute(2, _mac(mac))
        self._add(_NEWNEIGH, REPLACE, body, f"neighbour {address}")

    def forwarding_entry(self, index: int, mac: str, remote: Address) -> None:
        """A VXLAN forwarding entry: frames for that hardware address go to this node."""
        head = struct.pack("=BxxxiHBB", socket.AF_BRIDGE, index, _PERMANENT | _NOARP, _NTF_SELF, 0)
        body = head + attribute(2, _mac(mac)) + attribute(1, remote.packed)
        self._add(_NEWNEIGH, CREATE, body, f"forwarding entry {mac} to {remote}")

    def _link(self, kind: int, flags: int, index: int, attributes: bytes, what: str) -> None:
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, _UP, _UP) + attributes
        self._add(kind, flags, body, what)

    def links(self) -> list[LinkState]:
        """The state of every link here."""
        found = []
        for body in self._dump(_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
            _, _, index, _, _ = _LINK.unpack_from(body)
            link = attributes(body[_LINK.size :])
            info = attributes(link.get(18, b""))
            port = attributes(info.get(5, b"")).get(1) if info.get(4) == b"bridge\0" else None
            found.append(
                LinkState(
                    index,
                    link[3].rstrip(b"\0").decode(),
                    info.get(1, b"").rstrip(b"\0").decode(),
                    link[16][0],
                    struct.unpack("=I", link[10])[0] if 10 in link else 0,
                    port[0] if port else None,
                    struct.unpack("=I", link[5])[0] if 5 in link else 0,
                )
            )
        return found

    def addresses(self) -> list[str]:
        """Every address of every link here, in the kernel's order."""
        found: list[tuple[int, int, str]] = []
        for body in self._dump(_GETADDR, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
            *_, index = _ADDRESS.unpack_from(body)
            entry = attributes(body[_ADDRESS.size :])
            packed = entry.get(2) or entry[1]
            found.append((index, len(packed), str(ip_address(packed))))
        return [text for _, _, text in sorted(found, key=lambda one: one[:2])]

    def deaf(self) -> list[str]:
        """The IPv6 addresses given to links here for which nothing is received yet: unlike an IPv4
        one they come into force a moment later, by a work queue of the kernel's."""
        if self._deaf:
            for body in self._dump(_GETROUTE, _ROUTE.pack(socket.AF_INET6, *[0] * 8)):
                destination = attributes(body[_ROUTE.size :]).get(1)
                if _ROUTE.unpack_from(body)[7] == _RTN_LOCAL and destination:
                    self._deaf.discard(ip_address(destination))
        return sorted(map(str, self._deaf))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _mtu(mtu: int) -> bytes:
    return attribute(4, _u32(mtu)) if mtu else b""


def _af_spec(conf: Mapping[int, int]) -> bytes:
    if not conf:
        return b""
    values = b"".join(attribute(index, _u32(value)) for index, value in conf.items())
    return _nest(26, _nest(socket.AF_INET, _nest(1, values)))

"""A client, a node and pods on cables:

client ── node (a proxy's rules) ── pods, all of them one process
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network

from sandboxed import forked

from secondhop.lab.netns import Namespace
from secondhop.lab.rtnetlink import Devconf, Netlink
from secondhop.model.cluster import Cluster, Cni, Node, Proxy, ProxyMode

PODS, SERVICES = ip_network("10.42.0.0/16"), ip_network("10.96.0.0/12")
NODE, CLIENT = ip_interface("192.168.8.1/24"), ip_interface("192.168.8.2/24")
CABLE, POD = ip_interface("10.99.0.1/30"), ip_interface("10.99.0.2/30")
OLD, NEW, SILENT = 8080, 8081, 8082
"""Ports that pods answer on, and one where nobody does: the kernel makes the handshake alone."""
BACKLOG = 128
"""Connections that wait on the silent port."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close at once, so that no port is left waiting."""


def base(mode: ProxyMode) -> Cluster:
    """The node as its proxy knows it beforehand."""
    return Cluster(
        (Node("node", (NODE,)),),
        cni=Cni(service_cidrs=(SERVICES,)),
        proxy=Proxy(mode, detect_local=(PODS,)),
    )


@dataclass
class World:
    """A client, a node, and one machine that is all pods. silent: listens there."""

    client: Namespace
    node: Netlink
    silent: socket.socket


def built() -> World:
    """Cables, addresses and routes, and a pod process that answers on every address with the port
    that was reached."""
    client, node, pod = (Netlink(Namespace.create(n)) for n in ("client", "node", "pod"))
    for each in (client, node, pod):
        each.link_up(1, "lo")
    forward = {Devconf.FORWARDING: 1, Devconf.RP_FILTER: 0}
    for index, peer, own, theirs in ((2, client, NODE, CLIENT), (3, pod, CABLE, POD)):
        mac = f"02000000{index:04x}"
        node.veth(
            f"eth{index}", index, "eth0", 2, peer.namespace, mac=mac, peer_mac=mac[:-4] + "ffff"
        )
        node.link_up(index, f"eth{index}", conf=forward)
        node.address(index, own)
        node.commit()
        peer.link_up(2, "eth0", conf={Devconf.RP_FILTER: 0})
        peer.address(2, theirs)
        peer.route(None, own.ip, 2)
    pod.address(1, ip_interface(f"{PODS[1]}/{PODS.prefixlen}"))
    node.route(PODS, POD.ip, 3)
    for each in (client, node, pod):
        each.commit()
    forked(lambda: answer(pod.namespace))
    silent = pod.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    silent.bind(("0.0.0.0", SILENT))
    silent.listen(BACKLOG)
    return World(client.namespace, node, silent)


def answer(namespace: Namespace) -> None:
    """Accept, say which port it was, hang up; for ever."""
    poll, listeners = select.poll(), {}
    for port, said in ((OLD, b"o"), (NEW, b"n")):
        listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("0.0.0.0", port))
        listener.listen(1024)
        listeners[listener.fileno()] = listener, said
        poll.register(listener, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            listener, said = listeners[descriptor]
            try:
                with listener.accept()[0] as connection:
                    connection.send(said)
            except OSError:
                continue  # the client has gone


def reached(
    client: Namespace, address: str, port: int, seconds: float = 1.0
) -> tuple[bytes, float]:
    """What a new connection is answered with, and the seconds that connecting took. Raises
    OSError."""
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        begun = time.perf_counter()
        sock.connect((address, port))
        took = time.perf_counter() - begun
        return sock.recv(1), took


def handshakes(world: World, target: tuple[str, int], count: int) -> tuple[list[float], int]:
    """The seconds of each of so many connections in a row, at most BACKLOG, and how many of them
    came to the silent port. Raises OSError."""
    took: list[float] = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            sock = stack.enter_context(world.client.socket(socket.AF_INET, socket.SOCK_STREAM))
            sock.settimeout(1.0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            begun = time.perf_counter()
            sock.connect(target)
            took.append(time.perf_counter() - begun)
        came = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                world.silent.accept()[0].close()
                came += 1
    return took, came

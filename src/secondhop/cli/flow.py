"""One flow as typed: `--from`, `--to` and `--via`, recognised in a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import get_args

from ..errors import UsageError
from ..model.cluster import Address, Cluster, Family, Node, Pod, Protocol, Service
from ..model.flow import Destination, Flow, Source
from .source import alternatives

_TARGET = re.compile(
    r"(?:\[(?P<six>[^]]*)\]|(?P<four>[^]:[/]*)):(?P<port>[^:/]*)(?:/(?P<proto>.*))?"
)
_SENDERS = "Write client, an IP, pod/NAME or node/NAME."
_EXAMPLE = "Write for example 192.168.8.1:30316, or [fd00::1]:53/udp."


def read_flow(
    cluster: Cluster, sender: str, target: str, via: str | None, namespace: str
) -> tuple[Service | None, Flow]:
    """The flow that is meant, and the Service it is dialled as, if any.

    sender: `client`, an IP, `pod/NAME` (in `namespace`) or `node/NAME`. target:
    `ADDR:PORT[/PROTO]`. via: name of the node to which the network brings the address.
    Raises UsageError naming what is wrong and what there is instead.
    """
    service, destination = _destination(cluster, target)
    source = _source(cluster, sender, destination.address.version, namespace)
    return service, Flow(source, destination, _via(cluster, via, destination))


def _destination(cluster: Cluster, text: str) -> tuple[Service | None, Destination]:
    address, port, protocol = _target(text)
    for service in cluster.services:
        for known in _entrances(cluster, service):
            if (known.address, known.port, known.protocol) == (address, port, protocol):
                return service, known
    return None, Destination("address", address, port, protocol)


def _target(text: str) -> tuple[Address, int, Protocol]:
    found = _TARGET.fullmatch(text)
    if found is None:
        bare = text.count(":") > 1 and "[" not in text
        example = "An IPv6 address stands in brackets: [fd00::1]:80." if bare else _EXAMPLE
        raise UsageError(f"--to {text} is not ADDR:PORT[/PROTO]", example)
    six, four, port, proto = found.groups()
    address = _address(six or four or "", f"--to {text}")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        why = f"--to {text}: {port or 'nothing'} is not a port"
        raise UsageError(why, "A port is a number between 1 and 65535.")
    for protocol in get_args(Protocol):
        if protocol == (proto or "TCP").upper():
            return address, int(port), protocol
    raise UsageError(f"--to {text}: {proto} is not a protocol", "Write tcp, udp or sctp.")


def _entrances(cluster: Cluster, service: Service) -> Iterator[Destination]:
    """Every address and port of a Service."""
    for port in service.ports:
        if port.node_port:
            for node in cluster.nodes:
                for ip in _addresses(node):
                    yield Destination("nodePort", ip, port.node_port, port.protocol, node.name)
        for ip in service.cluster_ips:
            yield Destination("clusterIP", ip, port.port, port.protocol)
        for ingress in service.ingress:
            yield Destination("loadBalancerIP", ingress.ip, port.port, port.protocol)
        for ip in service.external_ips:
            yield Destination("externalIP", ip, port.port, port.protocol)
    if check := service.health_check_node_port:
        for node in cluster.nodes:
            for ip in _addresses(node):
                yield Destination("healthCheckNodePort", ip, check, "TCP", node.name)


def _addresses(node: Node) -> Iterator[Address]:
    """Of its NIC; its pod devices' answer to the cluster only, and are plain addresses here."""
    return (interface.ip for interface in node.addresses)


def _source(cluster: Cluster, text: str, family: Family, namespace: str) -> Source:
    kind, slash, name = text.partition("/")
    if text == "client":
        ip = next((i.ip for i in cluster.client if i.version == family), None)
        return Source("client", "client", _of_family(ip, "client", family))
    if not slash:
        return _owner(cluster, _address(text, f"--from {text}"))
    if kind in ("node", "nodes", "no"):
        node = _node(cluster, name, f"--from {text}")
        return Source("node", name, _of_family(node.address(family), text, family), name)
    if kind not in ("pod", "pods", "po"):
        raise UsageError(f"--from {text}: a {kind} cannot send", _SENDERS)
    pod = _pod(cluster, name, namespace)
    ip = next((ip for ip in pod.addresses if ip.version == family), None)
    return Source("pod", name, _of_family(ip, text, family), pod.node)


def _owner(cluster: Cluster, ip: Address) -> Source:
    """The client, node or pod that has this address, or just the address."""
    if any(interface.ip == ip for interface in cluster.client):
        return Source("client", "client", ip)
    for node in cluster.nodes:
        if ip in _addresses(node):
            return Source("node", node.name, ip, node.name)
    for pod in cluster.pods:
        if pod.node is not None and ip in pod.addresses:
            return Source("pod", pod.name, ip, pod.node)
    return Source("address", str(ip), ip)


def _pod(cluster: Cluster, name: str, namespace: str) -> Pod:
    mine = {pod.name: pod for pod in cluster.pods if pod.namespace == namespace}
    if name not in mine:
        remedy = alternatives(name, list(mine))
        raise UsageError(
            f"--from pod/{name}: there is no such pod in namespace {namespace}", remedy
        )
    return mine[name]


def _via(cluster: Cluster, name: str | None, destination: Destination) -> str | None:
    if name is None:
        return None
    if destination.node is not None:
        why = f"{destination} is on node {destination.node}, where it goes anyway: leave --via out."
        raise UsageError(f"--via {name} does not go with --to {destination}", why)
    return _node(cluster, name, f"--via {name}").name


def _node(cluster: Cluster, name: str, where: str) -> Node:
    nodes = {node.name: node for node in cluster.nodes}
    if name not in nodes:
        raise UsageError(f"{where}: there is no node {name}", alternatives(name, list(nodes)))
    return nodes[name]


def _address(text: str, where: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        why = f"{where}: {text or 'nothing'} is not an IP address"
        raise UsageError(why, "Names are not looked up: write the address.") from None


def _of_family(ip: Address | None, who: str, family: Family) -> Address:
    if ip is None:
        why = f"--from {who}: it has no IPv{family} address, which --to asks for"
        raise UsageError(why, "Name a sender that has one, or any address of that family.")
    return ip

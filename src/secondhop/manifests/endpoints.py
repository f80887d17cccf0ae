"""Endpoints of Services: EndpointSlices as they are, or derived from pods as the controller would
(semantics §1.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from ..model.cluster import (
    Address,
    Endpoint,
    Family,
    Node,
    Pod,
    Service,
    ServicePort,
    ServicePortName,
)
from .problems import invalid
from .resource import Resource, protocol_of

SERVICE_NAME = "kubernetes.io/service-name"
HEADLESS = "service.kubernetes.io/headless"
_VERSION = {"IPv4": 4, "IPv6": 6}
_NO_HINTS: frozenset[str] = frozenset()


class Selection(NamedTuple):
    """What the EndpointSlice controller reads of a Service whose slices it writes.

    targets: `targetPort` of each port, in order. distribution: a trafficDistribution, `Auto` for
    topology-mode, or empty.
    """

    service: Service
    selector: Mapping[str, str]
    targets: tuple[int | str, ...]
    publish_not_ready: bool = False
    distribution: str = ""


def gather(found: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """One endpoint for each `ip:port`, in kube-proxy's order: the last one wins, except that a
    terminating one never replaces another."""
    unique: dict[str, Endpoint] = {}
    for endpoint in found:
        label = str(endpoint)
        if not (endpoint.terminating and label in unique):
            unique[label] = endpoint
    return tuple(unique[label] for label in sorted(unique))


def sliced(resources: Iterable[Resource]) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """The endpoints that EndpointSlice objects state, for every service port they name."""
    found: dict[ServicePortName, list[Endpoint]] = {}
    for resource in resources:
        labels = resource.labels
        version = _VERSION.get(resource.get("addressType"))
        if SERVICE_NAME not in labels or HEADLESS in labels or version is None:
            continue
        ports = [port for port in resource.get("ports") or [] if port.get("port")]
        stated = list(_stated(resource, version)) if ports else []
        for port in ports:
            protocol = protocol_of(port.get("protocol"))
            name = ServicePortName(
                resource.namespace, labels[SERVICE_NAME], port.get("name") or "", protocol
            )
            found.setdefault(name, []).extend(one(port=port["port"]) for one in stated)
    return {name: gather(endpoints) for name, endpoints in found.items()}


def _stated(resource: Resource, version: int) -> Iterator[partial[Endpoint]]:
    """The endpoints of a slice, which lack only the port."""
    for n, entry in enumerate(resource.get("endpoints") or []):
        text = (entry.get("addresses") or [None])[0]
        if text is None:
            continue
        address = _lenient(text)
        if address is None or address.version != version:
            resource.refuse(
                ("endpoints", n, "addresses", 0),
                invalid(text, f"must be an {resource.get('addressType')} address"),
                "Correct the address, or addressType.",
            )
            continue
        conditions = entry.get("conditions") or {}
        hints = entry.get("hints") or {}
        yield partial(
            Endpoint,
            address=address,
            pod=(entry.get("targetRef") or {}).get("name") or "",
            node=entry.get("nodeName"),
            ready=conditions.get("ready") is not False,
            serving=conditions.get("serving") is not False,
            terminating=conditions.get("terminating") is True,
            zone_hints=_hints(hints.get("forZones")),
            node_hints=_hints(hints.get("forNodes")),
        )


def _hints(entries: Sequence[Mapping[str, str]] | None) -> frozenset[str]:
    return frozenset(hint["name"] for hint in entries) if entries else _NO_HINTS


def _lenient(text: str) -> Address | None:
    """An address; leading zeros are taken as kube-proxy takes them, as decimal."""
    with suppress(ValueError):
        return ip_address(text)
    octets = text.split(".")
    if len(octets) == 4 and all(o.isascii() and o.isdigit() for o in octets):
        with suppress(ValueError):
            return ip_address(".".join(str(int(octet[-4:])) for octet in octets))
    return None


class Member(NamedTuple):
    """One address of a pod behind a Service. endpoint: without a port; numbers: the port that each
    of the Service's ports means in this pod, 0 where it has none."""

    endpoint: Endpoint
    numbers: tuple[int, ...]


def members(
    selection: Selection,
    pods: Iterable[Pod],
    nodes: Mapping[str, Node],
    families: Collection[Family],
) -> Iterator[Member]:
    """What the controller finds behind a Service; pods: those of its namespace."""
    ports = list(zip(selection.service.ports, selection.targets, strict=True))
    for pod in pods:
        if not selection.selector.items() <= pod.labels.items():
            continue
        if not (selection.publish_not_ready or pod.node in nodes):
            continue
        numbers = tuple(_resolve(port, target, pod) for port, target in ports)
        for address in pod.addresses:
            if address.version in families:
                node = nodes.get(pod.node or "")
                yield Member(_endpoint(selection, pod, address, node), numbers)


def derived(
    selection: Selection, pods: Iterable[Pod], nodes: Mapping[str, Node]
) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """The endpoints the controller would write for one Service, for each of its ports.

    pods: those that its selector selects.
    """
    service = selection.service
    found = list(members(selection, pods, nodes, {ip.version for ip in service.cluster_ips}))
    return {
        service.port_name(port): gather(
            replace(one.endpoint, port=one.numbers[n]) for one in found if one.numbers[n]
        )
        for n, port in enumerate(service.ports)
    }


def backed(selection: Selection, pod: Pod) -> Iterator[ServicePortName]:
    """The ports of the Service behind which such a pod stands, once it runs."""
    for port, target in zip(selection.service.ports, selection.targets, strict=True):
        if _resolve(port, target, pod):
            yield selection.service.port_name(port)


def _resolve(port: ServicePort, target: int | str, pod: Pod) -> int:
    """The port's number in one pod; 0 when the pod has no container port of that name."""
    if isinstance(target, int):
        return target
    named = (
        p.port
        for container in pod.containers
        for p in container.ports
        if p.name == target and p.protocol == port.protocol
    )
    return next(named, 0)


def _endpoint(selection: Selection, pod: Pod, address: Address, node: Node | None) -> Endpoint:
    ready = selection.publish_not_ready or (pod.ready and not pod.terminating)
    hinted = ready and node is not None
    zone = node.zone if node is not None and hinted else None
    by_zone = selection.distribution in ("PreferClose", "PreferSameZone", "PreferSameNode")
    by_node = selection.distribution == "PreferSameNode"
    return Endpoint(
        address=address,
        port=0,
        pod=pod.name,
        node=pod.node,
        ready=ready,
        serving=pod.ready,
        terminating=pod.terminating,
        zone_hints=frozenset([zone]) if by_zone and zone else frozenset(),
        node_hints=frozenset([pod.node]) if by_node and hinted and pod.node else frozenset(),
    )

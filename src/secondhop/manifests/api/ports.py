"""Rules for a Service's ports, one by one and among each other (semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterator

from ..problems import Path
from .field import FieldError, Object, duplicate, forbidden, invalid, not_supported, required
from .syntax import dns_label, label_key, port_name, port_number
from .values import PROTOCOLS
from .view import View


def port_rules(service: View) -> Iterator[FieldError]:
    """Each port by itself; names are compared with those before."""
    names: set[str] = set()
    for n, port in enumerate(service.ports):
        path: Path = ("spec", "ports", n)
        name = port.get("name") or ""
        if name:
            for why in dns_label(name):
                yield invalid((*path, "name"), name, why)
            if name in names:
                yield duplicate((*path, "name"), name)
            names.add(name)
        elif len(service.ports) > 1:
            yield required((*path, "name"))
        yield from _one(port, path)


def _one(port: Object, path: Path) -> Iterator[FieldError]:
    number, protocol = port.get("port") or 0, port.get("protocol") or ""
    for why in port_number(number):
        yield invalid((*path, "port"), number, why)
    if not protocol:
        yield required((*path, "protocol"))
    elif protocol not in PROTOCOLS:
        yield not_supported((*path, "protocol"), protocol, PROTOCOLS)
    target = port.get("targetPort") or 0
    for why in port_name(target) if isinstance(target, str) else port_number(target):
        yield invalid((*path, "targetPort"), target, why)
    application = port.get("appProtocol")
    for why in label_key(application) if application is not None else []:
        yield invalid((*path, "appProtocol"), application, why)


def node_port_rules(service: View) -> Iterator[FieldError]:
    """Node ports where there are none, and numbers given twice for a protocol."""
    if service.type == "ClusterIP":
        for n, port in enumerate(service.ports):
            if port.get("nodePort"):
                why = "may not be used when `type` is 'ClusterIP'"
                yield forbidden(("spec", "ports", n, "nodePort"), why)
    for n in _repeated(service, "nodePort"):
        yield duplicate(("spec", "ports", n, "nodePort"), service.ports[n]["nodePort"])
    for n in _repeated(service, "port"):
        yield duplicate(("spec", "ports", n), _as_key(service.ports[n]))


def _repeated(service: View, field: str) -> Iterator[int]:
    """The ports whose number in a field stood in an earlier port of their protocol."""
    seen: set[tuple[str, int]] = set()
    for n, port in enumerate(service.ports):
        number = port.get(field) or 0
        key = (port.get("protocol") or "", number)
        if key in seen:
            yield n
        if number or field == "port":
            seen.add(key)


def _as_key(port: Object) -> Object:
    """Protocol and number of a port, shown as the server's own record with nothing else in it."""
    return {
        "Name": "",
        "Protocol": port.get("protocol") or "",
        "AppProtocol": None,
        "Port": port.get("port") or 0,
        "TargetPort": 0,
        "NodePort": 0,
    }

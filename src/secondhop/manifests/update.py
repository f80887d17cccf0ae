"""One Service object changed, as an API server updates it (semantics §1.5)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from ..model.cluster import Cluster, Service
from .problems import Path, dotted
from .read import Document

_SETTING = re.compile(r"((?:[^=\[\]]|\[[^\]]*\])+)=(.*)", re.DOTALL)
_PART = re.compile(r"\.?([^.\[\]]+)|\[([^\]]+)\]")
_ROOTS = ("spec", "status", "metadata")
_IDENTITY = ("name", "namespace", "uid")
_EXAMPLE = "Write for example externalTrafficPolicy=Local, or spec.ports[0].nodePort=30080."


class Setting(NamedTuple):
    """A field and its new value; None removes it."""

    path: Path
    value: Any

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{dotted(self.path[1:] if self.path[0] == 'spec' else self.path)}={value}"


def read_setting(text: str) -> Setting:
    """`field=value` as typed. A bare field is one of `spec`; a value is JSON, else text.
    UsageError if it is neither."""
    found = _SETTING.fullmatch(text)
    parts = list(_PART.finditer(found[1])) if found else []
    if found is None or "".join(part[0] for part in parts) != found[1]:
        raise UsageError(f"--set {text} is not FIELD=VALUE", _EXAMPLE)
    path: Path = tuple(
        part[1] or (int(part[2]) if part[2].isdecimal() else part[2]) for part in parts
    )
    if path[0] not in _ROOTS:
        path = ("spec", *path)
    if len(path) < 2 or (path[0] == "metadata" and path[1] in _IDENTITY):
        raise UsageError(f"--set {text}: {dotted(path)} cannot be set", _EXAMPLE)
    try:
        return Setting(path, json.loads(found[2]))
    except ValueError:
        return Setting(path, found[2])


def updated(
    documents: Iterable[Document],
    cluster: Cluster,
    service: Service,
    settings: Sequence[Setting],
    namespace: str,
) -> list[Document]:
    """The documents after an update of one Service.

    cluster: what `build` made of them, so that what was allocated stays. namespace: of objects
    that name none. UsageError for a field that cannot be where it is said to be.
    """
    known = {(one.namespace, one.name): one for one in cluster.services}
    found = []
    for document in documents:
        metadata = document.object.get("metadata") or {}
        key = (metadata.get("namespace") or namespace, metadata.get("name"))
        if document.object.get("kind") != "Service" or key not in known:
            found.append(document)
            continue
        changed = copy.deepcopy(document.object)
        own = settings if key == (service.namespace, service.name) else ()
        for setting in own:
            _put(changed, setting)
        _settle(changed, known[key], {setting.path[1] for setting in own})
        found.append(document._replace(object=changed))
    return found


def _put(value: Any, setting: Setting) -> None:
    """Set one field, making the mappings on the way."""
    *way, last = setting.path
    for depth, part in enumerate(way):
        inside: Any = [] if isinstance(setting.path[depth + 1], int) else {}
        value = _child(value, part, inside, setting, depth)
    if isinstance(last, int) and isinstance(value, list) and last <= len(value):
        value[last : last + 1] = [] if setting.value is None else [setting.value]
    elif isinstance(last, str) and isinstance(value, dict):
        value[last] = setting.value
        if setting.value is None:
            del value[last]
    else:
        raise _misfit(value, setting, len(way))


def _child(value: Any, part: str | int, inside: Any, setting: Setting, depth: int) -> Any:
    if isinstance(part, str) and isinstance(value, dict):
        if value.get(part) is None:
            value[part] = inside
        return value[part]
    if isinstance(part, int) and isinstance(value, list) and part <= len(value):
        if part == len(value):
            value.append(inside)
        return value[part]
    raise _misfit(value, setting, depth)


def _misfit(value: Any, setting: Setting, depth: int) -> UsageError:
    """A path that does not fit the object."""
    where, part = dotted(setting.path[:depth]) or "the object", setting.path[depth]
    if isinstance(value, list):
        why = f"{where} is a list of {len(value)}"
        remedy = f"Write an index from 0 to {len(value)}: {where}[0]; the last one appends."
    else:
        why = f"{where} is {'a mapping' if isinstance(value, dict) else 'no mapping'}"
        remedy = "Check the path with `kubectl explain service.spec --recursive`."
    return UsageError(f"--set {setting}: {why}, and has no {part}", remedy)


def _settle(value: dict[str, Any], before: Service, touched: set[str | int]) -> None:
    """Fill in what was allocated and is still needed; clear what no longer applies and was not
    touched."""
    spec = value["spec"]
    kind = spec.get("type") or "ClusterIP"
    balanced, outside = kind == "LoadBalancer", kind in ("NodePort", "LoadBalancer")
    stale: list[str] = []
    if kind == "ExternalName":
        stale += ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]
    elif before.cluster_ips and not spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [str(ip) for ip in before.cluster_ips]
        spec["clusterIP"] = spec["clusterIPs"][0]
    if balanced and spec.get("externalTrafficPolicy") == "Local":
        if before.health_check_node_port and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = before.health_check_node_port
    else:
        stale.append("healthCheckNodePort")
    if not balanced:
        stale += ["allocateLoadBalancerNodePorts", "loadBalancerClass"]
        if before.type == "LoadBalancer":
            value.pop("status", None)
    if not outside and not spec.get("externalIPs"):
        stale.append("externalTrafficPolicy")
    for name in set(stale) - touched:
        spec.pop(name, None)
    _settle_ports(spec, before, keep=outside, touched="ports" in touched)


def _settle_ports(spec: dict[str, Any], before: Service, *, keep: bool, touched: bool) -> None:
    """Node ports stay with the port of their name and protocol."""
    allocated = {(port.name, port.protocol): port.node_port for port in before.ports}
    ports = spec.get("ports")
    for port in ports if isinstance(ports, list) else ():
        if not isinstance(port, dict):
            continue
        number = allocated.get((port.get("name") or "", port.get("protocol") or "TCP"), 0)
        if keep and number and not port.get("nodePort"):
            port["nodePort"] = number
        elif not keep and not touched:
            port.pop("nodePort", None)

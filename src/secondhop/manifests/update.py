"""One Service object changed, as an API server updates it (semantics §1.5)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from ..model.cluster import Cluster, Service
from .api.default import default_service
from .api.field import Object
from .api.update import cleared, kept, synced
from .problems import Path, dotted
from .read import Document
from .schema import SERVICE_SPEC

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
        stored = _stored(document.object, known[key])
        changed = copy.deepcopy(stored)
        if key == (service.namespace, service.name):
            for setting in settings:
                _put(changed, setting)
            if _is_spec(changed["spec"]):
                changed = cleared(kept(synced(changed, stored), stored), stored)
        found.append(document._replace(object=changed))
    return found


def _is_spec(value: Any) -> bool:
    """Whether the fields that are known hold what they may; `build` refuses the others."""
    known = SERVICE_SPEC.fields
    return isinstance(value, dict) and SERVICE_SPEC.admits(
        {name: inside for name, inside in value.items() if name in known}
    )


def _stored(value: Object, service: Service) -> Object:
    """The object as the server has it: with its defaults, and what was allocated to it."""
    stored = default_service(value)
    spec: Object = stored["spec"]
    if service.cluster_ips:
        spec["clusterIPs"] = [str(ip) for ip in service.cluster_ips]
        spec["clusterIP"] = spec["clusterIPs"][0]
    for entry, port in zip(spec.get("ports") or [], service.ports, strict=True):
        if port.node_port:
            entry["nodePort"] = port.node_port
    if service.health_check_node_port:
        spec["healthCheckNodePort"] = service.health_check_node_port
    return stored


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

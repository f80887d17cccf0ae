"""The columns of each kind's table, and their cells (semantics §10.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..client.api import Object, labels_of
from .cells import NONE, UNKNOWN, UNSET, age, joined, pairs, since, some
from .pod_status import pod_summary
from .scale import selector_text

_ROLE = "node-role.kubernetes.io/"
Cells = list[Any]


class Column(NamedTuple):
    """A column; priority 1: only in wide tables."""

    name: str
    priority: int = 0
    type: str = "string"


class Printer(NamedTuple):
    """A kind's columns, and the cells of an object at a time (seconds since 1970)."""

    columns: tuple[Column, ...]
    cells: Callable[[Object, float], Cells]


def _columns(usual: str, wide: str = "") -> tuple[Column, ...]:
    """Names with commas between them; # before a name: numbers."""
    shown = [(name, 0) for name in usual.split(",")]
    shown += [(name, 1) for name in wide.split(",") if name]
    return tuple(
        Column(name.removeprefix("#"), priority, "integer" if name[0] == "#" else "string")
        for name, priority in shown
    )


def _parts(value: Object) -> tuple[str, Object, Object]:
    return value["metadata"]["name"], value.get("spec") or {}, value.get("status") or {}


def _pod(value: Object, now: float) -> Cells:
    name, spec, status = _parts(value)
    summary = pod_summary(value)
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts += f" ({since(summary.last_restart, now)} ago)"
    met = {each["type"] for each in status.get("conditions") or [] if each.get("status") == "True"}
    gates = [each["conditionType"] for each in spec.get("readinessGates") or []]
    return [
        name,
        f"{summary.ready}/{summary.containers}",
        summary.reason,
        restarts,
        age(value, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{sum(gate in met for gate in gates)}/{len(gates)}" if gates else NONE,
    ]


def _service(value: Object, now: float) -> Cells:
    name, spec, _ = _parts(value)
    ports = [
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}"
        f"/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or []
    ]
    return [
        name,
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        _external_ip(value),
        joined(ports),
        age(value, now),
        pairs(spec.get("selector") or {}),
    ]


def _external_ip(service: Object) -> str:
    _, spec, status = _parts(service)
    given = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ExternalName":
            return spec.get("externalName") or NONE
        case "LoadBalancer":
            entries = (status.get("loadBalancer") or {}).get("ingress") or []
            found = {each.get("ip") or each.get("hostname") or "" for each in entries} - {""}
            return joined([*sorted(found), *given], "<pending>")
    return joined(given)


def _node(value: Object, now: float) -> Cells:
    name, spec, status = _parts(value)
    labels, info = labels_of(value), status.get("nodeInfo") or {}
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    roles |= {labels["kubernetes.io/role"]} if labels.get("kubernetes.io/role") else set()
    ready = [each for each in status.get("conditions") or [] if each["type"] == "Ready"]
    states = ["Ready" if each["status"] == "True" else "NotReady" for each in ready] or ["Unknown"]
    if spec.get("unschedulable"):
        states.append("SchedulingDisabled")
    kernel, machine = info.get("kernelVersion") or UNKNOWN, info.get("architecture")
    return [
        name,
        joined(states),
        joined(sorted(roles - {""})),
        age(value, now),
        info.get("kubeletVersion", ""),
        _node_address(status, "InternalIP"),
        _node_address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        f"{kernel} ({machine})" if machine else kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_address(status: Object, kind: str) -> str:
    found = [each["address"] for each in status.get("addresses") or [] if each["type"] == kind]
    return found[0] if found else NONE


def _template(spec: Object) -> Cells:
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return [
        joined((each["name"] for each in containers), ""),
        joined((each.get("image", "") for each in containers), ""),
        selector_text(spec.get("selector") or {}, NONE),
    ]


def _deployment(value: Object, now: float) -> Cells:
    name, spec, status = _parts(value)
    return [
        name,
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(value, now),
        *_template(spec),
    ]


def _replica_set(value: Object, now: float) -> Cells:
    name, spec, status = _parts(value)
    numbers = spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)
    return [name, *numbers, age(value, now), *_template(spec)]


def _daemon_set(value: Object, now: float) -> Cells:
    name, spec, status = _parts(value)
    numbers = (
        status.get(part, 0)
        for part in (
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        )
    )
    nodes = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    return [name, *numbers, pairs(nodes), age(value, now), *_template(spec)]


def _endpoint_slice(value: Object, now: float) -> Cells:
    ports = [
        str(port["port"]) if port.get("port") is not None else port.get("name") or "*"
        for port in value.get("ports") or []
    ]
    addresses = [one for each in value.get("endpoints") or [] for one in each["addresses"]]
    return [
        value["metadata"]["name"],
        value["addressType"],
        some(ports, UNSET),
        some(addresses, UNSET),
        age(value, now),
    ]


def _endpoints(value: Object, now: float) -> Cells:
    found = [
        f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port['port']}"
        for subset in value.get("subsets") or []
        for port in subset.get("ports") or []
        for ip in (each["ip"] for each in subset.get("addresses") or [])
    ]
    return [value["metadata"]["name"], some(found, NONE), age(value, now)]


def _event(value: Object, now: float) -> Cells:
    about, series = value.get("involvedObject") or {}, value.get("series") or {}
    source = value.get("source") or {}
    component = source.get("component") or value.get("reportingComponent") or ""
    instance = source.get("host") or value.get("reportingInstance") or ""
    first, last = (
        value.get(name) or value.get("eventTime") for name in ("firstTimestamp", "lastTimestamp")
    )
    kind, name = about.get("kind", "").lower(), about.get("name")
    return [
        since(series.get("lastObservedTime") or last, now),
        value.get("type", ""),
        value.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath", ""),
        f"{component}, {instance}" if instance else component,
        (value.get("message") or "").strip(),
        since(first, now),
        series.get("count") or value.get("count") or 1,
        value["metadata"]["name"],
    ]


def _named(*paths: tuple[str, ...]) -> Callable[[Object, float], Cells]:
    """Name, what stands at some paths, and age."""

    def cells(value: Object, now: float) -> Cells:
        found: Cells = []
        for path in paths:
            at: Any = value
            for part in path:
                at = (at or {}).get(part)
            found.append(at or "")
        return [value["metadata"]["name"], *found, age(value, now)]

    return cells


def _config_map(value: Object, now: float) -> Cells:
    number = len(value.get("data") or {}) + len(value.get("binaryData") or {})
    return [value["metadata"]["name"], number, age(value, now)]


def _service_cidr(value: Object, now: float) -> Cells:
    return [
        value["metadata"]["name"],
        joined((value.get("spec") or {}).get("cidrs") or ()),
        age(value, now),
    ]


_WORKLOAD = "Containers,Images,Selector"
PRINTERS: Mapping[str, Printer] = {
    "ConfigMap": Printer(_columns("Name,#Data,Age"), _config_map),
    "DaemonSet": Printer(
        _columns(
            "Name,#Desired,#Current,#Ready,#Up-to-date,#Available,Node Selector,Age", _WORKLOAD
        ),
        _daemon_set,
    ),
    "Deployment": Printer(
        _columns("Name,Ready,#Up-to-date,#Available,Age", _WORKLOAD), _deployment
    ),
    "EndpointSlice": Printer(_columns("Name,AddressType,Ports,Endpoints,Age"), _endpoint_slice),
    "Endpoints": Printer(_columns("Name,Endpoints,Age"), _endpoints),
    "Event": Printer(
        (
            *_columns("Last Seen,Type,Reason,Object", "Subobject,Source"),
            *_columns("Message", "First Seen,#Count,Name"),
        ),
        _event,
    ),
    "Lease": Printer(_columns("Name,Holder,Age"), _named(("spec", "holderIdentity"))),
    "Namespace": Printer(_columns("Name,Status,Age"), _named(("status", "phase"))),
    "NetworkPolicy": Printer(_columns("Name,Age"), _named()),
    "Node": Printer(
        _columns(
            "Name,Status,Roles,Age,Version",
            "Internal-IP,External-IP,OS-Image,Kernel-Version,Container-Runtime",
        ),
        _node,
    ),
    "Pod": Printer(
        _columns("Name,Ready,Status,Restarts,Age", "IP,Node,Nominated Node,Readiness Gates"), _pod
    ),
    "PodDisruptionBudget": Printer(_columns("Name,Age"), _named()),
    "ReplicaSet": Printer(_columns("Name,#Desired,#Current,#Ready,Age", _WORKLOAD), _replica_set),
    "Service": Printer(
        _columns("Name,Type,Cluster-IP,External-IP,Port(s),Age", "Selector"), _service
    ),
    "ServiceCIDR": Printer(_columns("Name,CIDRs,Age"), _service_cidr),
    "ServiceAccount": Printer(_columns("Name,Age"), _named()),
}

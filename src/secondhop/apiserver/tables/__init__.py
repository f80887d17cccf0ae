"""What `kubectl get` shows of each kind: columns and cells as a real server fills them
(semantics §10.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ...client import Object
from ..kinds import Kind
from .nodes import node
from .others import config_map, event, lease, named, namespace, service_account
from .pods import pod
from .services import endpoint_slice, endpoints, service
from .workloads import daemon_set, deployment, replica_set

Row: TypeAlias = Callable[[Object, float], list[object]]

_OTHERS = "Name | Age", named
_TABLES: dict[str, tuple[str, Row]] = {
    "Pod": (
        "Name | Ready | Status | Restarts | Age | *IP | *Node | *Nominated Node | *Readiness Gates",
        pod,
    ),
    "Service": ("Name | Type | Cluster-IP | External-IP | Port(s) | Age | *Selector", service),
    "Node": (
        "Name | Status | Roles | Age | Version | *Internal-IP | *External-IP | *OS-Image"
        " | *Kernel-Version | *Container-Runtime",
        node,
    ),
    "Deployment": (
        "Name | Ready | #Up-to-date | #Available | Age | *Containers | *Images | *Selector",
        deployment,
    ),
    "ReplicaSet": (
        "Name | #Desired | #Current | #Ready | Age | *Containers | *Images | *Selector",
        replica_set,
    ),
    "DaemonSet": (
        "Name | #Desired | #Current | #Ready | #Up-to-date | #Available | Node Selector | Age"
        " | *Containers | *Images | *Selector",
        daemon_set,
    ),
    "EndpointSlice": ("Name | AddressType | Ports | Endpoints | Age", endpoint_slice),
    "Endpoints": ("Name | Endpoints | Age", endpoints),
    "Event": (
        "Last Seen | Type | Reason | Object | *Subobject | *Source | Message | *First Seen"
        " | *#Count | *Name",
        event,
    ),
    "Namespace": ("Name | Status | Age", namespace),
    "ConfigMap": ("Name | #Data | Age", config_map),
    "ServiceAccount": ("Name | #Secrets | Age", service_account),
    "Lease": ("Name | Holder | Age", lease),
}
"""Columns and rows of the kinds. `*`: `-o wide` only. `#`: a number."""


def columns(kind: Kind) -> list[Object]:
    """The columnDefinitions of a Table."""
    names, _ = _TABLES.get(kind.kind, _OTHERS)
    return [_column(name) for name in names.split(" | ")]


def cells(kind: Kind, value: Object, now: float) -> list[object]:
    """The cells of an object's row. now: seconds since 1970."""
    _, row = _TABLES.get(kind.kind, _OTHERS)
    return row(value, now)


def _column(name: str) -> Object:
    plain = name.strip("*#")
    return {
        "name": plain,
        "type": "integer" if "#" in name else "string",
        "format": "name" if plain == "Name" else "",
        "description": "",
        "priority": int("*" in name),
    }

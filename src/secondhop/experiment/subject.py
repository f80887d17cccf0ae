"""What is compared: a Service, what makes its pods, and what stands around."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..manifests import World
from ..model.cluster import Family, Policy, Service, ServicePort
from ..model.comparison import Event

Object: TypeAlias = dict[str, Any]

_KEPT = (
    "selector",
    "ipFamilies",
    "ipFamilyPolicy",
    "internalTrafficPolicy",
    "trafficDistribution",
    "publishNotReadyAddresses",
)
"""What decides where a fresh connection lands, and who may serve it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared. world: the input's, whose Lab says what stands around. objects: the
    workloads as the lab plays them. service, port, family: what is dialled; declared: the Service's
    own object. deployment: `namespace/name` of what to roll, if there is one. left_out: what cannot
    be tried, and why."""

    world: World
    service: Service
    port: ServicePort
    family: Family
    declared: Object
    objects: Sequence[Object]
    deployment: str
    policies: Sequence[Policy]
    left_out: Mapping[Event, str]
    notes: Sequence[str]


def twin(of: Subject, policy: Policy) -> Object:
    """The Service as a LoadBalancer under one policy, with addresses and ports of its own."""
    found = copy.deepcopy(of.declared)
    name = f"{of.service.name}-{policy.lower()}"
    kept = {k: v for k, v in found["spec"].items() if k in _KEPT}
    ports = [
        {k: v for k, v in port.items() if k != "nodePort"}
        for port in found["spec"]["ports"]
        if (port.get("name") or "", port["port"]) == (of.port.name, of.port.port)
    ]
    spec = {**kept, "ports": ports, "type": "LoadBalancer", "externalTrafficPolicy": policy}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": of.service.namespace},
        "spec": spec,
    }

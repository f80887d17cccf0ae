"""Service objects to the model, as the API server would store them (semantics §1.1, §1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..model.cluster import Service
from .api.default import default_service
from .api.field import Object
from .api.update import synced
from .api.values import TOPOLOGY_HINTS, TOPOLOGY_MODE
from .api.view import View
from .problems import Path
from .resource import Resource
from .service_model import to_model
from .service_rules import check


class Declared(NamedTuple):
    """A Service of the input.

    service_object: with its defaults and, after `allocated`, with what the API server chose;
    service: the same in the model. targets: `targetPort` of each port.
    """

    resource: Resource
    service_object: Object
    service: Service
    selector: Mapping[str, str]
    targets: tuple[int | str, ...]
    publish_not_ready: bool
    distribution: str

    @property
    def headless(self) -> bool:
        """clusterIP None: kube-proxy does not see it."""
        return View(self.service_object).headless


class Unsound(NamedTuple):
    """A Service that the API server would refuse, for these of its fields at least."""

    resource: Resource
    service_object: Object
    fields: frozenset[Path]


def read_service(resource: Resource) -> Declared | Unsound:
    """The Service of a resource; refusals are problems."""
    given: Object = resource.document.object
    metadata = {**given["metadata"], "namespace": resource.namespace}
    value = synced(default_service({**given, "metadata": metadata}))
    if fields := check(resource, value):
        return Unsound(resource, value, fields)
    spec: dict[str, Any] = value["spec"]
    return Declared(
        resource=resource,
        service_object=value,
        service=to_model(resource, value),
        selector={} if spec["type"] == "ExternalName" else spec.get("selector") or {},
        targets=tuple(port["targetPort"] for port in spec.get("ports") or []),
        publish_not_ready=bool(spec.get("publishNotReadyAddresses")),
        distribution=_distribution(View(value)),
    )


def _distribution(view: View) -> str:
    """How hints are to be given: a trafficDistribution, `Auto` (topology-mode wins), or nothing."""
    if {"Auto", "auto"} & {view.annotation(TOPOLOGY_MODE), view.annotation(TOPOLOGY_HINTS)}:
        return "Auto"
    return view.spec.get("trafficDistribution") or ""

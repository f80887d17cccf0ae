"""Endpoints: the older form of slices, which `kubectl get endpoints` and `describe` show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..client import Object, meta
from ..client.api import labels_of
from ..client.informer import Key
from .backends import VERSIONS, Backend, Backends
from .endpointslices import families_of, ports_of, target
from .loop import Context, Controller
from .owners import deleting

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


def endpoints_of(service: Object, backends: Iterable[Backend]) -> Object:
    """The Endpoints of a Service: of its first family, without those that are going unless they
    count as ready."""
    subsets: dict[tuple[int, ...], dict[str, Any]] = {}
    for one in sorted(backends, key=lambda one: one.member.endpoint.address):
        endpoint, numbers = one.member.endpoint, one.member.numbers
        if not any(numbers) or (endpoint.terminating and not endpoint.ready):
            continue
        kind = "addresses" if endpoint.ready else "notReadyAddresses"
        address = {"ip": str(endpoint.address), "nodeName": endpoint.node}
        address = {k: v for k, v in address.items() if v}
        subsets.setdefault(numbers, {}).setdefault(kind, []).append(
            {**address, "targetRef": target(one.pod)}
        )
    namespace, name = meta(service)
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**labels_of(service), MANAGED_BY: MANAGER},
        },
        "subsets": [
            {**subset, "ports": [_plain(port) for port in ports_of(service, numbers)]}
            for numbers, subset in sorted(subsets.items())
        ],
    }


def _plain(port: dict[str, Any]) -> dict[str, Any]:
    """A port as Endpoints state it: an empty name is none."""
    return {field: value for field, value in port.items() if value}


class EndpointsObjects(Controller):
    """Services, pods and nodes -> Endpoints."""

    name = "endpoint-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._backends = context.share(Backends)
        self._endpoints = context.cache("Endpoints")
        self._backends.listen(self.queue.add)

    async def reconcile(self, key: Key) -> float | None:
        """Bring the Endpoints of one Service to what stands behind it."""
        service, stored = self._backends.services.get(key), self._endpoints.get(key)
        if service is None or deleting(service):
            if stored is not None and labels_of(stored).get(MANAGED_BY) == MANAGER:
                await self._endpoints.delete(stored)
            return None
        if self._backends.selection(key) is None:
            return None
        families = {VERSIONS[family] for family in families_of(service)[:1]}
        wanted = endpoints_of(service, self._backends.of(key, families))
        if stored is None:
            await self._endpoints.create(wanted)
        elif _differs(stored, wanted):
            metadata = {**stored["metadata"], "labels": wanted["metadata"]["labels"]}
            await self._endpoints.update({**stored, **wanted, "metadata": metadata})
        return None


def _differs(stored: Object, wanted: Object) -> bool:
    return (
        labels_of(stored) != labels_of(wanted) or (stored.get("subsets") or []) != wanted["subsets"]
    )

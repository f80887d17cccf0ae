"""What kube-proxy reads of objects that an API server has stored: defaulted and checked already."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.cluster import Endpoint, Service, ServicePortName
from .api.field import Object
from .endpoints import sliced
from .resource import stored
from .service_model import to_model


def stored_service(value: Object) -> Service:
    """A Service as kube-proxy sees it."""
    return to_model(stored(value), value)


def stored_endpoints(slices: Iterable[Object]) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """What EndpointSlices say, for every service port that they name."""
    return sliced([stored(value) for value in slices])

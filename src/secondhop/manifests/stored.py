"""Objects that an API server has stored, to the model: defaulted and checked already."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.cluster import Endpoint, Service, ServicePortName
from .api.field import Object
from .endpoints import sliced
from .problems import Problems
from .read import Document, Source
from .resource import Resource
from .services import to_model

_SOURCE = Source("the API", "")


def stored_service(value: Object) -> Service:
    """A Service as kube-proxy sees it."""
    return to_model(_resource(value), value)


def stored_endpoints(slices: Iterable[Object]) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """What EndpointSlices say, for every service port that they name."""
    return sliced([_resource(value) for value in slices])


def _resource(value: Object) -> Resource:
    metadata = value["metadata"]
    return Resource(
        document=Document(value, _SOURCE),
        kind=value["kind"],
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        problems=Problems(),
    )

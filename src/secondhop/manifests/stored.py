"""Objects that an API server has stored, defaulted and checked already, as the model has them."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.cluster import Endpoint, Pod, Service, ServicePortName
from .api.field import Object
from .endpoints import sliced
from .resource import stored
from .service_model import to_model


def stored_service(value: Object) -> Service:
    """A Service as kube-proxy sees it."""
    return to_model(stored(value), value)


def stored_pods(values: Iterable[Object]) -> tuple[Pod, ...]:
    """The pods that have not ended."""
    from .pods import read_pods  # kube-proxy knows no pods

    return tuple(wanted.pod for wanted in read_pods([stored(value) for value in values]))


def stored_endpoints(slices: Iterable[Object]) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """What EndpointSlices say, for every service port that they name."""
    return sliced([stored(value) for value in slices])

"""What each service port led to last, so that only those that differ are written again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from ..model.cluster import Cluster, Endpoint, Family, Node, Service, ServicePortName
from .selected import Selected, select, service_ports

T = TypeVar("T")


class Memory(Generic[T]):
    """Of one node and family. A Service and a tuple of endpoints are taken to be the same if they
    are the same objects: who makes a new Cluster keeps those that did not change."""

    def __init__(self) -> None:
        self._asked: object = None
        self._known: dict[ServicePortName, tuple[Service, Sequence[Endpoint], T]] = {}

    def parts(
        self, cluster: Cluster, node: Node, family: Family, write: Callable[[Selected], T]
    ) -> Iterator[T]:
        """What `write` makes of every service port, in their order. write: depends on nothing but
        its argument, the node and the proxy's configuration."""
        asked = node, family, cluster.proxy
        known = self._known if self._asked == asked else {}
        self._asked, self._known = asked, {}
        for service, port, cluster_ip in service_ports(cluster, family):
            name = service.port_name(port)
            endpoints = cluster.endpoints.get(name, ())
            part = known.get(name)
            if part is None or part[0] is not service or part[1] is not endpoints:
                selected = select(cluster, node, family, service, port, cluster_ip)
                part = service, endpoints, write(selected)
            self._known[name] = part
            yield part[2]

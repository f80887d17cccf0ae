"""The cluster as kube-proxies know it: Services, EndpointSlices and Nodes, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from ..client import Api, Object
from ..client.informer import Informer, Key
from ..manifests.stored import stored_endpoints, stored_service
from ..model.cluster import Cluster, Endpoint, Service, ServicePortName

_SERVICE = "kubernetes.io/service-name"
_ZONE = "topology.kubernetes.io/zone"
_LEAVING = "ToBeDeletedByClusterAutoscaler"


class View:
    """What the API says of Services, kept up to date by `run`.

    base: the cluster's machines, network and proxy settings, which no API tells. version: counts
    what `cluster` has turned into.
    """

    def __init__(self, api: Api, base: Cluster) -> None:
        self._base = base
        self._services: dict[Key, Service] = {}
        self._endpoints: dict[Key, Mapping[ServicePortName, tuple[Endpoint, ...]]] = {}
        self._slices: dict[Key, dict[Key, Object]] = {}
        self._nodes: dict[str, tuple[str | None, bool]] = {}
        self.version = 0
        self._made: tuple[int, Cluster] | None = None
        self._news = asyncio.Event()
        self._informers = (
            Informer(api, "Service", self._service),
            Informer(api, "EndpointSlice", self._slice),
            Informer(api, "Node", self._node),
        )

    async def run(self) -> None:
        """Follow the API until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())

    async def filled(self) -> None:
        """Wait for everything that there is at first."""
        for informer in self._informers:
            await informer.synced.wait()

    async def after(self, version: int) -> None:
        """Wait until `cluster` is something newer than that version."""
        while self.version == version:
            await self._news.wait()

    @property
    def cluster(self) -> Cluster:
        """The cluster now; a node that the API does not know is as good as being deleted. Of one
        version it is one object."""
        if self._made is None or self._made[0] != self.version:
            self._made = self.version, self._make()
        return self._made[1]

    def _make(self) -> Cluster:
        known = ((n, *self._nodes.get(n.name, (n.zone, True))) for n in self._base.nodes)
        nodes = tuple(replace(n, zone=zone, deleting=deleting) for n, zone, deleting in known)
        endpoints = {
            name: found for part in self._endpoints.values() for name, found in part.items()
        }
        services = tuple(self._services[key] for key in sorted(self._services))
        return replace(self._base, nodes=nodes, services=services, endpoints=endpoints)

    def _turn(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    def _service(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is None:
            self._services.pop(key, None)
        else:
            self._services[key] = stored_service(after)
        self._turn()

    def _slice(self, key: Key, before: Object | None, after: Object | None) -> None:
        """All slices of a Service together: an endpoint may stand in two of them."""
        for value in filter(None, (before, after)):
            service = key[0], (value["metadata"].get("labels") or {}).get(_SERVICE, "")
            mine = self._slices.setdefault(service, {})
            if value is after:
                mine[key] = value
            else:
                mine.pop(key, None)
            self._endpoints[service] = stored_endpoints(mine.values())
        self._turn()

    def _node(self, key: Key, before: Object | None, after: Object | None) -> None:
        known = self._nodes.pop(key[1], None)
        if after is not None:
            zone = (after["metadata"].get("labels") or {}).get(_ZONE)
            self._nodes[key[1]] = zone, _deleting(after)
        if known != self._nodes.get(key[1]):
            self._turn()


def _deleting(node: Object) -> bool:
    """Whether load balancers are to leave it (semantics §6.2)."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return "deletionTimestamp" in node["metadata"] or any(t["key"] == _LEAVING for t in taints)

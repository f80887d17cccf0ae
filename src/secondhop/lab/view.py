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


class View:
    """What the API says of Services, kept up to date by `run`.

    base: the cluster's machines, network and proxy settings, which no API tells. changed: set
    whenever `cluster` has turned into something new.
    """

    def __init__(self, api: Api, base: Cluster) -> None:
        self._base = base
        self._services: dict[Key, Service] = {}
        self._endpoints: dict[Key, Mapping[ServicePortName, tuple[Endpoint, ...]]] = {}
        self._slices: dict[Key, dict[Key, Object]] = {}
        self._zones: dict[str, str | None] = {}
        self.changed = asyncio.Event()
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

    @property
    def cluster(self) -> Cluster:
        """The cluster now."""
        nodes = [replace(n, zone=self._zones.get(n.name, n.zone)) for n in self._base.nodes]
        endpoints = {
            name: found for part in self._endpoints.values() for name, found in part.items()
        }
        services = [self._services[key] for key in sorted(self._services)]
        return replace(
            self._base, nodes=tuple(nodes), services=tuple(services), endpoints=endpoints
        )

    def _service(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is None:
            self._services.pop(key, None)
        else:
            self._services[key] = stored_service(after)
        self.changed.set()

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
        self.changed.set()

    def _node(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is not None:
            labels = after["metadata"].get("labels") or {}
            zone = labels.get(_ZONE)
            if self._zones.get(key[1]) != zone or key[1] not in self._zones:
                self._zones[key[1]] = zone
                self.changed.set()

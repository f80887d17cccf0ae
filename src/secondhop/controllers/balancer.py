"""Addresses for LoadBalancer Services, from the pool of a Lab."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import ip_address
from itertools import chain

from ..client import Object, meta
from ..client.informer import Key
from ..manifests.api.syntax import parse_address
from ..model.cluster import Address, Network
from .backends import VERSIONS
from .endpointslices import families_of
from .loop import Context, Controller
from .owners import deleting

_FAILED = "SyncLoadBalancerFailed"


def is_ours(service: Object) -> bool:
    """Whether it wants a balancer, and of no class of its own."""
    spec = service["spec"]
    return (
        spec.get("type") == "LoadBalancer"
        and not spec.get("loadBalancerClass")
        and not deleting(service)
    )


def addresses_of(service: Object) -> list[Address]:
    """The addresses that its status states."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [ip_address(entry["ip"]) for entry in ingress if entry.get("ip")]


def chosen(service: Object, pool: Sequence[Network], taken: Collection[Address]) -> list[Address]:
    """One address of each family of a Service: the one that it has, or `loadBalancerIP`, if the
    pool has it and nobody else; else the first free one of the pool; none if there is none."""
    asked = parse_address(service["spec"].get("loadBalancerIP") or "")
    wishes = [*addresses_of(service), *([asked] if asked else [])]
    found = []
    for family in (VERSIONS[name] for name in families_of(service)):
        ranges = [network for network in pool if network.version == family]
        fitting = [ip for ip in wishes if any(ip in network for network in ranges)]
        hosts = (ip for network in ranges for ip in network.hosts())
        free = next((ip for ip in chain(fitting, hosts) if ip not in taken), None)
        found += [free] if free is not None else []
    return found


class LoadBalancers(Controller):
    """Services -> their status.loadBalancer."""

    name = "service-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._services = context.cache("Service")
        if context.settings.pool:
            self._services.listen(self._changed)

    async def reconcile(self, key: Key) -> float | None:
        """Give a Service its addresses, or take them back from one that is no LoadBalancer now."""
        service = self._services.get(key)
        if service is None:
            return None
        others = (one for one in self._services if one is not service and is_ours(one))
        taken = {ip for one in others for ip in addresses_of(one)}
        found = []
        if is_ours(service):
            found = chosen(service, self.context.settings.pool, taken)
            if len(found) < len(families_of(service)):
                told = "Error syncing load balancer: no address of the pool is free"
                self.context.events.tell(service, self.name, _FAILED, told, "Warning")
        if found != addresses_of(service):
            ingress = [{"ip": str(ip), "ipMode": "VIP"} for ip in found]
            status = {"loadBalancer": {"ingress": ingress} if ingress else {}}
            await self._services.update({**service, "status": status}, "status")
        return None

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is not None and not after["spec"].get("loadBalancerClass"):
            self.queue.add(key)
        if before is not None and set(addresses_of(before)) - set(addresses_of(after or {})):
            for one in self._services:  # an address is free again
                if is_ours(one) and not addresses_of(one):
                    self.queue.add(meta(one))

"""Addresses for LoadBalancer Services, from the pool of a Lab."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import ip_address

from ..client import Object
from ..client.informer import Key
from ..model.cluster import Address, Network
from .backends import VERSIONS
from .endpointslices import families_of
from .loop import Context, Controller
from .owners import deleting


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
    """One address of each family of a Service: the one that it has, what `loadBalancerIP` asks for
    if it is free, else the lowest free one of the pool; none where the pool has none."""
    asked = service["spec"].get("loadBalancerIP")
    wishes = [*addresses_of(service), *([ip_address(asked)] if asked else [])]
    found = []
    for family in (VERSIONS[name] for name in families_of(service)):
        ranges = [network for network in pool if network.version == family]
        fitting = (ip for ip in wishes if any(ip in network for network in ranges))
        free = next((ip for ip in (*fitting, *_hosts(ranges, taken)) if ip not in taken), None)
        found += [free] if free is not None else []
    return found


def _hosts(pool: Iterable[Network], taken: Collection[Address]) -> Iterator[Address]:
    """The first address of each range that is free."""
    for network in pool:
        yield from (next((ip for ip in network.hosts() if ip not in taken), network[0]),)


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
        found = chosen(service, self.context.settings.pool, taken) if is_ours(service) else []
        if found != addresses_of(service):
            ingress = [{"ip": str(ip), "ipMode": "VIP"} for ip in found]
            status = {"loadBalancer": {"ingress": ingress} if ingress else {}}
            await self._services.update({**service, "status": status}, "status")
        return None

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        spec = (after or {}).get("spec") or {}
        if spec.get("type") != "LoadBalancer" or not spec.get("loadBalancerClass"):
            self.queue.add(key)
        if after is None and before is not None and addresses_of(before):
            for one in self._services:  # an address is free again
                if is_ours(one) and not addresses_of(one):
                    self.queue.add((one["metadata"]["namespace"], one["metadata"]["name"]))

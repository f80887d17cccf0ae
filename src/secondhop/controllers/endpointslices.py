"""EndpointSlices of the Services that have a selector (semantics §1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..client import Object, meta
from ..client.api import labels_of
from ..client.informer import Key
from ..manifests.endpoints import HEADLESS, SERVICE_NAME
from .backends import VERSIONS, Backend, Backends
from .loop import Context, Controller
from .owners import deleting, reference

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
_MOST = 100  # endpoints in a slice


class Group(NamedTuple):
    """Endpoints of one family whose ports have the same numbers; slices hold nothing else."""

    family: str
    ports: list[dict[str, Any]]
    endpoints: list[dict[str, Any]]


class Writes(NamedTuple):
    """The slices to create, to change and to delete."""

    create: list[Object]
    update: list[Object]
    delete: list[Object]


def families_of(service: Object) -> list[str]:
    """The address types that a Service has slices of."""
    return service["spec"].get("ipFamilies") or ["IPv4"]


def ports_of(service: Object, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """A slice's ports: those of the Service, with the numbers that they mean in a pod."""
    ports = []
    for port, number in zip(service["spec"].get("ports") or (), numbers, strict=True):
        if number:
            entry = {"name": port.get("name") or "", "port": number, "protocol": port["protocol"]}
            application = port.get("appProtocol")
            ports.append({**entry, "appProtocol": application} if application else entry)
    return ports


def groups(service: Object, backends: Iterable[Backend]) -> list[Group]:
    """The backends of a Service as slices hold them; a family without any has one empty group."""
    found: dict[tuple[str, tuple[int, ...]], Group] = {}
    for one in backends:
        family = f"IPv{one.member.endpoint.address.version}"
        key = family, one.member.numbers
        if key not in found:
            found[key] = Group(family, ports_of(service, one.member.numbers), [])
        found[key].endpoints.append(_endpoint(service, one))
    served = {family for family, _ in found}
    lacking = (family for family in families_of(service) if family not in served)
    return [*found.values(), *(Group(family, [], []) for family in lacking)]


def _endpoint(service: Object, one: Backend) -> dict[str, Any]:
    """An endpoint as a slice states it."""
    endpoint, spec = one.member.endpoint, one.pod["spec"]
    hints = {
        "forNodes": [{"name": node} for node in sorted(endpoint.node_hints)],
        "forZones": [{"name": zone} for zone in sorted(endpoint.zone_hints)],
    }
    named = spec.get("subdomain") == meta(service)[1]
    entry = {
        "addresses": [str(endpoint.address)],
        "conditions": {
            "ready": endpoint.ready,
            "serving": endpoint.serving,
            "terminating": endpoint.terminating,
        },
        "hints": {kind: values for kind, values in hints.items() if values},
        "hostname": spec.get("hostname") if named else None,
        "nodeName": endpoint.node,
        "targetRef": target(one.pod),
        "zone": one.zone,
    }
    return {field: value for field, value in entry.items() if value}


def target(pod: Object) -> dict[str, str]:
    """The reference by which an endpoint names its pod."""
    namespace, name = meta(pod)
    return {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod["metadata"]["uid"]}


def writes(service: Object, wanted: Iterable[Group], existing: Sequence[Object]) -> Writes:
    """What turns the slices of a Service into the wanted ones: an endpoint stays where it is,
    slices are filled before new ones are made, and none stays empty without need."""
    result = Writes([], [], [])
    left = list(existing)
    for group in wanted:
        own = [one for one in left if _holds(one, group)]
        left = [one for one in left if not _holds(one, group)]
        parts = _parts(group.endpoints, [one.get("endpoints") or [] for one in own])
        for number, part in enumerate(parts):
            if number >= len(own):
                result.create.append(_slice(service, group, part))
            elif part or (not group.endpoints and number == 0):
                changed = _with(own[number], service, part)
                if changed != own[number]:
                    result.update.append(changed)
            else:
                result.delete.append(own[number])
    result.delete.extend(left)
    return result


def _holds(one: Object, group: Group) -> bool:
    return one["addressType"] == group.family and (one.get("ports") or []) == group.ports


def _parts(
    wanted: Sequence[dict[str, Any]], existing: Sequence[Sequence[dict[str, Any]]]
) -> list[list[dict[str, Any]]]:
    """The wanted endpoints, shared out over slices; the first parts are the existing ones'."""
    left = {_identity(one): one for one in wanted}
    parts = [
        [left.pop(_identity(one)) for one in part if _identity(one) in left] for part in existing
    ]
    rest = list(left.values())
    for part in parts:
        room = _MOST - len(part)
        part.extend(rest[:room])
        rest = rest[room:]
    parts += [rest[n : n + _MOST] for n in range(0, len(rest), _MOST)]
    return parts or [[]]


def _identity(endpoint: dict[str, Any]) -> tuple[str, str]:
    return endpoint["addresses"][0], (endpoint.get("targetRef") or {}).get("uid") or ""


def _slice(service: Object, group: Group, endpoints: list[dict[str, Any]]) -> Object:
    namespace, name = meta(service)
    one = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": namespace,
            "ownerReferences": [reference(service)],
        },
        "addressType": group.family,
        "endpoints": [],
        "ports": group.ports,
    }
    return _with(one, service, endpoints)


def _with(one: Object, service: Object, endpoints: list[dict[str, Any]]) -> Object:
    """A slice with these endpoints and the labels that its Service gives it."""
    labels = {k: v for k, v in labels_of(service).items() if k != HEADLESS}
    labels |= {SERVICE_NAME: meta(service)[1], MANAGED_BY: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    metadata = {**one["metadata"], "labels": labels}
    return {**one, "metadata": metadata, "endpoints": endpoints}


def by_service(one: Object) -> Iterator[Key]:
    """Index: the slices that the controller keeps, by their Service."""
    labels = labels_of(one)
    if labels.get(MANAGED_BY) == MANAGER and SERVICE_NAME in labels:
        yield meta(one)[0], labels[SERVICE_NAME]


class EndpointSlices(Controller):
    """Services, pods and nodes -> EndpointSlices."""

    name = "endpoint-slice-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._backends = context.share(Backends)
        self._slices = context.cache("EndpointSlice")
        self._of = self._slices.index(by_service)
        self._backends.listen(self.queue.add)
        self._slices.listen(self._slice_changed)

    async def reconcile(self, key: Key) -> float | None:
        """Bring the slices of one Service to what stands behind it."""
        service = self._backends.services.get(key)
        if service is None or deleting(service) or self._backends.selection(key) is None:
            return None
        families = {VERSIONS[family] for family in families_of(service)}
        wanted = groups(service, self._backends.of(key, families))
        todo = writes(service, wanted, [one for one in self._of(key) if not deleting(one)])
        for one in todo.create:
            await self._slices.create(one)
        for one in todo.update:
            await self._slices.update(one)
        for one in todo.delete:
            await self._slices.delete(one)
        return None

    def _slice_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """Somebody else may have changed a slice."""
        for one in (before, after):
            if one is not None:
                for service in by_service(one):
                    self.queue.add(service)

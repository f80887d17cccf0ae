"""Pods: given ones as they are, and those that a workload's controller would make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from ..model.cluster import Address, Container, ContainerPort, Pod, Probe
from ..model.labels import selects
from .labelled import Labelled
from .problems import Path, invalid
from .resource import Resource, protocol_of

WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_MOST = 10_000
_FINISHED = ("Succeeded", "Failed")


class Wanted(NamedTuple):
    """A pod and what decides where it goes.

    base: path of its spec in the resource. owner, number: the workload it is a replica of (the pod
    itself when it stands alone). settled: a status says where it is, or that it is nowhere.
    """

    pod: Pod
    resource: Resource
    base: Path
    owner: str
    number: int = 0
    settled: bool = False

    def spec(self, name: str) -> Any:
        """A field of its spec."""
        return self.resource.get(*self.base, name)


def read_pods(resources: Sequence[Resource]) -> Iterator[Wanted]:
    """Every pod of the input that runs or shall run, in the order of the objects; a DaemonSet's
    single pod here stands for one on every node."""
    given = [resource for resource in resources if resource.kind == "Pod"]
    owned = _Owned(given)
    names = {(r.kind, r.namespace, r.name) for r in resources}
    for resource in resources:
        if resource.kind == "Pod":
            if resource.get("status", "phase") not in _FINISHED:
                yield _given(resource)
        elif not (owned.any_of(resource) or _has_owner(resource, names)):
            yield from _derived(resource)


def _has_owner(resource: Resource, names: set[tuple[str, str, str]]) -> bool:
    """Whether another workload of the input makes the pods (a Deployment's ReplicaSet)."""
    return any(
        (owner.get("kind"), resource.namespace, owner.get("name")) in names
        for owner in resource.get("metadata", "ownerReferences") or []
    )


class _Owned:
    """Which workloads already have pods in the input."""

    def __init__(self, pods: Iterable[Resource]) -> None:
        self._pods = Labelled(pods)

    def any_of(self, workload: Resource) -> bool:
        selector = workload.get("spec", "selector") or {}
        if not (selector.get("matchLabels") or selector.get("matchExpressions")):
            return False
        near = self._pods.select(workload.namespace, selector.get("matchLabels") or {})
        return any(selects(selector, pod.labels) for pod in near)


def _given(resource: Resource) -> Wanted:
    """A Pod object. Without a status it is one that has yet to be placed, and will be ready; a
    running one whose address is not told gets one like any other."""
    status = resource.get("status") or {}
    phase = status.get("phase")
    told = bool(phase or status.get("conditions"))
    addresses = _addresses(resource)
    settled = bool(addresses) or phase in ("Pending", "Succeeded", "Failed")
    pod = Pod(
        namespace=resource.namespace,
        name=resource.name,
        node=resource.get("spec", "nodeName") or None,
        addresses=addresses,
        labels=resource.labels,
        containers=_containers(resource, ("spec",)),
        host_network=bool(resource.get("spec", "hostNetwork")),
        ready=_ready(status) if told else True,
        terminating=bool(resource.get("metadata", "deletionTimestamp")),
    )
    return Wanted(pod, resource, ("spec",), resource.name, settled=settled)


def _addresses(resource: Resource) -> tuple[Address, ...]:
    """The addresses of a running pod: one of each family."""
    many = resource.get("status", "podIPs") or []
    entries: list[tuple[Path, Any]] = [
        (("status", "podIPs", n, "ip"), entry.get("ip")) for n, entry in enumerate(many)
    ]
    entries = entries or [(("status", "podIP"), resource.get("status", "podIP"))]
    found: dict[int, Address] = {}
    for path, text in entries:
        if text and (address := resource.address(path, text)) is not None:
            found.setdefault(address.version, address)
    return tuple(found.values())


def _ready(status: Mapping[str, Any]) -> bool:
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or []}
    if "Ready" in conditions:
        return bool(conditions["Ready"] == "True")
    return status.get("phase") == "Running"


def _derived(workload: Resource) -> Iterator[Wanted]:
    """The pods that the controllers would make of a workload."""
    labels = dict(workload.get("spec", "template", "metadata", "labels") or {})
    base: Path = ("spec", "template", "spec")
    containers = _containers(workload, base)
    prefix = workload.name
    if workload.kind == "Deployment":
        revision = letters(repr(workload.get("spec", "template")), 10)
        prefix += f"-{revision}"
        labels["pod-template-hash"] = revision
    for n in range(_replicas(workload)):
        pod = Pod(
            namespace=workload.namespace,
            name=f"{prefix}-{_suffix(workload, prefix, n)}",
            node=workload.get(*base, "nodeName") or None,
            labels=labels,
            containers=containers,
            host_network=bool(workload.get(*base, "hostNetwork")),
        )
        yield Wanted(pod, workload, base, workload.name, n)


def _suffix(workload: Resource, prefix: str, number: int) -> str:
    """What tells the pods of a workload apart: a StatefulSet's are counted."""
    if workload.kind == "StatefulSet":
        return str(number)
    return letters(f"{workload.namespace}/{prefix}/{number}", 5)


def _replicas(workload: Resource) -> int:
    """How many pods it wants; 1 for a DaemonSet, whose pod is multiplied by its nodes."""
    wanted = workload.get("spec", "replicas")
    if wanted is None or workload.kind == "DaemonSet":
        return 1
    if wanted < 0:
        why = "must be greater than or equal to 0"
    elif wanted > _MOST:
        why = f"more than the {_MOST} that are derived here"
    else:
        return int(wanted)
    workload.refuse(("spec", "replicas"), invalid(wanted, why), "Correct the number.")
    return 0


def letters(text: str, length: int) -> str:
    """A name's random part, as Kubernetes spells them, but always the same for the same text."""
    number = crc32(text.encode()) << 32 | crc32(f"{text}.".encode())
    found = ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        found += _ALPHABET[digit]
    return found


def _containers(resource: Resource, base: Path) -> tuple[Container, ...]:
    """The containers of a pod spec; init containers that keep running (sidecars) first."""
    sidecars = [
        (n, c)
        for n, c in enumerate(resource.get(*base, "initContainers") or [])
        if c.get("restartPolicy") == "Always"
    ]
    return tuple(
        _container(resource, (*base, "initContainers", n), c) for n, c in sidecars
    ) + tuple(
        _container(resource, (*base, "containers", n), c)
        for n, c in enumerate(resource.get(*base, "containers") or [])
    )


def _container(resource: Resource, path: Path, container: Mapping[str, Any]) -> Container:
    ports = []
    for n, port in enumerate(container.get("ports") or []):
        resource.port((*path, "ports", n, "containerPort"), port["containerPort"])
        ports.append(
            ContainerPort(
                port["containerPort"], port.get("name") or "", protocol_of(port.get("protocol"))
            )
        )
    return Container(
        name=container["name"],
        image=container.get("image") or "",
        program=next(iter(container.get("command") or ()), ""),
        args=(*(container.get("command") or ())[1:], *(container.get("args") or ())),
        env=tuple(
            (entry["name"], entry.get("value") or "")
            for entry in container.get("env") or []
            if not entry.get("valueFrom")
        ),
        ports=tuple(ports),
        readiness=_probe(resource, path, container.get("readinessProbe"), ports),
    )


def _probe(
    resource: Resource,
    path: Path,
    probe: Mapping[str, Any] | None,
    ports: Sequence[ContainerPort],
) -> Probe | None:
    """A readiness probe that a network can answer; exec and gRPC ones are not modelled."""
    action = "httpGet" if (probe or {}).get("httpGet") else "tcpSocket"
    target = (probe or {}).get(action)
    if probe is None or not target:
        return None
    where = (*path, "readinessProbe", action, "port")
    port = target["port"]
    if isinstance(port, str):
        named = next((p.port for p in ports if p.name == port), 0)
        if not named:
            resource.refuse(
                where, f'no port of this container is named "{port}"', "Name one of `ports`."
            )
        port = named
    elif not resource.port(where, port):
        return None
    path_or_none = (target.get("path") or "/") if action == "httpGet" else None
    return Probe(port, path_or_none, float(probe.get("timeoutSeconds") or 1))

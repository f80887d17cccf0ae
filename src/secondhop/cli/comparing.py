"""What `compare` is about, made of its files and options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .laborder import objects
from .source import Input, choose

if TYPE_CHECKING:
    from ..experiment.subject import Subject
    from ..manifests import Document, World
    from ..model.cluster import Family, Policy, Service, ServicePort
    from ..model.comparison import Event
    from ..model.workload import Workload

_GRACE, _QUICK_GRACE, _QUICK_INTERVAL = 5, 2.5, 0.4
_USUAL_PODS = (2, 1)
_POLICIES: tuple[Policy, ...] = ("Cluster", "Local")
_MAKERS = ("Deployment", "ReplicaSet", "DaemonSet", "Pod")
_EXPLAIN = "`secondhop explain` and `secondhop run` tell what can be told of it."


def subject(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    *,
    policies: Sequence[Policy],
    balancer: str | None,
    pods: Sequence[int] | None,
    quick: bool,
) -> Subject:
    """The Service, its workloads and the Lab. Raises ManifestError, UsageError,
    EnvironmentUnable."""
    from ..experiment.fit import limits, refuse_unfit
    from ..experiment.subject import Subject

    given = Input(files, namespace)
    documents = given.documents()
    _in_lab(documents, balancer, quick=quick)
    if pods or not files:
        _place(documents, pods or _USUAL_PODS)
    world = given.world(documents)
    chosen = choose(world, service, namespace)
    found = [each for each in objects(documents, given.home) if each["kind"] != "EndpointSlice"]
    [declared] = [o for o in found if o["kind"] == "Service" and _named(o) == str(chosen)]
    family, port = _entrance(world, chosen, declared)
    refuse_unfit(world, chosen)
    workloads = _behind(world, chosen)
    rolled = [workload for workload in workloads if workload.kind == "Deployment"]
    played = [o for o in found if o["kind"] != "Service"]
    return Subject(
        world=world,
        service=chosen,
        port=port,
        family=family,
        declared=declared,
        objects=[*_namespaces(found), *_played(world, chosen, port, played)],
        deployment=f"{rolled[0].namespace}/{rolled[0].name}" if rolled else "",
        policies=policies,
        left_out=_left_out(workloads),
        notes=[*limits(world.cluster, chosen, everything=True), *_dropped(declared)],
    )


def counts(text: str | None) -> tuple[int, ...] | None:
    """Pods on each node, of `3/1/0`. Raises UsageError."""
    if text is None:
        return None
    parts = text.split("/")
    if not all(part.isdecimal() for part in parts) or not sum(map(int, parts)):
        raise UsageError(
            f"--pods {text} is not counts of pods", "Write one for each node, as 3/1/0."
        )
    return tuple(map(int, parts))


def chosen_policies(text: str) -> tuple[Policy, ...]:
    """One or both, of `Cluster,Local`. Raises UsageError."""
    wanted = [part.strip() for part in text.split(",")]
    found = tuple(policy for policy in _POLICIES if policy in wanted)
    if len(found) != len(wanted):
        raise UsageError(
            f"--policies {text} is no list of policies", "Write Cluster, Local or Cluster,Local."
        )
    return found


# --- the Lab ----------------------------------------------------------------------------------


def _in_lab(documents: list[Document], balancer: str | None, *, quick: bool) -> None:
    """Let the input's Lab have this balancer, and a short grace where it says nothing of it."""
    from ..manifests import reference_lab

    reference = reference_lab()
    labs = [d for d in documents if d.object.get("kind") == "Lab"]
    if not labs:
        reference.object.pop("placement")
        labs = [reference]
        documents += labs
    lab = labs[0].object
    if labs[0].source.name == reference.source.name:
        del lab["nodeGraceSeconds"]
    lab.setdefault("nodeGraceSeconds", _QUICK_GRACE if quick else _GRACE)
    outside = lab.get("balancer") or {}
    if quick and isinstance(outside, dict):
        outside = {"interval": _QUICK_INTERVAL, **outside}
    lab["balancer"] = {**outside, "kind": balancer} if balancer else outside


def _place(documents: Sequence[Document], pods: Sequence[int]) -> None:
    """Let the one Deployment have so many pods on each node; the reference Lab gets more nodes."""
    from ..manifests import reference_lab

    told = "/".join(map(str, pods))
    deployments = [d.object for d in documents if d.object.get("kind") == "Deployment"]
    if len(deployments) != 1:
        raise UsageError(
            f"--pods {told} needs one Deployment, and the input has {len(deployments)}",
            "Leave --pods out: the Lab file's `placement` says where pods go.",
        )
    document = next(d for d in documents if d.object.get("kind") == "Lab")
    lab, usual = document.object, reference_lab()
    machines = lab.get("nodes") or [d.object for d in documents if d.object.get("kind") == "Node"]
    names = [machine.get("name") or _name(machine) for machine in machines or usual.object["nodes"]]
    if document.source.name == usual.source.name and len(pods) > len(names):
        more = range(len(names) + 1, len(pods) + 1)
        lab["nodes"] = [
            *lab["nodes"],
            *({"name": f"node{n}", "address": f"172.17.{100 + n}.10"} for n in more),
        ]
        names += [f"node{n}" for n in more]
    if len(names) != len(pods):
        raise UsageError(
            f"--pods {told} is for {len(pods)} nodes, and there are {len(names)}:"
            f" {', '.join(names)}",
            "Give a number for each.",
        )
    wanted = [name for name, count in zip(names, pods, strict=True) for _ in range(count)]
    deployment = deployments[0]
    deployment["spec"] = {**deployment["spec"], "replicas": len(wanted)}
    lab["placement"] = {_name(deployment): wanted}


# --- the Service ------------------------------------------------------------------------------


def _entrance(
    world: World, service: Service, declared: Mapping[str, Any]
) -> tuple[Family, ServicePort]:
    """The family and the port that are dialled. Raises UsageError."""
    spec = declared["spec"]
    if service.type == "ExternalName" or not service.cluster_ips:
        what = "type ExternalName" if service.type == "ExternalName" else "headless"
        raise UsageError(
            f"Service {service} is {what}: nothing enters it from outside", "Name another: svc/NAME"
        )
    if not spec.get("selector"):
        raise UsageError(
            f"Service {service} has no selector: in a living lab nobody would keep its endpoints",
            _EXPLAIN,
        )
    ports = [port for port in service.ports if port.protocol == "TCP"]
    if not ports:
        others = ", ".join(f"{port.port}/{port.protocol}" for port in service.ports)
        raise UsageError(
            f"Service {service} has only {others}: what is compared are TCP connections", _EXPLAIN
        )
    clients = {interface.version for interface in world.cluster.client}
    families: list[Family] = [ip.version for ip in service.cluster_ips if ip.version in clients]
    if not families:
        told = " and ".join(f"IPv{ip.version}" for ip in service.cluster_ips)
        raise UsageError(
            f"Service {service} has {told}, and the client has no such address",
            "Give the client one in a Lab file (client.addresses).",
        )
    return families[0], ports[0]


def _behind(world: World, service: Service) -> list[Workload]:
    """What makes the Service's pods. Raises UsageError if the lab cannot make any."""
    names = {service.port_name(port) for port in service.ports}
    found = [w for w in world.cluster.workloads if w.backs & names and w.replicas != 0]
    if unknown := [str(w) for w in found if w.kind not in _MAKERS]:
        raise UsageError(
            f"{', '.join(unknown)} behind Service {service}: the lab makes pods of"
            f" {', '.join(_MAKERS)} only",
            _EXPLAIN,
        )
    if not found:
        raise UsageError(
            f"no {', '.join(_MAKERS)} of the input is behind Service {service}",
            "Add what makes its pods, with the labels of its selector and at least one replica.",
        )
    return found


def _left_out(workloads: Sequence[Workload]) -> dict[Event, str]:
    """What cannot be done to them, and why."""
    found: dict[Event, str] = {}
    if not any(workload.kind == "Deployment" for workload in workloads):
        found["rollout"] = "no Deployment is behind the Service"
    if any(workload.kind == "Pod" for workload in workloads):
        found["drain"] = "nobody would make evicted pods anew that no controller has made"
    return found


def _played(
    world: World, service: Service, port: ServicePort, found: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The objects as the lab can play them."""
    from ..experiment.standin import played

    pauses = {str(w): w.rollout.pre_stop or 0.0 for w in world.cluster.workloads}
    endpoints = world.cluster.endpoints.get(service.port_name(port), ())
    heard = endpoints[0].port if endpoints else port.port
    for value in found:
        kind = str(value["kind"])
        plain = dict(value)
        pause = pauses.get(f"{kind} {_named(value)}", 0.0)
        yield played(plain, heard, pause) if kind in _MAKERS else plain


def _namespaces(found: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those that the objects are in and the input does not have."""
    known = {_name(each) for each in found if each["kind"] == "Namespace"} | {"default"}
    used = [each["metadata"].get("namespace") for each in found]
    for name in dict.fromkeys(name for name in used if name and name not in known):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _dropped(declared: Mapping[str, Any]) -> Iterator[str]:
    """What of the Service is not measured."""
    spec = declared["spec"]
    if spec.get("sessionAffinity") == "ClientIP":
        yield "sessionAffinity ClientIP is left out: one client would meet one pod for ever"
    if spec.get("loadBalancerSourceRanges"):
        yield "loadBalancerSourceRanges are left out"


def _name(value: Mapping[str, Any]) -> str:
    return str(value["metadata"]["name"])


def _named(value: Mapping[str, Any]) -> str:
    return f"{value['metadata']['namespace']}/{_name(value)}"

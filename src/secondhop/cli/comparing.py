"""What `compare` is about, made of its files and options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .laborder import objects
from .source import Input, choose

if TYPE_CHECKING:
    from ..experiment.compare import Subject
    from ..manifests import Document
    from ..model.cluster import Policy

_GRACE = 5
_NODES = ("gz1", "xjp1")
_USUAL_PODS = (2, 1)
_POLICIES: tuple[Policy, ...] = ("Cluster", "Local")


def subject(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    *,
    policies: str,
    balancer: str | None,
    pods: str | None,
) -> Subject:
    """The Service, its workloads and the Lab. Raises ManifestError, UsageError."""
    from ..experiment.compare import Subject

    given = Input(files, namespace)
    documents = given.documents()
    _in_lab(documents, balancer, _counts(pods) if pods or not files else None)
    world = given.world(documents)
    chosen = choose(world, service, namespace)
    found = list(objects(documents, given.home))
    own = [o for o in found if o["kind"] == "Service" and _named(o) == str(chosen)]
    workloads = [o for o in found if o["kind"] != "Service"]
    rolled = [_named(o) for o in workloads if o["kind"] == "Deployment"]
    return Subject(
        world=world,
        service=chosen,
        declared=own[0],
        objects=workloads,
        deployment=rolled[0],
        policies=_policies(policies),
    )


def _in_lab(documents: list[Document], balancer: str | None, pods: Sequence[int] | None) -> None:
    """Let the input's Lab, or the reference Lab, have a short grace, this balancer and so many pods
    on each of its nodes."""
    from ..manifests import reference_lab

    labs = [d for d in documents if d.object.get("kind") == "Lab"]
    if not labs:
        labs = [reference_lab()]
        documents += labs
    lab = labs[0].object
    lab.setdefault("nodeGraceSeconds", _GRACE)
    if labs[0].source.name == reference_lab().source.name:
        lab["nodeGraceSeconds"] = _GRACE
    if balancer:
        lab["balancer"] = {**(lab.get("balancer") or {}), "kind": balancer}
    if pods is not None:
        _place(documents, lab, pods)


def _place(documents: Sequence[Document], lab: dict[str, Any], pods: Sequence[int]) -> None:
    deployments = [d.object for d in documents if d.object.get("kind") == "Deployment"]
    if len(deployments) != 1:
        raise UsageError(
            f"--pods needs one Deployment, and the input has {len(deployments)}",
            "Leave --pods out: the Lab file's `placement` says where pods go.",
        )
    nodes = list(lab.get("nodes") or [])
    for number in range(len(nodes), len(pods)):
        name = _NODES[number] if number < len(_NODES) else f"node{number + 1}"
        nodes.append({"name": name, "address": f"172.17.{number + 100}.10"})
    names = [node["name"] for node in nodes]
    if len(names) > len(pods):
        raise UsageError(
            f"--pods {'/'.join(map(str, pods))} is for {len(pods)} nodes, and the Lab has"
            f" {len(names)}: {', '.join(names)}",
            "Give a number for each.",
        )
    wanted = [name for name, count in zip(names, pods, strict=True) for _ in range(count)]
    deployment = deployments[0]
    deployment["spec"] = {**deployment["spec"], "replicas": len(wanted)}
    lab["nodes"] = nodes
    lab["placement"] = {deployment["metadata"]["name"]: wanted}


def _counts(pods: str | None) -> tuple[int, ...]:
    """Pods on each node. Raises UsageError."""
    if pods is None:
        return _USUAL_PODS
    parts = pods.split("/")
    if not all(part.isdecimal() for part in parts) or not sum(map(int, parts)):
        raise UsageError(f"--pods {pods} is not counts of pods", "Write for example --pods 3/1/0.")
    return tuple(map(int, parts))


def _policies(text: str) -> tuple[Policy, ...]:
    wanted = [part.strip() for part in text.split(",")]
    found = tuple(policy for policy in _POLICIES if policy in wanted)
    if len(found) != len(wanted):
        raise UsageError(
            f"--policies {text} is no list of policies", "Write Cluster, Local or Cluster,Local."
        )
    return found


def _named(value: Any) -> str:
    return f"{value['metadata']['namespace']}/{value['metadata']['name']}"

"""What was assumed about the input, in sentences for a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model.cluster import Cluster
from ..model.inference import Inference
from ..model.workload import Workload
from .endpoints import SERVICE_NAME, Selection
from .lab import Lab
from .labelled import Labelled
from .objects import Objects
from .pods import WORKLOADS, Wanted
from .problems import did_you_mean, printable
from .services import Declared

_FEW = 8


def assumed(
    objects: Objects,
    lab: Lab,
    declared: Sequence[Declared],
    wanted: Sequence[Wanted],
    workloads: Iterable[Workload],
) -> Iterator[str]:
    """Everything that the input does not say and that an answer may hang on."""
    unplaced = {str(workload) for workload in workloads if not workload.placed}
    yield from _nodes(objects, lab)
    owners = {str(one.resource): None for one in wanted if one.resource.kind != "Pod"}
    for owner in owners:
        told = f"{owner}: its pods are not in the input, so they are derived"
        yield told + ("; where they are placed is an example" if owner in unplaced else "")
    known = {node.name for node in lab.nodes}
    named = {one.pod.node for one in wanted if one.settled}
    for resource in objects.of("EndpointSlice"):
        named |= {entry.get("nodeName") for entry in resource.get("endpoints") or []}
    if lost := sorted(printable(name) for name in named - known if name):
        yield f"endpoints or pods are on nodes that are not in the input: {', '.join(lost)}"
    for one in declared:
        yield from _service(one)
    yield from _placement(lab, wanted)
    if policies := objects.of("NetworkPolicy"):
        yield f"{len(policies)} NetworkPolicy: not applied; `diff` compares their ingress ipBlocks"
    for resource in objects.of("EndpointSlice"):
        if SERVICE_NAME not in resource.labels:
            yield f"{resource}: ignored, it has no label {SERVICE_NAME}"


def nodes_known(objects: Objects, lab: Lab) -> bool:
    """Whether the nodes are the input's, not assumed."""
    return "nodes" in lab.stated or bool(objects.of("Node")) or _pods_tell(objects, lab)


def _pods_tell(objects: Objects, lab: Lab) -> bool:
    named = {resource.get("spec", "nodeName") for resource in objects.of("Pod")}
    return any(node.name in named for node in lab.nodes)


def _nodes(objects: Objects, lab: Lab) -> Iterator[str]:
    names = ", ".join(node.name for node in lab.nodes[:_FEW])
    if len(lab.nodes) > _FEW:
        names += f" and {len(lab.nodes) - _FEW} more"
    if "nodes" not in lab.stated:
        if objects.of("Node"):
            yield f"nodes {names}: from the Node objects, each subnet taken as a /24 (IPv6: /64)"
        elif _pods_tell(objects, lab):
            yield f"nodes {names}: from what the pods say of them"
        else:
            yield f"nodes {names}: no nodes in the input, the reference Lab's are assumed"
    if "client" not in lab.stated:
        yield f"client {lab.client[0].ip}: no Lab document says where the client is"


def _placement(lab: Lab, wanted: Sequence[Wanted]) -> Iterator[str]:
    """Wishes of the Lab document that concern nobody."""
    workloads = {one.owner for one in wanted}
    if "placement" in lab.stated:
        for name in lab.placement.keys() - workloads:
            yield (
                f"Lab placement.{printable(name)}: no such workload in the input. "
                f"{did_you_mean(name, workloads)}"
            )


def unselected(selections: Sequence[Selection], cluster: Cluster) -> Iterator[str]:
    """Services without endpoints because no pod has the labels of their selector."""
    pods = Labelled(cluster.pods)
    for selection in selections:
        service = selection.service
        if any(cluster.endpoints.get(service.port_name(port)) for port in service.ports):
            continue
        here = pods.within(service.namespace)
        if pods.select(service.namespace, selection.selector):
            continue
        wanted = ",".join(f"{key}={value}" for key, value in selection.selector.items())
        labels = pods.labels(service.namespace)
        known = sorted(f"{key}={value}" for key, value in labels) if len(labels) <= _FEW else ()
        among = f" (their labels: {', '.join(known)})" if known else ""
        nobody = f"none of {len(here)} pods{among} has" if here else "the input has no pod with"
        yield f"Service {service}: {nobody} the labels of its selector, {wanted}"


def in_doubt(selections: Sequence[Selection], objects: Objects) -> Iterator[Inference]:
    """That nobody serves Services in whose namespace the input has no pod or workload: a Service
    pasted without them looks the same as one that nobody serves."""
    told = {resource.namespace for resource in objects.of("Pod", *WORKLOADS)}
    alone = [s.service for s in selections if s.service.namespace not in told]
    if not alone:
        return
    more = f" and {len(alone) - _FEW} more" if len(alone) > _FEW else ""
    yield Inference(
        what=f"endpoints of {', '.join(map(str, alone[:_FEW]))}{more}",
        value="(none)",
        sureness="unknown",
        source="the input has no EndpointSlice of it and no pod of its namespace",
        doubt="the input has no pod of that namespace; give the workload too, or paste"
        " `kubectl get svc,endpointslices,pods,nodes -A -o yaml`",
    )


def _service(one: Declared) -> Iterator[str]:
    stated = one.resource.get("spec", "ports") or []
    for port, entry in zip(one.service.ports, stated, strict=True):
        if port.node_port and not entry.get("nodePort"):
            yield f"{one.resource}: nodePort {port.node_port} is assumed for port {port.port}"
    if one.distribution == "Auto":
        yield f"{one.resource}: topology-mode Auto needs the nodes' CPUs; no hints are derived"

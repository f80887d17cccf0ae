"""What `lab up` is asked for, made of its files and options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .source import Input

if TYPE_CHECKING:
    from ..lab.standing import Order
    from ..lab.state import State
    from ..manifests import Document

_APPLIED = (
    "Namespace",
    "ConfigMap",
    "Service",
    "EndpointSlice",
    "Deployment",
    "ReplicaSet",
    "DaemonSet",
    "Pod",
)
"""The kinds that are applied, in this order."""
_KNOWN = ("Lab", "Node")
"""The kinds that say what the lab is."""
_WHOAMI_PORT = 30080
_SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def order(
    state: State,
    given: Input,
    documents: list[Document],
    nodes: int | None = None,
    pods: int = 0,
    control_plane: Path | None = None,
) -> tuple[Order, Sequence[str]]:
    """The lab that the options ask for, and the kinds of the input that it does not have.
    documents: the input's, if there is any. Raises ManifestError, UsageError, EnvironmentUnable."""
    from ..lab.named import named_program
    from ..lab.standing import Order
    from ..manifests import reference_lab
    from ..manifests.read import Document, Source

    if nodes is not None:
        if any(d.object.get("kind") == "Lab" and "nodes" in d.object for d in documents):
            raise UsageError("both --nodes and a Lab with nodes are given", "Keep only one.")
        machines = {"apiVersion": "secondhop/v1", "kind": "Lab", "nodes": list(_machines(nodes))}
        given_labs = [d for d in documents if d.object.get("kind") == "Lab"]
        if given_labs:
            given_labs[0].object["nodes"] = machines["nodes"]
        else:
            documents.append(Document(machines, Source("--nodes", "")))
    world = given.world(documents or [reference_lab()])
    wanted = [*objects(documents, given.home), *(_whoami(pods) if pods else ())]
    kinds = dict.fromkeys(str(d.object.get("kind")) for d in documents)
    left_out = [kind for kind in kinds if kind not in (*_APPLIED, *_KNOWN)]
    kube_proxy = world.lab.external_proxy
    if kube_proxy is not None:
        from ..lab.stockproxy import version

        kube_proxy = named_program(kube_proxy, "proxy.external")
        version(kube_proxy)
    ordered = Order(
        state.name,
        world.cluster,
        world.lab,
        wanted,
        state.kubeconfig,
        kube_proxy,
        control_plane,
    )
    return ordered, left_out


def _machines(count: int) -> Iterator[dict[str, str]]:
    """Nodes in subnets of their own, in three zones."""
    for n in range(count):
        yield {
            "name": f"node{n + 1}",
            "address": f"172.17.{n}.10",
            "zone": f"zone-{'abc'[n % 3]}",
        }


def objects(documents: Sequence[Document], namespace: str) -> Iterator[dict[str, object]]:
    """What is to be created: without what a server wrote, and without what a controller makes."""
    found = [d.object for d in documents if d.object.get("kind") in _APPLIED]
    for value in sorted(found, key=lambda each: _APPLIED.index(each["kind"])):
        metadata = dict(value.get("metadata") or {})
        if metadata.get("ownerReferences"):
            continue
        if value["kind"] != "Namespace":
            metadata.setdefault("namespace", namespace)
        for name in _SERVERS_OWN:
            metadata.pop(name, None)
        yield {k: v for k, v in value.items() if k != "status"} | {"metadata": metadata}


def _whoami(pods: int) -> Iterator[dict[str, object]]:
    """A Deployment of whoami and a NodePort Service before it."""
    labels = {"app": "whoami"}
    container = {"name": "whoami", "image": "traefik/whoami", "ports": [{"containerPort": 80}]}
    metadata = {"name": "whoami", "namespace": "default"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": pods, "selector": {"matchLabels": labels}, "template": template},
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "NodePort",
            "selector": labels,
            "ports": [{"port": 80, "nodePort": _WHOAMI_PORT}],
        },
    }

"""What the common paste says of a cluster beside its Services: the same clues as a snapshot's, from
the objects that are in it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..manifests import Document
from ..model.inference import Inference
from ..model.version import KubeVersion
from .clues import Agent, Clues, Machine, agent, machine
from .described import described
from .network import find_network
from .proxy import Proxy, find_proxy
from .version import others

if TYPE_CHECKING:
    from .kubectl import Object


class Pasted(NamedTuple):
    """What was found. lab: the sections of a Lab document that say the same."""

    proxy: Proxy
    lab: dict[str, Any]
    inferences: tuple[Inference, ...]


def pasted(documents: Iterable[Document], version: KubeVersion) -> Pasted | None:
    """What a cluster's own objects say; None if there is no Node of a running cluster among them.
    version: whose rules will be gone by."""
    objects = [document.object for document in documents]
    machines = tuple(one for one in map(_machine, objects) if one and one.kubelet)
    if not machines:
        return None
    clues = Clues(machines, tuple(_agents(objects)))
    proxy, network = find_proxy(clues), find_network(clues)
    found = [proxy.inference, network.inference]
    if old := others(clues, version):
        doubt = f"nodes run {', '.join(old)}; --kube-version says whose rules to go by"
        found.append(Inference("Kubernetes version", str(version), "assumed", "the default", doubt))
    return Pasted(proxy, described(proxy, network), tuple(found))


def _machine(value: Object) -> Machine | None:
    """A Node; None for anything else, and for what has not the shape of one: whoever reads it as a
    manifest tells of that."""
    try:
        return machine(value) if value["kind"] == "Node" else None
    except (KeyError, TypeError, AttributeError):
        return None


def _agents(objects: Sequence[Object]) -> Iterator[Agent]:
    """The DaemonSets, or those that pods are of."""
    for value in objects:
        try:
            yield from _agent(value)
        except (KeyError, TypeError, AttributeError):
            continue


def _agent(value: Object) -> Iterator[Agent]:
    if value["kind"] == "DaemonSet":
        yield agent(value)
    elif value["kind"] == "Pod":
        for owner in value["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "DaemonSet":
                metadata: dict[str, Any] = value["metadata"] | {"name": owner["name"]}
                yield agent({"metadata": metadata, "spec": {"template": {"spec": value["spec"]}}})

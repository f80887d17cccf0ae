"""A cluster as it is now, read only: the objects that a paste of `kubectl get` has, and what can be
inferred of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from ..errors import ClusterError
from ..manifests import Document
from ..manifests.pruned import pruned
from ..manifests.read import Source
from ..model.inference import Inference
from ..model.version import KubeVersion
from .clues import FLANNEL_BACKEND, Clues, Machine, agent, machine
from .described import described
from .kubectl import Context, Kubectl, Object, Right
from .network import FLANNEL_CONFIGS, FLANNELS, PodNetwork, find_network
from .proxy import CILIUM_CONFIG, CILIUMS, CONFIGS, Proxy, find_proxy
from .version import find_version

_DISCOVERY, _NETWORKING = "discovery.k8s.io", "networking.k8s.io"


class Snapshot(NamedTuple):
    """What was read. documents: the objects. machines: what nodes say besides. version: None for
    one whose rules are not known, or that nobody tells. unread: what may not be read."""

    context: Context
    documents: tuple[Document, ...]
    machines: tuple[Machine, ...]
    proxy: Proxy
    network: PodNetwork
    version: KubeVersion | None
    of_version: Inference
    unread: tuple[str, ...]

    @property
    def inferences(self) -> tuple[Inference, ...]:
        """What the objects do not say."""
        return (self.proxy.inference, self.network.inference, self.of_version)

    @property
    def lab(self) -> Object:
        """The sections of a Lab document that say the same; none for what was only assumed."""
        return described(self.proxy, self.network)


def take(kubectl: Kubectl, context: Context, namespace: str | None) -> Snapshot:
    """Read the cluster. namespace: of Services, EndpointSlices, Pods and NetworkPolicies; None for
    all. ClusterError with every missing right, if any of what is needed cannot be read."""
    where = namespace or ""
    needed = [
        Right("list", "services", namespace=where),
        Right("list", "endpointslices", _DISCOVERY, where),
        Right("list", "pods", namespace=where),
    ]
    told = kubectl.together(
        *(partial(kubectl.listed, right, pruned) for right in needed),
        partial(kubectl.listed, Right("list", "nodes"), lambda node: (pruned(node), machine(node))),
        partial(kubectl.listed, Right("list", "networkpolicies", _NETWORKING, where), pruned),
        partial(kubectl.listed, Right("list", "daemonsets", "apps"), agent),
    )
    *objects, nodes, policies, agents = told
    _refuse((*objects, nodes))
    unread: list[str] = []
    without: list[str] = []
    items = [*chain(*objects), *(node for node, _ in nodes), *(_had(policies, without) or ())]
    machines = tuple(machine for _, machine in nodes)
    clues = Clues(machines, tuple(_had(agents, unread) or ()), unread=tuple(unread))
    clues = _configured(kubectl, clues)
    source = Source(f"context {context.name}", "")
    version, of_version = find_version(clues)
    return Snapshot(
        context=context,
        documents=tuple(Document(item, source, start=0) for item in items),
        machines=clues.machines,
        proxy=find_proxy(clues),
        network=find_network(clues),
        version=version,
        of_version=of_version,
        unread=(*clues.unread, *without),
    )


def _configured(kubectl: Kubectl, clues: Clues) -> Clues:
    """With the ConfigMaps that may say more, and the server's version."""
    names = [*_telling(clues)]
    rights = []
    for name in names:
        namespace, _, own = name.partition("/")
        rights.append(Right("get", "configmaps", namespace=namespace, name=own))
    version, *told = kubectl.together(
        kubectl.version, *(partial(kubectl.get, right) for right in rights)
    )
    unread = [*clues.unread]
    found = {name: _had(one, unread) for name, one in zip(names, told, strict=True)}
    return Clues(
        clues.machines,
        clues.agents,
        {name: one.get("data") or {} for name, one in found.items() if one},
        (_had(version, unread) or {}).get("gitVersion") or "",
        tuple(unread),
    )


def _telling(clues: Clues) -> Iterator[str]:
    """ConfigMaps that can say what is not clear yet."""
    if all(machine.arguments is None for machine in clues.machines):
        yield from CONFIGS
    if clues.agent(*FLANNELS) and not clues.noted(FLANNEL_BACKEND):
        yield from FLANNEL_CONFIGS
    if clues.agent(*CILIUMS):
        yield CILIUM_CONFIG


def _had(told: Any, unread: list[str]) -> Any:
    """What was read; None, and a word about it, where one has to go on without. An API that has no
    such kind has no such objects."""
    if not isinstance(told, ClusterError):
        return told
    if told.reason == "Forbidden":
        unread.append(told.message)
    elif told.reason != "NotFound":
        raise told
    return None


def _refuse(told: Iterable[object]) -> None:
    """Raise what stands in the way; missing rights all at once."""
    errors = [one for one in told if isinstance(one, ClusterError)]
    missing = [error for error in errors if error.reason == "Forbidden"]
    for error in errors:
        if error.reason != "Forbidden":
            raise error
    if missing:
        raise ClusterError(
            "\n".join(error.message for error in missing), missing[0].remedy, missing[0].reason
        )

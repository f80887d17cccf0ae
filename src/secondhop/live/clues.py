"""What a cluster says of its proxies and its pod network, in places that are not about traffic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .kubectl import Object

FLANNEL_BACKEND = "flannel.alpha.coreos.com/backend-type"
CALICO_IPIP = "projectcalico.org/IPv4IPIPTunnelAddr"
CALICO_VXLAN = "projectcalico.org/IPv4VXLANTunnelAddr"
NODE_ARGS = ("k3s.io/node-args", "rke2.io/node-args")
_NOTED = (FLANNEL_BACKEND, CALICO_IPIP, CALICO_VXLAN, *NODE_ARGS)
_ASKED_ENV = ("CALICO_IPV4POOL_IPIP", "CALICO_IPV4POOL_VXLAN", "FELIX_BPFENABLED")


class Agent(NamedTuple):
    """A DaemonSet: its arguments, and those of its variables that are known to say something."""

    namespace: str
    name: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]

    def __str__(self) -> str:
        return f"DaemonSet {self.namespace}/{self.name}"


class Machine(NamedTuple):
    """A node: annotations that say something, its kubelet's version, both kinds of address."""

    name: str
    notes: Mapping[str, str]
    kubelet: str
    external: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()

    @property
    def arguments(self) -> dict[str, list[str]] | None:
        """What k3s or RKE2 was started with there, by option; None where neither runs."""
        for key in NODE_ARGS:
            if key in self.notes:
                return _options(self.notes[key])
        return None


@dataclass(frozen=True, slots=True)
class Clues:
    """All of it. unread: what could not be asked for, in words, by what it would have told of."""

    machines: tuple[Machine, ...] = ()
    agents: tuple[Agent, ...] = ()
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Data of ConfigMaps, by `namespace/name`."""
    server: str = ""
    unread: tuple[str, ...] = ()

    def agent(self, *names: str) -> Agent | None:
        """The first DaemonSet of one of these names."""
        return next((agent for agent in self.agents if agent.name in names), None)

    def noted(self, key: str) -> dict[str, str]:
        """The nodes that have an annotation, with its value."""
        return {m.name: m.notes[key] for m in self.machines if key in m.notes}


def machine(node: Object) -> Machine:
    """What a Node object says."""
    notes = node["metadata"].get("annotations") or {}
    status = node.get("status") or {}
    of: dict[str, list[str]] = {"ExternalIP": [], "InternalIP": []}
    for one in status.get("addresses") or ():
        of.setdefault(one.get("type"), []).append(one["address"])
    return Machine(
        node["metadata"]["name"],
        {key: notes[key] for key in _NOTED if notes.get(key)},
        (status.get("nodeInfo") or {}).get("kubeletVersion") or "",
        tuple(of["ExternalIP"]),
        tuple(of["InternalIP"]),
    )


def agent(daemonset: Object) -> Agent:
    """What a DaemonSet object says."""
    containers = daemonset["spec"]["template"]["spec"]["containers"]
    return Agent(
        daemonset["metadata"].get("namespace") or "",
        daemonset["metadata"]["name"],
        tuple(
            word for one in containers for part in ("command", "args") for word in one.get(part, ())
        ),
        dict(_variables(containers)),
    )


def _variables(containers: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for container in containers:
        for variable in container.get("env") or ():
            if variable["name"] in _ASKED_ENV and isinstance(variable.get("value"), str):
                yield variable["name"], variable["value"]


def _options(text: str) -> dict[str, list[str]]:
    """`["server","--kube-proxy-arg","proxy-mode=ipvs"]` by option: {"kube-proxy-arg": [...]}."""
    try:
        words = [str(word) for word in json.loads(text)]
    except ValueError:
        return {}
    return options(words)


def options(words: Iterable[str]) -> dict[str, list[str]]:
    """Command-line words by option, without dashes, each with its values in their order; a flag
    without a value has an empty one."""
    found: dict[str, list[str]] = {}
    open_option = ""
    for word in words:
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            found.setdefault(name, []).append(value)
            open_option = "" if equals else name
        elif open_option:
            found[open_option][-1] = word
            open_option = ""
    return found

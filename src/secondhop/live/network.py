"""Which pod network a cluster has, as far as it can be recognised."""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from ..model.cluster import CniBackend
from ..model.inference import Inference, Sureness
from .clues import CALICO_IPIP, CALICO_VXLAN, FLANNEL_BACKEND, Agent, Clues

FLANNEL_CONFIGS = ("kube-flannel/kube-flannel-cfg", "kube-system/kube-flannel-cfg")
FLANNELS = ("kube-flannel-ds", "kube-flannel", "canal", "rke2-canal")
_MODELLED: dict[str, CniBackend] = {"vxlan": "vxlan", "host-gw": "host-gw"}
_SOURCES = (
    "who serves and who drops does not hang on it; which source address a pod sees where a node"
    " masquerades is computed as {computed}'s, and may differ"
)


class PodNetwork(NamedTuple):
    """What was found. backend: whose rules stand for it. source_known: whether the addresses that
    masquerading writes are those of that backend."""

    name: str
    backend: CniBackend
    sureness: Sureness
    source: str
    source_known: bool = True

    @property
    def inference(self) -> Inference:
        """For a report."""
        doubt = ""
        if not self.source_known:
            computed = "flannel vxlan" if self.backend == "vxlan" else "host-gw"
            doubt = _SOURCES.format(computed=computed)
        return Inference("pod network", self.name, self.sureness, self.source, doubt)


def find_network(clues: Clues) -> PodNetwork:
    """By what nodes are annotated with, else by the DaemonSet that everybody runs for it."""
    return _flannel(clues) or _others(clues) or _k3s(clues) or _none(clues)


def _flannel(clues: Clues) -> PodNetwork | None:
    if told := clues.noted(FLANNEL_BACKEND):
        backend = Counter(told.values()).most_common(1)[0][0]
        source = f"annotation {FLANNEL_BACKEND} of {len(told)} of {len(clues.machines)} nodes"
        same = len(set(told.values())) == 1
        return _of_flannel(backend, "read", source, same=same)
    if (agent := clues.agent(*FLANNELS)) is None:
        return None
    for name in FLANNEL_CONFIGS:
        text = clues.configs.get(name, {}).get("net-conf.json", "")
        try:
            backend = json.loads(text)["Backend"]["Type"]
        except (ValueError, KeyError, TypeError):
            continue
        return _of_flannel(str(backend), "read", f"ConfigMap {name}")
    return PodNetwork("flannel vxlan", "vxlan", "assumed", f"{agent} is there, its backend unread")


def _of_flannel(backend: str, sureness: Sureness, source: str, *, same: bool = True) -> PodNetwork:
    known = backend in _MODELLED and same
    name = f"flannel {backend}"
    return PodNetwork(name, _MODELLED.get(backend, "vxlan"), sureness, source, known)


def _others(clues: Clues) -> PodNetwork | None:
    if agent := clues.agent("kindnet"):
        return PodNetwork("kindnet", "host-gw", "recognised", f"by {agent}")
    if agent := clues.agent("calico-node"):
        return _calico(clues, agent)
    for name, names in _UNMODELLED.items():
        if agent := clues.agent(*names):
            return PodNetwork(name, "host-gw", "recognised", f"by {agent}", source_known=False)
    return None


_UNMODELLED = {
    "Cilium": ("cilium", "cilium-agent"),
    "AWS VPC": ("aws-node",),
    "Azure": ("azure-cns",),
    "Antrea": ("antrea-agent",),
    "Weave": ("weave-net",),
    "OVN-Kubernetes": ("ovnkube-node", "ovnkube-node-dpu"),
    "kube-router": ("kube-router",),
}


def _calico(clues: Clues, agent: Agent) -> PodNetwork:
    """Its tunnels are noted on the nodes; without one it routes, by BGP or by the network below."""
    for name, key in (("Calico ipip", CALICO_IPIP), ("Calico vxlan", CALICO_VXLAN)):
        if told := clues.noted(key):
            source = f"by {agent} and annotation {key} of {len(told)} nodes"
            return PodNetwork(name, "vxlan", "recognised", source, source_known=False)
    for name, key in (
        ("Calico ipip", "CALICO_IPV4POOL_IPIP"),
        ("Calico vxlan", "CALICO_IPV4POOL_VXLAN"),
    ):
        if agent.env.get(key, "Never") not in ("Never", "Off"):
            source = f"by {key} of {agent}"
            return PodNetwork(name, "vxlan", "recognised", source, source_known=False)
    source = f"by {agent}, no node has a tunnel"
    return PodNetwork("Calico bgp", "host-gw", "recognised", source, source_known=False)


def _k3s(clues: Clues) -> PodNetwork | None:
    """k3s carries flannel inside; its nodes are annotated by it as soon as they are ready."""
    for machine in clues.machines:
        if (arguments := machine.arguments) is not None and "flannel-backend" in arguments:
            backend = arguments["flannel-backend"][-1]
            if backend != "none":
                return _of_flannel(backend, "read", f"--flannel-backend of node {machine.name}")
    return None


def _none(clues: Clues) -> PodNetwork:
    if clues.unread:
        source = "; ".join(clues.unread)
        return PodNetwork("flannel vxlan", "vxlan", "assumed", source, source_known=False)
    if any(agent.namespace == "kube-system" for agent in clues.agents):
        source = "no DaemonSet or annotation of a pod network known here"
        return PodNetwork("unknown", "vxlan", "unknown", source, source_known=False)
    return PodNetwork("flannel vxlan", "vxlan", "assumed", "nothing in the cluster says which")

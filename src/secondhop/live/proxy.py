"""Which kube-proxy a cluster runs and how it is set, or what runs in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..manifests import read_text
from ..model.inference import Inference, Sureness
from .clues import Agent, Clues, options

CONFIGS = ("kube-system/kube-proxy", "kube-system/kube-proxy-config")
"""Of kubeadm and its like; of EKS."""
CILIUM_CONFIG = "kube-system/cilium-config"
CILIUMS = ("cilium", "cilium-agent")
_USUAL = "iptables"
_MODELLED = ("iptables", "nftables")
_REPLACING = {"true", "strict", "partial", "probe"}
_OVN = ("ovnkube-node", "ovnkube-node-dpu")
_UNKNOWN = "its rules are not known here: what is told by kube-proxy's may differ from what it does"
_DISAGREE = "the answers are by the mode of most nodes, and others may behave differently"


class Proxy(NamedTuple):
    """What was found. mode: a name as --proxy-mode takes it. pod_ranges: its clusterCIDR."""

    mode: str = _USUAL
    sureness: Sureness = "assumed"
    source: str = "nothing in the cluster says which"
    doubt: str = ""
    node_port_addresses: tuple[str, ...] = ()
    pod_ranges: tuple[str, ...] = ()

    @property
    def modelled(self) -> bool:
        """Whether it goes by rules that are known here."""
        return self.mode in _MODELLED

    @property
    def inference(self) -> Inference:
        """For a report."""
        doubt = self.doubt or ("" if self.modelled else _UNKNOWN)
        return Inference("proxy mode", self.mode, self.sureness, self.source, doubt)


def find_proxy(clues: Clues) -> Proxy:
    """A replacement if one is there, else kube-proxy by its own configuration, or what is usual."""
    return (
        _replacement(clues)
        or _of_k3s(clues)
        or _of_config(clues)
        or _of_agent(clues)
        or _none(clues)
    )


def _replacement(clues: Clues) -> Proxy | None:
    """A program that serves Services in the place of kube-proxy."""
    if agent := clues.agent(*CILIUMS):
        return _cilium(clues, agent)
    if (agent := clues.agent("calico-node")) and agent.env.get("FELIX_BPFENABLED") == "true":
        return Proxy("calico-ebpf", "read", f"FELIX_BPFENABLED of {agent}")
    if agent := clues.agent(*_OVN):
        return Proxy("ovn-kubernetes", "recognised", f"by {agent}")
    if agent := clues.agent("kube-router"):
        asked = options(agent.arguments).get("run-service-proxy", ["true"])[-1]
        if asked.lower() != "false":
            return Proxy("kube-router", "recognised", f"by {agent}, which is not told otherwise")
    return None


def _cilium(clues: Clues, agent: Agent) -> Proxy | None:
    config = clues.configs.get(CILIUM_CONFIG)
    kube_proxy = clues.agent("kube-proxy")
    if config is None:
        if kube_proxy:
            return None
        why = f"by {agent} and no DaemonSet kube-proxy; ConfigMap {CILIUM_CONFIG} was not found"
        return Proxy("cilium", "recognised", why)
    asked = config.get("kube-proxy-replacement", "false").lower()
    if asked in _REPLACING:
        return Proxy("cilium", "read", f"kube-proxy-replacement: {asked} in {CILIUM_CONFIG}")
    return None


def _of_k3s(clues: Clues) -> Proxy | None:
    """k3s and RKE2 run kube-proxy inside, told by arguments that the nodes are annotated with."""
    told = {m.name: arguments for m in clues.machines if (arguments := m.arguments) is not None}
    if not told:
        return None
    if all("disable-kube-proxy" in each for each in told.values()):
        return Proxy("none", "read", "--disable-kube-proxy in the nodes' node-args")
    settings = {name: _of_arguments(each) for name, each in told.items()}
    modes = Counter(each.get("proxy-mode", [_USUAL])[-1] for each in settings.values())
    mode, count = modes.most_common(1)[0]
    stated = any("proxy-mode" in each for each in settings.values())
    where = "annotation k3s.io/node-args" if stated else "the default of k3s, annotation node-args"
    doubt = ""
    if len(modes) > 1:
        told_modes = ", ".join(f"{name} on {n}" for name, n in modes.items())
        doubt = f"the nodes' proxy modes differ ({told_modes}): {_DISAGREE}"
    first = next(iter(settings.values()))
    ranges = [each["cluster-cidr"][-1] for each in told.values() if "cluster-cidr" in each]
    return Proxy(
        mode,
        "read" if stated else "recognised",
        f"{where} of {count} of {len(clues.machines)} nodes",
        doubt,
        _split(first.get("nodeport-addresses", [""])[-1]),
        _split(ranges[0] if ranges else ""),
    )


def _of_arguments(arguments: dict[str, list[str]]) -> dict[str, list[str]]:
    """kube-proxy's own options among a node's arguments."""
    return options(f"--{word}" for word in arguments.get("kube-proxy-arg", []))


def _of_config(clues: Clues) -> Proxy | None:
    """kube-proxy's ConfigMap: a KubeProxyConfiguration in YAML."""
    for name in CONFIGS:
        for text in clues.configs.get(name, {}).values():
            for document in _documents(text, name):
                if document.get("kind") == "KubeProxyConfiguration":
                    return _configured(document, f"ConfigMap {name}")
    return None


def _documents(text: str, name: str) -> Sequence[dict[str, Any]]:
    from ..errors import ManifestError

    try:
        return [document.object for document in read_text(text, name)]
    except ManifestError:
        return []


def _configured(config: dict[str, Any], source: str) -> Proxy:
    mode = config.get("mode") or _USUAL
    doubts = []
    if (config.get("iptables") or {}).get("masqueradeAll") or (
        (config.get("nftables") or {}).get("masqueradeAll")
    ):
        doubts.append(
            "masqueradeAll is on: traffic to clusterIPs is masqueraded where it is said not"
        )
    detect = config.get("detectLocalMode") or "ClusterCIDR"
    if detect != "ClusterCIDR" or not config.get("clusterCIDR"):
        doubts.append(
            f"senders count as pods by {detect}"
            + ("" if config.get("clusterCIDR") else " without a clusterCIDR")
            + ", here by the pods' range: flows from pods to external addresses may differ"
        )
    return Proxy(
        mode,
        "read",
        source if config.get("mode") else f"{source} leaves the mode to the default",
        "; ".join(doubts),
        tuple(config.get("nodePortAddresses") or ()),
        _split(config.get("clusterCIDR") or ""),
    )


def _of_agent(clues: Clues) -> Proxy | None:
    """kube-proxy's DaemonSet, where its arguments say the mode."""
    if (agent := clues.agent("kube-proxy")) is None:
        return None
    told = options(agent.arguments)
    ranges = _split(told.get("cluster-cidr", [""])[-1])
    if mode := told.get("proxy-mode", [""])[-1]:
        return Proxy(mode, "read", f"--proxy-mode of {agent}", "", (), ranges)
    return Proxy(_USUAL, "assumed", f"{agent} does not say which", "", (), ranges)


def _none(clues: Clues) -> Proxy:
    if not clues.unread:
        return Proxy()
    return Proxy(source="; ".join(clues.unread))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())

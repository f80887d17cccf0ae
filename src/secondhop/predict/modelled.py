"""Which proxies the rules here are the rules of; for any other the answer would be a guess."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UsageError
from ..model.cluster import ProxyMode
from ..model.version import SINCE, KubeVersion

UNMODELLED: Mapping[str, str] = {
    "ipvs": "every node owns every Service address (kube-ipvs0) and a scheduler, not chance, picks"
    " the pod: entries, shares and drops can differ",
    "userspace": "kube-proxy itself accepts and dials: sources and shares differ",
    "kernelspace": "Windows nodes translate in the HNS: sources, hops and drops can differ",
    "cilium": "eBPF serves Services at the socket and on the NIC: source addresses (SNAT or DSR),"
    " shares (random or Maglev) and who is dropped under Local can differ",
    "calico-ebpf": "eBPF serves Services without kube-proxy: source addresses (kept, or DSR) and"
    " hops can differ",
    "antrea": "AntreaProxy serves Services in Open vSwitch: source addresses and hops can differ",
    "ovn-kubernetes": "OVN load balancers serve Services: source addresses and hops can differ",
    "kube-router": "it serves Services by ipvs of its own: sources, shares and drops can differ",
}
"""Proxies that people run, and where their answers can differ from the rules kept here."""

_REMEDY = "Try it on the cluster; with --proxy-mode iptables the answer is kube-proxy's, not yours."


def modelled(name: str, version: KubeVersion) -> ProxyMode:
    """The proxy mode of that name. UsageError, with the reason, where no verdict can be given."""
    if name == "iptables":
        return "iptables"
    if name == "nftables":
        if not version.has("nftables mode"):
            since = SINCE["nftables mode"]
            raise UsageError(
                f"kube-proxy of Kubernetes {version} has no nftables mode by default: it is an"
                f" alpha in 1.29 and 1.30, and on from {since}",
                f"Name --kube-version {since} or newer, or --proxy-mode iptables.",
            )
        return "nftables"
    if name in UNMODELLED:
        raise UsageError(f"no verdict for {name}: {UNMODELLED[name]}", _REMEDY)
    raise UsageError(
        f"{name!r} is not a proxy mode known here",
        f"Write iptables or nftables. Not modelled: {', '.join(UNMODELLED)}.",
    )

"""What a kubelet tells the API of its node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from .. import __version__
from ..client import Object
from ..model.cluster import Address, Node
from ..model.version import NEWEST

_MOST_PODS = 110
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
_CONDITIONS = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


def internal_ips(node: Node) -> tuple[Address, ...]:
    """The node's InternalIP of each family, in the order in which it has them."""
    first = {i.version: i.ip for i in reversed(node.addresses)}
    return tuple(i.ip for i in node.addresses if i.ip == first[i.version])


def node_object(node: Node, labels: Mapping[str, str]) -> Object:
    """The Node as its kubelet creates it. labels: besides the usual ones."""
    own = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": _ARCHITECTURE,
        **({"topology.kubernetes.io/zone": node.zone} if node.zone else {}),
    }
    cidrs = [str(cidr) for cidr in node.pod_cidrs]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {**own, **labels}},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs} if cidrs else {},
    }


def is_well(node: Object) -> bool:
    """Whether the API knows that a Node is Ready."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def node_status(node: Node) -> Object:
    """The status of a Node that is well."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    resources = {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024}Ki",
        "pods": str(_MOST_PODS),
    }
    return {
        "addresses": [{"type": "InternalIP", "address": str(i.ip)} for i in node.addresses]
        + [{"type": "Hostname", "address": node.name}],
        "capacity": resources,
        "allocatable": resources,
        "conditions": [
            {"type": kind, "status": status, "reason": reason, "message": message, **times}
            for kind, (status, reason, message) in _CONDITIONS.items()
        ],
        "nodeInfo": {
            "architecture": _ARCHITECTURE,
            "operatingSystem": "linux",
            "kernelVersion": os.uname().release,
            "osImage": "this machine",
            "kubeletVersion": f"v{NEWEST}.0",
            "kubeProxyVersion": "",
            "containerRuntimeVersion": f"secondhop://{__version__}",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    }

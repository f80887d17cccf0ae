"""What a cluster has before anybody asks for anything."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..client.api import Object
from ..model.cluster import Network
from .kinds import KINDS
from .metadata import timestamp
from .server import Server

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_LABELS = {"component": "apiserver", "provider": "kubernetes"}


def bootstrap(server: Server, service_cidr: Network, port: int = 6443) -> None:
    """The namespaces, the ServiceCIDR of the server's Services, and the Service of the API, which
    has the first clusterIP of a CIDR and comes back if it is deleted. port: of the API itself."""
    for name in NAMESPACES:
        server.create(KINDS["Namespace"], {"metadata": {"name": name}})
    server.create(KINDS["ServiceCIDR"], _cidr(server.service_cidrs))
    server.keep(KINDS["Service"], _service(str(service_cidr[1]), port), "default")


def _cidr(networks: Sequence[Network]) -> Object:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
        "lastTransitionTime": timestamp(time.time()),
    }
    return {
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(map(str, networks))},
        "status": {"conditions": [ready]},
    }


def _service(address: str, port: int) -> Object:
    ports = [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}]
    return {
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": _LABELS},
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": ports},
    }

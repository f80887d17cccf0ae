"""The objects of the experiment on a cluster: made, waited for, patched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import ClusterError
from ..manifests import reference_documents
from ..model.cluster import Policy
from .kubectl import Kubectl, Object, Right
from .stage import labelled

NAME = "traffic-test"
_POLL_SECONDS = 0.3
_WORKLOADS = ("Deployment", "Service")


class Wish(NamedTuple):
    """What to make. kind: of the Service: NodePort or LoadBalancer. seconds: how long pods and a
    balancer may take."""

    image: str
    replicas: int = 1
    kind: str = "NodePort"
    seconds: float = 120.0


def objects(wish: Wish, namespace: str) -> list[Object]:
    """The reference experiment's Deployment and Service; the node port is the cluster's choice."""
    found = []
    for document in reference_documents():
        value: Object = document.object
        if value["kind"] not in _WORKLOADS:
            continue
        spec: dict[str, Any] = value["spec"]
        if value["kind"] == "Deployment":
            spec["replicas"] = wish.replicas
            spec["template"]["spec"]["containers"][0]["image"] = wish.image
            spec["template"]["spec"]["automountServiceAccountToken"] = False
        else:
            spec["type"] = wish.kind
            del spec["ports"][0]["nodePort"]
        found.append(labelled(value, namespace))
    return found


def ready(kubectl: Kubectl, wish: Wish, namespace: str) -> None:
    """Wait until every pod is a ready endpoint. ClusterError, with what the pods say, if they are
    not in time."""
    slices = Right("list", "endpointslices", "discovery.k8s.io", namespace)

    def there() -> bool:
        found = kubectl.listed(slices, lambda one: one)
        endpoints = [e for one in found for e in one.get("endpoints") or ()]
        return sum(bool(e["conditions"].get("ready")) for e in endpoints) >= wish.replicas

    if until(there, wish.seconds):
        return
    pods = kubectl.listed(Right("list", "pods", namespace=namespace), lambda one: one)
    raise ClusterError(
        f"the pods were not ready within {wish.seconds:g} s: {complaints(pods)}",
        "If it is for the image, name one that the nodes can pull with --image, a mirror's say.",
        "NotReady",
    )


def balanced(kubectl: Kubectl, wish: Wish, namespace: str) -> bool:
    """Wait until the balancer has an address; whether it got one in time."""
    service = Right("get", "services", namespace=namespace, name=NAME)

    def there() -> bool:
        status = (kubectl.get(service) or {}).get("status") or {}
        return bool((status.get("loadBalancer") or {}).get("ingress"))

    return until(there, wish.seconds)


def patch(kubectl: Kubectl, namespace: str, policy: Policy) -> None:
    """Give the Service another policy."""
    kubectl.patch("service", NAME, namespace, {"spec": {"externalTrafficPolicy": policy}})


def until(there: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again; whether it was so in time."""
    deadline = time.monotonic() + seconds
    while not there():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def complaints(pods: Iterable[Object]) -> str:
    """Why pods do not run, each reason once."""
    return "; ".join(dict.fromkeys(filter(None, map(_complaint, pods)))) or "no pod says why"


def _complaint(pod: Object) -> str:
    """Why a pod does not run, in the kubelet's words or the scheduler's."""
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return f"{waiting['reason']}: {waiting.get('message') or ''}".rstrip(": ")
    for condition in status.get("conditions") or ():
        if condition.get("status") == "False" and condition.get("message"):
            return str(condition["message"])
    return str(status.get("phase") or "")

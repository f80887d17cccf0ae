"""The values that the API server writes into a Service that leaves them out (semantics §1.1)."""

from __future__ import annotations

from .field import Object
from .view import EXTERNAL, accessible, copied

AFFINITY_SECONDS = 10800


def default_service(service: Object) -> Object:
    """The Service with its static defaults; what is allocated is still missing."""
    done = copied(service)
    spec: Object = done["spec"]
    _unless_set(spec, "sessionAffinity", "None")
    _unless_set(spec, "type", "ClusterIP")
    _affinity(spec)
    for port in spec.get("ports") or []:
        _unless_set(port, "protocol", "TCP")
        _unless_set(port, "targetPort", port.get("port"))
    kind = spec["type"]
    if accessible(kind, bool(spec.get("externalIPs"))):
        _unless_set(spec, "externalTrafficPolicy", "Cluster")
    if kind in (*EXTERNAL, "ClusterIP") and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        _ingress(done)
    return done


def _unless_set(part: Object, name: str, value: object) -> None:
    if not part.get(name):
        part[name] = value


def _affinity(spec: Object) -> None:
    """No configuration without affinity, and no affinity without a timeout."""
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if config.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}


def _ingress(service: Object) -> None:
    """ipMode VIP for every address of the balancer that has none."""
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    entries = [
        {**entry, "ipMode": "VIP"} if entry.get("ip") and entry.get("ipMode") is None else entry
        for entry in balancer.get("ingress") or []
    ]
    if entries:
        service["status"]["loadBalancer"] = {**balancer, "ingress": entries}

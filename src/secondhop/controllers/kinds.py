"""The kinds whose objects the garbage collector and the end of a namespace reach."""

NAMESPACED = (
    "Deployment",
    "DaemonSet",
    "ReplicaSet",
    "Pod",
    "Service",
    "EndpointSlice",
    "Endpoints",
    "ConfigMap",
    "ServiceAccount",
    "Lease",
    "Event",
)
OWNERS = ("Node", "Namespace", *NAMESPACED)
"""Kinds that an ownerReference may name here; what others own is let be."""

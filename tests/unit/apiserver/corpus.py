"""A valid object of every kind, as a client would write it, for tests that spoil them."""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]

_CONTAINER = {
    "name": "whoami",
    "image": "traefik/whoami",
    "args": ["--port", "80"],
    "ports": [{"name": "http", "containerPort": 80}],
    "env": [{"name": "WHO", "value": "me"}],
    "readinessProbe": {"httpGet": {"port": "http", "path": "/"}},
    "resources": {"requests": {"cpu": "100m"}},
}
_POD_SPEC = {
    "containers": [_CONTAINER],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "nodeSelector": {"zone": "a"},
}
_SELECTOR = {"matchLabels": {"app": "web"}}
_TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": _POD_SPEC}
_PARTS: dict[str, Object] = {
    "Namespace": {},
    "Node": {
        "spec": {"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.168.8.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    },
    "Pod": {"spec": _POD_SPEC},
    "Service": {
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": {"app": "web"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080},
                {"name": "dns", "port": 53, "protocol": "UDP"},
            ],
            "externalIPs": ["192.0.2.7"],
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "sessionAffinity": "ClientIP",
        },
    },
    "Endpoints": {
        "subsets": [{"addresses": [{"ip": "10.42.0.7"}], "ports": [{"name": "http", "port": 80}]}]
    },
    "ConfigMap": {"data": {"key": "value"}, "binaryData": {"more": "AAE="}},
    "Event": {
        "involvedObject": {"kind": "Pod", "name": "one", "namespace": "default"},
        "reason": "Started",
        "message": "it started",
        "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    },
    "ServiceAccount": {"automountServiceAccountToken": False},
    "EndpointSlice": {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.42.0.7"], "conditions": {"ready": True}, "zone": "a"}],
        "ports": [{"name": "http", "port": 80}],
    },
    "Lease": {"spec": {"holderIdentity": "gz1", "leaseDurationSeconds": 40}},
    "Deployment": {"spec": {"replicas": 2, "selector": _SELECTOR, "template": _TEMPLATE}},
    "ReplicaSet": {"spec": {"replicas": 2, "selector": _SELECTOR, "template": _TEMPLATE}},
    "DaemonSet": {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
}


def valid(kind: str) -> Object:
    """The object `one` of a kind, the caller's own; of a kind that is not listed, metadata only."""
    metadata = {"name": "one", "labels": {"app": "web"}, "annotations": {"note": "n"}}
    return copy.deepcopy({"metadata": metadata, **_PARTS.get(kind, {})})

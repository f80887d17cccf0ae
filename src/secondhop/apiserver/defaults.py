"""The values that the API server writes into an object that leaves them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..client.api import Object
from ..manifests.api.default import default_service
from .kinds import Kind

_REVISIONS, _DEADLINE, _GRACE = 10, 600, 30
_ROLLING = "25%"
_TOLERATED = 300  # seconds on a node that is not ready or not reachable
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def default(kind: Kind, value: Object) -> Object:
    """The object with its defaults. It must be the caller's own: it is changed."""
    filled = _DEFAULTS.get(kind.kind)
    return filled(value) if filled else value


def _fill(part: Object, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if part.get(name) in (None, ""):
            part[name] = value


def _part(value: Object, name: str) -> Object:
    found: Object = value.setdefault(name, {})
    return found


# Pods.


def _pod(value: Object) -> Object:
    spec = _part(value, "spec")
    _pod_spec(spec)
    _fill(
        spec,
        {
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "serviceAccountName": "default",
        },
    )
    _fill(spec, {"serviceAccount": spec["serviceAccountName"]})
    tolerations = spec.setdefault("tolerations", [])
    for condition in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{condition}"
        if not any(_tolerates(each, key) for each in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATED,
                }
            )
    return value


def _tolerates(toleration: Object, key: str) -> bool:
    wanted = {"key": key, "effect": "NoExecute"}
    return wanted.items() <= {**wanted, **toleration}.items()


def _pod_spec(spec: Object) -> None:
    _fill(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": _GRACE,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
        },
    )
    for container in spec.get("initContainers") or []:
        _container(container, spec)
    for container in spec.get("containers") or []:
        _container(container, spec)
    for volume in spec.get("volumes") or []:
        for name in ("configMap", "secret", "projected", "downwardAPI"):
            if name in volume:
                _fill(volume[name], {"defaultMode": 0o644})


def _container(container: Object, spec: Object) -> None:
    _fill(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": _pull_policy(container.get("image") or ""),
        },
    )
    for port in container.get("ports") or []:
        _fill(port, {"protocol": "TCP"})
        if spec.get("hostNetwork") and "containerPort" in port:
            _fill(port, {"hostPort": port["containerPort"]})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _fill(container[name], _PROBE)
            _handler(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)
    for variable in container.get("env") or []:
        if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
            _fill(reference, {"apiVersion": "v1"})


def _handler(handler: Object) -> None:
    if "httpGet" in handler:
        _fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})
    if "grpc" in handler:
        handler["grpc"].setdefault("service", "")


def _pull_policy(image: str) -> str:
    """A tag that moves is pulled anew each time."""
    name = image.rpartition("/")[2]
    moving = "@" not in name and name.partition(":")[2] in ("", "latest")
    return "Always" if moving else "IfNotPresent"


# Workloads.


def _template(value: Object) -> Object:
    spec = _part(value, "spec")
    if isinstance(template := spec.get("template"), dict):
        _pod_spec(_part(template, "spec"))
    return spec


def _deployment(value: Object) -> Object:
    spec = _template(value)
    _fill(
        spec,
        {
            "replicas": 1,
            "revisionHistoryLimit": _REVISIONS,
            "progressDeadlineSeconds": _DEADLINE,
            "strategy": {},
        },
    )
    _rolling(spec["strategy"], {"maxSurge": _ROLLING, "maxUnavailable": _ROLLING})
    return value


def _replica_set(value: Object) -> Object:
    _fill(_template(value), {"replicas": 1})
    return value


def _daemon_set(value: Object) -> Object:
    spec = _template(value)
    _fill(spec, {"revisionHistoryLimit": _REVISIONS, "updateStrategy": {}})
    _rolling(spec["updateStrategy"], {"maxSurge": 0, "maxUnavailable": 1})
    return value


def _rolling(strategy: Object, values: Mapping[str, Any]) -> None:
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(_part(strategy, "rollingUpdate"), values)


# The others.


def _namespace(value: Object) -> Object:
    metadata = _part(value, "metadata")
    if metadata.get("name"):
        _part(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]
    return value


def _endpoint_slice(value: Object) -> Object:
    for port in value.get("ports") or []:
        _fill(port, {"protocol": "TCP"})
        port.setdefault("name", "")
    return value


def _endpoints(value: Object) -> Object:
    for subset in value.get("subsets") or []:
        for port in subset.get("ports") or []:
            _fill(port, {"protocol": "TCP"})
    return value


_DEFAULTS: Mapping[str, Callable[[Object], Object]] = {
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "EndpointSlice": _endpoint_slice,
    "Endpoints": _endpoints,
    "Namespace": _namespace,
    "Pod": _pod,
    "ReplicaSet": _replica_set,
    "Service": default_service,
}

"""What the API server refuses in a pod's spec: of a Pod, or of a workload's template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..client.api import Object
from ..manifests.api.field import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from ..manifests.api.metadata import validate_labels
from ..manifests.api.syntax import dns_label, dns_subdomain, label_key, port_name, port_number
from ..manifests.api.values import PROTOCOLS
from ..manifests.problems import Path
from .probe_rules import lifecycle_rules, probe_rules

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
NEGATIVE = "must be greater than or equal to 0"
_UPDATABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def pod_rules(spec: Object, path: Path) -> Iterator[FieldError]:
    """Refusals of a pod's spec, which stands at a path of its object."""
    volumes = spec.get("volumes") or []
    yield from _names(volumes, (*path, "volumes"))
    mountable = {volume.get("name") for volume in volumes}
    taken: set[str] = set()
    for part in ("containers", "initContainers"):
        for n, container in enumerate(spec.get(part) or []):
            here = (*path, part, n)
            yield from _name(container, here, taken)
            yield from _container(container, here, spec)
            for m, mount in enumerate(container.get("volumeMounts") or []):
                yield from _mount(mount, (*here, "volumeMounts", m), mountable)
    if not spec.get("containers"):
        yield required((*path, "containers"))
    yield from one_of(spec, path, "restartPolicy", RESTART_POLICIES)
    yield from one_of(spec, path, "dnsPolicy", _DNS_POLICIES)
    yield from not_negative(spec, path, "terminationGracePeriodSeconds")
    if (seconds := spec.get("activeDeadlineSeconds")) is not None and seconds < 1:
        why = "must be between 1 and 2147483647, inclusive"
        yield invalid((*path, "activeDeadlineSeconds"), seconds, why)
    yield from validate_labels(spec.get("nodeSelector") or {}, (*path, "nodeSelector"))
    for name in ("nodeName", "serviceAccountName"):
        for why in dns_subdomain(spec[name]) if spec.get(name) else []:
            yield invalid((*path, name), spec[name], why)
    for n, toleration in enumerate(spec.get("tolerations") or []):
        yield from _toleration(toleration, (*path, "tolerations", n))
    for n, constraint in enumerate(spec.get("topologySpreadConstraints") or []):
        yield from _spread(constraint, (*path, "topologySpreadConstraints", n))


def pod_update_rules(new: Object, old: Object) -> Iterator[FieldError]:
    """Of a pod that is there, hardly anything may change."""
    if _fixed(new["spec"]) != _fixed(old["spec"]):
        yield forbidden(("spec",), _UPDATABLE)
        return
    given = new["spec"].get("tolerations") or []
    if any(each not in given for each in old["spec"].get("tolerations") or []):
        yield forbidden(("spec",), _UPDATABLE)


def one_of(part: Object, path: Path, name: str, values: Iterable[str]) -> Iterator[FieldError]:
    """An enumeration that defaulting has filled."""
    if not part.get(name):
        yield required((*path, name))
    elif part[name] not in values:
        yield not_supported((*path, name), part[name], values)


def not_negative(part: Object, path: Path, *names: str) -> Iterator[FieldError]:
    """Numbers that are 0 or more."""
    for name in names:
        if (part.get(name) or 0) < 0:
            yield invalid((*path, name), part[name], NEGATIVE)


def _fixed(spec: Object) -> Object:
    fixed = {**spec, "tolerations": None, "activeDeadlineSeconds": None}
    for part in ("containers", "initContainers"):
        fixed[part] = [{**each, "image": None} for each in spec.get(part) or []]
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        fixed["terminationGracePeriodSeconds"] = 1
    return fixed


def _names(parts: Iterable[Object], path: Path) -> Iterator[FieldError]:
    taken: set[str] = set()
    for n, part in enumerate(parts):
        yield from _name(part, (*path, n), taken)


def _name(part: Object, path: Path, taken: set[str]) -> Iterator[FieldError]:
    name = part.get("name") or ""
    if not name:
        yield required((*path, "name"))
        return
    for why in dns_label(name):
        yield invalid((*path, "name"), name, why)
    if name in taken:
        yield duplicate((*path, "name"), name)
    taken.add(name)


def _container(container: Object, path: Path, pod: Object) -> Iterator[FieldError]:
    """Refusals of a container of a pod with this spec."""
    image = container.get("image") or ""
    if not image:
        yield required((*path, "image"))
    elif image != image.strip():
        why = "must not have leading or trailing whitespace"
        yield invalid((*path, "image"), image, why)
    on_host = bool(pod.get("hostNetwork"))
    yield from _ports(container.get("ports") or [], (*path, "ports"), on_host)
    for n, variable in enumerate(container.get("env") or []):
        yield from _variable(variable, (*path, "env", n))
    yield from one_of(container, path, "imagePullPolicy", _PULL_POLICIES)
    lifecycle, grace = container.get("lifecycle") or {}, pod.get("terminationGracePeriodSeconds")
    yield from lifecycle_rules(lifecycle, (*path, "lifecycle"), grace or 0)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            yield from probe_rules(container[name], (*path, name))


def _ports(ports: list[Object], path: Path, host_network: bool) -> Iterator[FieldError]:
    taken: set[str] = set()
    for n, port in enumerate(ports):
        here = (*path, n)
        if name := port.get("name"):
            for why in port_name(name):
                yield invalid((*here, "name"), name, why)
            if name in taken:
                yield duplicate((*here, "name"), name)
            taken.add(name)
        number, on_host = port.get("containerPort") or 0, port.get("hostPort") or 0
        if not number:
            yield required((*here, "containerPort"))
        else:
            for why in port_number(number):
                yield invalid((*here, "containerPort"), number, why)
        for why in port_number(on_host) if on_host else []:
            yield invalid((*here, "hostPort"), on_host, why)
        if host_network and number != on_host:
            why = "must match `hostPort` when `hostNetwork` is true"
            yield invalid((*here, "containerPort"), number, why)
        yield from one_of(port, here, "protocol", PROTOCOLS)


def _variable(variable: Object, path: Path) -> Iterator[FieldError]:
    name = variable.get("name") or ""
    if not name:
        yield required((*path, "name"))
    elif "=" in name or not (name.isascii() and name.isprintable()):
        why = (
            "a valid environment variable name must consist only of printable ASCII characters "
            "other than '='"
        )
        yield invalid((*path, "name"), name, why)
    if variable.get("value") and "valueFrom" in variable:
        why = "may not be specified when `value` is not empty"
        yield invalid((*path, "valueFrom"), "", why)


def _mount(mount: Object, path: Path, mountable: set[Any]) -> Iterator[FieldError]:
    name = mount.get("name") or ""
    if not name:
        yield required((*path, "name"))
    elif name not in mountable:
        yield not_found((*path, "name"), name)
    if not mount.get("mountPath"):
        yield required((*path, "mountPath"))


def _toleration(toleration: Object, path: Path) -> Iterator[FieldError]:
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    for why in label_key(key) if key else []:
        yield invalid((*path, "key"), key, why)
    if not key and operator != "Exists":
        why = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        yield invalid((*path, "operator"), operator, why)
    if operator not in ("Equal", "Exists"):
        yield not_supported((*path, "operator"), operator, ("Equal", "Exists"))
    if operator == "Exists" and toleration.get("value"):
        why = "value must be empty when `operator` is 'Exists'"
        yield invalid((*path, "operator"), toleration["value"], why)
    effect = toleration.get("effect") or ""
    if effect and effect not in EFFECTS:
        yield not_supported((*path, "effect"), effect, EFFECTS)
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid((*path, "effect"), effect, why)


def _spread(constraint: Object, path: Path) -> Iterator[FieldError]:
    skew = constraint.get("maxSkew") or 0
    if skew <= 0:
        yield invalid((*path, "maxSkew"), skew, "must be greater than zero")
    if not constraint.get("topologyKey"):
        yield required((*path, "topologyKey"), "can not be empty")
    wanted = constraint.get("whenUnsatisfiable") or ""
    if wanted not in _UNSATISFIABLE:
        yield not_supported((*path, "whenUnsatisfiable"), wanted, _UNSATISFIABLE)

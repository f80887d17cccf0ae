"""What the API server refuses in Deployments, ReplicaSets and DaemonSets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..client.api import Object
from ..manifests.api.field import FieldError, forbidden, invalid, not_supported, required
from ..manifests.api.metadata import validate_labels
from ..manifests.api.syntax import label_key
from ..manifests.problems import Path
from ..model.labels import selects
from .pod_rules import NEGATIVE, not_negative, pod_rules

_SPEC: Path = ("spec",)
_SELECTOR: Path = ("spec", "selector")
_ROLLING = "RollingUpdate"
_PERCENT = re.compile("[0-9]{1,9}%")
_BAD_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)


def deployment_rules(new: Object, old: Object | None) -> Iterator[FieldError]:
    """Refusals of a Deployment's spec."""
    spec = new.get("spec") or {}
    yield from not_negative(spec, _SPEC, "replicas")
    yield from _selector(spec, old, "deployment")
    yield from _template(spec)
    yield from _deployment_strategy(spec.get("strategy") or {})
    yield from not_negative(spec, _SPEC, "minReadySeconds", "revisionHistoryLimit")
    yield from not_negative(spec, _SPEC, "progressDeadlineSeconds")
    deadline, ready = spec["progressDeadlineSeconds"], spec.get("minReadySeconds") or 0
    if deadline <= ready:
        why = "must be greater than minReadySeconds"
        yield invalid(("spec", "progressDeadlineSeconds"), deadline, why)


def replica_set_rules(new: Object, old: Object | None) -> Iterator[FieldError]:
    """Refusals of a ReplicaSet's spec."""
    spec = new.get("spec") or {}
    yield from not_negative(spec, _SPEC, "replicas", "minReadySeconds")
    yield from _selector(spec, old, "deployment")  # the server's own word
    yield from _template(spec)


def daemon_set_rules(new: Object, old: Object | None) -> Iterator[FieldError]:
    """Refusals of a DaemonSet's spec."""
    spec = new.get("spec") or {}
    yield from _selector(spec, old, "daemonset")
    yield from _template(spec)
    yield from not_negative(spec, _SPEC, "minReadySeconds")
    yield from _daemon_strategy(spec.get("updateStrategy") or {})
    yield from not_negative(spec, _SPEC, "revisionHistoryLimit")


def _selector(spec: Object, old: Object | None, word: str) -> Iterator[FieldError]:
    selector = spec.get("selector")
    if old is not None and selector != old["spec"]["selector"]:
        yield invalid(_SELECTOR, selector, "field is immutable")
    if selector is None:
        yield required(_SELECTOR)
        return
    yield from validate_labels(selector.get("matchLabels") or {}, (*_SELECTOR, "matchLabels"))
    wrong: list[FieldError] = []
    for n, expression in enumerate(selector.get("matchExpressions") or []):
        wrong += _expression(expression, (*_SELECTOR, "matchExpressions", n))
    yield from wrong
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid(_SELECTOR, selector, f"empty selector is invalid for {word}")
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not wrong and not selects(selector, labels):
        path = ("spec", "template", "metadata", "labels")
        yield invalid(path, labels, "`selector` does not match template `labels`")


def _expression(expression: Object, path: Path) -> Iterator[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            why = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required((*path, "values"), why)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden((*path, "values"), why)
    else:
        yield invalid((*path, "operator"), operator, "not a valid selector operator")
    key = expression.get("key") or ""
    for why in label_key(key):
        yield invalid((*path, "key"), key, why)


def _template(spec: Object) -> Iterator[FieldError]:
    template = spec.get("template")
    if template is None:
        yield required(("spec", "template"))
        return
    metadata = template.get("metadata") or {}
    path: Path = ("spec", "template")
    yield from validate_labels(metadata.get("labels") or {}, (*path, "metadata", "labels"))
    inner = template.get("spec") or {}
    yield from pod_rules(inner, (*path, "spec"))
    if inner.get("restartPolicy") in ("Never", "OnFailure"):
        where = (*path, "spec", "restartPolicy")
        yield not_supported(where, inner["restartPolicy"], ("Always",))


def _deployment_strategy(strategy: Object) -> Iterator[FieldError]:
    path: Path = ("spec", "strategy")
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden((*path, "rollingUpdate"), why)
    elif kind != _ROLLING:
        yield not_supported((*path, "type"), kind, ("Recreate", _ROLLING))
    else:
        yield from _amounts(rolling or {}, (*path, "rollingUpdate"))
        if not any(map(_amount, (rolling or {}).values())):
            where = (*path, "rollingUpdate", "maxUnavailable")
            value = (rolling or {}).get("maxUnavailable", 0)
            yield invalid(where, value, "may not be 0 when `maxSurge` is 0")


def _daemon_strategy(strategy: Object) -> Iterator[FieldError]:
    path: Path = ("spec", "updateStrategy")
    kind = strategy.get("type") or ""
    if kind == "OnDelete":
        return
    if kind != _ROLLING:
        yield not_supported((*path, "type"), kind, ("OnDelete", _ROLLING))
        return
    rolling, path = strategy.get("rollingUpdate") or {}, (*path, "rollingUpdate")
    yield from _amounts(rolling, path)
    surge, unavailable = rolling.get("maxSurge", 0), rolling.get("maxUnavailable", 0)
    if not _amount(surge) and not _amount(unavailable):
        yield required((*path, "maxUnavailable"), "cannot be 0 when maxSurge is 0")
    elif _amount(surge) and _amount(unavailable):
        why = "may not be set when maxUnavailable is non-zero"
        yield invalid((*path, "maxSurge"), surge, why)


def _amounts(rolling: Object, path: Path) -> Iterator[FieldError]:
    for name in ("maxUnavailable", "maxSurge"):
        value = rolling.get(name, 0)
        if isinstance(value, int):
            if value < 0:
                yield invalid((*path, name), value, NEGATIVE)
        elif not _PERCENT.fullmatch(value):
            yield invalid((*path, name), value, _BAD_PERCENT)
        elif name == "maxUnavailable" and _amount(value) > 100:
            yield invalid((*path, name), value, "must not be greater than 100%")


def _amount(value: int | str) -> int:
    """A number of pods, or of percents; 0 of what is malformed."""
    if isinstance(value, int):
        return value
    return int(value[:-1]) if _PERCENT.fullmatch(value) else 0


RULES = {
    "DaemonSet": daemon_set_rules,
    "Deployment": deployment_rules,
    "ReplicaSet": replica_set_rules,
}

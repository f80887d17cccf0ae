"""Label and field selectors, as requests write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from ..client.api import Object, labels_of
from ..manifests.api.field import invalid
from ..manifests.api.syntax import label_key, label_value
from .kinds import Kind
from .refusals import bad_request

Test: TypeAlias = Callable[[Object], bool]

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "Service": ("spec.clusterIP", "spec.type"),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "ReplicaSet": ("status.replicas",),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}
"""Fields to select by, besides the name and the namespace that every kind has."""
_FLAGS = ("spec.hostNetwork", "spec.unschedulable")

_SET = re.compile(r"\s*([^\s,()!=<>]+)\s+(in|notin)\s+\(([^()]*)\)\s*(?:,|$)")
_ONE = re.compile(r"\s*(!?)\s*([^\s,()!=<>]+)\s*(?:(==?|!=|<|>)\s*([^\s,()!=<>]*))?\s*(?:,|$)")
_EQUAL = re.compile(r"([^=!]+)(==?|!=)(.*)", re.DOTALL)


@lru_cache(maxsize=1024)
def selector(kind: Kind, labels: str, fields: str) -> Test | None:
    """Whether an object is selected; None when every one is. Raises ApiError 400."""
    tests = [*_label_tests(labels), *_field_tests(kind, fields)]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _label_tests(text: str) -> Iterator[Test]:
    at = 0
    while text[at:].strip():
        if found := _SET.match(text, at):
            key, operator, listed = found.groups()
            values = [each.strip() for each in listed.split(",")]
            _expect_label(key, values)
            yield _among(key, {*values}, operator == "in")
        elif (found := _ONE.match(text, at)) and not (found[1] and found[3]):
            absent, key, operator, value = found.groups()
            _expect_label(key, [value or ""])
            yield _label_test(key, "!" if absent else operator or "", value or "")
        else:
            raise bad_request(f"unable to parse requirement: {text[at:].strip()!r} is no selector")
        at = found.end()


def _expect_label(key: str, values: list[str]) -> None:
    """Raises ApiError 400 for what no label can be."""
    places = [("key", key, label_key(key))]
    places += [(f"values[{n}][{key}]", each, label_value(each)) for n, each in enumerate(values)]
    for place, text, wrong in places:
        if wrong:
            why = invalid((), text, "; ".join(wrong)).message
            raise bad_request(f"unable to parse requirement: {place}: {why}")


def _label_test(key: str, operator: str, value: str) -> Test:
    match operator:
        case "":
            return lambda each: key in labels_of(each)
        case "!":
            return lambda each: key not in labels_of(each)
        case "=" | "==":
            return lambda each: labels_of(each).get(key) == value
        case "!=":
            return lambda each: labels_of(each).get(key) != value
    try:
        limit = int(value)
    except ValueError:
        raise bad_request(f"for 'Gt', 'Lt' operators, {value!r} must be an integer") from None
    return lambda each: _ordered(labels_of(each).get(key), limit, operator)


def _ordered(label: str | None, limit: int, operator: str) -> bool:
    try:
        number = int(label or "")
    except ValueError:
        return False
    return number > limit if operator == ">" else number < limit


def _among(key: str, values: set[str], wanted: bool) -> Test:
    return lambda each: (labels_of(each).get(key) in values) is wanted


def _field_tests(kind: Kind, text: str) -> Iterator[Test]:
    for term in filter(None, text.split(",")):
        found = _EQUAL.fullmatch(term)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        name, operator, value = found.groups()
        if name not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind.kind, ())):
            raise bad_request(
                f"field label not supported: {name}"
                if kind.kind in _FIELDS
                else f'"{name}" is not a known field selector: only "metadata.name", '
                '"metadata.namespace"'
            )
        path = ("source", "component") if name == "source" else tuple(name.split("."))
        value = "" if name in _FLAGS and value == "false" else value
        yield _field_test(path, value, operator != "!=")


def _field_test(path: tuple[str, ...], wanted: str, equal: bool) -> Test:
    def test(value: Object) -> bool:
        found: Any = value
        for part in path:
            found = (found or {}).get(part)
        text = "true" if found is True else str(found or "")
        return (text == wanted) is equal

    return test

"""What the API server refuses (semantics §1.5), in the server's order where several things are
wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from ..client.api import Object
from ..manifests.api.field import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from ..manifests.api.metadata import validate_metadata, validate_metadata_update
from ..manifests.api.syntax import dns_label, dns_subdomain, label_key, label_value
from .kinds import Kind

Rules: TypeAlias = Callable[[Object, Object | None], Iterator[FieldError]]


def refusals(
    kind: Kind, new: Object, old: Object | None, subresource: str = ""
) -> list[FieldError]:
    """Every refusal of a new object or, with old, of a change."""
    if kind.kind == "Service":
        return _of_service(new, old, subresource)
    errors = list(_metadata(kind, new, old))
    if not subresource or subresource == "scale":
        errors += _rules(kind.kind)(new, old)
    return errors


def _of_service(new: Object, old: Object | None, subresource: str) -> list[FieldError]:
    from ..manifests.api.balancer import validate_service_status
    from ..manifests.api.service import validate_service

    return validate_service_status(new, old) if subresource else validate_service(new, old)


def _rules(kind: str) -> Rules:
    """Those of a kind. Of most there are many, and none is loaded before it is needed."""
    match kind:
        case "ConfigMap":
            return _config_map
        case "DaemonSet" | "Deployment" | "ReplicaSet":
            from .workload_rules import RULES

            return RULES[kind]
        case "EndpointSlice":
            from .slice_rules import slice_rules

            return slice_rules
        case "Endpoints":
            from .endpoints_rules import endpoints_rules

            return endpoints_rules
        case "Node":
            return _node
        case "Pod":
            return _pod
    return _nothing


def _metadata(kind: Kind, new: Object, old: Object | None) -> Iterator[FieldError]:
    metadata = new["metadata"]
    if old is None:
        rule = dns_label if kind.kind == "Namespace" else dns_subdomain
        yield from validate_metadata(metadata, rule, namespaced=kind.namespaced)
    else:
        yield from validate_metadata_update(metadata, old["metadata"])
        yield from _finalizers(metadata, old["metadata"])
    owners = metadata.get("ownerReferences") or []
    ruling = [owner.get("name") for owner in owners if owner.get("controller")]
    if len(ruling) > 1:
        why = (
            "Only one reference can have Controller set to true. Found "
            f'"true" in references for {ruling[0]} and {ruling[1]}'
        )
        yield invalid(("metadata", "ownerReferences"), owners, why)
    for n, owner in enumerate(owners):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                path = ("metadata", "ownerReferences", n, name)
                yield invalid(path, owner.get(name, ""), "must not be empty")


def _finalizers(new: Object, old: Object) -> Iterator[FieldError]:
    added = [name for name in new.get("finalizers", ()) if name not in old.get("finalizers", ())]
    if "deletionTimestamp" in old and added:
        listed = ", ".join(f'"{name}"' for name in added)
        why = "no new finalizers can be added if the object is being deleted, found new finalizers"
        yield forbidden(("metadata", "finalizers"), f"{why} []string{{{listed}}}")


def _nothing(new: Object, old: Object | None) -> Iterator[FieldError]:
    yield from ()


def _pod(new: Object, old: Object | None) -> Iterator[FieldError]:
    from .pod_rules import pod_rules, pod_update_rules

    yield from pod_rules(new.get("spec") or {}, ("spec",))
    if old is not None:
        yield from pod_update_rules(new, old)


def _node(new: Object, old: Object | None) -> Iterator[FieldError]:
    spec: Object = new.get("spec") or {}
    if taints := spec.get("taints"):
        yield from _taints(taints)
    before: Object = (old or {}).get("spec") or {}
    stored, first = before.get("podCIDRs"), before.get("podCIDR")
    if stored and (spec.get("podCIDRs"), spec.get("podCIDR")) != (stored, first):
        yield forbidden(("spec", "podCIDRs"), "node updates may not change podCIDR except from "
                        '"" to valid')  # fmt: skip


def _taints(taints: list[Object]) -> Iterator[FieldError]:
    from .pod_rules import EFFECTS

    taken: set[tuple[str, str]] = set()
    for n, taint in enumerate(taints):
        key = taint.get("key") or ""
        for why in label_key(key):
            yield invalid(("spec", "taints", n, "key"), key, why)
        for why in label_value(taint.get("value") or ""):
            yield invalid(("spec", "taints", n, "value"), taint["value"], why)
        effect = taint.get("effect") or ""
        if not effect:
            yield required(("spec", "taints", n, "effect"))
        elif effect not in EFFECTS:
            yield not_supported(("spec", "taints", n, "effect"), effect, EFFECTS)
        elif (key, effect) in taken:
            yield duplicate(("spec", "taints", n), taint)
        taken.add((key, effect))


def _config_map(new: Object, old: Object | None) -> Iterator[FieldError]:
    for part in ("data", "binaryData"):
        for key in new.get(part) or {}:
            if not key or key.strip(_KEY_CHARACTERS):
                yield invalid((part, key), key, _BAD_KEY)
    texts, others = (new.get("data") or {}).values(), (new.get("binaryData") or {}).values()
    size = sum(len(text.encode(errors="replace")) for text in texts)
    size += sum(len(text) // 4 * 3 - text.count("=") for text in others)
    if size > _MOST_DATA:
        yield FieldError("TooLong", ("",), None, f"may not be more than {_MOST_DATA} bytes")
    if old is not None and old.get("immutable"):
        for part in ("immutable", "data", "binaryData"):
            if new.get(part) != old.get(part):
                why = "field is immutable when `immutable` is set"
                yield forbidden((part,), why)


_MOST_DATA = 1 << 20
_KEY_CHARACTERS = "-._" + "".join(map(chr, [*range(48, 58), *range(65, 91), *range(97, 123)]))
_BAD_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)

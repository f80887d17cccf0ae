"""Who owns which fields of an object: metadata.managedFields (KEP-555).

A write takes what it changes from everybody else; an apply owns what it says, is refused what
others own unless it forces them (409), and what it no longer says goes if nobody else owns it. An
object without managers is not tracked before somebody applies to it: so the lab's own components,
which name no manager, leave none behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..client.api import Object
from ..errors import ApiError
from .fields import NONE, Difference, Field, Fields, decode, difference, encode, fields_of, path
from .kinds import Kind

BEFORE = "before-first-apply"
"""Owns what an object without managers has."""
_NOBODYS = {
    ("f:metadata", f"f:{name}")
    for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
        "resourceVersion",
    )
} | {("f:apiVersion",), ("f:kind",), ("f:metadata",), ("f:spec",), ("f:status",), ()}  # fmt: skip

_NOTHING: Object = {}


class Manager(NamedTuple):
    """One who owns fields. version: of an Update, the apiVersion that it wrote in."""

    name: str
    operation: str
    version: str
    subresource: str


class Owned(NamedTuple):
    """What a manager owns, and since when."""

    fields: Fields
    time: str


Owners = Mapping[Manager, Owned]


def updater(kind: Kind, name: str, subresource: str = "") -> Manager:
    """Who writes without applying."""
    return Manager(name, "Update", kind.api_version, subresource)


def applier(name: str, subresource: str = "") -> Manager:
    """Who applies."""
    return Manager(name, "Apply", "", subresource)


def applied_fields(kind: Kind, config: Object, subresource: str) -> Fields:
    """What an applied object owns. Raises ApiError 400."""
    return _ownable(kind, fields_of(kind.definition, config), subresource)


def changes(kind: Kind, old: Object, new: Object, subresource: str = "") -> Difference:
    """What somebody can own of a change."""
    found = difference(kind.definition, old, new)
    return Difference(
        _ownable(kind, found.written, subresource), _ownable(kind, found.removed, subresource)
    )


def all_of(kind: Kind, value: Object) -> Fields:
    """What an Update that made an object owns."""
    return changes(kind, {"metadata": {}, "spec": {}}, value).written


def _ownable(kind: Kind, fields: Fields, subresource: str) -> Fields:
    """Without what is the server's, and what this path does not write."""
    barred = ""
    if kind.has("status"):
        barred = "f:spec" if subresource == "status" else "f:status"
    return frozenset(each for each in fields if each not in _NOBODYS and each[0] != barred)


def read(value: Object, sent: Object = _NOTHING) -> Owners:
    """The owners of a stored object; or as a request has them whose metadata has a list that can
    be read. A list of one empty entry clears it."""
    given = sent.get("managedFields")
    if given == [{}]:
        return {}
    try:
        return _entries(given or ()) or _entries(value["metadata"].get("managedFields") or ())
    except (ValueError, RecursionError):
        return _entries(value["metadata"].get("managedFields") or ())


def _entries(listed: Iterable[Any]) -> dict[Manager, Owned]:
    found = {}
    for each in listed:
        operation, version = each.get("operation"), each.get("apiVersion", "")
        if operation not in ("Apply", "Update") or each.get("fieldsType") != "FieldsV1":
            raise ValueError("a manager's operation is Apply or Update, its fieldsType FieldsV1")
        applies = operation == "Apply"
        part = each.get("subresource", "")
        manager = Manager(each.get("manager", ""), operation, "" if applies else version, part)
        found[manager] = Owned(decode(each.get("fieldsV1", {})), each.get("time", ""))
    return found


def created(kind: Kind, new: Object, who: str, now: str) -> Owners:
    """The owners of a new object that nobody applied."""
    return {updater(kind, who): Owned(all_of(kind, new), now)}


def after_update(
    kind: Kind, new: Object, old: Object, sent: Object, who: str, subresource: str, now: str
) -> Owners:
    """The owners of an object after a write that is no apply. sent: the request's metadata."""
    owners = read(old, {} if subresource else sent)
    if not owners:
        return owners
    change = changes(kind, old, new, subresource)
    return updated(owners, updater(kind, who, subresource), change, now)


def written(kind: Kind, value: Object, owners: Owners) -> Object:
    """The object that says its owners; who owns nothing is none."""
    entries = []
    order = sorted(owners.items(), key=lambda pair: (pair[0].operation, pair[1].time, pair[0]))
    for manager, owned in order:
        if not owned.fields:
            continue
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.version or kind.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encode(owned.fields),
            "subresource": manager.subresource,
        }
        entries.append({key: part for key, part in entry.items() if part or key == "fieldsV1"})
    metadata = {**value["metadata"], "managedFields": entries}
    if not entries:
        del metadata["managedFields"]
    return {**value, "metadata": metadata}


def updated(owners: Owners, manager: Manager, change: Difference, now: str) -> Owners:
    """After a write: what it changed is its own, and nobody else's."""
    done = dict(owners)
    if change.written:
        before = owners.get(manager, Owned(NONE, "")).fields
        done[manager] = Owned(before | change.written, now)
    return _without(done, change, manager)


def applied(
    owners: Owners, manager: Manager, fields: Fields, change: Difference, now: str
) -> Owners:
    """After an apply of fields that was not refused, or forced."""
    before = owners.get(manager)
    same = before is not None and before.fields == fields
    kept = before.time if same and before is not None and not change.written else now
    return _without({**owners, manager: Owned(fields, kept)}, change, manager)


def _without(owners: Owners, change: Difference, writer: Manager) -> Owners:
    done = {}
    for manager, owned in owners.items():
        lost = change.removed if manager == writer else change.removed | change.written
        if left := owned.fields - lost:
            done[manager] = owned._replace(fields=left)
    return done


def others(owners: Owners, manager: Manager) -> Fields:
    """What everybody else owns."""
    return NONE.union(*(owned.fields for other, owned in owners.items() if other != manager))


def refuse(owners: Owners, manager: Manager, wanted: Fields) -> None:
    """Raises ApiError 409 if a manager is to change fields that others own."""
    conflicts = {
        other: sorted(common)
        for other, owned in sorted(owners.items())
        if other != manager and (common := owned.fields & wanted)
    }
    if not conflicts:
        return
    pairs = [(other, field) for other, fields in conflicts.items() for field in fields]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_told(other)}",
         "field": path(field)}
        for other, field in pairs
    ]  # fmt: skip
    if len(pairs) == 1:
        text = f"Apply failed with 1 conflict: conflict with {_told(pairs[0][0])}: "
        text += path(pairs[0][1])
    else:
        text = f"Apply failed with {len(pairs)} conflicts: "
        text += "\n".join(line for each in conflicts.items() for line in _lines(*each))
    raise ApiError(409, "Conflict", text, {"causes": causes})


def _lines(manager: Manager, fields: Iterable[Field]) -> list[str]:
    return [f"conflicts with {_told(manager)}:", *(f"- {path(field)}" for field in fields)]


def _told(manager: Manager) -> str:
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    return f"{text} using {manager.version}" if manager.operation == "Update" else text

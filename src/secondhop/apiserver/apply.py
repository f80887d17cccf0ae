"""Server-side apply: what becomes of an object when somebody says which part of it they want."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple

from ..client.api import Object
from ..errors import ApiError
from . import ownership
from .fields import NONE, Field, Fields, Schema, fields_of, keys, parts
from .kinds import Kind
from .ownership import Owned, Owners
from .schema import Mistyped, decode, definitions

_GONE: Any = object()
_KUBECTL = "kubectl"  # the manager of kubectl apply --server-side
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Applied(NamedTuple):
    """What an apply makes of an object, before its defaults; and who owns it then."""

    object: Object
    owners: Owners


def applied_first(kind: Kind, config: Object, who: str, now: str) -> Owners:
    """The owners of an object that an apply makes. Raises ApiError 400."""
    return {ownership.applier(who): Owned(ownership.applied_fields(kind, config, ""), now)}


def applied(
    kind: Kind, old: Object, config: Object, who: str, subresource: str, now: str, *, force: bool
) -> Applied:
    """An object after somebody applied to it. Raises ApiError 400; and 409 for what others own,
    unless it is forced."""
    manager = ownership.applier(who, subresource)
    fields = ownership.applied_fields(kind, config, subresource)
    before = ownership.updater(kind, ownership.BEFORE)
    owners = ownership.read(old) or {before: Owned(ownership.all_of(kind, old), now)}
    dropped = owners[manager].fields - fields if manager in owners else NONE
    new = merged(kind.definition, old, config)
    new = pruned(kind.definition, new, dropped, ownership.others(owners, manager) | fields)
    change = ownership.changes(kind, old, new, subresource)
    if not force:
        theirs = change.written - (_handed_over(kind, old) if manager.name == _KUBECTL else NONE)
        ownership.refuse(owners, manager, theirs)
    return Applied(new, ownership.applied(owners, manager, fields, change, now))


def _handed_over(kind: Kind, value: Object) -> Fields:
    """What kubectl applied on the client's side, and nobody changed since: kubectl may go on with
    that on the server's side, as a real server lets it."""
    text = (value["metadata"].get("annotations") or {}).get(_LAST_APPLIED, "")
    with suppress(ValueError, Mistyped, ApiError, RecursionError):
        last = decode(kind.definition, json.loads(text)).value
        changed = ownership.changes(kind, last, value)
        return fields_of(kind.definition, last) - changed.written - changed.removed
    return NONE


def merged(definition: str, value: Any, config: Any) -> Any:
    """An object with what an applied one says. Neither is changed."""
    return _merged(definitions()[definition], value, config)


def _merged(schema: Schema, value: Any, config: Any) -> Any:
    was, now = parts(schema, value), parts(schema, config)
    if was is None or now is None:
        return config
    done = {}
    for name in _order(list(was), list(now)) if isinstance(config, list) else {**was, **now}:
        if name in was and name in now:
            done[name] = _merged(now[name].schema, was[name].value, now[name].value)
        else:
            done[name] = (was.get(name) or now[name]).value
    return _built(config, done)


def _order(was: list[str], now: list[str]) -> list[str]:
    """What is said, in that order; and what is not, where it stood: before what followed it."""
    done, rest = [], [*was]
    for name in now:
        while rest and rest[0] not in now:
            done.append(rest.pop(0))
        done.append(name)
        if name in rest:
            rest.remove(name)
    return done + rest


def pruned(definition: str, value: Any, dropped: Fields, kept: Fields) -> Any:
    """An object without fields, as far as nothing in them is to be kept."""
    ways = {field[:n] for field in kept for n in range(1, len(field) + 1)}
    gone = dropped - ways
    return _pruned(definitions()[definition], value, (), gone, frozenset()) if gone else value


def _pruned(schema: Schema, value: Any, here: Field, gone: Fields, identity: frozenset[str]) -> Any:
    """identity: what tells a list's element from others, and stays with it. _GONE: nothing is left
    of the value."""
    children = parts(schema, value)
    if not children:
        return value
    identities = keys(schema)
    done = {}
    for name, part in children.items():
        there = (*here, name)
        if there in gone and name not in identity:
            continue
        left = _pruned(part.schema, part.value, there, gone, identities)
        if left is not _GONE:
            done[name] = left
    if not done and here:
        return _GONE
    return _built(value, done)


def _built(like: Any, children: dict[str, Any]) -> Any:
    if isinstance(like, list):
        return list(children.values())
    return {name.removeprefix("f:"): child for name, child in children.items()}

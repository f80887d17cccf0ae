"""Strategic merge patches: merge patches that know by the schema which lists are maps.

Directives: `$patch: replace` and `$patch: delete` in a map or in a list's element, `$retainKeys` in
a map, `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD` beside a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .refusals import bad_request
from .schema import definitions, resolve

_PATCH, _RETAIN = "$patch", "$retainKeys"
_ORDER, _DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"
Schema = Mapping[str, Any]


def merge_strategic(definition: str, value: Any, patch: Mapping[str, Any]) -> Any:
    """An object with a strategic merge patch applied; neither is changed. Raises ApiError 400."""
    return _merged_map(value, patch, definitions()[definition])


class _Field(NamedTuple):
    """What the schema says of a field: of what it is, and how it merges."""

    schema: Schema
    strategies: Sequence[str] = ()
    key: str = ""


def _field(schema: Schema, name: str) -> _Field:
    said = schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {}
    strategies = said.get("x-kubernetes-patch-strategy", "").split(",")
    key = said.get("x-kubernetes-patch-merge-key", "")
    return _Field(resolve(said.get("items", said)), strategies, key)


def _merged_map(value: Any, patch: Mapping[str, Any], schema: Schema) -> Any:
    match patch.get(_PATCH):
        case None:
            pass
        case "replace":
            return _plain(patch)
        case "delete":
            return {}
        case unknown:
            raise bad_request(f"unknown patch type found: {unknown}")
    done = dict(value)
    if _RETAIN in patch:
        done = _retained(done, patch)
    for name in _fields(patch):
        field, given = _field(schema, name), patch.get(name)
        if name in patch and given is None:
            done.pop(name, None)
            continue
        lists = (f"{_ORDER}{name}", f"{_DELETE}{name}")
        if any(each in patch for each in lists) or isinstance(given, list):
            old = done.get(name)
            order, gone = (_listed(patch, each) for each in lists)
            done[name] = _merged_list(
                old if isinstance(old, list) else [], given, order, gone, field
            )
            if not done[name] and given is None and name not in value:
                del done[name]
        elif isinstance(given, dict) and "replace" not in field.strategies:
            if isinstance(old := done.get(name), dict):
                done[name] = _merged_map(old, given, field.schema)
            elif _PATCH not in given:  # there is nothing to replace or delete
                done[name] = _plain(given)
        else:
            done[name] = given
    return done


def _fields(patch: Mapping[str, Any]) -> list[str]:
    """The fields that a patch speaks of."""
    names = (name.removeprefix(_ORDER).removeprefix(_DELETE) for name in patch)
    return list(dict.fromkeys(name for name in names if name not in (_PATCH, _RETAIN)))


def _listed(patch: Mapping[str, Any], directive: str) -> list[Any] | None:
    found = patch.get(directive)
    if found is not None and not isinstance(found, list):
        raise bad_request(f"{directive} is no list")
    return found


def _retained(value: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    keys = _listed(patch, _RETAIN) or []
    for name, given in patch.items():
        if not name.startswith("$") and given is not None and name not in keys:
            raise bad_request(f"$retainKeys does not list {name}, which the patch sets")
    return {name: each for name, each in value.items() if name in keys}


def _merged_list(
    old: list[Any],
    given: list[Any] | None,
    order: list[Any] | None,
    gone: list[Any] | None,
    field: _Field,
) -> list[Any]:
    """old: what is there. given: the patch's list; order, gone: its directives."""
    if "merge" not in field.strategies:
        return _plain(given) if given is not None else old
    patch = given or []
    if field.key:
        identity = _identity(field.key)
        merged, patch = _merged_elements(old, patch, field, identity)
    else:
        identity = _itself
        merged = list(dict.fromkeys(map(_itself, [*old, *patch])))
        merged = [each for each in merged if each not in (gone or [])]
    if order is None:
        order = patch
    return _ordered(
        merged, [identity(each) for each in order], [identity(e) for e in old], identity
    )


def _merged_elements(
    old: list[Any], patch: list[Any], field: _Field, identity: Callable[[Any], Any]
) -> tuple[list[Any], list[Any]]:
    """The elements of a list that is a map, and the patch's without directives."""
    for each in patch:
        if not isinstance(each, dict):
            raise bad_request(f"{each!r} is in a list of objects")
        if each.get(_PATCH) not in (None, "delete", "replace"):
            raise bad_request(f"unknown patch type found: {each[_PATCH]}")
    plain = [each for each in patch if _PATCH not in each]
    if any(each.get(_PATCH) == "replace" for each in patch):
        return _plain(plain), plain
    gone = {identity(each) for each in patch if each.get(_PATCH) == "delete"}
    done = {n: each for n, each in enumerate(old) if each.get(field.key) not in gone}
    places = {each.get(field.key): n for n, each in reversed(done.items())}
    for each in plain:
        n = places.setdefault(identity(each), len(old) + len(places))
        done[n] = _merged_map(done.get(n, {}), each, field.schema)
    return list(done.values()), plain


def _ordered(
    merged: list[Any], order: list[Any], before: list[Any], identity: Callable[[Any], Any]
) -> list[Any]:
    """What the order names stands in that order; the rest stays before what it stood before."""
    ranks = {key: n for n, key in reversed(list(enumerate(order)))}
    stood = {key: n for n, key in reversed(list(enumerate(before)))}
    named = sorted((e for e in merged if identity(e) in ranks), key=lambda e: ranks[identity(e)])
    others = sorted(
        (e for e in merged if identity(e) not in ranks),
        key=lambda e: stood.get(identity(e), len(before)),
    )
    done = []
    for each in named:
        place = stood.get(identity(each), -1)
        while others and stood.get(identity(others[0]), len(before)) < place:
            done.append(others.pop(0))
        done.append(each)
    return done + others


def _identity(key: str) -> Callable[[Any], Any]:
    def identity(element: Any) -> Any:
        found = element.get(key) if isinstance(element, dict) else None
        if found is None or isinstance(found, dict | list):
            raise bad_request(f"map: {element} does not contain declared merge key: {key}")
        return found

    return identity


def _itself(element: Any) -> Any:
    if isinstance(element, dict | list):
        raise bad_request("a list of plain values holds an object")
    return element


def _plain(patch: Any) -> Any:
    """A patch as a value: without directives and nulls."""
    if isinstance(patch, dict):
        return {
            name: _plain(each)
            for name, each in patch.items()
            if each is not None and not name.startswith("$")
        }
    if isinstance(patch, list):
        return [_plain(each) for each in patch if not (isinstance(each, dict) and _PATCH in each)]
    return patch

"""Sets of fields, as managedFields tell them: which parts of an object somebody owns.

A field is the way to it, in the elements that FieldsV1 writes: `f:NAME` a field of a struct or a
map, `k:{…}` an element of a list that is a map, by its keys, `v:…` one of a list that is a set.
Atomic lists and maps are one field, as numbers and texts are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from .refusals import bad_request
from .schema import definitions, resolve

Field: TypeAlias = tuple[str, ...]
Fields: TypeAlias = frozenset[Field]
Schema: TypeAlias = Mapping[str, Any]
NONE: Fields = frozenset()
_KEY_DEFAULTS = {"protocol": "TCP"}
_SELF = "."


class Part(NamedTuple):
    """A child of a value. plain: an entry of a map without a schema of its own names, or of a
    list: as much a field as what is in it."""

    schema: Schema
    value: Any
    plain: bool = True


class Difference(NamedTuple):
    """What a write did to fields: set them (anew, or to another value), or took them away."""

    written: Fields
    removed: Fields


def parts(schema: Schema, value: Any) -> dict[str, Part] | None:
    """The children of a value, by their elements; None: it is one field. Of elements with the same
    keys only the first counts."""
    known = resolve(schema)
    if isinstance(value, dict):
        if "atomic" in (schema.get("x-kubernetes-map-type"), known.get("x-kubernetes-map-type")):
            return None
        if "properties" in known:
            named = known["properties"]
            return {
                f"f:{key}": Part(named.get(key, {}), each, False) for key, each in value.items()
            }
        if more := known.get("additionalProperties"):
            return {f"f:{key}": Part(more, each) for key, each in value.items()}
    if isinstance(value, list) and schema.get("x-kubernetes-list-type") in ("map", "set"):
        found: dict[str, Part] = {}
        for each in value:
            found.setdefault(_element(schema, each), Part(schema["items"], each))
        return found
    return None


def keys(schema: Schema) -> frozenset[str]:
    """The fields that tell the elements of a list from each other."""
    return frozenset(f"f:{name}" for name in schema.get("x-kubernetes-list-map-keys", ()))


def _element(schema: Schema, value: Any) -> str:
    if schema["x-kubernetes-list-type"] == "set" or not isinstance(value, dict):
        return f"v:{json.dumps(value)}"
    found = {}
    for name in sorted(schema.get("x-kubernetes-list-map-keys", ())):
        key = value.get(name, _KEY_DEFAULTS.get(name))
        if key is not None:
            found[name] = key
    return f"k:{json.dumps(found, separators=(',', ':'), ensure_ascii=False)}"


def fields_of(definition: str, value: Any) -> Fields:
    """What an applied object speaks of: its leaves, and the elements of its maps and lists. Raises
    ApiError 400 for a list that says an element twice."""
    return frozenset(_spoken(definitions()[definition], value, ()))


def _spoken(schema: Schema, value: Any, here: Field) -> Iterator[Field]:
    children = parts(schema, value)
    if not children:
        yield here
        return
    if isinstance(value, list) and len(children) < len(value):
        raise bad_request(f"{path(here)}: two elements of the list have the same keys")
    for name, part in children.items():
        if part.plain:
            yield (*here, name)
        yield from _spoken(part.schema, part.value, (*here, name))


def difference(definition: str, old: Any, new: Any) -> Difference:
    """Between two states of an object."""
    written, removed = set[Field](), set[Field]()
    _compare(definitions()[definition], old, new, (), written, removed)
    return Difference(frozenset(written), frozenset(removed))


def _compare(
    schema: Schema, old: Any, new: Any, here: Field, written: set[Field], removed: set[Field]
) -> None:
    if old == new:
        return
    before, after = parts(schema, old), parts(schema, new)
    if before is None or after is None:
        written.add(here)
        return
    for name in {**before, **after}:
        was, now, there = before.get(name), after.get(name), (*here, name)
        if was is None and now is not None:
            _add(now, there, written)
        elif now is None and was is not None:
            _add(was, there, removed)
        elif was is not None and now is not None:
            _compare(now.schema, was.value, now.value, there, written, removed)


def _add(part: Part, here: Field, found: set[Field]) -> None:
    """A field, and every one in it."""
    found.add(here)
    if type(part.value) in (dict, list):
        for name, child in (parts(part.schema, part.value) or {}).items():
            _add(child, (*here, name), found)


def encode(fields: Iterable[Field]) -> dict[str, Any]:
    """FieldsV1."""
    tree: dict[str, Any] = {}
    for field in sorted(fields):
        at, begun = tree, True
        for name in field:
            inner = at.get(name)
            if inner is None:
                if not (at or begun):  # a field that has others in it
                    at[_SELF] = {}
                inner = at[name] = {}
                begun = True
            else:
                begun = False
            at = inner
    return tree


def decode(tree: Any) -> Fields:
    """The set that FieldsV1 tell. Raises ValueError."""
    found: set[Field] = set()
    _read(tree, (), found)
    return frozenset(found)


def _read(tree: Any, here: Field, found: set[Field]) -> None:
    if not isinstance(tree, dict):
        raise ValueError("FieldsV1 are objects in each other")
    if here and (not tree or _SELF in tree):
        found.add(here)
    for name, inner in tree.items():
        if name != _SELF:
            _read(inner, (*here, name), found)


def path(field: Field) -> str:
    """As messages say it: `.spec.ports[port=80,protocol="TCP"].nodePort`."""
    return "".join(map(_shown, field))


def _shown(name: str) -> str:
    kind, text = name[:2], name[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "v:":
        return f"[={text}]"
    pairs = json.loads(text).items()
    return f"[{','.join(f'{k}={json.dumps(v, ensure_ascii=False)}' for k, v in pairs)}]"

"""The structure of our kinds: what a request may say, and how patches merge.

The definitions were cut from Kubernetes' own by scripts/cut-schema. `decode` is what a server does
to a request's JSON: what a kind does not know is left out and told of, and a value of a wrong type
refuses the whole, in the words of Go's decoder.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

_DEFINITIONS = os.path.join(os.path.dirname(__file__), "definitions.json")
_REFERENCE = "#/components/schemas/"


class Decoded(NamedTuple):
    """An object without what its kind does not know (of that, the paths), and without nulls and
    empty collections. It shares nothing with what it was made of."""

    value: dict[str, Any]
    unknown: list[str]


class Mistyped(Exception):
    """A value of a type that its field cannot have; the server's words for it."""


@cache
def definitions() -> Mapping[str, Any]:
    """The schemas by name, as components of an OpenAPI v3 document."""
    with open(_DEFINITIONS, "rb") as file:
        found: Mapping[str, Any] = json.load(file)
    return found


def resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema, or the one that it refers to."""
    reference: str | None = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = definitions()[reference.removeprefix(_REFERENCE)]
    return found


def decode(definition: str, value: object) -> Decoded:
    """An object as its kind's type holds it. Raises Mistyped."""
    unknown: list[str] = []
    done = _type_of(_REFERENCE + definition).take(value, "", "", unknown)
    return Decoded(done, unknown)


# A type takes a value at a path (`spec.ports[0].port`); field: how Go names the place
# (`ServicePort.spec.ports.port`), for messages.


class _Any:
    go = "interface {}"

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        return _copy(value)


class _Plain:
    """A string, a boolean or a number."""

    def __init__(self, go: str, types: tuple[type, ...], zero: object) -> None:
        self.go, self._types, self.zero = go, types, zero

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        if type(value) not in self._types:
            raise _mistyped(value, field, self.go)
        return value


class _Integer(_Plain):
    def __init__(self, bits: int) -> None:
        super().__init__(f"int{bits}", (int,), 0)
        self._limit = 1 << (bits - 1)

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        if type(value) is not int or not -self._limit <= value < self._limit:
            raise _mistyped(value, field, self.go)
        return value


class _Written:
    """A value that is written in a form of its own; why: what to say of one that is not, with {}
    for the value."""

    def __init__(self, kind: _Plain, form: str, why: str) -> None:
        self.go, self.zero = kind.go, kind.zero
        self._kind, self._form, self._why = kind, re.compile(form, re.ASCII), why

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        self._kind.take(value, path, field, unknown)
        if isinstance(value, str) and not self._form.fullmatch(value):
            raise Mistyped(self._why.format(value))
        return value


class _Bytes(_Plain):
    """Base64, whose line breaks count for nothing."""

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        text = super().take(value, path, field, unknown).replace("\r", "").replace("\n", "")
        try:
            base64.b64decode(text, validate=True)
        except ValueError as error:
            raise Mistyped(f"illegal base64 data: {error}") from None
        return text


class _List:
    def __init__(self, items: Any) -> None:
        self._items = items
        self.go = f"[]{items.go}"

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        if not isinstance(value, list):
            raise _mistyped(value, field, self.go)
        items = self._items
        return [
            _nothing(items) if each is None
            else items.take(each, f"{path}[{n}]", field, unknown)
            for n, each in enumerate(value)
        ]  # fmt: skip


def _nothing(kind: Any) -> Any:
    """What Go makes of a null in a list."""
    return dict(kind.zeros) if isinstance(kind, _Struct) else getattr(kind, "zero", {})


class _Map:
    def __init__(self, values: Any) -> None:
        self._values = values
        self.go = f"map[string]{values.go}"

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _mistyped(value, field, self.go)
        values = self._values
        return {
            key: values.take(each, f"{path}.{key}", field, unknown)
            for key, each in value.items()
            if each is not None
        }


class _Struct:
    """fields: each one's type, and whether it is left out when it is empty. zeros: the plain fields
    that are never left out, and what stands there for nothing."""

    def __init__(self, name: str) -> None:
        self.go = ".".join(name.split(".")[-2:])
        self._name = self.go.split(".")[1]
        self.fields: dict[str, tuple[Any, bool]] = {}
        self.zeros: dict[str, Any] = {}

    def take(self, value: Any, path: str, field: str, unknown: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _mistyped(value, field, self.go)
        done = {}
        places = field.partition(".")[2]
        for key, each in value.items():
            known = self.fields.get(key)
            here = f"{path}.{key}" if path else key
            if known is None:
                unknown.append(here)
            elif each is not None:
                place = f"{self._name}.{places}.{key}" if places else f"{self._name}.{key}"
                taken = known[0].take(each, here, place, unknown)
                if taken or not known[1]:
                    done[key] = taken
        for key, zero in self.zeros.items():
            done.setdefault(key, zero)
        return done


_TEXT = _Plain("string", (str,), "")
_BYTES = _Bytes("[]uint8", (str,), "")
_PLAIN = {
    "string": _TEXT,
    "boolean": _Plain("bool", (bool,), False),
    "number": _Plain("float64", (int, float), 0),
}
_TIME = _Written(
    _TEXT,
    r"\d{4}-(0\d|1[0-2])-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d([.,]\d+)?(Z|[+-]\d\d:\d\d)",
    'parsing time "{0}" as "2006-01-02T15:04:05Z07:00": cannot parse "{0}"',
)
_SPECIAL = {
    "IntOrString": _Plain("intstr.IntOrString", (int, str), 0),
    "MicroTime": _TIME,
    "Quantity": _Written(
        _Plain("resource.Quantity", (int, float, str), "0"),
        r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[numkKMGTPE]|[KMGTPE]i)?",
        "quantities must match the regular expression "
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
    "Time": _TIME,
}


@cache
def _type_of(reference: str) -> Any:
    name = reference.removeprefix(_REFERENCE)
    if special := _SPECIAL.get(name.rpartition(".")[2]):
        return special
    schema = definitions()[name]
    if "properties" not in schema:
        return _built(schema)
    struct = _Struct(name)
    required = schema.get("required", ())
    for key, each in schema["properties"].items():
        kind = _built(each)
        struct.fields[key] = kind, isinstance(kind, _List | _Map) and key not in required
        if key in required and isinstance(kind, _Plain):
            struct.zeros[key] = kind.zero
    return struct


def _built(schema: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _type_of(schema["$ref"])
    kind = schema.get("type")
    if kind == "array":
        return _List(_built(schema["items"]))
    if kind == "object":
        more = schema.get("additionalProperties")
        return _Map(_built(more)) if more else _Any()
    if kind == "integer":
        return _Integer(32 if schema.get("format") == "int32" else 64)
    if schema.get("format") == "byte":
        return _BYTES
    return _PLAIN.get(kind or "", _Any())


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copy(each) for each in value]
    return value


def _mistyped(value: Any, field: str, go: str) -> Mistyped:
    given = {bool: "bool", str: "string", dict: "object", list: "array"}.get(type(value), "number")
    if given == "number" and go.startswith("int"):
        given += f" {value}"
    place = f"Go struct field {field}" if field else "Go value"
    return Mistyped(f"json: cannot unmarshal {given} into {place} of type {go}")

"""The vocabulary of the schema: what a field's value may look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

required_names: set[str] = set()
"""Every name that some Struct requires; filled while the schema is being written."""
enum_values: set[str] = set()
"""Every value of some enumeration; likewise."""


class Scalar(NamedTuple):
    """Text, a number or a boolean; `values` when only those are allowed (empty text is unset)."""

    what: str
    types: tuple[type, ...]
    values: tuple[str, ...] = ()

    def admits(self, value: Any) -> bool:
        """Whether a value, with all inside it, is as this shape says. None always is: unset."""
        return value is None or (
            type(value) in self.types and (not self.values or value == "" or value in self.values)
        )


class Anything(NamedTuple):
    """Not looked into."""

    what: str = "anything"

    def admits(self, value: Any) -> bool:
        """See Scalar.admits."""
        return True


class ListOf(NamedTuple):
    """A list of values of one shape."""

    item: Shape
    what: str = "a list"

    def admits(self, value: Any) -> bool:
        """See Scalar.admits."""
        return value is None or (
            type(value) is list and all(map(self.item.admits, value)) and None not in value
        )


class MapOf(NamedTuple):
    """A mapping with keys of the user's own. labels: its text may hide a misplaced field."""

    item: Shape
    labels: bool = False
    what: str = "a mapping"

    def admits(self, value: Any) -> bool:
        """See Scalar.admits; labels that look like a field are not admitted without a look."""
        if value is None:
            return True
        return type(value) is dict and all(
            type(key) is str and self.item.admits(item) and not self.doubtful(key, item)
            for key, item in value.items()
        )

    def doubtful(self, key: str, value: Any) -> bool:
        """Whether a label may be a field at the wrong place: a required or camelCase name, or a
        value of an enumeration."""
        return self.labels and (
            key in required_names
            or value in enum_values
            or (key != key.lower() and key.isidentifier())
        )


class Struct(NamedTuple):
    """A mapping with known fields. open: other fields may occur (a status), and none of its own
    is a home that misplaced fields could be sent to."""

    fields: Mapping[str, Shape]
    required: frozenset[str] = frozenset()
    open: bool = False
    what: str = "a mapping"

    def admits(self, value: Any) -> bool:
        """See Scalar.admits."""
        if value is None:
            return True
        if type(value) is not dict:
            return False
        fields = self.fields
        for key, item in value.items():
            shape = fields.get(key)
            if not (self.open if shape is None else shape.admits(item)):
                return False
        return all(value.get(name) is not None for name in self.required)


class OneOrMany(NamedTuple):
    """A text, or a list of texts."""

    what: str = "a string or a list of strings"

    def admits(self, value: Any) -> bool:
        """See Scalar.admits."""
        return type(value) is str or (
            type(value) is list and bool(value) and all(type(item) is str for item in value)
        )


Shape: TypeAlias = Scalar | Anything | ListOf | MapOf | Struct | OneOrMany

TEXT = Scalar("a string", (str,))
INTEGER = Scalar("an integer", (int,))
NUMBER = Scalar("a number", (int, float))
FLAG = Scalar("true or false", (bool,))
INT_OR_NAME = Scalar("an integer or a name", (int, str))
ANYTHING = Anything()
TEXTS = ListOf(TEXT)
LABELS = MapOf(TEXT, labels=True)
ANNOTATIONS = MapOf(TEXT)


def enum(*values: str) -> Scalar:
    """Text that is one of these values."""
    enum_values.update(values)
    return Scalar("a string", (str,), values)


def struct(required: str = "", /, **fields: Shape) -> Struct:
    """A Struct; the names of its required fields are separated by blanks."""
    names = frozenset(required.split())
    required_names.update(names)
    return Struct(fields, names)


def status(**fields: Shape) -> Struct:
    """A Struct that a server writes: what is not named here is let through."""
    return Struct(fields, open=True)


def of(shape: Shape, names: str) -> dict[str, Shape]:
    """Several fields of one shape; names separated by blanks."""
    return dict.fromkeys(names.split(), shape)

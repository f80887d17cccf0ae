"""A value that the API server refuses, in its own words (semantics §1.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

from ..problems import Path, dotted, supported

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""
ErrorType: TypeAlias = Literal[
    "Invalid",
    "Required",
    "Forbidden",
    "Duplicate",
    "NotFound",
    "NotSupported",
    "TooLong",
    "TooMany",
    "InternalError",
]
_WORDS: dict[ErrorType, str] = {
    "Invalid": "Invalid value",
    "Required": "Required value",
    "Forbidden": "Forbidden",
    "Duplicate": "Duplicate value",
    "NotFound": "Not found",
    "NotSupported": "Unsupported value",
    "TooLong": "Too long",
    "TooMany": "Too many",
    "InternalError": "Internal error occurred",
}
_QUOTING = ("Invalid", "Duplicate", "NotFound", "NotSupported", "TooMany")


class FieldError(NamedTuple):
    """One refusal. InternalError answers the request with a 500, every other type with a 422."""

    type: ErrorType
    path: Path
    value: Any = None
    detail: str = ""

    @property
    def field(self) -> str:
        """The path as the server writes it: `spec.ports[0].nodePort`."""
        return dotted(self.path)

    @property
    def message(self) -> str:
        """The server's text without the path."""
        parts = [_WORDS[self.type]]
        if self.type in _QUOTING:
            parts.append(_quoted(self.value))
        if self.detail:
            parts.append(self.detail)
        return ": ".join(parts)

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def invalid(path: Path, value: Any, detail: str) -> FieldError:
    """A malformed value, or one that does not go with the others."""
    return FieldError("Invalid", path, value, detail)


def required(path: Path, detail: str = "") -> FieldError:
    """A value that is missing or empty."""
    return FieldError("Required", path, None, detail)


def forbidden(path: Path, detail: str) -> FieldError:
    """A value where none may be."""
    return FieldError("Forbidden", path, None, detail)


def duplicate(path: Path, value: Any) -> FieldError:
    """A value that must be unique and is not."""
    return FieldError("Duplicate", path, value)


def not_found(path: Path, value: Any) -> FieldError:
    """A name of something that is not there."""
    return FieldError("NotFound", path, value)


def too_many(path: Path, number: int, most: int) -> FieldError:
    """A list that is too long."""
    return FieldError("TooMany", path, number, f"must have at most {most} items")


def not_supported(path: Path, value: Any, values: Iterable[str]) -> FieldError:
    """A value outside an enumeration, whose values are listed in the order given."""
    return FieldError("NotSupported", path, value, supported(values))


class Gates(NamedTuple):
    """Feature gates that change a verdict; as they are in Kubernetes 1.36.

    strict_addresses: StrictIPCIDRValidation. relaxed_names: RelaxedServiceNameValidation.
    same_zone: PreferSameTrafficDistribution.
    """

    strict_addresses: bool = True
    relaxed_names: bool = True
    same_zone: bool = True


GATES = Gates()

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def _quoted(value: Any) -> str:
    """A value as Go's %q shows a string, as JSON otherwise."""
    if not isinstance(value, str):
        return json.dumps(value, separators=(",", ":"))
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

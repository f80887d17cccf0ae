"""Kubernetes objects out of protobuf bodies, for the few kinds that kubectl sends in no other form.

Go's typed clients (`kubectl create deployment`, `auth can-i`, `drain`) put `k8s\\0` and a
runtime.Unknown around an object. protobuf.txt holds the field numbers, which are facts of the
public .proto definitions: `Message: NUMBER NAME TYPE, …`. A TYPE is nothing for a string, `int`,
`bool`, `bytes` or a message; `[T]` repeated, `{T}` a map from string; `*T` may be zero and mean it
(a pointer in Go: of all other fields Go writes the zero, which JSON leaves out); the name `.` says
that the message's fields are the parent's; the type `-`, that nobody but the server writes it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"k8s\0"


class _Field(NamedTuple):
    name: str
    type: str
    many: bool
    map: bool
    pointer: bool


def decode(body: bytes) -> dict[str, Any]:
    """The object in a body that begins with MAGIC, as JSON. Raises ValueError for what cannot be
    read, and for what the table does not have."""
    if not body.startswith(MAGIC):
        raise ValueError("it does not begin with k8s\\0")
    envelope = dict(_parts(body[len(MAGIC) :]))
    head = dict(_parts(_bytes(envelope.get(1, b""))))
    api_version, kind = (_bytes(head.get(number, b"")).decode() for number in (1, 2))
    message = next((name for name in (f"{api_version}/{kind}", kind) if name in _table()), None)
    if message is None:
        raise ValueError(f"no protobuf form of {kind} is known here")
    fields = _message(message, _bytes(envelope.get(2, b"")))
    return {"apiVersion": api_version, "kind": kind} | fields


@cache
def _table() -> dict[str, dict[int, _Field]]:
    table = {}
    for line in Path(__file__).with_name("protobuf.txt").read_text().splitlines():
        message, _, fields = line.partition(": ")
        table[message] = dict(_field(*text.split()) for text in fields.split(", "))
    return table


def _field(number: str, name: str, form: str = "") -> tuple[int, _Field]:
    pointer, form = form.startswith("*"), form.removeprefix("*")
    many, mapped = form.startswith("["), form.startswith("{")
    return int(number), _Field(name, form.strip("[]{}"), many, mapped, pointer)


def _message(name: str, data: bytes) -> dict[str, Any]:
    fields, value = _table()[name], dict[str, Any]()
    for number, part in _parts(data):
        field = fields.get(number)
        if field is None:
            if part:
                raise ValueError(f"its {name} has field {number}, which is not known here")
        elif field.type == "-":
            continue
        elif field.map:
            entry = dict(_parts(_bytes(part)))
            key = _bytes(entry.get(1, b"")).decode()
            value.setdefault(field.name, {})[key] = _value(field.type, entry.get(2, b""))
        elif field.many:
            value.setdefault(field.name, []).append(_value(field.type, part))
        elif field.name == ".":
            value |= _message(field.type, _bytes(part))
        elif (one := _value(field.type, part)) or field.pointer:
            value[field.name] = one
    return value


def _value(form: str, part: int | bytes) -> Any:
    match form:
        case "int":
            return _signed(part)
        case "bool":
            return bool(part)
        case "":
            return _bytes(part).decode()
        case "bytes":
            return base64.b64encode(_bytes(part)).decode()
        case "Quantity":
            return _bytes(dict(_parts(_bytes(part))).get(1, b"")).decode()
        case "IntOrString":
            choice = dict(_parts(_bytes(part)))
            is_text = choice.get(1, 0) == 1
            return _bytes(choice.get(3, b"")).decode() if is_text else _signed(choice.get(2, 0))
        case "Time" | "MicroTime":
            return _time(_bytes(part), "seconds" if form == "Time" else "microseconds")
        case _:
            return _message(form, _bytes(part))


def _time(data: bytes, exact: str) -> str:
    """RFC 3339, as exact as metav1's Time or MicroTime; empty for Go's zero time."""
    found = dict(_parts(data))
    seconds, nanoseconds = (_signed(found.get(number, 0)) for number in (1, 2))
    when = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanoseconds // 1000)
    return f"{when.replace(tzinfo=None).isoformat(timespec=exact)}Z" if data else ""


def _signed(part: int | bytes) -> int:
    if isinstance(part, bytes):
        raise ValueError("a number is not one")
    return part - (1 << 64) if part >> 63 else part


def _bytes(part: int | bytes) -> bytes:
    if isinstance(part, int):
        raise ValueError("a number stands where text or a message should")
    return part


def _parts(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, varint or bytes) of a message as they come."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("it ends too early")
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {tag & 7} is in none of its messages")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise ValueError("it ends inside of a number")

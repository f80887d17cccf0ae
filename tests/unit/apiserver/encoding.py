"""Protobuf as Go's encoder writes it."""

from __future__ import annotations

from secondhop.apiserver.http.protobuf import MAGIC


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def part(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, *parts: bytes) -> bytes:
    head = part(1, api_version) + part(2, kind)
    return MAGIC + part(1, head) + part(2, b"".join(parts)) + part(3, "") + part(4, "")

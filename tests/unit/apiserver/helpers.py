"""A server to ask, and objects to give it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.http.protobuf import MAGIC
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import Store
from secondhop.errors import ApiError

CIDR = ip_network("10.43.0.0/16")
Object = dict[str, Any]


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def a_server(clock: Clock | None = None, history: int = 4096) -> Server:
    """A server with what every cluster begins with."""
    server = Server(Store(history), [CIDR], clock or Clock())
    bootstrap(server, CIDR)
    return server


def refusal(error: pytest.ExceptionInfo[ApiError]) -> tuple[int, str, str]:
    """What an error says: code, reason, message."""
    return error.value.code, error.value.reason, error.value.message


def config_map(name: str = "one", **data: str) -> Object:
    """A ConfigMap."""
    return {"metadata": {"name": name, "namespace": "default"}, "data": data or {"a": "b"}}


def create(server: Server, kind: str, value: Object, **options: Any) -> Object:
    """An object, as it is stored in its namespace, or in default."""
    namespace = "default" if KINDS[kind].namespaced else ""
    namespace = value["metadata"].get("namespace", namespace)
    return server.create(KINDS[kind], value, namespace, **options).object


def varint(number: int) -> bytes:
    """A number of a protobuf message."""
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def part(number: int, value: int | str | bytes) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, *parts: bytes) -> bytes:
    """An object as Go's encoder writes it."""
    head = part(1, api_version) + part(2, kind)
    return MAGIC + part(1, head) + part(2, b"".join(parts)) + part(3, "") + part(4, "")

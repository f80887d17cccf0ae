"""A server to ask, and objects to give it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from secondhop.apiserver.bootstrap import bootstrap
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

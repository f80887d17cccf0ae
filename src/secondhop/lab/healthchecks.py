"""The health checks that a node answers: kube-proxy's own, and those of Services with a
healthCheckNodePort (semantics §6)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from ..dataplane.health_checks import HealthCheck
from ..model.cluster import Address, Family
from .http import Request
from .netns import FAMILIES, Namespace, bind_all
from .reply import Reply, error
from .server import Connection, Handler

HEALTHZ_PORT = 10256
UNHEALTHY_SECONDS = 60.0
"""Twice kube-proxy's syncPeriod: an update that waits for longer makes a proxy unhealthy."""

_BACKLOG = 128
_HEADERS = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}


class Place(NamedTuple):
    """Where a server listens. address: None for every one of the family."""

    family: Family
    address: Address | None
    port: int


class Health:
    """What a proxy knows of itself (semantics §6.1, §6.2). eligible: its Node is known and not
    being deleted."""

    def __init__(self) -> None:
        self.eligible = False
        self._waiting: dict[Family, float] = {}
        self._updated: dict[Family, float] = {}

    def waits(self, families: Iterable[Family]) -> None:
        """There is an update that the kernel does not know yet."""
        for family in families:
            self._waiting.setdefault(family, time.time())

    def updated(self, families: Iterable[Family]) -> None:
        """The kernel has come up with the API."""
        for family in families:
            self._waiting.pop(family, None)
            self._updated[family] = time.time()

    @property
    def good(self) -> bool:
        """No update has waited for too long."""
        return all(self._fresh(family) for family in self._waiting)

    def _fresh(self, family: Family) -> bool:
        now = time.time()
        return now - self._waiting.get(family, now) <= UNHEALTHY_SECONDS

    def reply(self, request: Request, peer: str) -> Reply:
        """To /healthz, which is about the node too, and /livez, which is not."""
        if request.target.path not in ("/healthz", "/livez"):
            return error(404, "404 page not found")
        whole = request.target.path == "/healthz"
        fine = self.good and (self.eligible or not whole)
        now = time.time()
        told: dict[str, object] = {
            "lastUpdated": _stamp(now if fine else max(self._updated.values(), default=0.0)),
            "currentTime": _stamp(now),
            **({"nodeEligible": self.eligible} if whole else {}),
            "healthy": self.good,
            "status": {
                f"IPv{family}": {"lastUpdated": _stamp(when), "healthy": self._fresh(family)}
                for family, when in self._updated.items()
            },
        }
        body = json.dumps(told, separators=(",", ":"))
        return Reply(body.encode(), 200 if fine else 503, _HEADERS)


class ServiceHealth:
    """What is answered for one Service, whatever is asked."""

    def __init__(self, health: Health) -> None:
        self.check: HealthCheck | None = None
        self._health = health

    def reply(self, request: Request, peer: str) -> Reply:
        """A request that comes when the Service has gone gets an empty answer."""
        if (check := self.check) is None:
            return Reply(headers={"Connection": "close"})
        told = {
            "service": {"namespace": check.namespace, "name": check.service},
            "localEndpoints": check.endpoints,
            "serviceProxyHealthy": self._health.good,
        }
        fine = check.endpoints > 0 and self._health.good
        headers = {**_HEADERS, "X-Load-Balancing-Endpoint-Weight": str(check.endpoints)}
        return Reply(json.dumps(told, indent="\t").encode(), 200 if fine else 503, headers)


class HealthServers:
    """The servers of one node, on the loop of all.

    failed: called with the check and the reason where one cannot listen; it is tried again by
    every later sync.
    """

    def __init__(
        self, namespace: Namespace, health: Health, failed: Callable[[HealthCheck, str], None]
    ) -> None:
        self._namespace, self._health, self._failed = namespace, health, failed
        self._own: dict[Place, asyncio.Server] = {}
        self._open: dict[tuple[Place, str], tuple[asyncio.Server, ServiceHealth]] = {}

    async def serve_own(self, families: Iterable[Family]) -> None:
        """kube-proxy's own, if it can be had; on every address."""
        for family in families:
            place = Place(family, None, HEALTHZ_PORT)
            if place not in self._own:
                try:
                    self._own[place] = await self._listen(place, self._health.reply)
                except OSError:
                    continue  # kube-proxy goes on without (bindAddressHardFail is off)

    async def sync(self, wanted: Iterable[HealthCheck]) -> None:
        """Serve these and no others."""
        checks = {_key(check): check for check in wanted}
        for key in self._open.keys() - checks.keys():
            server, answer = self._open.pop(key)
            answer.check = None
            server.close()
        for key, check in checks.items():
            if key not in self._open and not await self._opened(key, check):
                continue
            self._open[key][1].check = check

    async def _opened(self, key: tuple[Place, str], check: HealthCheck) -> bool:
        answer = ServiceHealth(self._health)
        try:
            self._open[key] = await self._listen(key[0], answer.reply), answer
        except OSError as failure:
            self._failed(check, os.strerror(failure.errno or 0).lower())
            return False
        return True

    async def _listen(self, place: Place, handler: Handler) -> asyncio.Server:
        family = FAMILIES[place.family]
        listener = self._namespace.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if place.address is None:
                bind_all(listener, place.port)
            else:
                listener.bind((str(place.address), place.port))
            loop = asyncio.get_running_loop()
            return await loop.create_server(
                lambda: Connection(handler), sock=listener, backlog=_BACKLOG
            )
        except OSError:
            listener.close()
            raise


def _key(check: HealthCheck) -> tuple[Place, str]:
    return Place(check.family, check.address, check.port), f"{check.namespace}/{check.service}"


def _stamp(when: float) -> str:
    """As Go writes a time in JSON; its zero for one that never was."""
    if not when:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")

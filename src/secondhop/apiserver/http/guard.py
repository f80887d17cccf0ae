"""Who is let in: a request to a name of ours, not from a page of another site, with the token."""

from __future__ import annotations

from collections.abc import Collection
from hmac import compare_digest

from starlette.datastructures import Headers

from ...errors import ApiError


class Guard:
    """token: the bearer token of all clients. hosts: what a Host header may say, with the port."""

    def __init__(self, token: str, hosts: Collection[str]) -> None:
        self._expected = f"Bearer {token}".encode()
        self._hosts = frozenset(hosts)

    def check(self, headers: Headers) -> None:
        """Raises ApiError 401, 403 or 421. A wrong Host is a name that somebody else pointed at
        this address (DNS rebinding)."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts:
            raise ApiError(421, "MisdirectedRequest", f"this API is not at {host!r}")
        if origin is not None and origin != f"https://{host}":
            raise ApiError(403, "Forbidden", f"requests from {origin!r} are refused")
        given = headers.get("authorization", "").encode("latin-1")
        if not compare_digest(given, self._expected):
            raise ApiError(401, "Unauthorized", "Unauthorized")

"""The server as a component of the same process speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..client.api import USUAL, Deletion, Event, Listing, Object, PatchForm, meta
from ..errors import ApiError
from .kinds import KINDS, Kind
from .server import Server


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return KINDS[name]


class LocalApi:
    """An Api (see client.api) that calls the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """One object."""
        return self._server.get(_kind(kind), name, namespace)

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """All objects of a kind."""
        page = self._server.list(_kind(kind), namespace, labels=labels, fields=fields)
        return Listing(page.items, page.revision)

    def watch(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", since: str
    ) -> AsyncIterator[Event]:
        """What changes after a revision."""
        return self._server.watch(_kind(kind), namespace, labels=labels, fields=fields, since=since)

    async def create(self, value: Object, *, subresource: str = "") -> Object:
        """Store a new object, or a binding or an eviction of a pod."""
        namespace, name = meta(value)
        if subresource == "binding":
            return self._server.bind(name, value, namespace).object
        if subresource == "eviction":
            return self._server.evict(name, value, namespace).object
        return self._server.create(_kind(value["kind"]), value, namespace).object

    async def update(self, value: Object, *, subresource: str = "") -> Object:
        """Replace an object, or its status."""
        namespace, name = meta(value)
        kind = _kind(value["kind"])
        return self._server.update(kind, name, value, namespace, subresource=subresource).object

    async def patch(
        self,
        kind: str,
        name: str,
        namespace: str,
        patch: object,
        *,
        form: PatchForm = "merge",
        subresource: str = "",
    ) -> Object:
        """Change an object by a patch."""
        return self._server.patch(
            _kind(kind), name, patch, namespace, form, subresource=subresource
        ).object

    async def delete(
        self, kind: str, name: str, namespace: str = "", how: Deletion = USUAL
    ) -> Object:
        """Delete an object, or begin to."""
        return self._server.delete(_kind(kind), name, namespace, how).object

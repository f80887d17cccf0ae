"""The API as a node has it: away while the node's cable is cut."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import AsyncIterator

from ..client import Api, Object
from ..client.api import USUAL, Deletion, Event, Listing, PatchForm
from .netns import Namespace

_SIOCGIFFLAGS, _IFF_RUNNING = 0x8913, 0x40
_QUESTION = struct.Struct("=16sH22x")
_NIC = _QUESTION.pack(b"eth0", 0)


class Uplink:
    """An Api. Every method raises OSError while the link of the node's NIC is down, whoever took it
    down; a watch ends at the first event after that."""

    def __init__(self, api: Api, namespace: Namespace) -> None:
        self._api = api
        self._socket = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def _reach(self) -> Api:
        _, flags = _QUESTION.unpack(fcntl.ioctl(self._socket, _SIOCGIFFLAGS, _NIC))
        if not flags & _IFF_RUNNING:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return self._api

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """See Api."""
        return await self._reach().get(kind, name, namespace)

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """See Api."""
        return await self._reach().list(kind, namespace, labels=labels, fields=fields)

    async def watch(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", since: str
    ) -> AsyncIterator[Event]:
        """See Api."""
        watching = self._reach().watch(kind, namespace, labels=labels, fields=fields, since=since)
        async for event in watching:
            self._reach()
            yield event

    async def create(self, value: Object, *, subresource: str = "") -> Object:
        """See Api."""
        return await self._reach().create(value, subresource=subresource)

    async def update(self, value: Object, *, subresource: str = "") -> Object:
        """See Api."""
        return await self._reach().update(value, subresource=subresource)

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
        """See Api."""
        return await self._reach().patch(
            kind, name, namespace, patch, form=form, subresource=subresource
        )

    async def delete(
        self, kind: str, name: str, namespace: str = "", how: Deletion = USUAL
    ) -> Object:
        """See Api."""
        return await self._reach().delete(kind, name, namespace, how)

"""The interface: what kubelet, proxies, controllers and the experiment may ask of an API.

Two things implement it: `apiserver.local.LocalApi`, a call into the lab's own server, and
`client.url.UrlApi`, HTTPS to any Kubernetes API. The same tests run on both. An object that was
handed out is never changed: who wants another one copies it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON, with apiVersion and kind."""
EventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
PatchForm: TypeAlias = Literal["json", "merge", "strategic"]
Propagation: TypeAlias = Literal["Background", "Foreground", "Orphan"]


class Event(NamedTuple):
    """One change that a watch tells of. A DELETED object is as it was last; a BOOKMARK's has only
    a kind and the resourceVersion up to which everything has been told."""

    type: EventType
    object: Object


class Listing(NamedTuple):
    """Objects, and the resourceVersion from which a watch continues."""

    items: Sequence[Object]
    revision: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """How to delete: DeleteOptions.

    grace: seconds, None for the object's own. uid, revision: only if it is still this one.
    """

    grace: int | None = None
    propagation: Propagation | None = None
    uid: str | None = None
    revision: str | None = None


USUAL = Deletion()


class Api(Protocol):
    """A Kubernetes API. Every method raises ApiError where the API refuses.

    kind: as objects spell it (`Service`); kinds of the lab are told apart by it alone. namespace:
    empty for cluster-scoped kinds and, in list and watch, for all namespaces. labels, fields:
    selectors as kubectl takes them. subresource: `status`, `scale`, `eviction`, `binding`.
    """

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """One object. ApiError 404 if it is not there."""
        ...

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """All objects of a kind, by namespace and name."""
        ...

    def watch(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", since: str
    ) -> AsyncIterator[Event]:
        """What changes after the resourceVersion `since`, until closed or cut off; a bookmark from
        time to time. ApiError 410 (Expired), at once or later: list again."""
        ...

    async def create(self, value: Object, *, subresource: str = "") -> Object:
        """The object as stored. metadata says its name, or generateName, and its namespace."""
        ...

    async def update(self, value: Object, *, subresource: str = "") -> Object:
        """Replace an object, or its status only. With a metadata.resourceVersion that is not the
        stored one: ApiError 409 (Conflict)."""
        ...

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
        """Change an object by a patch; the object as stored."""
        ...

    async def delete(
        self, kind: str, name: str, namespace: str = "", how: Deletion = USUAL
    ) -> Object:
        """Delete an object, or begin to (grace, finalizers); as it was, or is now."""
        ...


def meta(value: Object) -> tuple[str, str]:
    """Namespace (empty if it has none) and name of an object."""
    metadata = value.get("metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def labels_of(value: Object) -> Mapping[str, str]:
    """The labels of an object."""
    labels: Mapping[str, str] = (value.get("metadata") or {}).get("labels") or {}
    return labels

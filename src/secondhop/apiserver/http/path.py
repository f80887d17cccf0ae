"""What a request's path names."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ApiError
from ..kinds import ALL, Kind
from .reviews import REVIEWS

SERVED = (*ALL, *REVIEWS)
_BY_PLACE = {(k.group, k.version, k.plural): k for k in SERVED}
GROUP_VERSIONS = tuple(dict.fromkeys((k.group, k.version) for k in SERVED))


@dataclass(frozen=True, slots=True)
class Place:
    """A collection of objects (no name), an object, or a part of one (subresource)."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done there; to the objects of all namespaces together, nothing."""
        for part in self.kind.subresources:
            if part.name == self.subresource:
                return part.verbs
        everywhere = self.kind.namespaced and not self.namespace
        return ("list", "watch") if everywhere else self.kind.verbs


def group_version(segments: list[str]) -> tuple[tuple[str, str], list[str]] | None:
    """Group and version that a path begins with, and its rest; None: another kind of path."""
    match segments:
        case ["api", version, *rest]:
            return ("", version), rest
        case ["apis", group, version, *rest]:
            return (group, version), rest
        case _:
            return None


def read_path(path: str) -> Place:
    """The place of a resource's path. Raises ApiError 404 as a server that has no such thing."""
    found = group_version(path.strip("/").split("/"))
    if found is None:
        raise no_such_path()
    where, rest = found
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = _BY_PLACE.get((*where, rest[0])) if rest else None
    place = [*rest[1:], "", ""]
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        raise no_such_path()
    if place[1] and not kind.has(place[1]):
        raise no_such_path()
    if place[0] and kind.namespaced and not namespace:
        raise no_such_path()
    return Place(kind, namespace, place[0], place[1])


def no_such_path() -> ApiError:
    """404: nothing is served there."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")

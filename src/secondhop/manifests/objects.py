"""Sorts documents by kind, and lets through only objects whose fields are at home."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .problems import Path, Problems, near, shown
from .read import Document
from .reference import reference_lab
from .resource import Resource
from .schema import API_VERSIONS, KINDS, kind_inside

if TYPE_CHECKING:
    from .misplaced import Survey

_GROUPS = {version.rpartition("/")[0] for version in API_VERSIONS.values()} | {"extensions"}
_CLUSTER_WIDE = ("Node", "Lab")


class Objects(NamedTuple):
    """The input, sorted. lab: its missing sections are the reference Lab's; stated: the names of
    its own. skipped: how many objects of each kind that is not ours. broken: of each that is, how
    many are left out for what is wrong with them."""

    resources: tuple[Resource, ...]
    skipped: Counter[str]
    lab: Resource
    stated: frozenset[str]
    broken: Counter[str]

    def of(self, *kinds: str) -> list[Resource]:
        """The resources of some kinds, in the order of the input."""
        return [resource for resource in self.resources if resource.kind in kinds]


def sort_out(documents: Sequence[Document], namespace: str, problems: Problems) -> Objects:
    """The objects of our kinds. Fields out of place are problems; the object goes on with them at
    home if that makes it whole, so that its other mistakes are found in the same pass."""
    skipped: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    sound: list[Resource] = []
    first: dict[tuple[str, str, str], Resource] = {}
    for document in documents:
        resource = _resource(document, namespace, problems)
        if _skipped(resource):
            skipped[resource.kind] += 1
        elif (whole := _checked(resource)) is not None and _only(whole, first):
            sound.append(whole)
        else:
            broken[resource.kind] += 1
    lab, stated = _lab([resource for resource in sound if resource.kind == "Lab"], problems)
    return Objects(tuple(r for r in sound if r.kind != "Lab"), skipped, lab, stated, broken)


def _resource(document: Document, namespace: str, problems: Problems) -> Resource:
    kind = document.object["kind"] if "kind" in document.object else kind_inside(document.object)
    metadata = document.object.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name")
    own = metadata.get("namespace")
    if isinstance(own, str) and own:
        namespace = own
    return Resource(
        document=document,
        kind=kind if isinstance(kind, str) else "",
        namespace="" if kind in _CLUSTER_WIDE else namespace,
        name=name if isinstance(name, str) else "",
        problems=problems,
    )


def examined(
    document: Document, namespace: str, problems: Problems
) -> tuple[Resource, Survey] | None:
    """An object of one of our kinds and what is wrong with its fields; None if nothing is."""
    from .misplaced import survey

    resource = _resource(document, namespace, problems)
    kind = resource.kind
    if _skipped(resource) or kind not in KINDS or KINDS[kind].admits(document.object):
        return None
    return resource, survey(document.object, kind, newer=resource.from_server)


def _skipped(resource: Resource) -> bool:
    """Whether it is an object of a kind that is not ours: another API's, or no near miss."""
    version = resource.get("apiVersion")
    if isinstance(version, str) and version.rpartition("/")[0] not in _GROUPS:
        return bool(resource.kind)
    known = resource.kind in KINDS or not resource.kind
    return not known and near(resource.kind, KINDS, 0.85) is None


def _checked(resource: Resource) -> Resource | None:
    """The resource with every field at home; None if kind, version or a value is not as the schema
    says."""
    kind = resource.kind
    if kind not in KINDS:
        guess = near(kind, KINDS, 0.85)
        remedy = f"Did you mean {guess}?" if guess else "Add `kind:`, Service for example."
        message = f"unknown kind {shown(kind)}" if kind else "Required value"
        resource.refuse(("kind",), message, remedy)
        return None
    version, right = resource.get("apiVersion"), API_VERSIONS[kind]
    if isinstance(version, str) and version != right:
        message = f"{kind} is not in {shown(version)}"
        resource.refuse(("apiVersion",), message, f"Write apiVersion: {right}.")
    if not KINDS[kind].admits(resource.document.object):
        return _surveyed(resource)
    return resource if _named(resource) else None


def _surveyed(resource: Resource) -> Resource | None:
    """See _checked; the examination itself is loaded only for an object that needs it."""
    from .misplaced import survey

    document, kind, newer = resource.document, resource.kind, resource.from_server
    found = survey(document.object, kind, newer=newer)
    for path, message, remedy, id in found.findings:
        resource.refuse(path, message, remedy, id=id)
    if survey(found.mended, kind, newer=newer).findings:
        return None
    mended = document._replace(object=found.mended, moved=found.moved)
    name = resource.name or found.mended.get("metadata", {}).get("name", "")
    whole = resource._replace(document=mended, name=name)
    return whole if _named(whole) else None


def _named(resource: Resource) -> bool:
    """Whether name and namespace may be such; a Service's have rules of their own."""
    if resource.kind in ("Lab", "Service"):
        return True
    named = resource.subdomain(("metadata", "name"), resource.name)
    place = not resource.namespace or resource.label(("metadata", "namespace"), resource.namespace)
    return named and place


def _only(resource: Resource, first: dict[tuple[str, str, str], Resource]) -> bool:
    """Whether no other object before it has its kind, namespace and name."""
    other = first.setdefault((resource.kind, resource.namespace, resource.name), resource)
    if other is resource:
        return True
    path: Path = () if resource.kind == "Lab" else ("metadata", "name")
    where = f"{other.document.source.name}:{other.document.line()}"
    said = f"is given twice; the first is at {where}"
    resource.refuse(path, said, "Keep one of the two.", id="duplicate-object")
    return False


def _lab(given: Sequence[Resource], problems: Problems) -> tuple[Resource, frozenset[str]]:
    """The Lab with the reference's sections where it has none, and the names of its own."""
    default = reference_lab()
    if not given:
        return Resource(default, "Lab", "", "", problems), frozenset()
    document = given[0].document
    stated = {name: value for name, value in document.object.items() if value is not None}
    whole: dict[str, Any] = default.object | stated
    return given[0]._replace(document=document._replace(object=whole)), frozenset(stated)

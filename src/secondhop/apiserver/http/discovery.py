"""Which kinds there are, and how they are named, for clients that ask before they speak: the
aggregated form (kubectl since 1.27) and the plain lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..kinds import Kind, Subresource
from .path import GROUP_VERSIONS, SERVED

Document = dict[str, Any]


def aggregated(core: bool, version: str) -> Document:
    """APIGroupDiscoveryList of /api or /apis. version: v2 or v2beta1."""
    places = [place for place in GROUP_VERSIONS if (place[0] == "") == core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_discovered(*place) for place in places],
    }


def _discovered(group: str, version: str) -> Document:
    resources = [_resource(kind) for kind in _kinds(group, version)]
    versions = [{"version": version, "resources": resources, "freshness": "Current"}]
    return {"metadata": {"name": group} if group else {}, "versions": versions}


def _resource(kind: Kind) -> Document:
    found: Document = {
        "resource": kind.plural,
        "responseKind": _gvk(kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    found |= _further_names(kind)
    if kind.subresources:
        found["subresources"] = [
            {"subresource": each.name, "responseKind": _part(kind, each), "verbs": list(each.verbs)}
            for each in kind.subresources
        ]
    return found


def versions() -> Document:
    """APIVersions of /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> Document:
    """APIGroupList of /apis."""
    named = [place for place in GROUP_VERSIONS if place[0]]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*p) for p in named]}


def group(name: str) -> Document | None:
    """APIGroup of /apis/NAME; None: there is no such group."""
    for place in GROUP_VERSIONS:
        if name and place[0] == name:
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(*place)
    return None


def _group(name: str, version: str) -> Document:
    only = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [only], "preferredVersion": only}


def resources(group: str, version: str) -> Document | None:
    """APIResourceList of /api/v1 or /apis/GROUP/VERSION; None: there is no such version."""
    found = [each for kind in _kinds(group, version) for each in _listed(kind)]
    if not found:
        return None
    place = f"{group}/{version}".lstrip("/")
    head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": place}
    return head | {"resources": found}


def _listed(kind: Kind) -> Iterator[Document]:
    yield {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    } | _further_names(kind)
    for part in kind.subresources:
        yield {
            "name": f"{kind.plural}/{part.name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "verbs": list(part.verbs),
        } | _part(kind, part)


def _further_names(kind: Kind) -> Document:
    named = {"shortNames": list(kind.short), "categories": list(kind.categories)}
    return {key: names for key, names in named.items() if names}


def _part(kind: Kind, part: Subresource) -> Document:
    if not part.kind:
        return _gvk(kind)
    return {"group": part.group, "version": part.version, "kind": part.kind}


def _gvk(kind: Kind) -> Document:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _kinds(group: str, version: str) -> Iterator[Kind]:
    return (kind for kind in SERVED if (kind.group, kind.version) == (group, version))

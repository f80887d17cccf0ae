"""OpenAPI: what kubectl's explain, diff and strict validation read of our kinds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..kinds import ALL, Kind
from ..schema import definitions
from .path import GROUP_VERSIONS

_SCHEMAS = "#/components/schemas/"
_V2 = b"\x0a\x032.0\x12\x17\x0a\x0aKubernetes\x12\x09secondhop"
_V2_MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def version_2() -> tuple[bytes, str]:
    """OpenAPI v2 that describes nothing, with its media type: `swagger` and `info`, as protobuf.
    kubectl demands one before it applies a List; before 1.29, before everything. What no document
    describes it leaves to the server to judge."""
    return _V2, _V2_MEDIA


def index() -> dict[str, Any]:
    """The documents there are, each at a URL with its hash, so that clients can keep them."""
    paths = {
        _base(*place): {"serverRelativeURL": f"/openapi/v3/{_base(*place)}?hash={_hash(*place)}"}
        for place in GROUP_VERSIONS
    }
    return {"paths": paths}


def _base(group: str, version: str) -> str:
    """Where the resources of a group's version begin: `api/v1`, `apis/apps/v1`."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


@cache
def _hash(group: str, version: str) -> str:
    """Changes with the document."""
    return hashlib.sha256(document(group, version)).hexdigest()[:32].upper()


@cache
def document(group: str, version: str) -> bytes:
    """The OpenAPI document of a group's version, as JSON."""
    kinds = [k for k in ALL if (k.group, k.version) == (group, version)]
    paths = {path: item for kind in kinds for path, item in _paths(kind)}
    value = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "secondhop"},
        "paths": paths,
        "components": {"schemas": _schemas(kinds)},
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _schemas(kinds: list[Kind]) -> dict[str, Any]:
    """The definitions of kinds, and all that they refer to."""
    found: dict[str, Any] = {}
    todo = [kind.definition for kind in kinds]
    todo += [part.definition for k in kinds for part in k.subresources if part.definition]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = definitions()[name]
            todo += _references(found[name])
    return dict(sorted(found.items()))


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.removeprefix(_SCHEMAS)
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)


_METHODS = {"create": "post", "delete": "delete", "get": "get", "patch": "patch", "update": "put"}
_ACTIONS = {"create": "post", "update": "put"}
_ON_MANY = {"list": "get", "create": "post", "deletecollection": "delete"}
_ON_ONE = ("delete", "get", "patch", "update")


def _paths(kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    many = f"/{_base(kind.group, kind.version)}/"
    many += f"namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else kind.plural
    one = f"{many}/{{name}}"
    scope = ["namespace"] if kind.namespaced else []
    collection = {
        method: _operation(kind, verb) for verb, method in _ON_MANY.items() if verb in kind.verbs
    }
    yield many, collection | {"parameters": _in_path(*scope)}
    item = {_METHODS[verb]: _operation(kind, verb) for verb in _ON_ONE if verb in kind.verbs}
    yield one, item | {"parameters": _in_path(*scope, "name")}


def _operation(kind: Kind, verb: str) -> dict[str, Any]:
    body = {"application/json": {"schema": {"$ref": _SCHEMAS + kind.definition}}}
    operation: dict[str, Any] = {
        "operationId": f"{verb}{kind.group.split('.')[0].title() or 'Core'}V1{kind.kind}",
        "responses": {"200": {"description": "OK", "content": body}},
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "version": kind.version,
            "kind": kind.kind,
        },
    }
    if verb in ("create", "patch", "update"):
        operation["parameters"] = [_in_query("dryRun"), _in_query("fieldValidation")]
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _in_query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def _in_path(*names: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]

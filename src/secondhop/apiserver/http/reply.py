"""Answers as HTTP: whole objects, Tables or metadata only, Statuses; and warnings beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from ...client.api import Object
from ...errors import ApiError
from .. import tables
from ..kinds import Kind
from ..reading import Page
from .accept import Form, wanted
from .path import Place


@dataclass(frozen=True, slots=True)
class Shape:
    """How objects of a kind are shown to one client."""

    kind: Kind
    form: Form
    version: str
    include: str

    @classmethod
    def of(cls, request: Request, place: Place) -> Shape:
        """What a request asks for; a Scale has no columns. Raises ApiError 406."""
        found = wanted(request.headers.get("accept", ""))
        form = "object" if place.subresource == "scale" else found.form
        include = request.query_params.get("includeObject") or "Metadata"
        return cls(place.kind, form, found.version, include)

    def one(self, value: Object, *, header: bool = True) -> Object:
        """An object."""
        match self.form:
            case "table":
                revision = value["metadata"]["resourceVersion"]
                return self._table([value], {"resourceVersion": revision}, header)
            case "metadata":
                return self._metadata(value)
        return value

    def many(self, page: Page) -> Object:
        """A list."""
        head: Object = {"resourceVersion": page.revision}
        if page.token:
            head["continue"] = page.token
        if page.remaining is not None:
            head["remainingItemCount"] = page.remaining
        match self.form:
            case "table":
                return self._table(page.items, head)
            case "metadata":
                kind, version = "PartialObjectMetadataList", f"meta.k8s.io/{self.version}"
                items = [self._metadata(value) for value in page.items]
            case _:
                kind, version = f"{self.kind.kind}List", self.kind.api_version
                items = list(page.items)
        return {"kind": kind, "apiVersion": version, "metadata": head, "items": items}

    def _table(self, values: Iterable[Object], head: Object, header: bool = True) -> Object:
        now = time.time()
        columns = tables.columns(self.kind) if header else []
        rows = [
            {"cells": tables.cells(self.kind, value, now), "object": self._included(value)}
            for value in values
        ]
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{self.version}",
            "metadata": head,
            "columnDefinitions": columns,
            "rows": rows,
        }

    def _included(self, value: Object) -> Object | None:
        if self.include == "Object":
            return value
        return self._metadata(value) if self.include == "Metadata" else None

    def _metadata(self, value: Object) -> Object:
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": f"meta.k8s.io/{self.version}",
            "metadata": value["metadata"],
        }


def encode(value: object) -> bytes:
    """JSON as it goes over the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def json_response(value: object, code: int = 200, warnings: Iterable[str] = ()) -> Response:
    """A JSON answer; warnings are for the client's user."""
    response = Response(encode(value), code, media_type="application/json")
    response.headers["cache-control"] = "no-cache, private"
    for text in dict.fromkeys(filter(None, warnings)):
        response.headers.append("warning", f"299 - {_quoted(text)}")
    return response


def status_of(error: ApiError) -> Object:
    """The Status object of a refusal."""
    value: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }
    return value | ({"details": dict(error.details)} if error.details else {})


def refusal(error: ApiError) -> Response:
    """A refusal as an answer."""
    return json_response(status_of(error), error.code)


def _quoted(text: str) -> str:
    """A quoted string of RFC 7230; what a header cannot hold is left out."""
    plain = "".join(letter for letter in text if letter.isascii() and letter.isprintable())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'

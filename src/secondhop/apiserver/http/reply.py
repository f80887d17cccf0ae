"""Answers as HTTP: whole objects, Tables or metadata only, Statuses; and warnings beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from ...client.api import Object
from ...errors import ApiError
from ..forms import shown
from ..kinds import Kind
from ..reading import Page
from ..refusals import bad_request
from ..tables import Include, table
from .accept import Form, wanted
from .path import Place


@dataclass(frozen=True, slots=True)
class Shape:
    """How the objects of a kind are shown to one client."""

    kind: Kind
    form: Form
    include: Include

    @classmethod
    def of(cls, request: Request, place: Place) -> Shape:
        """What a request asks for; a Scale has no columns. Raises ApiError 400, 406."""
        form = wanted(request.headers.get("accept", ""))
        include = request.query_params.get("includeObject") or "Metadata"
        for known in get_args(Include):
            if include == known:
                return cls(place.kind, "object" if place.subresource == "scale" else form, known)
        raise bad_request(f"includeObject: {include!r} is none of {get_args(Include)}")

    def one(self, value: Object) -> Object:
        """An object."""
        match self.form:
            case "table":
                head = {"resourceVersion": value["metadata"].get("resourceVersion", "")}
                return table(self.kind, [value], head, time.time(), self.include)
            case "metadata":
                return _metadata(value)
        return shown(self.kind, value)

    def many(self, page: Page) -> Object:
        """A list."""
        head: Object = {"resourceVersion": page.revision}
        if page.token:
            head["continue"] = page.token
        if page.remaining is not None:
            head["remainingItemCount"] = page.remaining
        if self.form == "table":
            return table(self.kind, page.items, head, time.time(), self.include)
        name, version = f"{self.kind.kind}List", self.kind.api_version
        items = [shown(self.kind, value) for value in page.items]
        if self.form == "metadata":
            items = [_metadata(value) for value in items]
            name, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        return {"kind": name, "apiVersion": version, "metadata": head, "items": items}


def _metadata(value: Object) -> Object:
    head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return head | {"metadata": value["metadata"]}


def encode(value: object) -> bytes:
    """JSON as it goes over the wire; what no UTF-8 can say (of a path, of protobuf) is `?`."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace")


def json_response(value: object, code: int = 200, warnings: Iterable[str] = ()) -> Response:
    """A JSON answer; warnings are for the client's user."""
    response = Response(encode(value), code, media_type="application/json")
    response.headers["cache-control"] = "no-cache, private"
    for text in dict.fromkeys(filter(None, warnings)):
        response.headers.append("warning", f"299 - {_quoted(text)}")
    return response


def status_of(error: ApiError) -> Object:
    """The Status object of a refusal. It has details even if it has none to tell: kubectl debug
    looks into them unasked."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "details": dict(error.details),
        "code": error.code,
    }


def refusal(error: ApiError) -> Response:
    """A refusal as an answer."""
    return json_response(status_of(error), error.code)


def _quoted(text: str) -> str:
    """A quoted string of RFC 7230; what a header cannot hold is left out."""
    plain = "".join(letter for letter in text if letter.isascii() and letter.isprintable())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'

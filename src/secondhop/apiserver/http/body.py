"""What a request's body says."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from ...client import PatchForm
from ...errors import ApiError
from ...manifests.yamltext import YamlTrouble, load
from ..refusals import bad_request
from . import protobuf

LARGEST = 3 << 20
"""Bytes of a body, as in a real server."""
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_PATCHES: dict[str, PatchForm] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}


async def read_object(request: Request) -> dict[str, Any]:
    """The object of a request; empty without a body. Raises ApiError."""
    value = _decode(await _read(request), _media(request))
    if not isinstance(value, dict):
        raise bad_request("the body of the request must be an object")
    return value


async def read_patch(request: Request) -> tuple[PatchForm, object]:
    """The patch of a request, and its form. Raises ApiError 415 for forms that are not known."""
    media = _media(request)
    form = _PATCHES.get(media)
    if form is None:
        hint = ": server-side apply is not served here, use kubectl apply without --server-side"
        text = (
            f"the body of the request was in an unknown format - accepted media types include: "
            f"{', '.join(_PATCHES)}{hint if media.startswith('application/apply-patch') else ''}"
        )
        raise ApiError(415, "UnsupportedMediaType", text)
    return form, _json(await _read(request))


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise ApiError(413, "RequestEntityTooLarge", f"limit is {LARGEST} bytes")
    return bytes(body)


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _decode(body: bytes, media: str) -> Any:
    if not body:
        return {}
    if media == _PROTOBUF or body.startswith(protobuf.MAGIC):
        try:
            return protobuf.decode(body)
        except (ValueError, OverflowError) as error:
            raise bad_request(f"the protobuf body cannot be read: {error}") from None
    if media in ("application/yaml", "application/x-yaml"):
        return _yaml(body)
    if media in ("", "application/json", "text/plain"):
        return _json(body)
    raise ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        f"application/json, application/yaml, {_PROTOBUF}",
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body cannot be read as JSON: {error}") from None


def _yaml(body: bytes) -> Any:
    try:
        documents = [value for _, value in load(body.decode())]
    except YamlTrouble as error:
        raise bad_request(f"the body cannot be read as YAML: {error}") from None
    except UnicodeError as error:
        raise bad_request(f"the body is not UTF-8: {error}") from None
    if len(documents) != 1:
        raise bad_request("the body must be one YAML document")
    return documents[0]

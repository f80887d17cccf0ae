"""What a request's body says."""

from __future__ import annotations

import json
from typing import Literal, TypeAlias

from starlette.requests import Request

from ...client import PatchForm
from ...errors import ApiError
from ...manifests.yamltext import YamlTrouble, load
from ..jsontext import Body, read
from ..refusals import bad_request
from . import protobuf

LARGEST = 3 << 20
"""Bytes of a body, as in a real server."""
_PROTOBUF, _YAML = "application/vnd.kubernetes.protobuf", "application/yaml"
Form: TypeAlias = PatchForm | Literal["apply"]
_PATCHES: dict[str, Form] = {
    "application/apply-patch+yaml": "apply",
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}


async def read_object(request: Request) -> Body:
    """The object of a request; empty without a body. Raises ApiError."""
    found = _decode(await _read(request), _media(request))
    if not isinstance(found.value, dict):
        raise bad_request("the body of the request must be an object")
    return found


async def read_patch(request: Request) -> tuple[Form, Body]:
    """The patch of a request, and its form. Raises ApiError 415 for forms that are not known."""
    form = _PATCHES.get(_media(request))
    if form is None:
        raise _unknown_format(*_PATCHES)
    body = await _read(request)
    if form == "apply" and not body.lstrip().startswith(b"{"):
        return form, _yaml(body)
    return form, read(body)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise ApiError(413, "RequestEntityTooLarge", f"limit is {LARGEST} bytes")
    return bytes(body)


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _decode(body: bytes, media: str) -> Body:
    if not body:
        return Body({}, [])
    if media == _PROTOBUF or body.startswith(protobuf.MAGIC):
        try:
            return Body(protobuf.decode(body), [])
        except (ValueError, OverflowError) as error:
            raise bad_request(f"the protobuf body cannot be read: {error}") from None
    if media == _YAML:
        return _yaml(body)
    if media in ("", "application/json", "text/plain"):
        return read(body)
    raise _unknown_format("application/json", _YAML, _PROTOBUF)


def _yaml(body: bytes) -> Body:
    """YAML as the JSON that it is turned into: keys become text there."""
    try:
        documents = [value for _, value in load(body.decode())]
        if len(documents) == 1:
            return read(json.dumps(documents[0], allow_nan=False).encode())
    except (YamlTrouble, ValueError, TypeError) as error:
        raise bad_request(f"the body cannot be read as YAML: {error}") from None
    raise bad_request("the body must be one YAML document")


def _unknown_format(*media: str) -> ApiError:
    text = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", text + ", ".join(media))

"""In which form a client wants its answer: the Accept header, best first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from ...errors import ApiError

Form = Literal["object", "table", "metadata"]
_JSON = {"application/json", "application/*", "*/*", ""}
_META = "meta.k8s.io", "v1"
_FORMS: Mapping[str, Form] = {
    "": "object",
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}


def wanted(accept: str) -> Form:
    """What an Accept header asks for: whole objects, a Table, or metadata only. Raises ApiError
    406 if it is nothing we have."""
    for media, parameters in _choices(accept):
        form = _FORMS.get(parameters.get("as", ""))
        if media in _JSON and form == "object":
            return form
        if media in _JSON and form and (parameters.get("g"), parameters.get("v")) == _META:
            return form
    raise _not_acceptable()


def wanted_discovery(accept: str) -> str:
    """v2 or v2beta1 of the aggregated discovery, empty for plain lists. Raises ApiError 406."""
    for media, parameters in _choices(accept):
        if media not in _JSON:
            continue
        form, version = parameters.get("as", ""), parameters.get("v", "")
        if not form:
            return ""
        if form == "APIGroupDiscoveryList" and version in ("v2", "v2beta1"):
            return version
    raise _not_acceptable()


def accepts_json(accept: str) -> None:
    """Raises ApiError 406 if a client takes no plain JSON."""
    if all(media not in _JSON or "as" in parameters for media, parameters in _choices(accept)):
        raise _not_acceptable()


def _not_acceptable() -> ApiError:
    text = "only the following media types are accepted: application/json"
    return ApiError(406, "NotAcceptable", text)


def _choices(accept: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        yield media.lower(), dict(_pair(parameter) for parameter in parameters)


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.strip(), value.strip()

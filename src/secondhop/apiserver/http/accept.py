"""In which form a client wants its answer: the Accept header, best first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ...errors import ApiError

Form = Literal["object", "table", "metadata"]
_JSON = {"application/json", "application/*", "*/*", ""}
_FORMS: dict[str, Form] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """form: whole objects, a Table, or metadata only. version: of meta.k8s.io, for the latter."""

    form: Form = "object"
    version: str = "v1"


def wanted(accept: str) -> Wanted:
    """What an Accept header asks for. Raises ApiError 406 if it is nothing we have."""
    for media, parameters in _choices(accept):
        if media not in _JSON:
            continue
        if "as" not in parameters:
            return Wanted()
        form, version = _FORMS.get(parameters["as"]), parameters.get("v", "")
        if form and parameters.get("g") == "meta.k8s.io" and version in ("v1", "v1beta1"):
            return Wanted(form, version)
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

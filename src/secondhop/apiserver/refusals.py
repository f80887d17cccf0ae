"""The API's refusals, in the words and codes of a real server: what Status objects say."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ApiError
from ..manifests.api.field import FieldError
from .kinds import Kind

_REASONS = {
    "Invalid": "FieldValueInvalid",
    "Required": "FieldValueRequired",
    "Forbidden": "FieldValueForbidden",
    "Duplicate": "FieldValueDuplicate",
    "NotFound": "FieldValueNotFound",
    "NotSupported": "FieldValueNotSupported",
    "TooLong": "FieldValueTooLong",
    "TooMany": "FieldValueTooMany",
}
MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def not_found(kind: Kind, name: str) -> ApiError:
    """404: there is no such object."""
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """409: there is one already."""
    message = f'{kind.resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(kind, name))


def conflict(kind: Kind, name: str, why: str = MODIFIED, *, subresource: str = "") -> ApiError:
    """409: the object is not in the state that the request takes for granted."""
    what = f"{kind.resource}/{subresource}" if subresource else kind.resource
    message = f'Operation cannot be fulfilled on {what} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def forbidden(kind: Kind, name: str, why: str, causes: Sequence[object] = ()) -> ApiError:
    """403."""
    details = _details(kind, name) | ({"causes": [*causes]} if causes else {})
    return ApiError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> ApiError:
    """410: the history does not reach back that far."""
    return ApiError(410, "Expired", message)


def too_large(revision: str, current: int) -> ApiError:
    """504: a revision that is still to come."""
    message = f"Timeout: Too large resource version: {revision}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def not_allowed() -> ApiError:
    """405: the resource does not know the verb."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message)


def invalid(qualified: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422, or 500 where the server failed itself. qualified: the kind, as `Deployment.apps`."""
    for error in errors:
        if error.type == "InternalError":
            return ApiError(500, "InternalError", error.message)
    lines = list(dict.fromkeys(map(str, errors)))
    told = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    kind, _, group = qualified.partition(".")
    causes = [
        {"reason": _REASONS[error.type], "message": error.message, "field": error.field}
        for error in errors
    ]
    details = {"name": name, "group": group, "kind": kind, "causes": causes}
    details = {key: value for key, value in details.items() if value}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {told}', details)


def _details(kind: Kind, name: str) -> dict[str, object]:
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, **group, "kind": kind.plural}

"""Changes that are told as patches."""

from __future__ import annotations

from typing import Any

from ..client.api import Object, PatchForm
from ..errors import ApiError
from .refusals import bad_request
from .strategic import merge_strategic

_UNPROCESSABLE = "the server rejected our request due to an error in our request"


def patched(definition: str, value: Object, patch: object, form: PatchForm) -> Any:
    """An object with a patch applied; the object stays as it is. Raises ApiError 400, 422."""
    if form == "json":
        return _json_patched(value, patch)
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal a patch that is no object")
    if form == "merge":
        return merge(value, patch)
    return merge_strategic(definition, value, patch)


def merge(value: Any, patch: Any) -> Any:
    """A JSON merge patch, RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    done = dict(value) if isinstance(value, dict) else {}
    for key, each in patch.items():
        if each is None:
            done.pop(key, None)
        else:
            done[key] = merge(done.get(key), each)
    return done


def _json_patched(value: Object, patch: Any) -> Any:
    """A JSON patch, RFC 6902."""
    import jsonpatch

    try:
        return jsonpatch.JsonPatch(patch).apply(value)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"error decoding patch: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
        raise ApiError(422, "Invalid", _UNPROCESSABLE) from None

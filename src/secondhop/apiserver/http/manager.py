"""Who a request says that it is from, as the owner of fields."""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.requests import Request

from ...manifests.api.field import FieldError, forbidden, invalid, required
from .. import refusals

_LONGEST = 128


def manager_of(request: Request) -> str:
    """The fieldManager of the query, or else the program that the User-Agent begins with. Raises
    ApiError 422."""
    given = request.query_params.get("fieldManager", "")
    if not given:
        program = request.headers.get("user-agent", "").partition("/")[0]
        return "".join(filter(str.isprintable, program))[:_LONGEST] or "unknown"
    if len(given) > _LONGEST:
        raise _refused(FieldError("TooLong", _NAME, None, _TOO_LONG))
    if not given.isprintable():
        raise _refused(invalid(_NAME, given, "should only contain printable "
                                               "characters"))  # fmt: skip
    return given


def expect_applier(query: QueryParams) -> None:
    """Raises ApiError 422 unless an apply names its manager."""
    if not query.get("fieldManager"):
        raise _refused(required(_NAME, "is required for apply patch"))


def expect_plain(query: QueryParams) -> None:
    """Raises ApiError 422 for what only an apply may say."""
    if "force" in query:
        why = "may not be specified for non-apply patch"
        raise _refused(forbidden(("force",), why))


_NAME = ("fieldManager",)
_TOO_LONG = f"may not be more than {_LONGEST} bytes"


def _refused(error: FieldError) -> Exception:
    return refusals.invalid("PatchOptions.meta.k8s.io", "", [error])

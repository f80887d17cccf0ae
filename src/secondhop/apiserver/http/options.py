"""Which parameters a request may have, as a real server rules on ListOptions, CreateOptions and
their like."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.datastructures import QueryParams

from ...manifests.api.field import FieldError, forbidden, not_supported
from ..refusals import bad_request, invalid
from ..request import dry_run_rules

_MATCH, _INITIAL = "resourceVersionMatch", "sendInitialEvents"
_EXACT, _NEWER = "Exact", "NotOlderThan"
_VALIDATIONS = ("Ignore", "Warn", "Strict")


def check_list(query: QueryParams) -> None:
    """Raises ApiError 400, 422."""
    _check("ListOptions", _of_list(query))
    if query.get("continue") and query.get("resourceVersion", "0") not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")


def check_watch(query: QueryParams) -> None:
    """Raises ApiError 422."""
    _check("ListOptions", _of_watch(query))


def check_write(kind: str, query: QueryParams) -> None:
    """kind: `CreateOptions`, `UpdateOptions`, `PatchOptions`. Raises ApiError 422."""
    _check(kind, _of_write(query))


def _check(kind: str, errors: Iterator[FieldError]) -> None:
    if found := [*errors]:
        raise invalid(f"{kind}.meta.k8s.io", "", found)


def _of_write(query: QueryParams) -> Iterator[FieldError]:
    yield from dry_run_rules(query.getlist("dryRun"))
    validation = query.get("fieldValidation")
    if validation and validation not in _VALIDATIONS:
        yield not_supported(("fieldValidation",), validation, _VALIDATIONS)


def _of_list(query: QueryParams) -> Iterator[FieldError]:
    if match := query.get(_MATCH):
        if not query.get("resourceVersion"):
            yield _no_match("unless resourceVersion is provided")
        if query.get("continue"):
            yield _no_match("when continue is provided")
        if match not in (_EXACT, _NEWER):
            yield not_supported((_MATCH,), match, (_EXACT, _NEWER, ""))
        if match == _EXACT and query.get("resourceVersion") == "0":
            yield forbidden((_MATCH,), f'{_MATCH} "exact" is forbidden for resourceVersion "0"')
    if _INITIAL in query:
        yield forbidden((_INITIAL,), f"{_INITIAL} is forbidden for list")


def _of_watch(query: QueryParams) -> Iterator[FieldError]:
    match = query.get(_MATCH)
    if _INITIAL in query and match != _NEWER:
        yield forbidden((_MATCH,), f"{_INITIAL} requires setting {_MATCH} to {_NEWER}")
    if match:
        if _INITIAL not in query:
            yield _no_match(f"for watch unless {_INITIAL} is provided")
        if match != _NEWER:
            yield not_supported((_MATCH,), match, (_NEWER,))
        if query.get("continue"):
            yield _no_match("when continue is provided")


def _no_match(why: str) -> FieldError:
    return forbidden((_MATCH,), f"{_MATCH} is forbidden {why}")

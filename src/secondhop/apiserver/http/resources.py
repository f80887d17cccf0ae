"""The verbs on resources: a request read, the server asked, its answer written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, get_args

from starlette.requests import Request
from starlette.responses import Response

from ...client.api import Deletion, Object
from ..deletion import wish
from ..jsontext import Body
from ..refusals import bad_request, expired, not_allowed
from ..request import Options, Validation
from ..schema import Mistyped, decode
from ..server import Answer, Server
from . import reviews
from .content import read_object, read_patch
from .manager import expect_applier, expect_plain, manager_of
from .options import check_list, check_write
from .path import Place
from .query import flag, number, selectors
from .reply import Shape, json_response
from .watch import watch

Handler: TypeAlias = Callable[[Server, Place, Request], Awaitable[Response]]

_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_CHANGES = {"GET": "get", "PUT": "update", "PATCH": "patch"}
_ON_MANY = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_ON_ONE = {**_CHANGES, "DELETE": "delete"}
_WRITES = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_ON_PART = {**_CHANGES, "POST": "create"}


async def resource(server: Server, place: Place, request: Request) -> Response:
    """What a resource answers. Raises ApiError."""
    verbs = _ON_PART if place.subresource else _ON_ONE if place.name else _ON_MANY
    verb = verbs.get(request.method, "")
    if verb not in place.verbs:
        raise not_allowed()
    if verb in _WRITES:
        check_write(_WRITES[verb], request.query_params)
    return await _HANDLERS[verb](server, place, request)


async def _get(server: Server, place: Place, request: Request) -> Response:
    kind, name, namespace = place.kind, place.name, place.namespace
    server.expect_reached(request.query_params.get("resourceVersion", ""))
    if place.subresource == "scale":
        found = server.get_scale(kind, name, namespace)
    else:
        found = server.get(kind, name, namespace)
    return json_response(Shape.of(request, place).one(found), warnings=[kind.warning])


async def _list(server: Server, place: Place, request: Request) -> Response:
    query = request.query_params
    if flag(query, "watch"):
        return watch(server, place, request)
    check_list(query)
    server.expect_reached(query.get("resourceVersion", ""))
    page = server.list(
        place.kind,
        place.namespace,
        **selectors(query),
        limit=number(query, "limit") or 0,
        token=query.get("continue", ""),
    )
    exact = query.get("resourceVersionMatch") == "Exact"
    if exact and query.get("resourceVersion") != page.revision:
        raise expired("The resourceVersion for the provided list is too old.")
    return json_response(Shape.of(request, place).many(page), warnings=[place.kind.warning])


async def _create(server: Server, place: Place, request: Request) -> Response:
    value, options = await _object(request)
    if place.kind in reviews.REVIEWS:
        authorization = request.headers.get("authorization", "")
        return json_response(reviews.answer(place.kind, value, authorization), 201)
    match place.subresource:
        case "binding":
            server.bind(place.name, value, place.namespace, options)
            return json_response(_success(place), 201)
        case "eviction":
            done = server.evict(place.name, value, place.namespace, options)
            return json_response(_success(place), 201, done.warnings)
    shape = Shape.of(request, place)
    done = server.create(place.kind, value, place.namespace, options)
    return _written(done, shape, 201)


async def _update(server: Server, place: Place, request: Request) -> Response:
    value, options = await _object(request)
    shape = Shape.of(request, place)
    done = server.update(place.kind, place.name, value, place.namespace, options, place.subresource)
    return _written(done, shape)


async def _patch(server: Server, place: Place, request: Request) -> Response:
    form, patch = await read_patch(request)
    options, shape = _options(request, patch), Shape.of(request, place)
    kind, name, namespace, part = place.kind, place.name, place.namespace, place.subresource
    if form != "apply":
        expect_plain(request.query_params)
        done = server.patch(kind, name, patch.value, namespace, form, options, part)
    else:
        expect_applier(request.query_params)
        done = server.apply(kind, name, patch.value, namespace, options, part)
    return _written(done, shape, 201 if done.made else 200)


async def _delete(server: Server, place: Place, request: Request) -> Response:
    how, options = await _deletion(request)
    shape = Shape.of(request, place)
    done = server.delete(place.kind, place.name, place.namespace, how, options)
    if done.gone:
        return json_response(_success(place, done.object), warnings=done.warnings)
    return _written(done, shape)


async def _delete_many(server: Server, place: Place, request: Request) -> Response:
    how, options = await _deletion(request)
    selected, shape = selectors(request.query_params), Shape.of(request, place)
    found = server.list(place.kind, place.namespace, **selected)
    server.delete_collection(place.kind, place.namespace, **selected, how=how, options=options)
    return json_response(shape.many(found))


_HANDLERS: Mapping[str, Handler] = {
    "get": _get,
    "list": _list,
    "create": _create,
    "update": _update,
    "patch": _patch,
    "delete": _delete,
    "deletecollection": _delete_many,
}


async def _object(request: Request) -> tuple[Object, Options]:
    body = await read_object(request)
    return body.value, _options(request, body)


def _options(request: Request, body: Body) -> Options:
    """How to write; the query's own rules are checked."""
    query = request.query_params
    validation = query.get("fieldValidation") or "Warn"
    known = next(each for each in get_args(Validation) if each == validation)
    manager, force = manager_of(request), flag(query, "force")
    return Options("dryRun" in query, known, body.doubled, manager, force)


async def _deletion(request: Request) -> tuple[Deletion, Options]:
    """DeleteOptions: the body's, or else the query's. Raises ApiError 400, 422."""
    query, given = request.query_params, (await read_object(request)).value
    if not given:
        given = {"propagationPolicy": query.get("propagationPolicy")}
        given["gracePeriodSeconds"] = number(query, "gracePeriodSeconds")
    try:
        options = decode(_DELETE_OPTIONS, given).value
    except Mistyped as error:
        raise bad_request(f"DeleteOptions: {error}") from None
    stages = [*options.get("dryRun", ()), *query.getlist("dryRun")]
    return wish(options | {"dryRun": stages}), Options(bool(stages))


def _written(done: Answer, shape: Shape, code: int = 200) -> Response:
    return json_response(shape.one(done.object), code, [shape.kind.warning, *done.warnings])


def _success(place: Place, last: Object | None = None) -> Object:
    """The Status of a request that leaves nothing to show; last: what is gone."""
    details = {"name": place.name, "group": place.kind.group, "kind": place.kind.plural}
    if last is not None:
        details["uid"] = last["metadata"]["uid"]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }

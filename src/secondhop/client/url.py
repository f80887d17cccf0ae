"""An Api (see client.api) that is a Kubernetes API server at a URL: the lab's own, or any other."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple

import httpx

from ..errors import ApiError
from .api import USUAL, Deletion, Event, Listing, Object, PatchForm, meta
from .kubeconfig import Access
from .tls import show

PAGE = 500
"""Objects asked for at a time."""
WATCH_SECONDS = 300
"""A watch asks to be ended after so long."""
_PATIENCE = 30.0
"""Seconds to wait for an answer, or for the end of a watch that is overdue."""
_AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_PATCH_TYPES: Mapping[PatchForm, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_PARENTS = {"binding": "Pod", "eviction": "Pod"}
"""Kinds whose subresources are created with objects of another kind."""


class _Resource(NamedTuple):
    """Where the objects of a kind are. prefix: `/apis/apps/v1`."""

    prefix: str
    plural: str
    namespaced: bool


class UrlApi:
    """One client of one API; to be used in one event loop, and closed.

    Besides ApiError every method raises ConnectionError when the API cannot be reached, or what
    answers is none.
    """

    def __init__(self, access: Access) -> None:
        headers = {"user-agent": "secondhop"}  # which is who owns the fields that it writes
        if access.token:
            headers["authorization"] = f"Bearer {access.token}"
        self._http = httpx.AsyncClient(
            base_url=access.server,
            headers=headers,
            verify=_context(access),
            timeout=_PATIENCE,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )
        self._found: Mapping[str, _Resource] | None = None
        self._finding = asyncio.Lock()

    async def __aenter__(self) -> UrlApi:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """One object."""
        return await self._ask("GET", await self._path(kind, namespace, name))

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """All objects of a kind, a page after the other."""
        path, items, token = await self._path(kind, namespace), list[Object](), ""
        while True:
            found = await self._ask(
                "GET",
                path,
                labelSelector=labels,
                fieldSelector=fields,
                limit=str(PAGE),
                **{"continue": token},
            )
            with _as_agreed():
                head = {"apiVersion": found["apiVersion"], "kind": kind}
                items += [head | item for item in found.get("items") or []]
                token = found["metadata"].get("continue", "")
                if not token:
                    return Listing(items, found["metadata"]["resourceVersion"])

    async def watch(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", since: str
    ) -> AsyncIterator[Event]:
        """What changes after a revision, until the server ends it."""
        query = _query(
            watch="true",
            labelSelector=labels,
            fieldSelector=fields,
            resourceVersion=since,
            allowWatchBookmarks="true",
            timeoutSeconds=str(WATCH_SECONDS),
        )
        path = await self._path(kind, namespace)
        patience = httpx.Timeout(_PATIENCE, read=WATCH_SECONDS + _PATIENCE)
        try:
            async with self._http.stream("GET", path, params=query, timeout=patience) as response:
                if response.is_error:
                    await response.aread()
                    raise _refusal(response)
                async for line in response.aiter_lines():
                    yield _event(line)
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    async def create(self, value: Object, *, subresource: str = "") -> Object:
        """Store a new object, or a binding or an eviction of a pod."""
        namespace, name = meta(value)
        kind: str = _PARENTS.get(subresource) or value["kind"]
        path = await self._path(kind, namespace, name if subresource else "", subresource)
        return await self._ask("POST", path, value)

    async def update(self, value: Object, *, subresource: str = "") -> Object:
        """Replace an object, or its status."""
        namespace, name = meta(value)
        return await self._ask(
            "PUT", await self._path(value["kind"], namespace, name, subresource), value
        )

    async def patch(
        self,
        kind: str,
        name: str,
        namespace: str,
        patch: object,
        *,
        form: PatchForm = "merge",
        subresource: str = "",
    ) -> Object:
        """Change an object by a patch."""
        path = await self._path(kind, namespace, name, subresource)
        return await self._ask("PATCH", path, patch, _PATCH_TYPES[form])

    async def delete(
        self, kind: str, name: str, namespace: str = "", how: Deletion = USUAL
    ) -> Object:
        """Delete an object, or begin to. Where the API only says that it is gone, it is asked
        before for what it was."""
        path = await self._path(kind, namespace, name)
        before = await self._ask("GET", path)
        only = {"uid": how.uid, "resourceVersion": how.revision}
        options = {
            "gracePeriodSeconds": how.grace,
            "propagationPolicy": how.propagation,
            "preconditions": {key: value for key, value in only.items() if value} or None,
        }
        body = {key: value for key, value in options.items() if value is not None}
        head = {"apiVersion": "v1", "kind": "DeleteOptions"}
        done = await self._ask("DELETE", path, head | body)
        return before if done.get("kind") == "Status" else done

    async def ready(self) -> bool:
        """Whether the server says that it is ready for everything."""
        try:
            return (await self._http.get("readyz")).is_success
        except httpx.TransportError as error:
            raise _unreachable(error) from error

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        media: str = "application/json",
        *,
        accept: str = "application/json",
        **query: str,
    ) -> Object:
        content = None if body is None else json.dumps(body).encode()
        headers = {"accept": accept} | ({"content-type": media} if content else {})
        try:
            response = await self._http.request(
                method,
                path,
                content=content,
                params=_query(**query),
                headers=headers,
            )
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if response.is_error:
            raise _refusal(response)
        return _object(response)

    async def _path(self, kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
        async with self._finding:
            if self._found is None:
                self._found = await self._discover()
        if kind not in self._found:
            raise ApiError(404, "NotFound", f"the server has no kind {kind}")
        prefix, plural, namespaced = self._found[kind]
        inside = ["namespaces", namespace] if namespaced and namespace else []
        return "/".join(filter(None, [prefix, *inside, plural, name, subresource]))

    async def _discover(self) -> Mapping[str, _Resource]:
        """Kinds by name; of those that share one, the first: core's, then as the groups come."""
        found: dict[str, _Resource] = {}
        for root in "/api", "/apis":
            listed = await self._ask("GET", root, accept=_AGGREGATED)
            if listed.get("kind") != "APIGroupDiscoveryList":
                text = "the API has no aggregated discovery: Kubernetes 1.27 or later is needed"
                raise ApiError(406, "NotAcceptable", text)
            with _as_agreed():
                for kind, resource in _resources(root, listed):
                    found.setdefault(kind, resource)
        return found


def _resources(root: str, listed: Object) -> Iterator[tuple[str, _Resource]]:
    """What an APIGroupDiscoveryList lists; of each group its preferred version, the first."""
    for group in listed["items"]:
        name, version = group["metadata"].get("name"), group["versions"][0]
        prefix = "/".join(filter(None, [root, name, version["version"]]))
        for each in version["resources"]:
            namespaced = each["scope"] == "Namespaced"
            kind = each["responseKind"]["kind"]
            yield kind, _Resource(prefix, each["resource"], namespaced)


def _query(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _event(line: str) -> Event:
    """A line of a watch. Raises the ApiError that it may be."""
    with _as_agreed():
        event = json.loads(line)
        kind, value = event["type"], event["object"]
        if kind == "ERROR":
            raise _status_error(value)
        value["metadata"].keys()
        return Event(kind, value)


def _object(response: httpx.Response) -> Object:
    with _as_agreed():
        value: Object = response.json()
        value.keys()
        return value


@contextmanager
def _as_agreed() -> Iterator[None]:
    """What stands at a URL may be no API, and a line of a watch may be cut off."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise ConnectionError("the answer is not what a Kubernetes API answers") from None


def _refusal(response: httpx.Response) -> ApiError:
    """What an answer says that is no success; who stands before an API may not speak its way."""
    try:
        value = response.json()
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.get("kind") != "Status":
        value = {"message": f"{response.status_code} {response.text[:200]}"}
    return _status_error({"code": response.status_code} | value)


def _status_error(status: Object) -> ApiError:
    return ApiError(
        status.get("code", 500),
        status.get("reason", ""),
        status.get("message", ""),
        status.get("details"),
    )


def _unreachable(error: httpx.HTTPError) -> ConnectionError:
    return ConnectionError(str(error) or type(error).__name__)


def _context(access: Access) -> ssl.SSLContext:
    """TLS as the access says."""
    context = ssl.create_default_context(cadata=access.authority)
    if access.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if access.certificate and access.key:
        show(context, access.certificate, access.key)
    return context

"""One interface, two transports: each test speaks to the server in the process, and over HTTPS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias, cast

import pytest
from serving import a_cluster, over_https

from secondhop.apiserver.http.credentials import make_credentials
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.local import LocalApi
from secondhop.apiserver.server import Server
from secondhop.client.api import Api, Deletion, Event, Object, PatchForm
from secondhop.client.informer import Informer
from secondhop.client.url import UrlApi
from secondhop.errors import ApiError

Scenario: TypeAlias = Callable[[Api, Server], Awaitable[None]]


@pytest.fixture(params=["local", "url"])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario with a server of its own."""

    async def local(scenario: Scenario) -> None:
        server = a_cluster(history=64)
        await scenario(LocalApi(server), server)

    async def url(scenario: Scenario) -> None:
        server = a_cluster(history=64)
        async with over_https(server) as served, UrlApi(served.access) as api:
            await scenario(api, server)

    way = {"local": local, "url": url}[request.param]
    return lambda scenario: asyncio.run(asyncio.wait_for(way(scenario), 20))


def named(name: str, **more: object) -> Object:
    """A ConfigMap as a whole object."""
    value = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}, **more}
    return value | {"metadata": {"name": name, "namespace": "default", "labels": {"app": name}}}


def a_pod(**spec: object) -> Object:
    containers = [{"name": "main", "image": "traefik/whoami"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": containers, **spec},
    }


async def refused(request: Awaitable[object]) -> tuple[int, str, str]:
    with pytest.raises(ApiError) as error:
        await request
    return error.value.code, error.value.reason, error.value.message


def events(api: Api, since: str, **selectors: str) -> AsyncGenerator[Event, None]:
    found = api.watch("ConfigMap", "default", since=since, **selectors)
    return cast("AsyncGenerator[Event, None]", found)


def test_what_comes_over_https_is_secondhops_own() -> None:
    async def main() -> list[Object]:
        async with over_https(a_cluster()) as served, UrlApi(served.access) as api:
            made = await api.create(named("a"))
            return list(made["metadata"]["managedFields"])

    (owned,) = asyncio.run(asyncio.wait_for(main(), 20))
    assert (owned["manager"], owned["operation"]) == ("secondhop", "Update")


def test_what_was_created_is_there_to_get_and_to_list(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        made = [await api.create(named(name)) for name in ("b", "a")]
        assert await api.get("ConfigMap", "a", "default") == made[1]
        listing = await api.list("ConfigMap", "default")
        assert listing.items == made[::-1]
        assert listing.revision == made[1]["metadata"]["resourceVersion"]
        assert (await api.list("ConfigMap")).items == made[::-1]
        assert (await api.list("ConfigMap", labels="app in (b,c)")).items == made[:1]
        assert (await api.list("ConfigMap", fields="metadata.name!=b")).items == made[1:]
        assert (await api.list("ConfigMap", "kube-system")).items == []
        assert (await api.get("Namespace", "default"))["kind"] == "Namespace"

    run(scenario)


def test_a_long_list_comes_whole(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        names = [f"m{number:04}" for number in range(1203)]
        for name in names:
            server.create(KINDS["ConfigMap"], {"metadata": {"name": name}}, "default")
        listing = await api.list("ConfigMap", "default")
        assert [item["metadata"]["name"] for item in listing.items] == names
        assert {item["kind"] for item in listing.items} == {"ConfigMap"}

    run(scenario)


def test_refusals_say_what_the_api_says(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        made = await api.create(named("one"))
        assert await refused(api.get("ConfigMap", "two", "default")) == (
            404,
            "NotFound",
            'configmaps "two" not found',
        )
        assert await refused(api.create(named("one"))) == (
            409,
            "AlreadyExists",
            'configmaps "one" already exists',
        )
        await api.update({**made, "data": {"a": "c"}})
        code, reason, _ = await refused(api.update({**made, "data": {"a": "d"}}))
        assert (code, reason) == (409, "Conflict")
        wrong = {"name": "one", "namespace": "default"}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": wrong}
        with pytest.raises(ApiError) as error:
            await api.create(service | {"spec": {"ports": [{"port": 0}]}})
        assert (error.value.code, error.value.reason) == (422, "Invalid")
        assert error.value.details["kind"] == "Service"
        assert error.value.details["causes"][0]["field"] == "spec.ports[0].port"

    run(scenario)


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        ("merge", {"data": {"a": None, "c": "d"}}),
        ("strategic", {"data": {"a": None, "c": "d"}}),
        (
            "json",
            [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/c", "value": "d"}],
        ),
    ],
)
def test_patches(run: Callable[[Scenario], None], form: PatchForm, patch: object) -> None:
    async def scenario(api: Api, server: Server) -> None:
        await api.create(named("one"))
        changed = await api.patch("ConfigMap", "one", "default", patch, form=form)
        assert changed["data"] == {"c": "d"}
        assert await api.get("ConfigMap", "one", "default") == changed

    run(scenario)


def test_a_pod_is_bound_and_told_of_and_evicted(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        await api.create(a_pod())
        head = {"metadata": {"name": "web", "namespace": "default"}}
        binding = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n"}}
        await api.create(head | binding, subresource="binding")
        pod = await api.get("Pod", "web", "default")
        assert pod["spec"]["nodeName"] == "n"
        pod = await api.update(pod | {"status": {"phase": "Running"}}, subresource="status")
        assert pod["status"]["phase"] == "Running"
        status = {"status": {"podIP": "10.0.0.1"}}
        pod = await api.patch("Pod", "web", "default", status, subresource="status")
        assert pod["status"]["podIP"] == "10.0.0.1"
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
        await api.create(head | eviction, subresource="eviction")
        pod = await api.get("Pod", "web", "default")
        assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
        gone = await api.delete("Pod", "web", "default", Deletion(grace=0))
        assert gone["metadata"]["uid"] == pod["metadata"]["uid"]
        assert (await refused(api.get("Pod", "web", "default")))[0] == 404

    run(scenario)


def test_a_deletion_may_be_for_one_object_only(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        made = await api.create(named("one"))
        other = api.delete("ConfigMap", "one", "default", Deletion(uid="other"))
        assert (await refused(other))[:2] == (409, "Conflict")
        mine = Deletion(propagation="Background", uid=made["metadata"]["uid"])
        last = await api.delete("ConfigMap", "one", "default", mine)
        assert last["data"] == made["data"]

    run(scenario)


def test_a_watch_tells_every_change_after_a_revision(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        first = await api.create(named("one"))
        async with aclosing(events(api, first["metadata"]["resourceVersion"])) as watch:
            second = await api.create(named("two"))
            assert await anext(watch) == Event("ADDED", second)
            third = await api.update({**second, "data": {}})
            assert await anext(watch) == Event("MODIFIED", third)
            await api.delete("ConfigMap", "two", "default")
            kind, last = await anext(watch)
            assert (kind, last["metadata"]["name"]) == ("DELETED", "two")
            assert int(last["metadata"]["resourceVersion"]) > int(
                third["metadata"]["resourceVersion"]
            )

    run(scenario)


def test_a_watch_of_some_sees_them_come_and_go(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        one = await api.create(named("one"))
        since = one["metadata"]["resourceVersion"]
        async with aclosing(events(api, since, labels="app=two")) as watch:
            label = {"metadata": {"labels": {"app": "two"}}}
            await api.patch("ConfigMap", "one", "default", label)
            assert (await anext(watch)).type == "ADDED"
            label = {"metadata": {"labels": {"app": "three"}}}
            await api.patch("ConfigMap", "one", "default", label)
            assert (await anext(watch)).type == "DELETED"

    run(scenario)


def test_a_watch_from_before_the_history_expires(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        for number in range(70):
            await api.create(named(f"m{number}"))
        with pytest.raises(ApiError) as error:
            await anext(events(api, "2"))
        assert (error.value.code, error.value.reason) == (410, "Expired")

    run(scenario)


def test_an_informer_keeps_up(run: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, server: Server) -> None:
        await api.create(named("one"))
        changed = asyncio.Event()
        informer = Informer(api, "ConfigMap", lambda *_: changed.set())
        task = asyncio.create_task(informer.run())
        await informer.synced.wait()
        assert {name for _, name in informer.objects} == {"one"}
        await api.create(named("two"))
        await api.delete("ConfigMap", "one", "default")
        while {name for _, name in informer.objects} != {"two"}:
            changed.clear()
            await changed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario)


def test_an_unknown_kind_is_not_found() -> None:
    async def main() -> None:
        async with over_https(a_cluster()) as served, UrlApi(served.access) as api:
            assert (await refused(api.get("Teapot", "one")))[0] == 404

    asyncio.run(main())


def test_an_api_that_is_away_is_an_os_error_as_informers_expect() -> None:
    async def main() -> None:
        async with over_https(a_cluster()) as served, UrlApi(served.access) as api:
            listing = await api.list("ConfigMap")
            watch = events(api, listing.revision)
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0.1)
        with pytest.raises(ConnectionError):
            await waiting
        async with UrlApi(served.access) as api:
            with pytest.raises(ConnectionError):
                await api.list("ConfigMap")

    asyncio.run(main())


def test_other_ways_to_be_known_and_to_know() -> None:
    """A certificate of one's own is offered; a server is believed only if a CA says so."""

    async def main() -> None:
        async with over_https(a_cluster()) as served:
            known = served.access
            mine = make_credentials(["me"])
            certified = replace(known, certificate=mine.certificate, key=mine.key)
            for access in certified, replace(known, authority=None, insecure=True):
                async with UrlApi(access) as api:
                    await api.list("ConfigMap")
            async with UrlApi(replace(known, authority=mine.authority)) as api:
                with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                    await api.list("ConfigMap")
            async with UrlApi(replace(known, token="other")) as api:
                assert (await refused(api.list("ConfigMap")))[:2] == (401, "Unauthorized")

    asyncio.run(main())

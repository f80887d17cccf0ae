"""The API over HTTPS as any client may speak to it: who is let in, and what answers look like."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import FakeAgent, Served, a_cluster, listener, over_https
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from secondhop.apiserver.http.app import App
from secondhop.apiserver.http.credentials import make_credentials, server_context
from secondhop.apiserver.http.reviews import USER
from secondhop.apiserver.http.serve import serving

from .encoding import body, part
from .helpers import config_map

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CREDENTIALS = make_credentials(["127.0.0.1"])
MAPS = "/api/v1/namespaces/default/configmaps"


def tls(served: Served) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=served.credentials.authority)


def bearer(served: Served) -> dict[str, str]:
    return {"authorization": f"Bearer {served.credentials.token}"}


def speak(scenario: Callable[[httpx.AsyncClient, Served], Awaitable[None]]) -> None:
    """Runs a scenario with a client that has the token."""

    async def main() -> None:
        async with (
            over_https(a_cluster()) as served,
            httpx.AsyncClient(
                base_url=served.url, headers=bearer(served), verify=tls(served), timeout=10
            ) as client,
        ):
            await scenario(client, served)

    asyncio.run(asyncio.wait_for(main(), 20))


def ask(method: str, path: str, **more: Any) -> httpx.Response:
    """One request to an app of its own, without a network."""
    server, host = a_cluster(), "127.0.0.1:6443"
    app = App(server, FakeAgent(server), CREDENTIALS, [host])
    more["headers"] = {"authorization": f"Bearer {CREDENTIALS.token}"} | more.get("headers", {})

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{host}") as client:
            return await client.request(method, path, **more)

    return asyncio.run(asyncio.wait_for(main(), 10))


def is_status(answer: httpx.Response, code: int, reason: str) -> bool:
    value = answer.json()
    return (answer.status_code, value["kind"], value["code"], value["reason"]) == (
        code,
        "Status",
        code,
        reason,
    )


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        ({"authorization": ""}, 401, "Unauthorized"),
        ({"authorization": "Bearer x"}, 401, "Unauthorized"),
        ({"authorization": "Basic x"}, 401, "Unauthorized"),
        ({"host": "evil.example"}, 421, "MisdirectedRequest"),
        ({"host": "127.0.0.1:1"}, 421, "MisdirectedRequest"),
        ({"origin": "https://evil.example"}, 403, "Forbidden"),
        ({"origin": "null"}, 403, "Forbidden"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/pods", "/healthz", "/nowhere"])
def test_who_is_not_let_in(path: str, headers: dict[str, str], code: int, reason: str) -> None:
    assert is_status(ask("GET", path, headers=headers), code, reason)


def test_the_same_origin_and_the_other_name_are_let_in() -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        host = f"localhost:{served.port}"
        headers = {"host": host, "origin": f"https://{host}"}
        assert (await client.get("/healthz", headers=headers)).text == "ok"

    speak(scenario)


def test_a_websocket_is_guarded_like_everything_else() -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        url = f"wss://127.0.0.1:{served.port}/api/v1/namespaces/default/pods/web/exec?command=id"
        for headers, code in (
            ({}, 401),
            (bearer(served) | {"origin": "https://evil.example"}, 403),
            (bearer(served), 400),  # let in, but it offers no protocol
        ):
            with pytest.raises(InvalidStatus) as error:
                await connect(url, ssl=tls(served), additional_headers=headers)
            assert error.value.response.status_code == code
            assert json.loads(error.value.response.body or b"")["kind"] == "Status"

    speak(scenario)


def test_other_ca_other_server() -> None:
    one, other = (make_credentials(["127.0.0.1"]) for _ in range(2))
    assert one.token != other.token
    assert one.token not in repr(one)
    assert one.key not in repr(one)


def test_the_kubeconfig_is_for_its_owner_only(tmp_path: Path) -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        assert stat.S_IMODE(served.kubeconfig(tmp_path).stat().st_mode) == 0o600

    speak(scenario)


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/api/v1/teapots", 404, "NotFound"),
        ("GET", "/apis/none/v1/pods", 404, "NotFound"),
        ("GET", "/apis/none", 404, "NotFound"),
        ("GET", "/api/v2", 404, "NotFound"),
        ("GET", "/api/v1/pods/web", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/nodes", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/a/b/c", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/configmaps/a/log", 404, "NotFound"),
        ("GET", "/openapi/v3/apis/none/v1", 404, "NotFound"),
        ("GET", f"{MAPS}/none", 404, "NotFound"),
        ("POST", f"{MAPS}/one", 405, "MethodNotAllowed"),
        ("PUT", MAPS, 405, "MethodNotAllowed"),
        ("OPTIONS", MAPS, 405, "MethodNotAllowed"),
        ("DELETE", "/api/v1/configmaps", 405, "MethodNotAllowed"),
        ("POST", "/version", 405, "MethodNotAllowed"),
        ("DELETE", "/api/v1/namespaces", 405, "MethodNotAllowed"),
        ("GET", f"{MAPS}?limit=x", 400, "BadRequest"),
        ("GET", f"{MAPS}?limit={'0' * 5000}", 400, "BadRequest"),
        ("GET", f"{MAPS}?watch=1&timeoutSeconds={2**63}", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersion=x", 400, "BadRequest"),
        ("GET", f"{MAPS}/one?resourceVersion=-1", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersion=²", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersion={2**64}", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersion=999", 504, "Timeout"),
        ("GET", f"{MAPS}?resourceVersionMatch=Exact", 422, "Invalid"),
        ("GET", f"{MAPS}?resourceVersionMatch=Exact&resourceVersion=0", 422, "Invalid"),
        ("GET", f"{MAPS}?resourceVersionMatch=Newest&resourceVersion=1", 422, "Invalid"),
        ("GET", f"{MAPS}?resourceVersion=1&continue=WyIyIiwgIiIsICIiXQ==", 400, "BadRequest"),
        ("GET", f"{MAPS}?sendInitialEvents=true", 422, "Invalid"),
        ("GET", f"{MAPS}?watch=1&resourceVersionMatch=Exact", 422, "Invalid"),
        ("GET", f"{MAPS}?labelSelector==", 400, "BadRequest"),
        ("GET", f"{MAPS}?continue=x", 400, "BadRequest"),
        ("GET", f"{MAPS}?watch=1&sendInitialEvents=1", 422, "Invalid"),
        ("GET", f"{MAPS}?watch=1&resourceVersion=x", 400, "BadRequest"),
        ("GET", f"{MAPS}?resourceVersionMatch=Exact&resourceVersion=1", 410, "Expired"),
        ("GET", f"{MAPS}?includeObject=x", 400, "BadRequest"),
        ("DELETE", f"{MAPS}?dryRun=Some", 422, "Invalid"),
        ("DELETE", f"{MAPS}?propagationPolicy=Sideways", 422, "Invalid"),
        ("POST", f"{MAPS}?dryRun=Some", 422, "Invalid"),
        ("PUT", f"{MAPS}/one?fieldValidation=strict", 422, "Invalid"),
        ("PATCH", f"{MAPS}/one?dryRun=", 422, "Invalid"),
    ],
)
def test_refusals_are_statuses(method: str, path: str, code: int, reason: str) -> None:
    assert is_status(ask(method, path), code, reason)


@pytest.mark.parametrize(
    ("media", "body", "code"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'"text"', 400),
        ("application/json", b"[" * 200_000, 400),
        ("application/json", b"\xff", 400),
        ("application/json", b'{"metadata": {"generation": NaN}}', 400),
        ("application/json", b"x" * (3 << 20 | 1), 413),
        ("application/yaml", b"a: [", 400),
        ("application/yaml", b"a: 1\n---\nb: 1", 400),
        ("application/yaml", b"\xff", 400),
        ("application/vnd.kubernetes.protobuf", b"k8s\0\xff", 400),
        ("application/vnd.kubernetes.protobuf", b"k8s", 400),
        ("application/cbor", b"\xa0", 415),
    ],
)
def test_bodies_that_cannot_be_read(media: str, body: bytes, code: int) -> None:
    answer = ask("POST", MAPS, content=body, headers={"content-type": media})
    assert (answer.status_code, answer.json()["kind"]) == (code, "Status")


def test_a_body_may_be_yaml() -> None:
    text = "metadata: {name: one}\ndata: {a: b}\n"
    answer = ask("POST", MAPS, content=text, headers={"content-type": "application/yaml"})
    assert (answer.status_code, answer.json()["data"]) == (201, {"a": "b"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"\udc00\ud800", "\ufffd\ufffd"),
        (rb"\ud83d\ude00", "😀"),
        (rb"\\ud800", "\\ud800"),
        (b"\xff", "\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_what_no_utf8_can_say_is_the_replacement_character(written: bytes, read: str) -> None:
    text = b'{"metadata": {"name": "one"}, "data": {"a": "' + written + b'"}}'
    answer = ask("POST", MAPS, content=text, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["data"]) == (201, {"a": read})


@pytest.mark.parametrize(
    ("media", "text"),
    [
        ("json", '{"x": 1e400}'),
        ("json", '{"x": NaN}'),
        ("json", r'{"x": "\ud8zz"}'),
        ("json", '{"x": ' * 250 + "1" + "}" * 250),
        ("json", "[" * 100_000),
        ("yaml", "x: .inf"),
        ("yaml", "[a]: b"),
        ("yaml", "--- {}\n--- {}"),
    ],
)
def test_a_body_that_is_none(media: str, text: str) -> None:
    answer = ask("POST", MAPS, content=text, headers={"content-type": f"application/{media}"})
    assert is_status(answer, 400, "BadRequest")


def test_keys_of_yaml_are_text() -> None:
    text = "metadata: {name: one, labels: {1: a}}\ndata: {true: b}"
    answer = ask("POST", MAPS, content=text, headers={"content-type": "application/yaml"})
    value = answer.json()
    assert (value["metadata"]["labels"], value["data"]) == ({"1": "a"}, {"true": "b"})


def test_a_field_that_is_said_twice_is_told_of() -> None:
    text = '{"metadata": {"name": "one"}, "data": {"a": "b"}, "data": {"a": "c"}}'
    answer = ask("POST", MAPS, content=text, headers={"content-type": "application/json"})
    assert answer.headers["warning"] == '299 - "duplicate field \\"data\\""'


def test_unknown_fields_are_told_of_in_a_header() -> None:
    answer = ask("POST", f"{MAPS}?fieldValidation=Warn", json=config_map() | {"Data\u2028": {}})
    assert answer.headers["warning"] == '299 - "unknown field \\"Data\\""'
    answer = ask("POST", f"{MAPS}?fieldValidation=Strict", json=config_map() | {"Data": {}})
    assert is_status(answer, 400, "BadRequest")
    answer = ask("POST", f"{MAPS}?fieldValidation=Sometimes", json=config_map())
    assert is_status(answer, 422, "Invalid")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "NamespaceList"),
        ("*/*", "NamespaceList"),
        ("application/vnd.kubernetes.protobuf,application/json", "NamespaceList"),
        (f"{TABLE},application/json", "Table"),
        ("application/json;as=Table;g=meta.k8s.io;v=v1beta1,application/json", "NamespaceList"),
        (TABLE.replace("Table", "PartialObjectMetadataList"), "PartialObjectMetadataList"),
        ("application/vnd.kubernetes.protobuf", "Status"),
        ("text/html", "Status"),
    ],
)
def test_the_form_that_is_asked_for(accept: str, kind: str) -> None:
    answer = ask("GET", "/api/v1/namespaces", headers={"accept": accept})
    assert answer.json()["kind"] == kind
    assert answer.status_code == (406 if kind == "Status" else 200)


def test_a_write_is_shown_in_the_form_that_is_asked_for() -> None:
    head = {"accept": TABLE}
    assert ask("POST", f"{MAPS}?dryRun=All", json=config_map(), headers=head).json()["rows"]
    head = {"accept": "application/vnd.kubernetes.protobuf"}
    assert is_status(ask("POST", MAPS, json=config_map(), headers=head), 406, "NotAcceptable")


def test_discovery_in_both_forms() -> None:
    kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = ask("GET", "/apis", headers={"accept": kind})
    assert answer.headers["content-type"] == kind
    assert "apps" in [group["metadata"]["name"] for group in answer.json()["items"]]
    assert ask("GET", "/apis").json()["kind"] == "APIGroupList"
    assert ask("GET", "/apis/apps").json()["kind"] == "APIGroup"
    names = [each["name"] for each in ask("GET", "/apis/apps/v1").json()["resources"]]
    assert {"deployments", "deployments/scale", "deployments/status"} <= set(names)


def test_every_reference_of_an_openapi_document_is_in_it() -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        paths = (await client.get("/openapi/v3")).json()["paths"]
        assert len(paths) > 3
        for place in paths.values():
            answer = await client.get(place["serverRelativeURL"])
            named = {f"#/components/schemas/{n}" for n in answer.json()["components"]["schemas"]}
            references = {part.split('"')[0] for part in answer.text.split('"$ref":"')[1:]}
            assert references <= named

    speak(scenario)


def test_a_watch_with_all_that_there_is_first() -> None:
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    answer = ask("GET", f"/api/v1/namespaces?{query}&allowWatchBookmarks=true")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["type"] for line in lines] == ["ADDED"] * 4 + ["BOOKMARK"]
    assert lines[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_of_tables() -> None:
    query = "watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Ddefault"
    answer = ask("GET", f"/api/v1/namespaces?{query}", headers={"accept": TABLE})
    (line,) = map(json.loads, answer.text.splitlines())
    assert line["object"]["kind"] == "Table"
    assert line["object"]["rows"][0]["cells"][:2] == ["default", "Active"]


def test_deletions_by_body_by_query_and_of_many() -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        for name in ("one", "two", "three"):
            await client.post(MAPS, json=config_map(name))
        await client.post(MAPS, json=config_map("kept") | {"metadata": {"name": "kept"}})
        dry = await client.delete(f"{MAPS}/one?dryRun=All")
        assert dry.json()["status"] == "Success"
        wrong = {"preconditions": {"uid": "other"}}
        answer = await client.request("DELETE", f"{MAPS}/one", json=wrong)
        assert is_status(answer, 409, "Conflict")
        assert (await client.delete(f"{MAPS}/one")).json()["details"]["uid"]
        answer = await client.delete(f"{MAPS}?fieldSelector=metadata.name!=kept")
        gone = [each["metadata"]["name"] for each in answer.json()["items"]]
        assert (answer.json()["kind"], gone) == ("ConfigMapList", ["three", "two"])
        (left,) = (await client.get(MAPS)).json()["items"]
        assert left["metadata"]["name"] == "kept"

    speak(scenario)


def test_what_breaks_inside_is_a_status_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        monkeypatch.setattr(served.server, "list", None)
        assert is_status(await client.get(MAPS), 500, "InternalError")

    speak(scenario)


def test_the_end_of_the_server_ends_its_watches() -> None:
    async def main() -> None:
        async with asyncio.timeout(5), over_https(a_cluster()) as served:
            client = httpx.AsyncClient(headers=bearer(served), verify=tls(served))
            watch = client.stream("GET", f"{served.url}{MAPS}?watch=1")
            answer = await watch.__aenter__()
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()
        await watch.__aexit__(None, None, None)
        await client.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_one_app_on_several_sockets() -> None:
    async def main() -> None:
        server = a_cluster()
        sockets = [listener(), listener()]
        hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        app = App(server, FakeAgent(server), CREDENTIALS, hosts)
        context = ssl.create_default_context(cadata=CREDENTIALS.authority)
        headers = {"authorization": f"Bearer {CREDENTIALS.token}"}
        async with (
            serving(app, sockets, server_context(CREDENTIALS)),
            httpx.AsyncClient(headers=headers, verify=context) as client,
        ):
            for host in hosts:
                assert (await client.get(f"https://{host}/readyz")).text == "ok"
        assert all(each.fileno() == -1 for each in sockets)

    asyncio.run(main())


def test_an_agent_that_breaks_ends_the_connection() -> None:
    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        pod = "api/v1/namespaces/default/pods/web"
        url = f"wss://127.0.0.1:{served.port}/{pod}/exec?command=true"
        served.server.get = None  # type: ignore[method-assign, assignment]
        protocols = [Subprotocol("v5.channel.k8s.io")]
        async with connect(
            url, ssl=tls(served), additional_headers=bearer(served), subprotocols=protocols
        ) as socket:
            with pytest.raises(ConnectionClosedError, match="1011"):
                await socket.recv()

    speak(scenario)


def test_events_are_the_same_in_core_and_in_their_own_group() -> None:
    core, own = (
        "/api/v1/namespaces/default/events",
        "/apis/events.k8s.io/v1/namespaces/default/events",
    )
    about = {"kind": "Node", "name": "gz1"}
    when = "2026-01-01T00:00:00.000001Z"
    event = {
        "metadata": {"name": "one"}, "reason": "Starting", "type": "Normal", "action": "Start",
        "eventTime": when, "regarding": about, "note": "said",
        "reportingController": "kube-proxy", "reportingInstance": "kube-proxy-gz1",
    }  # fmt: skip

    async def scenario(client: httpx.AsyncClient, served: Served) -> None:
        made = (await client.post(own, json=event)).json()
        assert made["apiVersion"] == "events.k8s.io/v1"
        assert (
            made.items() >= {key: part for key, part in event.items() if key != "metadata"}.items()
        )
        found = (await client.get(f"{core}/one")).json()
        assert (found["apiVersion"], found["involvedObject"]) == ("v1", about)
        assert (found["message"], found["reportingComponent"]) == ("said", "kube-proxy")
        series = {"count": 2, "lastObservedTime": when}
        patch = {"content-type": "application/strategic-merge-patch+json"}
        changed = await client.patch(f"{own}/one", json={"series": series}, headers=patch)
        assert (changed.json()["series"], changed.json()["note"]) == (series, "said")
        renamed = {**changed.json(), "note": "again"}
        assert (await client.put(f"{own}/one", json=renamed)).json()["note"] == "again"
        listed = (await client.get(own)).json()
        assert (listed["kind"], listed["apiVersion"]) == ("EventList", "events.k8s.io/v1")
        assert [each["note"] for each in listed["items"]] == ["again"]
        query = {"watch": "1", "timeoutSeconds": "1"}
        first = (await client.get(own, params=query)).text.splitlines()[0]
        assert json.loads(first)["object"]["note"] == "again"
        await client.delete(f"{own}/one")
        missing = await client.get(f"{own}/one")
        assert missing.json()["message"] == 'events.events.k8s.io "one" not found'
        assert (await client.get(f"{core}/one")).status_code == 404

    speak(scenario)


def test_an_event_as_a_stock_kube_proxy_writes_it() -> None:
    about, when = part(1, "Node") + part(3, "gz1"), part(1, 1_767_225_600) + part(2, 1_000)
    event = body(
        "events.k8s.io/v1", "Event", part(1, part(1, "gz1.17a") + part(3, "default")),
        part(2, when), part(4, "kube-proxy"), part(5, "kube-proxy-gz1"), part(6, "StartKubeProxy"),
        part(7, "Starting"), part(8, about), part(10, ""), part(11, "Normal"), part(12, b""),
        part(13, b""), part(14, b""), part(15, 0),
    )  # fmt: skip
    media = "application/vnd.kubernetes.protobuf"
    headers = {"content-type": media, "accept": f"{media},application/json"}
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    answer = ask("POST", path, content=event, headers=headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["eventTime"] == "2026-01-01T00:00:00.000001Z"
    assert made["regarding"] == {"kind": "Node", "name": "gz1"}
    assert (made["reportingController"], made["reason"]) == ("kube-proxy", "Starting")


def test_the_service_cidr_of_the_cluster() -> None:
    path = "/apis/networking.k8s.io/v1/servicecidrs"
    (found,) = ask("GET", path).json()["items"]
    assert (found["metadata"]["name"], found["spec"]) == ("kubernetes", {"cidrs": ["10.43.0.0/16"]})
    rows = ask("GET", path, headers={"accept": TABLE}).json()["rows"]
    assert rows[0]["cells"][:2] == ["kubernetes", "10.43.0.0/16"]
    assert ask("POST", path, json={"metadata": {"name": "more"}}).status_code == 405


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("resourceVersion=abc", 400, "invalid syntax"),
        ("resourceVersion=99999", 504, "Too large resource version: 99999"),
        ("resourceVersion=0", 200, ""),
    ],
)
@pytest.mark.parametrize("place", [MAPS, "/api/v1/namespaces/default"])
def test_a_read_at_a_revision(query: str, code: int, text: str, place: str) -> None:
    answer = ask("GET", f"{place}?{query}")
    assert answer.status_code == code
    assert text in answer.json().get("message", "")


@pytest.mark.parametrize(
    ("query", "agent", "manager"),
    [
        ("?fieldManager=mine", "kubectl/v1.37 (linux)", "mine"),
        ("", "kubectl/v1.37 (linux)", "kubectl"),
        ("", "a\xa0b" + "x" * 200, "ab" + "x" * 126),
        ("", "/", "unknown"),
    ],
)
def test_who_writes_is_told_by_the_query_or_the_program(
    query: str, agent: str, manager: str
) -> None:
    value = {"metadata": {"name": "one"}, "data": {"a": "b"}}
    headers = {"user-agent": agent.encode("latin-1")}
    made = ask("POST", MAPS + query, json=value, headers=headers).json()
    assert [each["manager"] for each in made["metadata"]["managedFields"]] == [manager]


APPLY = "application/apply-patch+yaml"


@pytest.mark.parametrize(
    ("query", "media", "text"),
    [
        ("", APPLY, "fieldManager: Required value: is required for apply patch"),
        ("?fieldManager=" + "x" * 129, APPLY, "fieldManager: Too long: may not be more than 128"),
        ("?fieldManager=a%0A", APPLY, "should only contain printable characters"),
        ("?force=true", "application/merge-patch+json", "force: Forbidden: may not be specified"),
    ],
)
def test_what_an_apply_must_say(query: str, media: str, text: str) -> None:
    path, headers = f"{MAPS}/one{query}", {"content-type": media}
    answer = ask("PATCH", path, content="{}", headers=headers)
    assert answer.status_code == 422
    assert 'PatchOptions.meta.k8s.io "" is invalid: ' in answer.json()["message"]
    assert text in answer.json()["message"]


@pytest.mark.parametrize("text", ["metadata: {name: one}\ndata: {a: b}\n", '{"data": {"a": "b"}}'])
def test_an_apply_is_yaml_or_json(text: str) -> None:
    headers = {"content-type": APPLY}
    answer = ask("PATCH", f"{MAPS}/one?fieldManager=me", content=text, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["data"] == {"a": "b"}


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (CREDENTIALS.token, {"authenticated": True, "user": USER}),
        ("another", {"user": {}}),
        (None, {"user": {}}),
        (["x"], {"user": {}}),
    ],
)
def test_whose_a_token_is(token: object, status: dict[str, Any]) -> None:
    question = {"spec": {"token": token}}
    answer = ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", json=question)
    assert (answer.status_code, answer.json()["status"]) == (201, status)

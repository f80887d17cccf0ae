"""What kube-proxy, kubelets, schedulers and controllers ask of an API, request by request, as their
client library (client-go) asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from serving import FakeAgent, a_cluster

from secondhop.apiserver.http.app import App
from secondhop.apiserver.http.credentials import make_credentials

HOST = "127.0.0.1:6443"
CREDENTIALS = make_credentials(["127.0.0.1"])
PROTOBUF_FIRST = "application/vnd.kubernetes.protobuf,application/json"
INITIAL = {
    "watch": "true",
    "allowWatchBookmarks": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "timeoutSeconds": "1",
}
NODE = {"metadata": {"name": "gz1", "labels": {"kubernetes.io/hostname": "gz1"}}}
POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "i"}]}}

Ask = Callable[..., Awaitable[httpx.Response]]


def speak(scenario: Callable[[Ask], Awaitable[None]], accept: str = PROTOBUF_FIRST) -> None:
    """Run a scenario against a server of its own, with a client that has the token."""

    async def main() -> None:
        server = a_cluster()
        app = App(server, FakeAgent(server), CREDENTIALS, [HOST])
        headers = {"authorization": f"Bearer {CREDENTIALS.token}", "accept": accept}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=f"https://{HOST}", headers=headers
        ) as client:
            await scenario(client.request)

    asyncio.run(asyncio.wait_for(main(), 20))


async def good(answer: Awaitable[httpx.Response], code: int = 200) -> Any:
    """The document that a request was answered with."""
    found = await answer
    assert found.status_code == code, found.text
    assert found.headers["content-type"] == "application/json"
    return found.json()


async def watched(ask: Ask, path: str, **query: str) -> list[tuple[str, dict[str, Any]]]:
    answer = await ask("GET", path, params=INITIAL | query)
    assert answer.status_code == 200, answer.text
    events = map(json.loads, answer.text.splitlines())
    return [(event["type"], event["object"]) for event in events]


INFORMERS: dict[str, tuple[dict[str, str], list[str]]] = {
    "/api/v1/nodes": ({"fieldSelector": "metadata.name=gz1"}, ["gz1"]),
    "/api/v1/pods": ({"fieldSelector": "spec.nodeName=gz1"}, []),
    "/api/v1/services": (
        {
            "labelSelector": "!service.kubernetes.io/service-proxy-name",
            "fieldSelector": "spec.clusterIP!=None",
        },
        ["kubernetes"],
    ),
    "/apis/networking.k8s.io/v1/servicecidrs": ({}, ["kubernetes"]),
    "/apis/discovery.k8s.io/v1/endpointslices": (
        {"labelSelector": "!service.kubernetes.io/headless"},
        [],
    ),
}
"""What they watch, how selected, and the names of what is there."""


@pytest.mark.parametrize(
    "accept", [PROTOBUF_FIRST, "application/vnd.kubernetes.protobuf, */*", "application/json, */*"]
)
def test_informers_begin_with_what_is_there(accept: str) -> None:
    async def scenario(ask: Ask) -> None:
        for name in "gz1", "xjp1":
            await good(ask("POST", "/api/v1/nodes", json={"metadata": {"name": name}}), 201)
        told = await asyncio.gather(
            *(watched(ask, path, **query) for path, (query, _) in INFORMERS.items())
        )
        for events, (_, names) in zip(told, INFORMERS.values(), strict=True):
            assert [(kind, value["metadata"]["name"]) for kind, value in events[:-1]] == [
                ("ADDED", name) for name in names
            ]
            kind, last = events[-1]
            assert kind == "BOOKMARK"
            assert last["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
            assert int(last["metadata"]["resourceVersion"]) > 0

    speak(scenario, accept)


def test_a_client_that_takes_only_protobuf_is_refused_in_words() -> None:
    async def scenario(ask: Ask) -> None:
        answer = await ask("GET", "/api/v1/nodes")
        assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")

    speak(scenario, "application/vnd.kubernetes.protobuf")


def test_a_list_in_pieces_from_the_cache() -> None:
    """Reflectors before watch-lists: resourceVersion=0 first, in pieces of `limit`."""

    async def scenario(ask: Ask) -> None:
        for name in "abc":
            await good(ask("POST", "/api/v1/nodes", json={"metadata": {"name": name}}), 201)
        found, query = [], {"limit": "2", "resourceVersion": "0"}
        while True:
            page = await good(ask("GET", "/api/v1/nodes", params=query))
            assert page["kind"] == "NodeList"
            found.append([item["metadata"]["name"] for item in page["items"]])
            token = page["metadata"].get("continue")
            if not token:
                break
            query = {"limit": "2", "continue": token}
        assert found == [["a", "b"], ["c"]]

    speak(scenario)


def test_a_watch_from_a_list_tells_what_comes_after_it() -> None:
    async def scenario(ask: Ask) -> None:
        listed = await good(ask("GET", "/api/v1/nodes"))
        await good(ask("POST", "/api/v1/nodes", json=NODE), 201)
        since = listed["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "1"}
        answer = await ask("GET", "/api/v1/nodes", params=query)
        (event,) = map(json.loads, answer.text.splitlines())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "gz1")

    speak(scenario)


def test_a_kubelets_node_and_lease() -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

    async def scenario(ask: Ask) -> None:
        await good(ask("POST", "/api/v1/nodes", json=NODE), 201)
        strategic = {"content-type": "application/strategic-merge-patch+json"}
        for status in "False", "True":
            conditions = [{"type": "Ready", "status": status, "reason": "R", "message": "m"}]
            body = {"status": {"conditions": conditions}}
            node = await good(
                ask("PATCH", "/api/v1/nodes/gz1/status", json=body, headers=strategic)
            )
            assert [c["status"] for c in node["status"]["conditions"]] == [status]
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "gz1", "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": "gz1", "leaseDurationSeconds": 40},
        }
        made = await good(ask("POST", leases, json=lease), 201)
        renewed = made | {"spec": {**made["spec"], "renewTime": "2026-01-01T00:00:00.000000Z"}}
        again = await good(ask("PUT", f"{leases}/gz1", json=renewed))
        assert again["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
        stale = await ask("PUT", f"{leases}/gz1", json=renewed)
        assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")

    speak(scenario)


def test_a_schedulers_binding_and_a_kubelets_word_of_the_pod() -> None:
    pods = "/api/v1/namespaces/default/pods"
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "web", "namespace": "default"},
        "target": {"kind": "Node", "name": "gz1"},
    }

    async def scenario(ask: Ask) -> None:
        await good(ask("POST", "/api/v1/nodes", json=NODE), 201)
        await good(ask("POST", pods, json=POD), 201)
        done = await good(ask("POST", f"{pods}/web/binding", json=binding), 201)
        assert (done["kind"], done["status"]) == ("Status", "Success")
        again = await ask("POST", f"{pods}/web/binding", json=binding)
        assert (again.status_code, again.json()["reason"]) == (409, "Conflict")
        body = {"status": {"phase": "Running", "podIPs": [{"ip": "10.42.0.2"}]}}
        strategic = {"content-type": "application/strategic-merge-patch+json"}
        pod = await good(ask("PATCH", f"{pods}/web/status", json=body, headers=strategic))
        assert (pod["spec"]["nodeName"], pod["status"]["phase"]) == ("gz1", "Running")
        bound = await good(ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dgz1"))
        assert [item["metadata"]["name"] for item in bound["items"]] == ["web"]

    speak(scenario)


def test_kube_proxys_own_event() -> None:
    event = {
        "metadata": {"name": "gz1.18ea98a28a7d23d5", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "kube-proxy",
        "reportingInstance": "kube-proxy-gz1",
        "action": "StartKubeProxy",
        "reason": "Starting",
        "regarding": {"kind": "Node", "name": "gz1", "apiVersion": "v1"},
        "type": "Normal",
    }

    async def scenario(ask: Ask) -> None:
        path = "/apis/events.k8s.io/v1/namespaces/default/events"
        await good(ask("POST", path, json=event), 201)
        (told,) = (await good(ask("GET", "/api/v1/events")))["items"]
        assert (told["involvedObject"]["name"], told["reason"]) == ("gz1", "Starting")

    speak(scenario)

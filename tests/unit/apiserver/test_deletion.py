"""How objects end."""

from __future__ import annotations

from typing import Any

import pytest
from support import deployment, pod, service

from secondhop.apiserver.deletion import wish
from secondhop.apiserver.kinds import KINDS
from secondhop.client.api import Deletion
from secondhop.errors import ApiError

from .helpers import Clock, a_server, config_map, create, refusal

PODS, MAPS, SPACES = KINDS["Pod"], KINDS["ConfigMap"], KINDS["Namespace"]
NOW = "2027-01-15T08:00:00Z"


def running(**spec: Any) -> dict[str, Any]:
    value = pod("a", "n1")
    value["spec"] |= spec
    return value


@pytest.mark.parametrize(
    ("spec", "grace", "left"),
    [
        ({}, None, 30),
        ({"terminationGracePeriodSeconds": 5}, None, 5),
        ({"terminationGracePeriodSeconds": 0}, None, 0),
        ({}, 7, 7),
        ({}, 60, 60),
        ({}, 0, 0),
        ({}, -3, 1),
        ({"nodeName": ""}, None, 0),
        ({"nodeName": ""}, 20, 0),
    ],
)
def test_grace(spec: dict[str, Any], grace: int | None, left: int) -> None:
    server = a_server()
    create(server, "Pod", running(**spec))
    answer = server.delete(PODS, "a", "default", Deletion(grace))
    assert answer.gone is (left == 0)
    if left:
        metadata = answer.object["metadata"]
        assert metadata["deletionGracePeriodSeconds"] == left
        assert metadata["deletionTimestamp"] == f"2027-01-15T08:0{left // 60}:{left % 60:02}Z"
        assert metadata["generation"] == 2
    else:
        assert not server.list(PODS).items


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_needs_no_grace(phase: str) -> None:
    server = a_server()
    create(server, "Pod", running())
    patch = {"status": {"phase": phase}}
    server.patch(PODS, "a", patch, "default", "merge", subresource="status")
    assert server.delete(PODS, "a", "default").gone


def test_grace_can_only_be_shortened() -> None:
    clock = Clock()
    server = a_server(clock)
    create(server, "Pod", running())
    first = server.delete(PODS, "a", "default").object
    clock.now += 3
    for grace in None, 30, 99:
        assert server.delete(PODS, "a", "default", Deletion(grace)).object is first
    shorter = server.delete(PODS, "a", "default", Deletion(10)).object["metadata"]
    assert shorter["deletionTimestamp"] == "2027-01-15T08:00:10Z"
    assert (shorter["deletionGracePeriodSeconds"], shorter["generation"]) == (10, 2)
    assert server.delete(PODS, "a", "default", Deletion(0)).gone


@pytest.mark.parametrize(
    ("present", "how", "left"),
    [
        ([], None, []),
        ([], "Background", []),
        ([], "Foreground", ["foregroundDeletion"]),
        ([], "Orphan", ["orphan"]),
        (["x.io/y"], None, ["x.io/y"]),
        (["x.io/y"], "Orphan", ["x.io/y", "orphan"]),
        (["orphan"], None, ["orphan"]),
        (["orphan"], "Foreground", ["foregroundDeletion"]),
        (["orphan", "x.io/y"], "Background", ["x.io/y"]),
    ],
)
def test_finalizers_and_propagation(present: list[str], how: Any, left: list[str]) -> None:
    server = a_server()
    value = deployment()
    value["metadata"]["finalizers"] = present
    create(server, "Deployment", value)
    answer = server.delete(KINDS["Deployment"], "web", "default", Deletion(propagation=how))
    assert answer.gone is (not left)
    if left:
        metadata = answer.object["metadata"]
        assert metadata["finalizers"] == left
        assert (metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"]) == (NOW, 0)
        assert metadata["generation"] == 2


def test_the_last_finalizer_ends_it() -> None:
    server = a_server()
    value = config_map()
    value["metadata"]["finalizers"] = ["x.io/a", "x.io/b"]
    create(server, "ConfigMap", value)
    first = server.delete(MAPS, "one", "default").object
    assert server.delete(MAPS, "one", "default").object is first
    patch: dict[str, Any] = {"metadata": {"finalizers": ["x.io/a", "x.io/c"]}}
    with pytest.raises(ApiError) as error:
        server.patch(MAPS, "one", patch, "default", "merge")
    assert error.value.message == (
        'ConfigMap "one" is invalid: metadata.finalizers: Forbidden: no new finalizers can be '
        'added if the object is being deleted, found new finalizers []string{"x.io/c"}'
    )
    patch = {"metadata": {"finalizers": ["x.io/b"]}}
    server.patch(MAPS, "one", patch, "default", "merge")
    assert server.get(MAPS, "one", "default")["metadata"]["finalizers"] == ["x.io/b"]
    last = server.patch(MAPS, "one", {"metadata": {"finalizers": None}}, "default", "merge").object
    assert "finalizers" not in last["metadata"]
    assert not server.list(MAPS).items


def test_a_pod_with_a_finalizer_outlives_its_grace() -> None:
    server = a_server()
    value = running()
    value["metadata"]["finalizers"] = ["x.io/a"]
    create(server, "Pod", value)
    server.delete(PODS, "a", "default")
    left = server.delete(PODS, "a", "default", Deletion(0)).object["metadata"]
    assert left["deletionGracePeriodSeconds"] == 0
    server.patch(PODS, "a", {"metadata": {"finalizers": None}}, "default", "merge")
    assert not server.list(PODS).items


def test_a_pod_in_its_grace_loses_a_finalizer_and_stays() -> None:
    server = a_server()
    value = running()
    value["metadata"]["finalizers"] = ["x.io/a"]
    create(server, "Pod", value)
    server.delete(PODS, "a", "default")
    server.patch(PODS, "a", {"metadata": {"finalizers": None}}, "default", "merge")
    assert server.get(PODS, "a", "default")["metadata"]["deletionGracePeriodSeconds"] == 30


def test_preconditions() -> None:
    server = a_server()
    made = create(server, "ConfigMap", config_map())
    uid = made["metadata"]["uid"]
    for how, what in ((Deletion(uid="x"), "UID"), (Deletion(revision="1"), "ResourceVersion")):
        with pytest.raises(ApiError) as error:
            server.delete(MAPS, "one", "default", how)
        assert error.value.reason == "Conflict"
        assert f"the {what} in the precondition" in error.value.message
    assert server.delete(MAPS, "one", "default", Deletion(uid=uid)).gone


def test_a_namespace_ends_when_it_is_finalized() -> None:
    server = a_server()
    create(server, "Namespace", {"metadata": {"name": "x"}})
    going = server.delete(SPACES, "x").object
    assert going["status"] == {"phase": "Terminating"}
    assert going["metadata"]["deletionTimestamp"] == NOW
    assert going["spec"] == {"finalizers": ["kubernetes"]}
    assert server.delete(SPACES, "x").object is going
    main = server.patch(SPACES, "x", {"spec": {"finalizers": None}}, form="merge").object
    assert main is going
    final = {**going, "spec": {"finalizers": []}}
    server.update(SPACES, "x", final, subresource="finalize")
    with pytest.raises(ApiError):
        server.get(SPACES, "x")


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_namespaces_that_stay(name: str) -> None:
    with pytest.raises(ApiError) as error:
        a_server().delete(SPACES, name)
    message = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    assert refusal(error) == (403, "Forbidden", message)


def test_collections() -> None:
    server = a_server()
    for name in "abc":
        value = config_map(name)
        value["metadata"]["labels"] = {"keep": str(name == "b")}
        create(server, "ConfigMap", value)
    gone = server.delete_collection(MAPS, "default", labels="keep!=True")
    assert [each["metadata"]["name"] for each in gone] == ["a", "c"]
    assert [each["metadata"]["name"] for each in server.list(MAPS).items] == ["b"]


def test_an_eviction_and_a_binding_are_of_the_pod_of_the_path() -> None:
    server = a_server()
    create(server, "Pod", pod("a", "n1"))
    for name in ("b", ""):
        with pytest.raises(ApiError) as error:
            server.evict("a", {"metadata": {"name": name}}, "default")
        message = "name in URL does not match name in Eviction object"
        assert refusal(error) == (400, "BadRequest", message)
        with pytest.raises(ApiError) as error:
            server.bind("a", {"metadata": {"name": name}, "target": {"name": "n2"}}, "default")
        message = "name in URL does not match name in Binding object"
        assert refusal(error) == (400, "BadRequest", message)


def test_an_eviction_deletes_the_pod_as_it_says() -> None:
    server = a_server()
    create(server, "Pod", running())
    eviction: dict[str, Any] = {"metadata": {"name": "a"}}
    server.evict("a", {**eviction, "deleteOptions": {"dryRun": ["All"]}}, "default")
    assert "deletionTimestamp" not in server.get(KINDS["Pod"], "a", "default")["metadata"]
    left = server.evict("a", eviction, "default").object
    assert left["metadata"]["deletionGracePeriodSeconds"] == 30
    assert server.evict(
        "a", {**eviction, "deleteOptions": {"gracePeriodSeconds": 0}}, "default"
    ).gone


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({}, Deletion()),
        ({"gracePeriodSeconds": 0}, Deletion(0)),
        ({"propagationPolicy": "Foreground"}, Deletion(propagation="Foreground")),
        ({"orphanDependents": True}, Deletion(propagation="Orphan")),
        ({"orphanDependents": False}, Deletion(propagation="Background")),
        ({"preconditions": {"uid": "u", "resourceVersion": "1"}}, Deletion(None, None, "u", "1")),
    ],
)
def test_options(options: dict[str, Any], how: Deletion) -> None:
    assert wish(options) == how


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"propagationPolicy": "Up"}, 'propagationPolicy: Unsupported value: "Up": supported valu'),
        ({"propagationPolicy": "Orphan", "orphanDependents": True},
         'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation '
         "cannot be both set"),
        ({"dryRun": ["Some"]}, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
    ],
)  # fmt: skip
def test_options_that_there_are_not(options: dict[str, Any], expected: str) -> None:
    server = a_server()
    create(server, "Pod", running())
    with pytest.raises(ApiError) as error:
        server.evict("a", {"metadata": {"name": "a"}, "deleteOptions": options}, "default")
    assert error.value.code == 422
    assert error.value.message.startswith(f'DeleteOptions.meta.k8s.io "" is invalid: {expected}')


def test_an_eviction_may_be_a_dry_run() -> None:
    """As `kubectl drain --dry-run=server` says it."""
    server = a_server()
    stored = create(server, "Pod", running())
    server.evict("a", {"metadata": {"name": "a"}, "deleteOptions": {"dryRun": ["All"]}}, "default")
    assert server.get(KINDS["Pod"], "a", "default") is stored


def test_a_service_gives_back_what_it_had() -> None:
    server, kind = a_server(), KINDS["Service"]
    first = create(server, "Service", service())
    with pytest.raises(ApiError):
        create(server, "Service", service("other"))
    server.delete(kind, "web", "default")
    second = create(server, "Service", service("other"))
    assert second["spec"]["clusterIP"] == first["spec"]["clusterIP"]


def test_the_service_of_the_api_comes_back() -> None:
    server, kind = a_server(), KINDS["Service"]
    before = server.get(kind, "kubernetes", "default")
    server.delete(kind, "kubernetes", "default")
    after = server.get(kind, "kubernetes", "default")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]

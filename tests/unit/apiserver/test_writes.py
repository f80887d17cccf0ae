"""Create, update and their refusals, in a real server's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import deployment, pod, service

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Options, Server
from secondhop.errors import ApiError

from .helpers import Clock, a_server, config_map, create, refusal

MAPS, PODS, DEPLOYMENTS = KINDS["ConfigMap"], KINDS["Pod"], KINDS["Deployment"]
DRY = Options(dry_run=True)


def test_what_the_server_writes_into_a_new_object() -> None:
    clock = Clock()
    server = a_server(clock)
    clock.now += 5
    value = deployment()
    value["metadata"] |= {
        "uid": "mine", "generation": 7, "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
    }  # fmt: skip
    value["status"] = {"replicas": 9}
    made = create(server, "Deployment", value)
    metadata = dict(made["metadata"])
    assert len(metadata.pop("uid")) == 36
    assert metadata == {
        "name": "web", "namespace": "default", "generation": 1, "resourceVersion": "8",
        "creationTimestamp": "2027-01-15T08:00:05Z",
    }  # fmt: skip
    assert (made["apiVersion"], made["kind"], made["status"]) == ("apps/v1", "Deployment", {})
    assert server.get(DEPLOYMENTS, "web", "default") is made


def test_generated_names() -> None:
    server = a_server()
    value = config_map()
    value["metadata"] = {"generateName": "x" * 70}
    names = {create(server, "ConfigMap", value)["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert {(len(name), name[:58]) for name in names} == {(63, "x" * 58)}


def test_a_generated_name_that_is_taken_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(("a", "a", "a", "b"))
    monkeypatch.setattr("secondhop.apiserver.metadata.generated", lambda prefix: next(names))
    server, value = a_server(), config_map()
    value["metadata"] = {"generateName": "x-"}
    made = [create(server, "ConfigMap", value)["metadata"]["name"] for _ in range(2)]
    assert made == ["a", "b"]


def test_names_are_unique() -> None:
    server = a_server()
    create(server, "Deployment", deployment())
    with pytest.raises(ApiError) as error:
        create(server, "Deployment", deployment())
    assert refusal(error) == (409, "AlreadyExists", 'deployments.apps "web" already exists')
    assert error.value.details == {"name": "web", "group": "apps", "kind": "deployments"}


def test_a_namespace_must_be_there() -> None:
    server = a_server()
    with pytest.raises(ApiError) as error:
        server.create(MAPS, {"metadata": {"name": "a"}}, "x")
    assert refusal(error) == (404, "NotFound", 'namespaces "x" not found')
    with pytest.raises(ApiError) as error:
        server.create(MAPS, config_map(), "kube-system")
    assert refusal(error)[1:] == (
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    with pytest.raises(ApiError) as error:
        server.create(MAPS, {"metadata": {"name": "a"}})
    assert error.value.code == 400


def test_nothing_new_in_a_namespace_that_ends() -> None:
    server = a_server()
    create(server, "Namespace", {"metadata": {"name": "x"}})
    server.delete(KINDS["Namespace"], "x")
    with pytest.raises(ApiError) as error:
        server.create(PODS, pod("a", "n"), "x")
    assert refusal(error) == (
        403,
        "Forbidden",
        'pods "a" is forbidden: unable to create new content in namespace x because it is being '
        "terminated",
    )
    assert error.value.details["causes"][0]["reason"] == "NamespaceTerminating"


def test_an_update_without_a_revision_is_unconditional_for_most_kinds() -> None:
    server = a_server()
    create(server, "ConfigMap", config_map())
    answer = server.update(MAPS, "one", config_map(a="c"), "default")
    assert answer.object["data"] == {"a": "c"}
    lease = {"metadata": {"name": "l", "namespace": "default"}}
    create(server, "Lease", lease)
    with pytest.raises(ApiError) as error:
        server.update(KINDS["Lease"], "l", lease, "default")
    assert refusal(error) == (
        422,
        "Invalid",
        'Lease.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: '
        "must be specified for an update",
    )


def test_a_writer_that_has_not_seen_the_latest_conflicts() -> None:
    server = a_server()
    first = create(server, "ConfigMap", config_map())
    server.update(MAPS, "one", {**first, "data": {"a": "2"}}, "default")
    message = (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    with pytest.raises(ApiError) as error:
        server.update(MAPS, "one", {**first, "data": {"a": "3"}}, "default")
    assert refusal(error) == (409, "Conflict", message)
    patch = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}}
    with pytest.raises(ApiError) as error:
        server.patch(MAPS, "one", patch, "default", "merge")
    assert refusal(error) == (409, "Conflict", message)


def test_another_object_than_that_of_the_path() -> None:
    server = a_server()
    made = create(server, "ConfigMap", config_map())
    for part, code in (({"name": "two"}, 400), ({"namespace": "x"}, 400), ({"uid": "y"}, 409)):
        value = {**made, "metadata": {**made["metadata"], **part}}
        with pytest.raises(ApiError) as error:
            server.update(MAPS, "one", value, "default")
        assert error.value.code == code
    with pytest.raises(ApiError) as error:
        server.update(MAPS, "two", config_map("two"), "default")
    assert error.value.code == 404


def test_an_update_must_say_the_name() -> None:
    """Else `{}` would empty whatever it is sent to, and scale it to nothing."""
    server = a_server()
    create(server, "ConfigMap", config_map())
    create(server, "Deployment", deployment(replicas=2))
    for kind, name, part in ((MAPS, "one", ""), (DEPLOYMENTS, "web", "scale")):
        with pytest.raises(ApiError) as error:
            server.update(kind, name, {}, "default", subresource=part)
        assert refusal(error) == (
            400,
            "BadRequest",
            f"the name of the object ({name} based on URL) was undeterminable: name must be "
            "provided",
        )
    assert server.get(MAPS, "one", "default")["data"]
    assert server.get_scale(DEPLOYMENTS, "web", "default")["spec"] == {"replicas": 2}


def test_an_object_to_be_made_has_no_revision() -> None:
    server, value = a_server(), config_map()
    value["metadata"]["resourceVersion"] = "4"
    with pytest.raises(ApiError) as error:
        create(server, "ConfigMap", value)
    message = "resourceVersion should not be set on objects to be created"
    assert refusal(error) == (500, "", message)
    create(server, "ConfigMap", value, options=DRY)


def test_a_write_that_changes_nothing_is_not_stored() -> None:
    """So that nobody is told, and `kubectl patch` can say (no change)."""
    server = a_server()
    for kind, value in (
        ("Deployment", deployment()), ("Service", service()), ("Pod", pod("web", "n")),
    ):  # fmt: skip
        made = create(server, kind, value)
        assert server.update(KINDS[kind], "web", value, "default").object is made
        assert server.patch(KINDS[kind], "web", {}, "default").object is made
        empty: dict[str, Any] = {"metadata": {} if kind == "Pod" else {"labels": {}}}
        assert server.patch(KINDS[kind], "web", empty, "default").object is made


def spec_change(value: Any) -> None:
    value["spec"]["replicas"] = 5


def annotation(value: Any) -> None:
    value["metadata"]["annotations"] = {"a": "b"}


def label(value: Any) -> None:
    value["metadata"]["labels"] = {"a": "b"}


def status(value: Any) -> None:
    value["status"] = {"replicas": 1}


@pytest.mark.parametrize(
    ("kind", "change", "generation"),
    [
        ("Deployment", spec_change, 2),
        ("Deployment", annotation, 2),
        ("Deployment", label, 1),
        ("Deployment", status, 1),
        ("ReplicaSet", spec_change, 2),
        ("ReplicaSet", annotation, 1),
    ],
)
def test_generations(kind: str, change: Callable[[Any], None], generation: int) -> None:
    server = a_server()
    value = {**deployment(), "apiVersion": "apps/v1", "kind": kind}
    create(server, kind, value)
    change(value)
    found = server.update(KINDS[kind], "web", value, "default").object
    assert found["metadata"]["generation"] == generation


def test_a_status_write_changes_the_status_and_a_main_write_everything_else() -> None:
    server = a_server()
    create(server, "Deployment", deployment())
    value = {**deployment(replicas=4), "status": {"replicas": 3}}
    main = server.update(DEPLOYMENTS, "web", value, "default").object
    assert (main["spec"]["replicas"], main["status"]) == (4, {})
    value["spec"]["replicas"] = 9
    done = server.update(DEPLOYMENTS, "web", value, "default", subresource="status").object
    assert (done["spec"]["replicas"], done["status"]) == (4, {"replicas": 3})
    assert done["metadata"]["generation"] == 2
    patch = {"spec": {"replicas": 8}, "status": {"readyReplicas": 2}}
    done = server.patch(DEPLOYMENTS, "web", patch, "default", subresource="status").object
    assert done["spec"]["replicas"] == 4
    assert done["status"] == {"replicas": 3, "readyReplicas": 2}
    labels = {"metadata": {"labels": {"x": "y"}}}
    done = server.patch(DEPLOYMENTS, "web", labels, "default", subresource="status").object
    assert done["metadata"]["labels"] == {"x": "y"}


def test_a_node_brings_its_status() -> None:
    node = {
        "metadata": {"name": "n"},
        "status": {"addresses": [{"type": "Hostname", "address": "n"}]},
    }
    assert create(a_server(), "Node", node)["status"] == node["status"]


def test_a_dry_run_stores_nothing() -> None:
    server = a_server()
    create(server, "Deployment", deployment())
    revision = server.list(MAPS).revision
    made = server.create(MAPS, config_map(), "default", DRY).object
    assert made["metadata"]["uid"]
    patch = {"spec": {"replicas": 3}}
    assert server.patch(DEPLOYMENTS, "web", patch, "default", options=DRY).object["spec"][
        "replicas"
    ] == 3  # fmt: skip
    assert server.delete(DEPLOYMENTS, "web", "default", options=DRY).gone
    assert server.list(MAPS).revision == revision
    with pytest.raises(ApiError):
        server.create(DEPLOYMENTS, deployment(), "default", DRY)


def scaled(server: Server, value: dict[str, Any]) -> Any:
    return server.update(DEPLOYMENTS, "web", value, "default", subresource="scale").object


def test_scale() -> None:
    server = a_server()
    create(server, "Deployment", deployment(replicas=2))
    scale = server.get_scale(DEPLOYMENTS, "web", "default")
    assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    done = scaled(server, {**scale, "spec": {"replicas": 5}})
    assert done["spec"] == {"replicas": 5}
    stored = server.get(DEPLOYMENTS, "web", "default")
    assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (5, 2)
    assert stored["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    with pytest.raises(ApiError) as error:
        scaled(server, scale)
    assert error.value.reason == "Conflict"
    with pytest.raises(ApiError) as error:
        scaled(server, {"metadata": {"name": "web"}, "spec": {"replicas": -1}})
    assert error.value.reason == "Invalid"
    patch = {"spec": {"replicas": 1}}
    server.patch(DEPLOYMENTS, "web", patch, "default", "merge", subresource="scale")
    assert server.get_scale(DEPLOYMENTS, "web", "default")["spec"] == {"replicas": 1}


def binding(node: str) -> dict[str, Any]:
    return {"metadata": {"name": "a", "namespace": "default"}, "target": {"name": node}}


def test_binding() -> None:
    server = a_server()
    value = pod("a", "")
    del value["spec"]["nodeName"]
    create(server, "Pod", value)
    done = server.bind("a", binding("n1"), "default").object
    assert done["spec"]["nodeName"] == "n1"
    (condition,) = done["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
    with pytest.raises(ApiError) as error:
        server.bind("a", binding("n2"), "default")
    assert refusal(error) == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"',
    )
    server.delete(PODS, "a", "default")
    with pytest.raises(ApiError) as error:
        server.bind("a", binding("n2"), "default")
    assert "is being deleted, cannot be assigned to a host" in error.value.message


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({}, "target.name: Required value"),
        ({"name": "n1", "kind": "Pod"},
         'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'),
    ],
)  # fmt: skip
def test_a_binding_to_no_node(target: dict[str, str], expected: str) -> None:
    server = a_server()
    create(server, "Pod", pod("a", ""))
    with pytest.raises(ApiError) as error:
        server.bind("a", binding("") | {"target": target}, "default")
    assert error.value.message == f'Binding "a" is invalid: {expected}'


def test_every_kind_can_be_made_with_its_name_alone_or_says_what_it_lacks() -> None:
    """No kind falls over when everything optional is left out."""
    server, refused = a_server(), []
    for name in KINDS:
        try:
            made = create(server, name, {"metadata": {"name": "x"}})
        except ApiError as error:
            refused.append((name, error.code))
        else:
            assert server.get(KINDS[name], "x", made["metadata"].get("namespace", "")) is made
    lacking = "Pod", "Service", "EndpointSlice", "Deployment", "ReplicaSet", "DaemonSet"
    assert refused == [(name, 422) for name in lacking]

"""Server-side apply: who owns what, who is refused, and what goes when nobody wants it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import deployment

from secondhop.apiserver.fields import decode, path
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Answer, Options, Server
from secondhop.errors import ApiError

from .helpers import Clock, a_server, create

MAPS, SERVICES, DEPLOYMENTS = KINDS["ConfigMap"], KINDS["Service"], KINDS["Deployment"]
ALICE, BOB = Options(manager="alice"), Options(manager="bob")


def apply(server: Server, data: dict[str, str], options: Options = ALICE, **more: Any) -> Answer:
    value = {"metadata": {"name": "one"} | more, "data": data}
    return server.apply(MAPS, "one", value, "default", options)


def owned(value: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """The fields by manager and operation."""
    return {
        (each["manager"], each["operation"]): sorted(map(path, decode(each["fieldsV1"])))
        for each in value["metadata"].get("managedFields", ())
    }


def test_an_object_is_made_and_belongs_to_who_applied_it() -> None:
    done = apply(a_server(), {"a": "1"})
    assert done.made
    assert done.object["metadata"]["managedFields"] == [
        {
            "manager": "alice",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "2027-01-15T08:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
        }
    ]


def test_who_applies_nothing_owns_nothing() -> None:
    """And a write that changes nothing afterwards stores nothing."""
    server = a_server()
    made = apply(server, {}).object
    assert "managedFields" not in made["metadata"]
    assert server.update(MAPS, "one", made, "default").object is made


def test_the_same_again_changes_nothing() -> None:
    clock = Clock()
    server = a_server(clock)
    first = apply(server, {"a": "1"}).object
    clock.now += 60
    again = apply(server, {"a": "1"})
    assert not again.made
    assert again.object is first


def test_the_same_again_is_no_write_where_defaults_are_inside_of_one_field() -> None:
    clock = Clock()
    server = a_server(clock)
    value = {"metadata": {"name": "one"}, "addressType": "IPv4", "ports": [{"port": 80}]}
    first = server.apply(KINDS["EndpointSlice"], "one", value, "default", ALICE).object
    assert first["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    clock.now += 60
    assert server.apply(KINDS["EndpointSlice"], "one", value, "default", ALICE).object is first


def test_what_was_there_at_a_revision_is_not_made_anew() -> None:
    with pytest.raises(ApiError) as error:
        apply(a_server(), {"a": "1"}, resourceVersion="7")
    assert (error.value.code, error.value.reason) == (409, "Conflict")


def test_what_is_no_longer_said_goes_unless_somebody_else_owns_it() -> None:
    server = a_server()
    apply(server, {"a": "1", "b": "2", "c": "3"})
    apply(server, {"b": "2"}, BOB)
    done = apply(server, {"c": "3"}).object
    assert done["data"] == {"b": "2", "c": "3"}
    assert owned(done) == {("alice", "Apply"): [".data.c"], ("bob", "Apply"): [".data.b"]}


def test_what_others_own_is_refused_and_may_be_forced() -> None:
    server = a_server()
    apply(server, {"a": "1", "b": "1", "c": "1"})
    with pytest.raises(ApiError) as error:
        apply(server, {"a": "2", "c": "1"}, BOB)
    assert (error.value.code, error.value.reason) == (409, "Conflict")
    assert error.value.message == 'Apply failed with 1 conflict: conflict with "alice": .data.a'
    assert error.value.details == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "alice"',
                "field": ".data.a",
            }
        ]
    }
    with pytest.raises(ApiError) as error:
        apply(server, {"a": "2", "b": "2"}, BOB)
    assert error.value.message == (
        'Apply failed with 2 conflicts: conflicts with "alice":\n- .data.a\n- .data.b'
    )
    done = apply(server, {"a": "2", "c": "1"}, replace(BOB, force=True)).object
    assert done["data"] == {"a": "2", "b": "1", "c": "1"}
    assert owned(done) == {
        ("alice", "Apply"): [".data.b", ".data.c"],
        ("bob", "Apply"): [".data.a", ".data.c"],
    }


def test_a_write_takes_what_it_changes() -> None:
    server = a_server()
    apply(server, {"a": "1", "b": "1"})
    patch: dict[str, Any] = {"data": {"a": "2", "c": "1"}}
    done = server.patch(MAPS, "one", patch, "default", "merge", Options(manager="kubectl-patch"))
    assert owned(done.object) == {
        ("alice", "Apply"): [".data.b"],
        ("kubectl-patch", "Update"): [".data.a", ".data.c"],
    }
    with pytest.raises(ApiError, match=r'with "kubectl-patch" using v1: \.data\.a'):
        apply(server, {"a": "1", "b": "1"})
    patch = {"data": {"b": None}}
    done = server.patch(MAPS, "one", patch, "default", "merge")
    assert list(owned(done.object)) == [("kubectl-patch", "Update")]


def test_who_creates_owns_all_but_what_is_the_servers() -> None:
    server = a_server()
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
    value = {"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": spec}
    made = create(server, "Service", value, options=Options(manager="kubectl-create"))
    ((manager, fields),) = owned(made).items()
    assert manager == ("kubectl-create", "Update")
    assert fields == [
        ".metadata.labels",
        ".metadata.labels.a",
        ".spec.externalTrafficPolicy",
        ".spec.internalTrafficPolicy",
        ".spec.ports",
        *(
            f'.spec.ports[port=80,protocol="TCP"]{field}'
            for field in ("", ".nodePort", ".port", ".protocol", ".targetPort")
        ),
        ".spec.sessionAffinity",
        ".spec.type",
    ]


def test_the_labs_own_components_leave_no_managers_until_somebody_applies() -> None:
    server = a_server()
    made = create(server, "Deployment", deployment())
    assert owned(made) == {}
    status = {**made, "status": {"replicas": 1}}
    stored = server.update(DEPLOYMENTS, "web", status, "default", subresource="status").object
    assert owned(stored) == {}
    config = {"metadata": {"name": "web"}, "spec": {"replicas": 7}}
    with pytest.raises(ApiError, match=r"before-first-apply.* using apps/v1: \.spec\.rep"):
        server.apply(DEPLOYMENTS, "web", config, "default", ALICE)
    done = server.apply(DEPLOYMENTS, "web", config, "default", replace(ALICE, force=True)).object
    assert done["spec"]["replicas"] == 7
    assert done["metadata"]["generation"] == 2
    assert owned(done)[("alice", "Apply")] == [".spec.replicas"]
    status = {**done, "status": {"replicas": 2}}
    stored = server.update(DEPLOYMENTS, "web", status, "default", subresource="status").object
    assert owned(stored)[("secondhop", "Update")] == [".status.replicas"]


def test_lists_are_merged_by_their_keys_and_an_element_goes_with_its_defaults() -> None:
    server = a_server()

    def web(who: Options, *ports: dict[str, Any]) -> dict[str, Any]:
        spec = {"selector": {"app": "web"}, "ports": list(ports)}
        value = {"metadata": {"name": "web"}, "spec": spec}
        return server.apply(SERVICES, "web", value, "default", who).object

    one, two = {"name": "one", "port": 1}, {"name": "two", "port": 2}
    web(ALICE, one, two)
    done = web(BOB, {"name": "three", "port": 3}, two)
    assert [each["port"] for each in done["spec"]["ports"]] == [1, 3, 2]
    done = web(ALICE, two)
    assert [each["port"] for each in done["spec"]["ports"]] == [3, 2]
    assert done["spec"]["ports"][0]["protocol"] == "TCP"
    done = web(BOB, {"name": "three", "port": 3})
    assert {each["port"] for each in done["spec"]["ports"]} == {2, 3}


def test_an_element_in_which_somebody_owns_a_field_stays_with_its_keys() -> None:
    server = a_server()
    value = deployment()
    containers = value["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "side", "image": "x", "args": ["1"]})
    server.apply(DEPLOYMENTS, "web", value, "default", ALICE)
    side = {"name": "side", "image": "y"}
    patch = {"spec": {"template": {"spec": {"containers": [side]}}}}
    server.patch(DEPLOYMENTS, "web", patch, "default", options=BOB)
    containers.pop()
    done = server.apply(DEPLOYMENTS, "web", value, "default", ALICE).object
    left = done["spec"]["template"]["spec"]["containers"][1]
    assert (left["name"], left["image"], left.get("args")) == ("side", "y", None)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"data": {"a": 1}}, "cannot unmarshal number"),
        ({"date": {}}, "failed to create typed patch object .*: .date: field not declared"),
        ({"metadata": {"name": "two"}}, r"\(two\) does not match the name on the URL \(one\)"),
        ({"metadata": {"managedFields": [{"manager": "x"}]}}, "managedFields must be nil"),
        ({"metadata": {"finalizers": ["x/a", "x/a"]}}, "two elements of the list have the same"),
        ([], "cannot be handled as a ConfigMap"),
    ],
)
def test_what_is_no_configuration(config: Any, text: str) -> None:
    with pytest.raises(ApiError, match=text) as error:
        a_server().apply(MAPS, "one", config, "default", ALICE)
    assert error.value.code == 400


def test_a_client_may_write_the_owners_itself() -> None:
    """As kubectl does that hands the fields of client-side apply over to server-side apply."""
    server = a_server()
    made = create(server, "ConfigMap", {"metadata": {"name": "one"}, "data": {"a": "1"}},
                  options=ALICE)  # fmt: skip
    entry = made["metadata"]["managedFields"][0] | {"manager": "bob", "operation": "Apply"}
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}]
    done = server.patch(MAPS, "one", patch, "default", "json", ALICE).object
    assert owned(done) == {("bob", "Apply"): [".data", ".data.a"]}
    patch[0]["value"] = [{"manager": "x", "operation": "Own"}]
    assert server.patch(MAPS, "one", patch, "default", "json", ALICE).object is done
    patch[0]["value"] = [{}]
    done = server.patch(MAPS, "one", patch, "default", "json", ALICE).object
    assert owned(done) == {}


def test_a_dry_run_stores_nothing() -> None:
    server = a_server()
    assert apply(server, {"a": "1"}, replace(ALICE, dry_run=True)).made
    with pytest.raises(ApiError, match="not found"):
        server.get(MAPS, "one", "default")


data = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"))
steps = st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol"]), data), max_size=8)


@given(steps)
def test_after_any_applies_everybody_has_what_they_own(
    history: list[tuple[str, dict[str, str]]],
) -> None:
    """Who applied last with force has their way; a field is there if and only if it is owned."""
    server = a_server()
    for who, wanted in history:
        before = copy.deepcopy(wanted)
        done = apply(server, wanted, Options(manager=who, force=True)).object
        assert wanted == before
        found = done.get("data") or {}
        assert wanted.items() <= found.items()
        fields = {field for each in owned(done).values() for field in each} - {".data"}
        assert fields == {f".data.{key}" for key in found}

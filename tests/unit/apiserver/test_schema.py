"""Requests against the schema: what is unknown, twice, or of a wrong type."""

from __future__ import annotations

from typing import Any

import pytest
from support import deployment, service

from secondhop.apiserver.jsontext import read
from secondhop.apiserver.kinds import ALL, KINDS, SUBRESOURCES
from secondhop.apiserver.schema import Mistyped, decode, definitions
from secondhop.apiserver.server import Options
from secondhop.errors import ApiError

from .helpers import a_server, refusal

DEPLOYMENT, SERVICE = KINDS["Deployment"].definition, KINDS["Service"].definition


def changed(value: dict[str, Any], path: str, new: object) -> dict[str, Any]:
    """An object with one field set; numbers in the path are indices."""
    at: Any = value
    *parts, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in parts:
        at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
    at[last] = new
    return value


@pytest.mark.parametrize(
    ("value", "path", "new", "message"),
    [
        (service, "spec.ports.0.port", "80", "string into Go struct field "
         "ServicePort.spec.ports.port of type int32"),
        (service, "spec.ports.0.port", 1.5, "number 1.5 into Go struct field "
         "ServicePort.spec.ports.port of type int32"),
        (service, "spec.ports.0.port", 1 << 31, f"number {1 << 31} into Go struct field "
         "ServicePort.spec.ports.port of type int32"),
        (service, "spec.ports.0.port", True, "bool into Go struct field "
         "ServicePort.spec.ports.port of type int32"),
        (service, "spec.ports", {}, "object into Go struct field "
         "ServiceSpec.spec.ports of type []v1.ServicePort"),
        (service, "spec.clusterIPs", [1], "number into Go struct field "
         "ServiceSpec.spec.clusterIPs of type string"),
        (service, "metadata.labels", {"a": 1}, "number into Go struct field "
         "ObjectMeta.metadata.labels of type string"),
        (service, "metadata.labels", [], "array into Go struct field "
         "ObjectMeta.metadata.labels of type map[string]string"),
        (service, "spec", "x", "string into Go struct field Service.spec of type v1.ServiceSpec"),
        (deployment, "spec.paused", "yes", "string into Go struct field "
         "DeploymentSpec.spec.paused of type bool"),
        (deployment, "spec.template.spec.containers.0.name", 1, "number into Go struct field "
         "Container.spec.template.spec.containers.name of type string"),
    ],
)  # fmt: skip
def test_types(value: Any, path: str, new: object, message: str) -> None:
    definition = DEPLOYMENT if value is deployment else SERVICE
    with pytest.raises(Mistyped) as error:
        decode(definition, changed(value(), path, new))
    assert str(error.value) == f"json: cannot unmarshal {message}"


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("spec.ports.0.targetPort", "http"),
        ("spec.ports.0.targetPort", 80),
        ("metadata.annotations", {"a": ""}),
        ("metadata.managedFields", [{"fieldsV1": {"f:spec": {"f:x": {}}}}]),
    ],
)
def test_types_that_are_right(path: str, new: object) -> None:
    value = changed(service(), path, new)
    assert decode(SERVICE, value).value == value


LEASE, POD = KINDS["Lease"].definition, KINDS["Pod"].definition


@pytest.mark.parametrize("text", ["junk", "", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T0"])
def test_a_time_that_is_none(text: str) -> None:
    """It would be stored, and every typed client would fail over each list that holds it."""
    with pytest.raises(Mistyped) as error:
        decode(LEASE, {"spec": {"renewTime": text}})
    assert str(error.value) == (
        f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}"'
    )


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05+01:00"]
)
def test_times(text: str) -> None:
    value = {"spec": {"renewTime": text}}
    assert decode(LEASE, value).value == value


def test_base64() -> None:
    definition = KINDS["ConfigMap"].definition
    value = {"binaryData": {"a": "QU\nI=\n"}}
    assert decode(definition, value).value == {"binaryData": {"a": "QUI="}}
    for text in "=", "QUI", "Q-I=", "é":
        with pytest.raises(Mistyped, match=r"^illegal base64 data"):
            decode(definition, {"binaryData": {"a": text}})


def limited(amount: object) -> dict[str, Any]:
    """A pod whose container may use so much."""
    container = {"name": "c", "resources": {"limits": {"cpu": amount}}}
    return {"spec": {"containers": [container]}}


@pytest.mark.parametrize("amount", ["junk", "", "1x", "1 Gi", "--1", "1.2.3"])
def test_a_quantity_that_is_none(amount: str) -> None:
    with pytest.raises(Mistyped) as error:
        decode(POD, limited(amount))
    assert str(error.value).startswith("quantities must match the regular expression")


@pytest.mark.parametrize("amount", ["100m", "1", "1.5Gi", "1e3", "-1", "+1", ".5", "5.", 2, 0.5])
def test_quantities(amount: object) -> None:
    assert decode(POD, limited(amount)).value == limited(amount)


def test_what_is_unknown_is_left_out_and_told() -> None:
    value = changed(deployment(), "spec.template.spec.containers.0.imge", "x")
    value = changed(value, "spec.foo", {"bar": 1})
    done, unknown = decode(DEPLOYMENT, value)
    assert done == deployment()
    assert sorted(unknown) == ["spec.foo", "spec.template.spec.containers[0].imge"]


def test_plain_fields_that_are_never_left_out_are_there() -> None:
    """As Go writes them: no reader needs to ask whether there is one."""
    value = {"status": {"conditions": [{"reason": "r"}, None]}, "spec": {"containers": [{}]}}
    assert decode(POD, value).value == {
        "status": {"conditions": [{"reason": "r", "type": "", "status": ""},
                                  {"type": "", "status": ""}]},
        "spec": {"containers": [{"name": ""}]},
    }  # fmt: skip


def test_null_and_empty_collections_are_absent_but_empty_objects_are_there() -> None:
    value = deployment(emptyish=None)
    value["metadata"] |= {"labels": {}, "creationTimestamp": None, "finalizers": []}
    value["spec"]["selector"] = {}
    value["spec"]["template"]["spec"]["containers"] = []
    done, _ = decode(DEPLOYMENT, value)
    assert done["metadata"] == {"name": "web"}
    assert done["spec"]["selector"] == {}
    assert done["spec"]["template"]["spec"] == {"containers": []}


def test_a_decoded_object_is_a_copy() -> None:
    value = deployment()
    done, _ = decode(DEPLOYMENT, value)
    done["spec"]["template"]["metadata"]["labels"]["app"] = "other"
    done["spec"]["template"]["spec"]["containers"][0]["name"] = "other"
    assert value == deployment()


def test_every_kind_has_its_schema_and_every_reference_leads_somewhere() -> None:
    named = {kind.definition for kind in ALL}
    named |= {part.definition for part in SUBRESOURCES if part.definition}
    assert named <= definitions().keys()

    def references(node: Any) -> set[str]:
        if isinstance(node, list):
            return {name for each in node for name in references(each)}
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own | {name for each in node.values() for name in references(each)}

    found = {name.removeprefix("#/components/schemas/") for name in references(definitions())}
    assert found <= definitions().keys() <= found | named


@pytest.mark.parametrize(
    ("text", "doubled"),
    [
        (b'{"a": 1, "b": [{"c": 1}]}', []),
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"spec": {"x": [{}, {"y": 1, "y": 2, "y": 3}], "x2": 1, "x2": 1}}',
         ["spec.x2", "spec.x[1].y"]),
    ],
)  # fmt: skip
def test_fields_that_a_text_says_twice(text: bytes, doubled: list[str]) -> None:
    assert read(text).doubled == doubled


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json(text: bytes) -> None:
    with pytest.raises(ApiError) as error:
        read(text)
    assert error.value.code == 400


ODD = {**deployment("odd"), "foo": 1}


def test_strict_refuses_warn_warns_ignore_ignores() -> None:
    server, kind = a_server(), KINDS["Deployment"]
    doubled = ["spec.replicas"]
    with pytest.raises(ApiError) as error:
        server.create(kind, ODD, "default", Options(validation="Strict", doubled=doubled))
    assert refusal(error) == (
        400,
        "BadRequest",
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'duplicate field "spec.replicas", unknown field "foo"',
    )
    warn, ignore = (
        server.create(kind, ODD, "default", Options(True, validation, doubled))
        for validation in ("Warn", "Ignore")
    )
    assert warn.warnings == ['duplicate field "spec.replicas"', 'unknown field "foo"']
    assert ignore.warnings == []


def test_a_patch_that_says_an_unknown_field() -> None:
    server, kind = a_server(), KINDS["Deployment"]
    server.create(kind, deployment(), "default")
    patch = {"spec": {"foo": 1}}
    with pytest.raises(ApiError) as error:
        server.patch(kind, "web", patch, "default", "merge", Options(validation="Strict"))
    assert refusal(error) == (
        422,
        "Invalid",
        ' "" is invalid: patch: Invalid value: {"spec":{"foo":1}}: strict decoding error: '
        'unknown field "spec.foo"',
    )
    answer = server.patch(kind, "web", patch, "default", "merge")
    assert answer.warnings == ['unknown field "spec.foo"']
    assert answer.object == server.get(kind, "web", "default")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"apiVersion": "v2"}, "the API version in the data (v2) does not match the expected API "
         "version (v1)"),
        ({"kind": "Pod"}, 'Pod in version "v1" cannot be handled as a Service'),
        ([], 'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal array '
         "into Go value of type v1.Service"),
    ],
)  # fmt: skip
def test_an_object_of_another_kind(value: object, message: str) -> None:
    with pytest.raises(ApiError) as error:
        a_server().create(KINDS["Service"], value, "default")
    assert refusal(error) == (400, "BadRequest", message)

"""Fields at the wrong place: every one named in one pass, with line and home; and mended."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.errors import ManifestError
from secondhop.manifests import build, mend, read_files, read_text
from secondhop.manifests.problems import dotted
from secondhop.manifests.resource import dig
from secondhop.manifests.schema import KINDS

from .helpers import (
    REFERENCE,
    Object,
    complaints,
    deployment,
    fields,
    moved,
    parents,
    pod,
    service,
)

GOOD: list[Object] = [d.object for d in read_files([str(REFERENCE / "good.yaml")])]


def pasted(kind: str) -> str:
    return (REFERENCE / f"pasted-{kind}.yaml").read_text()


def test_the_pasted_deployment() -> None:
    labels = "metadata.spec.selector.matchLabels.template.metadata.labels"
    assert complaints(pasted("deployment")) == [
        "5: metadata.spec: misplaced: it belongs at spec",
        "10: metadata.spec.selector.matchLabels.template: misplaced: it belongs at spec.template",
        f"14: {labels}.spec: misplaced: it belongs at spec.template.spec",
    ]


def test_the_pasted_service() -> None:
    ports = "metadata.spec.selector.ports"
    belongs = "misplaced: it belongs at"
    assert complaints(pasted("service")) == [
        f"5: metadata.spec: {belongs} spec",
        f"8: {ports}: {belongs} spec.ports",
        f"12: {ports}[0].type: {belongs} spec.type",
        f"13: {ports}[0].externalTrafficPolicy: {belongs} spec.externalTrafficPolicy",
    ]


def test_the_pasted_pair_mends_to_the_good_one() -> None:
    paths = [str(REFERENCE / f"pasted-{kind}.yaml") for kind in ("deployment", "service")]
    wanted = copy.deepcopy(GOOD)
    del wanted[1]["spec"]["ports"][0]["nodePort"]  # the paste has none
    assert [mend(document.object) for document in read_files(paths)] == wanted


def test_other_mistakes_of_a_misplaced_object_are_found_in_the_same_pass() -> None:
    text = pasted("service").replace("targetPort: 80", "nodePort: 80")
    assert complaints(text)[2] == (
        "11: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767"
    )


MOVES = [
    (n, field, parent)
    for n, value in enumerate(GOOD)
    for field in fields(value)
    for parent in parents(value)
    if parent != field[:-1]
    and parent[: len(field)] != field
    and field[-1] not in dig(value, parent)
]
CLUES = {
    # The name is at home in the new place too: nothing but its absence can be told.
    "metadata.name > spec.template.metadata": "metadata.name: Required value",
    "metadata.name > spec.template.spec.containers[0].ports[0]": "metadata.name: Required value",
    "metadata.name > spec.ports[0]": "metadata.name: Required value",
    "spec.template.metadata.labels > metadata": "spec.template.metadata.labels: Required value",
    "spec.template.spec.containers[0].name > spec.template.metadata": (
        "spec.template.spec.containers[0].name: Required value"
    ),
    "spec.template.spec.containers[0].name > spec.template.spec.containers[0].ports[0]": (
        "spec.template.spec.containers[0].name: Required value"
    ),
    # A label may be called image.
    "spec.template.spec.containers[0].image > spec.selector.matchLabels": None,
    "spec.template.spec.containers[0].image > spec.template.metadata.labels": None,
}
"""The moves of a field of good.yaml that can be told only in part, or not at all."""


@pytest.mark.parametrize("n", [0, 1])
def test_any_field_of_the_good_manifest_moved_anywhere_is_named_with_its_home(n: int) -> None:
    moves = [(field, parent) for number, field, parent in MOVES if number == n]
    assert len(moves) >= 50
    for field, parent in moves:
        broken = moved(GOOD[n], field, parent)
        name = f"{dotted(field)} > {dotted(parent)}"
        wrong = f"{dotted((*parent, field[-1]))}: misplaced: it belongs at {dotted(field)}"
        expected = CLUES.get(name, wrong)
        if expected is None:
            build(read_text(json.dumps(broken), "f"))
            continue
        assert expected in [c.partition(": ")[2] for c in complaints(json.dumps(broken))], name
        if name not in CLUES:
            assert mend(broken) == GOOD[n], name


@given(st.sampled_from(GOOD), st.data())
def test_two_fields_moved_at_once_are_never_accepted_in_silence(
    value: Object, data: st.DataObject
) -> None:
    """Whatever else is said, mending is stable: what it gives needs no mending."""
    for _ in range(2):
        field = data.draw(st.sampled_from([f for f in fields(value) if f[-1] != "app"]))
        places = [
            p for p in parents(value) if p[: len(field)] != field and field[-1] not in dig(value, p)
        ]
        if places:
            value = moved(value, field, data.draw(st.sampled_from(places)))
    once = mend(value)
    assert mend(once) == once


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (
            {**deployment(), "replicas": 3},
            "replicas: misplaced: it belongs at spec.replicas, which has a value already",
        ),
        (
            {**service(), "externalTrafficPolicy": "Local"},
            "externalTrafficPolicy: misplaced: it belongs at spec.externalTrafficPolicy",
        ),
        (
            {**service(), "labels": {"a": "b"}},
            "labels: misplaced: it belongs at metadata.labels",
        ),
        (
            service(nodePort=30080, type="NodePort"),
            "spec.nodePort: misplaced: it belongs at spec.ports[0].nodePort",
        ),
        (
            service(selector={"app": "web", "type": "NodePort"}),
            "spec.selector.type: misplaced: it belongs at spec.type",
        ),
        (
            service(selector={"app": "web", "ports": [{"port": 80}]}),
            "spec.selector.ports: misplaced: it belongs at spec.ports, which has a value already",
        ),
        (
            service(selector={"matchLabels": {"app": "web"}}),
            "spec.selector.matchLabels: its entries belong directly under spec.selector",
        ),
        (
            service(metadata={"name": "x"}),
            "spec.metadata: misplaced: it belongs at metadata",
        ),
        (
            {**pod(), "containers": [{"name": "x"}]},
            "containers: misplaced: it belongs at spec.containers, which has a value already",
        ),
        (
            pod(spec={"containers": [{"name": "c", "containerPort": 80}]}),
            "spec.containers[0].containerPort: misplaced: it belongs at "
            "spec.containers[0].ports[0].containerPort",
        ),
        (
            pod(spec={"httpGet": {"port": 80}}),
            "spec.httpGet: misplaced: it belongs at spec.containers[0].readinessProbe.httpGet",
        ),
        (
            {"kind": "Lab", "apiVersion": "secondhop/v1", "backend": "host-gw"},
            "backend: misplaced: it belongs at network.backend",
        ),
        (service(externalTraficPolicy="Local"), 'spec.externalTraficPolicy: unknown field "extern'),
        (service(colour="red", type="NodePort"), 'spec.colour: unknown field "colour"'),
        (service(type="Nodeport"), 'spec.type: Unsupported value: "Nodeport": supported values: "'),
        (service(type=3), "spec.type: must be a string, is 3"),
        (service(ports={"port": 80}), "spec.ports: must be a list, is a mapping"),
        (service(ports=[None]), "spec.ports[0]: the list has an empty entry"),
        (service(ports=[{"name": "x"}]), "spec.ports[0].port: Required value"),
        (service(ports=[{"port": "80"}]), 'spec.ports[0].port: must be an integer, is "80"'),
        (service(ports=[{"port": 80.5}]), "spec.ports[0].port: must be an integer, is 80.5"),
        (service(ports=[{"port": True}]), "spec.ports[0].port: must be an integer, is true"),
    ],
)
def test_what_is_said(value: Object, wrong: str) -> None:
    found = [c.partition(": ")[2] for c in complaints(json.dumps(value))]
    assert any(line.startswith(wrong) for line in found), found


@pytest.mark.parametrize(
    ("text", "wrong", "remedy"),
    [
        ("port: 0o17", "is written 0o17, which YAML reads as 15", "in plain decimal: 15"),
        ("port: '80'", 'must be an integer, is "80"', "without quotes: 80"),
        ("port: 80, name: yes", "must be a string, is true", "Quote it"),
        ("port: 80, name: 010", "must be a string, is the number 010", 'Quote it: "010"'),
        ("port: 80, portocol: TCP", 'unknown field "portocol"', "Did you mean protocol?"),
        ("port: 80, protocol: tcp", 'Unsupported value: "tcp"', "Did you mean TCP?"),
        ("port: 80, 3: x", "key 3 is not text", "Quote it"),
    ],
)
def test_what_to_do_next(text: str, wrong: str, remedy: str) -> None:
    whole = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{" + text + "}]}\n"
    )
    with pytest.raises(ManifestError) as caught:
        build(read_text(whole, "web.yaml"))
    (problem,) = caught.value.problems
    assert problem.where == "web.yaml:4"
    assert problem.subject == "Service default/web"
    assert wrong in problem.message
    assert remedy in problem.remedy


def test_a_field_that_a_server_accepted_is_newer_than_we_are() -> None:
    live = service(freshlyInvented={"x": 1})
    live["metadata"]["uid"] = "0d5c"
    build(read_text(json.dumps(live), "f"))
    live["spec"]["ports"][0]["externalTrafficPolicy"] = "Local"
    live["spec"]["type"] = "NodePort"
    field = "externalTrafficPolicy"
    assert complaints(json.dumps(live)) == [
        f"1: spec.ports[0].{field}: misplaced: it belongs at spec.{field}"
    ]


def test_what_a_server_accepted_is_never_taken_for_a_label() -> None:
    live = service()
    live["metadata"] |= {"uid": "0d5c", "shard": "seven"}
    build(read_text(json.dumps(live), "f"))


def test_a_mapping_is_united_with_what_is_at_home_already() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n  spec:\n    ports: [{port: 0}]\n"
    assert complaints(f"{text}spec:\n  type: NodePort\n  ports:\n") == [
        "5: metadata.spec: misplaced: it belongs at spec",
        "6: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "6: spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
    ]


def test_labels_may_be_named_like_fields() -> None:
    """A label is taken for a field only if that field is missing where it must or would be."""
    labels = {"name": "web", "image": "x", "type": "frontend", "key": "k", "port": "http"}
    value = service(selector=labels, type="NodePort")
    build(read_text(json.dumps(value), "f"))
    assert mend(value) == value


def test_every_kind_has_a_home_for_its_own_fields() -> None:
    assert all({"apiVersion", "kind"} <= shape.required for shape in KINDS.values())


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ("kind: Deploymnet\napiVersion: apps/v1", '1: kind: unknown kind "Deploymnet"'),
        (
            "kind: Deployment\napiVersion: v1\nmetadata: {name: x}",
            '2: apiVersion: Deployment is not in "v1"',
        ),
        ("kind: service\napiVersion: v1", '1: kind: unknown kind "service"'),
        ("metadata: {name: x}", "1: kind: Required value"),
        ("kind: Service\nmetadata: {name: x}", "1: apiVersion: Required value"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: X}\nspec: {containers: []}", "3: metadata."),
    ],
)
def test_what_an_object_is(head: str, complaint: str) -> None:
    assert any(line.startswith(complaint) for line in complaints(head))


@pytest.mark.parametrize(
    "head",
    [
        "kind: Service\napiVersion: serving.knative.dev/v1",
        "kind: ConfigMap\napiVersion: v1",
        "kind: ServiceAccount\napiVersion: v1",
        "kind: Endpoints\napiVersion: v1",
        "kind: Job\napiVersion: batch/v1",
        "kind: ReplicationController\napiVersion: v1",
        "kind: Ingress\napiVersion: networking.k8s.io/v1",
    ],
)
def test_kinds_of_others_are_skipped_and_counted(head: str) -> None:
    kind = head.splitlines()[0].removeprefix("kind: ")
    world = build(read_text(f"{head}\n---\n{head}\nspec: 3\n", "f"))
    assert world.skipped == {kind: 2}


def test_an_object_given_twice() -> None:
    text = json.dumps(service())
    assert complaints(f"{text}\n---\n{text}") == [
        "3: metadata.name: is given twice; the first is at f:1"
    ]


def test_a_list_that_looks_like_nothing_known_goes_where_it_is_needed() -> None:
    """A port, and two strays in it: less like a port than like the unknown, but a port."""
    text = """\
apiVersion: v1
kind: Service
metadata:
  name: web
  spec:
    selector:
      app: web
      ports:
      - port: 80
        type: NodePort
        externalTrafficPolicy: Local
"""
    assert [line.split(": ", 2)[2] for line in complaints(text)] == [
        "misplaced: it belongs at spec",
        "misplaced: it belongs at spec.ports",
        "misplaced: it belongs at spec.type",
        "misplaced: it belongs at spec.externalTrafficPolicy",
    ]


def test_an_empty_list_where_a_missing_field_might_be_looked_for() -> None:
    text = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
endpoints:
- nodeName: x
  hints: {forZones: []}
"""
    assert "3: metadata.name: Required value" in complaints(text)


def test_what_is_not_a_list_is_no_home_for_an_items_field() -> None:
    value = service(ports={"port": 80}, nodePort=30080)
    before = copy.deepcopy(value)
    assert mend(value)["spec"]["ports"] == {"port": 80}
    assert value == before


def test_a_name_that_is_not_known_waits_until_the_known_ones_are_home() -> None:
    value = {**service(), "labels": {}, "tier": "front"}
    assert mend(value)["metadata"] == {"name": "web", "labels": {"tier": "front"}}


@pytest.mark.parametrize("name", ["metadata", "spec"])
def test_a_number_in_the_place_of_a_mapping_is_no_home_either(name: str) -> None:
    found = complaints(json.dumps({**service(), name: 5, "web": "x"}))
    assert any(f"{name}: " in complaint for complaint in found)

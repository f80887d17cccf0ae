"""What is wrong with objects themselves: every problem a finding, and the check goes on."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import deployment, lab, service

from secondhop.check import CATALOGUE, check
from secondhop.errors import ManifestError
from secondhop.manifests import build, examine, read_text
from secondhop.model.finding import Check

from .build import NODES, checked, holds, ids, text_checked

REFERENCE = Path(__file__).parents[2] / "fixtures" / "reference"
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}
MISPLACED = {
    "pasted-service.yaml": [
        (5, "metadata.spec"),
        (8, "metadata.spec.selector.ports"),
        (12, "metadata.spec.selector.ports[0].type"),
        (13, "metadata.spec.selector.ports[0].externalTrafficPolicy"),
    ],
    "pasted-deployment.yaml": [
        (5, "metadata.spec"),
        (10, "metadata.spec.selector.matchLabels.template"),
        (14, "metadata.spec.selector.matchLabels.template.metadata.labels.spec"),
    ],
}


def places(found: Check, id: str) -> list[tuple[int, str]]:
    return [(f.where.line, f.field) for f in found.findings if f.id == id and f.where]


@pytest.mark.parametrize("name", MISPLACED)
def test_the_pasted_manifests_have_one_finding_for_each_misplaced_field(name: str) -> None:
    found = text_checked((REFERENCE / name).read_text())
    assert places(found, "misplaced-field") == MISPLACED[name]


def test_a_pasted_service_is_looked_at_as_mended() -> None:
    pasted = "".join(f"{(REFERENCE / name).read_text()}\n---\n" for name in MISPLACED)
    pasted = pasted.replace("externalTrafficPolicy: Cluster", "externalTrafficPolicy: Local")
    found = text_checked(pasted + json.dumps(lab(NODES)), require="no-blackhole")
    assert ids(found) == ["misplaced-field"] * 7 + ["local-drops"]
    assert places(found, "local-drops") == [(13, "spec.externalTrafficPolicy")]
    assert holds(found) == {"no-blackhole": "no"}
    assert found.requirements[0].why == "2 objects of the input are not valid; mend that first."


def test_the_good_reference_has_no_error() -> None:
    found = text_checked((REFERENCE / "good.yaml").read_text(), require="valid")
    assert {finding.severity for finding in found.findings} <= {"note"}
    assert found.met


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"type": "ClusterIP", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]},
            "spec.externalTrafficPolicy",
            'Invalid value: "Local": may only be set for externally-accessible services',
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "spec.LoadBalancerSourceRanges",
            "Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"ports": [{"port": 80, "nodePort": 80}]},
            "spec.ports[0].nodePort",
            "Invalid value: 80: provided port is not in the valid range. The range of valid ports"
            " is 30000-32767",
        ),
    ],
)
def test_the_api_servers_refusals_are_told_in_its_words(
    spec: dict[str, Any], field: str, message: str
) -> None:
    (first, *_) = checked(service(**spec), deployment(), lab(NODES)).findings
    assert (first.id, first.severity) == ("refused-by-api", "error")
    assert (first.field, first.message) == (field, message)
    assert first.remedy


@pytest.mark.parametrize(
    "broken",
    [
        service("broken", type="ClusterIP", **LOCAL),
        service("broken", **LOCAL, ports=[{"port": 80, "targetPort": 99999}]),
        service("broken", **LOCAL, ports=[{"port": 80, "nodePort": 80}]),
        service("broken", **LOCAL, node_port=30081),
        service("broken", **LOCAL, clusterIP="10.43.0.999"),
    ],
    ids=["type", "target port", "node port out of range", "node port taken", "address"],
)
def test_a_service_that_would_be_refused_is_not_judged_further(broken: dict[str, Any]) -> None:
    sound = service("sound", node_port=30081, externalTrafficPolicy="Local")
    pods = deployment("sound")
    found = checked(sound, broken, pods, lab(NODES), require="client-ip,valid")
    assert found.services == 1
    assert set(ids(found)) == {"refused-by-api", "local-drops"}
    assert holds(found) == {"client-ip": "no", "valid": "no"}


def test_a_lab_that_is_wrong_is_no_finding() -> None:
    with pytest.raises(ManifestError):
        checked(service(), lab([{"name": "n1", "address": "x", "podCIDR": "10.42.1.0/24"}]))


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n"])
def test_what_cannot_be_read_is_no_finding(text: str) -> None:
    with pytest.raises(ManifestError):
        text_checked(text)


WHOLE: list[dict[str, Any]] = [
    service(type="LoadBalancer", externalTrafficPolicy="Local"),
    deployment(replicas=2, ports=[{"containerPort": 80, "name": "http"}]),
    lab(NODES),
]
VALUES = st.sampled_from([None, "", "x", 0, -1, 99999, True, [], {}, [None], {"app": "web"}])


def spots(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside a value."""
    if not isinstance(value, (dict, list)):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [s for key in keys for s in spots(value[key])]


@given(data=st.data())
def test_whatever_is_wrong_a_check_tells_what_build_would(data: st.DataObject) -> None:
    """Fields removed, replaced and moved at random: never a traceback, never less than `build`."""
    objects = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        where = spots(objects)
        if not where:
            break
        holder, key = data.draw(st.sampled_from(where))
        other, place = data.draw(st.sampled_from(where))
        if data.draw(st.booleans()):
            holder[key] = copy.deepcopy(data.draw(VALUES))
        elif isinstance(other, dict):
            other[str(place)] = copy.deepcopy(holder[key])
    text = "\n---\n".join(json.dumps(one) for one in objects)
    try:
        documents = read_text(text, "web.yaml")
        examined = examine(documents)
    except ManifestError:
        with pytest.raises(ManifestError):
            build(read_text(text, "web.yaml"))
        return
    found = check(examined)
    assert {finding.id for finding in found.findings} <= set(CATALOGUE)
    if not examined.problems:
        build(documents)
        return
    with pytest.raises(ManifestError) as caught:
        build(documents)
    told = [(f.field, f.message) for f in found.findings]
    assert told[: len(examined.problems)] == [(p.field, p.message) for p in caught.value.problems]

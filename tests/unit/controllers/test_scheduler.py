"""Where pods fit, why not elsewhere, and which of the fitting nodes is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from secondhop.client import Object, meta
from secondhop.controllers.fitting import Scene, fit, is_wary
from secondhop.controllers.pods import node_of
from secondhop.controllers.scheduler import best, waits

from .play import node

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def pod(name: str = "x", app: str = "web", on: str = "", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "labels": {"app": app}}
    return {"metadata": metadata, "spec": {**spec, **({"nodeName": on} if on else {})}}


def scene(nodes: Sequence[Object], pods: Sequence[Object] = ()) -> Scene:
    return Scene(
        nodes,
        lambda name: [one for one in pods if node_of(one) == name],
        [one for one in pods if any(is_wary(one))],
    )


def verdict(
    one: Object, nodes: Sequence[Object], pods: Sequence[Object] = ()
) -> tuple[list[str], str]:
    """The names of the fitting nodes, and the message that says why there are no others."""
    found = fit(one, scene(nodes, pods))
    told = found.message.partition(": ")[2].partition(". preemption")[0] if found.reasons else ""
    return [meta(n)[1] for n in found.fitting], told


def affinity(*terms: Object) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> Object:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


NODES = [node("a", zone="one"), node("b", zone="two"), node("c")]
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
NOT_SELECTED = "node(s) didn't match Pod's node affinity/selector"


@pytest.mark.parametrize(
    ("spec", "fitting"),
    [
        ({}, "abc"),
        ({"nodeSelector": {ZONE: "one"}}, "a"),
        ({"affinity": affinity(expression(ZONE, "In", "one", "two"))}, "ab"),
        ({"affinity": affinity(expression(ZONE, "NotIn", "one"))}, "bc"),
        ({"affinity": affinity(expression(ZONE, "Exists"))}, "ab"),
        ({"affinity": affinity(expression(ZONE, "DoesNotExist"))}, "c"),
        ({"affinity": affinity(expression(ZONE, "Gt", "1"))}, ""),  # no number
        ({"affinity": affinity(expression(ZONE, "In", "one"), expression(HOST, "In", "c"))}, "ac"),
        ({"affinity": affinity({})}, ""),  # an empty term matches nothing
        ({"affinity": affinity({"matchFields": [
            {"key": "metadata.name", "operator": "In", "values": ["b"]}]})}, "b"),
        ({"nodeSelector": {ZONE: "one"}, "affinity": affinity(expression(HOST, "In", "b"))}, ""),
    ],
)  # fmt: skip
def test_selectors_and_affinity(spec: dict[str, Any], fitting: str) -> None:
    left_out = 3 - len(fitting)
    told = f"{left_out} {NOT_SELECTED}" if left_out else ""
    assert verdict(pod(**spec), NODES) == (list(fitting), told)


def test_numbers_are_compared() -> None:
    nodes = [node(name) for name in "ab"]
    for one, value in zip(nodes, ("4", "12"), strict=True):
        one["metadata"]["labels"]["cores"] = value
    more, fewer = affinity(expression("cores", "Gt", "8")), affinity(expression("cores", "Lt", "8"))
    assert verdict(pod(affinity=more), nodes)[0] == ["b"]
    assert verdict(pod(affinity=fewer), nodes)[0] == ["a"]


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("tolerations", "reason"),
    [
        ([], "1 node(s) had untolerated taint {gpu: yes}"),
        ([{"key": "gpu", "operator": "Exists"}], ""),
        ([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}], ""),
        ([{"key": "gpu", "value": "no"}], "1 node(s) had untolerated taint {gpu: yes}"),
        ([{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}],
         "1 node(s) had untolerated taint {gpu: yes}"),
        ([{"operator": "Exists"}], ""),
    ],
)  # fmt: skip
def test_taints(tolerations: list[Object], reason: str) -> None:
    assert verdict(pod(tolerations=tolerations), [node("a", taints=[TAINT])])[1] == reason


def test_a_taint_that_only_asks_repels_nobody_but_is_avoided() -> None:
    soft = node("a", taints=[{**TAINT, "effect": "PreferNoSchedule"}])
    nodes = [soft, node("b")]
    assert verdict(pod(), nodes)[0] == ["a", "b"]
    assert best(nodes, (), {"b": 5}, {"b": 5}) == "b"


def test_a_cordoned_node_is_named_as_such_unless_it_is_tolerated() -> None:
    taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    nodes = [node("a", unschedulable=True, taints=[taint])]
    assert verdict(pod(), nodes) == ([], "1 node(s) were unschedulable")
    tolerant = pod(tolerations=[{"key": UNSCHEDULABLE, "operator": "Exists"}])
    assert verdict(tolerant, nodes)[0] == ["a"]


def ports(*numbers: int, ip: str = "", protocol: str = "TCP") -> list[Object]:
    entries = [{"containerPort": 80, "hostPort": n, "protocol": protocol} for n in numbers]
    return [{"ports": [{**entry, **({"hostIP": ip} if ip else {})} for entry in entries]}]


@pytest.mark.parametrize(
    ("there", "wanted", "fits"),
    [
        (ports(80), ports(80), False),
        (ports(80), ports(81), True),
        (ports(80), ports(80, protocol="UDP"), True),
        (ports(80, ip="10.0.0.1"), ports(80), False),
        (ports(80, ip="10.0.0.1"), ports(80, ip="10.0.0.2"), True),
        (ports(80, ip="0.0.0.0"), ports(80, ip="10.0.0.2"), False),
    ],
)
def test_host_ports(there: list[Object], wanted: list[Object], fits: bool) -> None:
    others = [pod("other", on="a", containers=there)]
    told = "" if fits else "1 node(s) didn't have free ports for the requested pod ports"
    assert verdict(pod(containers=wanted), NODES[:1], others)[1] == told
    finished = [{**others[0], "status": {"phase": "Succeeded"}}]
    assert verdict(pod(containers=wanted), NODES[:1], finished)[0] == ["a"]


def test_a_node_takes_as_many_pods_as_it_says() -> None:
    small = [{**NODES[0], "status": {"allocatable": {"pods": "2"}}}]
    one, two = pod("one", on="a"), pod("two", on="a")
    assert verdict(pod(), small, [one])[0] == ["a"]
    assert verdict(pod(), small, [one, two])[1] == "1 Too many pods"
    finished = {**two, "status": {"phase": "Failed"}}
    assert verdict(pod(), small, [one, finished])[0] == ["a"]


def pods_near(kind: str, key: str, app: str, **fields: Any) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **fields}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


@pytest.mark.parametrize(
    ("wish", "fitting"),
    [
        (pods_near("podAntiAffinity", HOST, "web"), "bcd"),
        (pods_near("podAntiAffinity", ZONE, "web"), "cd"),
        (pods_near("podAntiAffinity", ZONE, "db"), "abcd"),
        (pods_near("podAntiAffinity", ZONE, "web", namespaces=["other"]), "abcd"),
        (pods_near("podAffinity", HOST, "web"), "a"),
        (pods_near("podAffinity", ZONE, "web"), "ab"),
        (pods_near("podAffinity", ZONE, "db"), ""),
    ],
)
def test_affinity_to_pods(wish: dict[str, Any], fitting: str) -> None:
    nodes = [node("a", zone="1"), node("b", zone="1"), node("c", zone="2"), node("d")]
    found, told = verdict(pod(affinity=wish), nodes, [pod("there", on="a")])
    assert found == list(fitting)
    if len(fitting) < 4:
        kind = "anti-affinity" if "podAntiAffinity" in wish else "affinity"
        assert told == f"{4 - len(fitting)} node(s) didn't match pod {kind} rules"


def test_the_first_of_pods_that_want_to_be_together_goes_anywhere() -> None:
    wish = pods_near("podAffinity", ZONE, "web")
    assert verdict(pod(affinity=wish), NODES)[0] == ["a", "b"]  # where there is a zone


def test_a_pod_that_is_there_may_not_want_another_one() -> None:
    wary = pod("wary", app="db", on="a", affinity=pods_near("podAntiAffinity", HOST, "web"))
    found, told = verdict(pod(), NODES, [wary])
    assert found == ["b", "c"]
    assert told == "1 node(s) didn't satisfy existing pods anti-affinity rules"
    assert verdict(pod(app="db"), NODES, [wary])[0] == ["a", "b", "c"]


def spread(key: str, skew: int = 1, **fields: Any) -> dict[str, Any]:
    constraint = {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"matchLabels": {"app": "web"}}
    return {"topologySpreadConstraints": [{**constraint, "labelSelector": selector, **fields}]}


@pytest.mark.parametrize(
    ("there", "spec", "fitting"),
    [
        ("", spread(HOST), "abc"),
        ("a", spread(HOST), "bc"),
        ("a", spread(HOST, 2), "abc"),
        ("aabb", spread(HOST), "c"),
        ("a", spread(ZONE), "b"),  # c has no zone
        ("ab", spread(ZONE), "ab"),
        ("a", spread(HOST, whenUnsatisfiable="ScheduleAnyway"), "abc"),
        ("a", {**spread(HOST), "nodeSelector": {HOST: "a"}}, "a"),  # the only domain it may go to
        ("ab", spread(ZONE, minDomains=3), ""),
    ],
)
def test_topology_spread(there: str, spec: dict[str, Any], fitting: str) -> None:
    pods = [pod(f"p{n}", on=name) for n, name in enumerate(there)]
    assert verdict(pod(**spec), NODES, pods)[0] == list(fitting)


def test_the_message_counts_reasons_and_says_what_preemption_could_do() -> None:
    nodes = [node("a", unschedulable=True), node("b", taints=[TAINT]), node("c")]
    one = pod(containers=ports(80))
    assert fit(one, scene(nodes, [pod("p", on="c", containers=ports(80))])).message == (
        "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, "
        "1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were unschedulable. preemption: "
        "0/3 nodes are available: 1 No preemption victims found for incoming pod., "
        "2 Preemption is not helpful for scheduling."
    )
    assert fit(one, scene([])).message == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("liked", "own", "everyone", "chosen"),
    [
        ((), {}, {}, "a"),
        ((), {"a": 1}, {"a": 1}, "b"),
        ((), {"a": 1, "b": 1, "c": 1}, {"a": 5, "b": 4, "c": 5}, "b"),
        ((), {"a": 1}, {"a": 1, "b": 9, "c": 8}, "c"),
        (("c",), {"c": 7}, {"c": 9}, "c"),
        (("c", "a"), {}, {}, "c"),
        (("c", "a"), {"c": 1}, {}, "a"),
        (("c", "c", "a"), {"c": 1}, {}, "a"),
        (("c", "c", "a"), {"c": 1, "a": 1}, {}, "c"),
        (("gone",), {}, {}, "a"),
    ],
)
def test_which_of_the_fitting_nodes(
    liked: tuple[str, ...], own: dict[str, int], everyone: dict[str, int], chosen: str
) -> None:
    assert best(NODES, liked, own, everyone) == chosen


@pytest.mark.parametrize(
    ("spec", "status", "metadata", "expected"),
    [
        ({}, {}, {}, True),
        ({"nodeName": "a"}, {}, {}, False),
        ({"schedulerName": "mine"}, {}, {}, False),
        ({"schedulingGates": [{"name": "x"}]}, {}, {}, False),
        ({}, {"phase": "Failed"}, {}, False),
        ({}, {}, {"deletionTimestamp": "now"}, False),
    ],
)
def test_which_pods_are_placed(
    spec: Object, status: Object, metadata: Object, expected: bool
) -> None:
    assert waits({"metadata": metadata, "spec": spec, "status": status}) is expected

"""Workloads: what the scheduler and the rollout controllers read of a manifest."""

from __future__ import annotations

from typing import Any

import pytest

from secondhop.model.workload import Rollout, Workload

from .helpers import container, deployment, lab, node, pod, refusals, service, slice_of, world

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
OWN = {"matchLabels": {"app": "web"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NODES = [
    node("n1", "10.1.0.1", labels={ZONE: "a", "disk": "ssd", "cpus": "8"}),
    node("n2", "10.1.0.2", labels={ZONE: "b", "disk": "hdd"}),
    node("n3", "10.1.0.3", taints=[{"key": "role", "value": "db", "effect": "NoSchedule"}]),
    node("n4", "10.1.0.4", labels={ZONE: "b"}, unschedulable=True),
]


def one(made: dict[str, Any], *others: dict[str, Any]) -> Workload:
    return world(*NODES, service(), made, *others).cluster.workloads[0]


def spread(key: str = HOST, **fields: Any) -> dict[str, Any]:
    return {
        "topologyKey": key,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": OWN,
    } | fields


def choosing(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = [{"matchExpressions": [expression]} for expression in expressions]
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}


def apart(key: str = HOST, **fields: Any) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": OWN} | fields
    return {"affinity": {"podAntiAffinity": {REQUIRED: [term]}}}


@pytest.mark.parametrize(
    ("spec", "eligible"),
    [
        ({}, "n1 n2"),
        ({"nodeSelector": {"disk": "ssd"}}, "n1"),
        ({"nodeSelector": {HOST: "n2"}}, "n2"),
        ({"tolerations": [{"key": "role", "operator": "Exists"}]}, "n1 n2 n3"),
        ({"tolerations": [{"key": "role", "value": "db"}]}, "n1 n2 n3"),
        ({"tolerations": [{"key": "role", "value": "web"}]}, "n1 n2"),
        ({"tolerations": [{"operator": "Exists"}]}, "n1 n2 n3 n4"),
        (choosing({"key": "disk", "operator": "In", "values": ["hdd", "tape"]}), "n2"),
        (choosing({"key": "disk", "operator": "NotIn", "values": ["hdd"]}), "n1"),
        (choosing({"key": "disk", "operator": "Exists"}), "n1 n2"),
        (choosing({"key": "disk", "operator": "DoesNotExist"}), ""),
        (choosing({"key": "cpus", "operator": "Gt", "values": ["4"]}), "n1"),
        (choosing({"key": "cpus", "operator": "Lt", "values": ["4"]}), ""),
        (
            choosing(
                {"key": "disk", "operator": "In", "values": ["ssd"]},
                {"key": "disk", "operator": "In", "values": ["hdd"]},
            ),
            "n1 n2",
        ),
        ({"topologySpreadConstraints": [spread(ZONE)]}, "n1 n2"),
        ({"topologySpreadConstraints": [spread("rack")]}, ""),
    ],
)
def test_where_pods_may_go(spec: dict[str, Any], eligible: str) -> None:
    found = one(deployment(**spec)).eligible
    assert found is not None
    assert sorted(found) == eligible.split()


def test_a_daemon_set_goes_to_cordoned_nodes_too() -> None:
    made = deployment()
    made["kind"] = "DaemonSet"
    del made["spec"]["replicas"]
    found = one(made)
    assert (found.replicas, sorted(found.eligible or ())) == (None, ["n1", "n2", "n4"])


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({}, "n1 n2 n3 n4"),
        ({"nodeTaintsPolicy": "Honor"}, "n1 n2"),
        ({"topologyKey": ZONE}, "n1 n2 n4"),
        ({"nodeAffinityPolicy": "Honor"}, "n1 n2 n3 n4"),
    ],
)
def test_nodes_that_a_spread_counts(fields: dict[str, Any], counted: str) -> None:
    (found,) = one(deployment(topologySpreadConstraints=[spread(**fields)])).spreads
    assert sorted(found.domains) == counted.split()


def test_a_selector_narrows_what_a_spread_counts_unless_it_is_ignored() -> None:
    for policy, counted in ("Honor", ["n1"]), ("Ignore", ["n1", "n2", "n3", "n4"]):
        made = deployment(
            nodeSelector={"disk": "ssd"},
            topologySpreadConstraints=[spread(nodeAffinityPolicy=policy)],
        )
        (found,) = one(made).spreads
        assert sorted(found.domains) == counted


@pytest.mark.parametrize(
    ("made", "others", "alone", "loose", "spreads"),
    [
        (deployment(), [], False, False, 0),
        (deployment(topologySpreadConstraints=[spread()]), [], False, False, 1),
        (
            deployment(topologySpreadConstraints=[spread(whenUnsatisfiable="ScheduleAnyway")]),
            [],
            False,
            False,
            0,
        ),
        (deployment(topologySpreadConstraints=[spread(labelSelector=None)]), [], False, False, 0),
        (deployment(topologySpreadConstraints=[spread(ZONE), spread()]), [], False, False, 2),
        (deployment(topologySpreadConstraints=[spread(ZONE), spread("disk")]), [], False, True, 2),
        (deployment(topologySpreadConstraints=[spread()]), [pod()], False, True, 1),
        (deployment(**apart()), [], True, False, 0),
        (deployment(**apart(ZONE)), [], False, True, 0),
        (deployment(**apart(labelSelector={"matchLabels": {"app": "db"}})), [], False, False, 0),
        (deployment(**apart()), [pod("web-9")], True, True, 0),
        (deployment(), [deployment("db", **apart())], False, True, 0),
        (
            deployment(containers=[container(ports=[{"containerPort": 80, "hostPort": 80}])]),
            [],
            True,
            False,
            0,
        ),
        (
            deployment(hostNetwork=True, containers=[container(ports=[{"containerPort": 80}])]),
            [],
            True,
            False,
            0,
        ),
        (deployment(hostNetwork=True), [], False, False, 0),
    ],
)
def test_what_keeps_pods_apart(
    made: dict[str, Any], others: list[dict[str, Any]], alone: bool, loose: bool, spreads: int
) -> None:
    made["metadata"]["name"] = "first"
    made["spec"]["selector"]["matchLabels"]["own"] = "yes"
    made["spec"]["template"]["metadata"]["labels"] |= {"own": "yes"}
    found = one(made, *others)
    assert (found.alone, found.loose, len(found.spreads)) == (alone, loose, spreads)


def test_match_label_keys_leave_other_workloads_out() -> None:
    made = deployment(
        topologySpreadConstraints=[spread(matchLabelKeys=["pod-template-hash"])], replicas=2
    )
    other = deployment("db")
    other["spec"]["template"]["metadata"]["labels"] = {"app": "web"}
    assert not one(made, other).loose
    plain = deployment(topologySpreadConstraints=[spread()], replicas=2)
    assert one(plain, other).loose


def test_mistakes_in_a_spread_are_named() -> None:
    base = "spec.template.spec.topologySpreadConstraints"
    made = deployment(topologySpreadConstraints=[spread(maxSkew=-1), {"maxSkew": 1}])
    assert refusals(service(), made) == [
        (f"{base}[0].maxSkew", "Invalid value: -1: must be greater than zero"),
        (f"{base}[1].topologyKey", "Required value"),
    ]


@pytest.mark.parametrize(
    ("replicas", "strategy", "surge", "unavailable"),
    [
        (1, None, 1, 0),
        (4, None, 1, 1),
        (10, None, 3, 2),
        (10, {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 1}}, 5, 1),
        (3, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}, 0, 1),
        (5, {"type": "Recreate"}, 0, 5),
    ],
)
def test_steps_are_rounded_as_the_controller_does(
    replicas: int, strategy: dict[str, Any] | None, surge: int, unavailable: int
) -> None:
    made = deployment(replicas=replicas)
    made["spec"]["strategy"] = strategy
    assert one(made).rollout == Rollout(surge, unavailable)


@pytest.mark.parametrize(
    ("hook", "seconds"),
    [
        (None, 0.0),
        ({"sleep": {"seconds": 7}}, 7.0),
        ({"exec": {"command": ["sleep", "8"]}}, 8.0),
        ({"exec": {"command": ["/bin/sh", "-c", "sleep 9s"]}}, 9.0),
        ({"exec": {"command": ["/bin/sh", "-c", "nginx -s quit; sleep 9"]}}, None),
        ({"httpGet": {"port": 80}}, None),
    ],
)
def test_how_long_a_hook_is_known_to_sleep(
    hook: dict[str, Any] | None, seconds: float | None
) -> None:
    made = deployment(
        containers=[container(lifecycle={"preStop": hook})], terminationGracePeriodSeconds=9
    )
    assert one(made).rollout == Rollout(1, 0, 9.0, seconds)


@pytest.mark.parametrize(
    ("documents", "placed", "known"),
    [
        ([], False, False),
        ([lab(nodes=[{"name": "n1", "address": "10.1.0.1"}])], False, True),
        ([lab(placement={"web": "gz1"})], True, False),
        ([lab(placement={"db": "gz1"})], False, False),
        ([lab(client={"address": "192.168.22.9"})], False, False),
    ],
)
def test_whose_places_are_facts(documents: list[dict[str, Any]], placed: bool, known: bool) -> None:
    (found,) = world(service(), deployment(), *documents).cluster.workloads
    assert (found.placed, found.eligible is not None) == (placed, known)


def test_a_workload_backs_the_ports_that_its_pods_have() -> None:
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "metrics", "port": 9090, "targetPort": "metrics"},
    ]
    made = deployment(containers=[container(ports=[{"containerPort": 8080, "name": "http"}])])
    (found,) = world(service(ports=ports), service("db"), made).cluster.workloads
    assert {(name.service, name.port) for name in found.backs} == {("web", "http"), ("db", "")}
    (sliced,) = world(service(), deployment(), slice_of("web")).cluster.workloads
    assert not sliced.backs


def test_stand_in_nodes_are_taken_to_be_chosen() -> None:
    made = world(service(), deployment(nodeSelector={"disk": "ssd"}))
    assert [pod.node for pod in made.cluster.pods] == ["gz1"]
    assert made.cluster.workloads[0].choosy


def test_derived_pods_keep_the_hard_constraints() -> None:
    made = deployment(replicas=4, topologySpreadConstraints=[spread(ZONE)])
    built = world(*NODES, service(), made)
    assert [pod.node for pod in built.cluster.pods] == ["n1", "n2", "n1", "n2"]
    made = deployment(replicas=3, **apart())
    built = world(*NODES, service(), made)
    assert [pod.node for pod in built.cluster.pods] == ["n1", "n2", None]
    assert "leave it no node" in built.notes[-1]

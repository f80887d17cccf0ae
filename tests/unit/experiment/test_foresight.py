"""What is foreseen of a living lab: one row an event, and how a measurement is held against it."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from support import deployment, lab, service, world

from secondhop.experiment.foresight import Foreseen, Foresight, Stretch
from secondhop.lab.timing import RELIST
from secondhop.manifests import with_policy
from secondhop.model.cluster import Ingress, Policy
from secondhop.model.comparison import Event, Sample
from secondhop.model.failover import Phase

NODES = [
    {"name": "a", "address": "10.1.0.1"},
    {"name": "b", "address": "10.2.0.1"},
    {"name": "c", "address": "10.3.0.1"},
]


def foresight(
    policy: Policy, *, holder: str | None = None, homes: str = "aab", sleeps: int = 0
) -> Foresight:
    """Pods on these nodes, behind a balancer that checks every second and counts to two."""
    value = deployment(replicas=len(homes))
    if sleeps:
        hook = {"preStop": {"sleep": {"seconds": sleeps}}}
        [container] = value["spec"]["template"]["spec"]["containers"]
        container |= {"lifecycle": hook, "readinessProbe": {"httpGet": {"port": 80}}}
    balancer = {"kind": "single-node" if holder else "ecmp", "interval": 1, "threshold": 2}
    described = lab(NODES, nodeGraceSeconds=5, balancer=balancer, placement={"web": list(homes)})
    given = world(described, value, service(type="LoadBalancer"))
    [before] = given.cluster.services
    cluster = with_policy(given.cluster, before, policy)
    [found] = cluster.services
    found = replace(found, ingress=(Ingress(IPv4Address("192.0.2.1")),))
    cluster = replace(cluster, services=(found,))
    return Foresight(cluster, found, given.lab, holder, (given.cluster, before))


def phases(of: Foresight, event: Event, subject: str) -> list[tuple[float | None, Any]]:
    return [(until, pytest.approx(lost)) for until, lost in of.of(event, subject).phases]


def pod(of: Foresight, node: str) -> str:
    return next(str(pod) for pod in of.cluster.pods if pod.node == node)


def test_a_node_dies() -> None:
    """Cluster: a third enters by it, two thirds of the rest go on to it until the grace is over."""
    assert phases(foresight("Cluster"), "node dies", "a") == [
        (2.5, 1 / 3 + 2 / 3 * 2 / 3),
        (5, 2 / 3),
        (None, 0),
    ]
    assert phases(foresight("Local"), "node dies", "a") == [(2.5, 1 / 2), (None, 0)]
    assert phases(foresight("Local", homes="aa"), "node dies", "a") == [(None, 1)]


@pytest.mark.parametrize(
    ("policy", "node", "expected"),
    [
        ("Cluster", "a", [(2.5, 1), (5, 2 / 3), (None, 0)]),  # it has the address, and pods
        ("Cluster", "b", [(5, 1 / 3), (None, 0)]),
        ("Cluster", "c", [(None, 0)]),
        ("Local", "a", [(2.5, 1), (None, 0)]),
        ("Local", "b", [(None, 0)]),
    ],
)
def test_a_node_dies_and_one_has_the_address(
    policy: Policy, node: str, expected: list[tuple[float | None, float]]
) -> None:
    assert phases(foresight(policy, holder="a"), "node dies", node) == expected


def test_a_pod_dies() -> None:
    of = foresight("Cluster")
    assert phases(of, "pod dies", pod(of, "b")) == [(RELIST, 1 / 3), (None, 0)]
    of = foresight("Local")
    assert phases(of, "pod dies", pod(of, "b")) == [(RELIST, 1 / 2), (None, 0)]
    assert phases(of, "pod dies", pod(of, "a")) == [(RELIST, 1 / 4), (None, 0)]
    probed = foresight("Local", sleeps=9)
    assert "readiness probe" in probed.of("pod dies", pod(probed, "a")).words


def test_a_rollout() -> None:
    assert foresight("Cluster").of("rollout", "default/web").words.startswith("some: ")
    assert phases(foresight("Cluster", sleeps=9), "rollout", "default/web") == [(None, 0)]
    assert foresight("Cluster").of("rollout", "default/other").words == "not known"


def test_a_drain() -> None:
    assert phases(foresight("Local"), "drain", "a") == [(1.5, 1 / 2), (None, 0)]
    assert phases(foresight("Local"), "drain", "c") == [(1.5, 0), (None, 0)]
    for of in (foresight("Cluster"), foresight("Local", sleeps=9), foresight("Local", homes="a")):
        assert of.of("drain", "a").words.startswith("hangs on how the pods end")


def test_shares_behind_a_balancer_that_heeds_weights_are_even() -> None:
    of = foresight("Local")
    assert sorted(of.share().pods.values()) == [0.25, 0.25, 0.5]
    assert {round(part, 9) for part in of.share(weighted=True).pods.values()} == {0.333333333}
    held = foresight("Local", holder="b").share()
    assert list(held.pods.values()) == [1.0]


HALF = Foreseen((Stretch(Phase(2.0, 0.5), 0.5, 0.5), Stretch(Phase(None, 0.0))))


def samples(lost_until: float) -> list[Sample]:
    """Every second one is lost."""
    every = range(-20, 200)
    return [Sample(n / 50, "" if 0 <= n < 50 * lost_until and n % 2 else "pod") for n in every]


@pytest.mark.parametrize(
    ("until", "agree"),
    [(2.0, True), (1.6, True), (2.4, True), (0.6, False), (3.5, False), (0.0, False)],
)
def test_a_measurement_is_held_against_what_is_sure(until: float, agree: bool) -> None:
    judged = list(foresight("Local").judged(HALF, samples(until)))
    assert [(round(one.since, 2), round(one.until, 2)) for one in judged] == [
        (0, 1.5),
        (2.5, 3.98),
    ]
    assert all(one.p_value >= 1e-4 for one in judged) is agree


def test_what_is_told_in_words_has_to_end() -> None:
    of, words = foresight("Local"), Foreseen(words="some")
    for until, agree in ((2.5, True), (4.0, False)):
        [one] = of.judged(words, samples(until))
        assert one.since == pytest.approx(0.75 * 3.98)
        assert (one.p_value >= 1e-4) is agree
    assert list(of.judged(words, [])) == []

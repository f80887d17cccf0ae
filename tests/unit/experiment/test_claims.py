"""Every verdict is computed: a planted observation flips it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from support import deployment, lab, service, world

from secondhop.experiment.claims import judge
from secondhop.experiment.plan import flows, policies
from secondhop.manifests import World, with_policy
from secondhop.model.fate import Fate, Observation, Seen, Trial
from secondhop.predict import predict

NODES = [
    {"name": "a", "address": "10.1.0.1", "podCIDR": "10.50.0.0/24"},
    {"name": "b", "address": "10.2.0.1", "podCIDR": "10.50.1.0/24"},
    {"name": "c", "address": "10.3.0.1", "podCIDR": "10.50.2.0/24"},
]
NETWORK = {"podCIDR": "10.50.0.0/16", "serviceCIDR": "10.96.0.0/16"}
ONE = world(lab(NODES, network=NETWORK, placement={"web": "a"}), deployment(), service())
THREE = world(
    lab(NODES, network=NETWORK, placement={"web": ["a", "a", "b"]}),
    deployment(replicas=3),
    service(),
)
POD_A, POD_B = THREE.cluster.pods[0].name, THREE.cluster.pods[2].name


def as_predicted(of: World) -> list[Trial]:
    """Trials in which the packets did what was predicted, thirty attempts a row."""
    chosen = of.cluster.services[0]
    made = []
    for policy in policies(chosen):
        cluster = with_policy(of.cluster, chosen, policy)
        for flow in flows(of.cluster, chosen):
            outcome = predict(cluster, flow)
            seen = {Seen(b.pod, str(b.source_ip)): round(30 * b.share) for b in outcome.backends}
            hops = {b.hops: round(30 * b.share) for b in outcome.backends}
            observed = Observation(outcome.fate, 30, seen, {outcome.fate: 30}, (), hops)
            made.append(Trial(policy, flow, outcome, observed))
    return made


def verdicts(of: World, trials: Sequence[Trial], held: tuple[int, int] = (2, 2)) -> dict[str, str]:
    return {c.id: c.verdict for c in judge(of.cluster, of.cluster.services[0], trials, held)}


def planted(
    trials: Sequence[Trial], policy: str, node: str, change: Callable[[Observation], Observation]
) -> list[Trial]:
    return [
        replace(t, observed=change(t.observed))
        if (t.policy, t.flow.destination.node) == (policy, node)
        else t
        for t in trials
    ]


def test_what_the_real_thing_gives() -> None:
    assert verdicts(ONE, as_predicted(ONE)) == {
        "any-node-serves": "true",
        "second-hop": "true",
        "source-is-node-ip": "false",
        "cluster-loses-client-ip": "true if",
        "local-keeps-client-ip": "true if",
        "local-loses-client-ip": "false",
        "local-drops": "true if",
        "change-cuts-connections": "false",
    }
    assert verdicts(THREE, as_predicted(THREE)) == {
        "even-spread": "true if",
        "any-node-serves": "true",
        "source-is-node-ip": "false",
        "cluster-loses-client-ip": "true if",
        "local-keeps-client-ip": "true if",
        "local-loses-client-ip": "false",
        "local-drops": "true if",
        "local-uneven": "true if",
        "change-cuts-connections": "false",
    }


def dead(observed: Observation) -> Observation:
    return replace(observed, fate=Fate.DROPPED, seen={}, hops={})


def saw(pod: str, address: str) -> Callable[[Observation], Observation]:
    return lambda o: replace(o, fate=Fate.DELIVERED, seen={Seen(pod, address): 30}, hops={1: 30})


POD = ONE.cluster.pods[0].name


@pytest.mark.parametrize(
    ("claim", "policy", "node", "change", "verdict"),
    [
        ("any-node-serves", "Cluster", "b", dead, "false"),
        ("second-hop", "Cluster", "b", lambda o: replace(o, hops={1: 30}), "false"),
        ("cluster-loses-client-ip", "Cluster", "a", saw(POD, "192.168.22.2"), "false"),
        ("local-keeps-client-ip", "Local", "a", saw(POD, "10.50.0.1"), "false"),
        ("local-loses-client-ip", "Local", "a", saw(POD, "10.50.0.1"), "true"),
        ("local-drops", "Local", "b", saw(POD, "192.168.22.2"), "false"),
    ],
)
def test_a_planted_observation_flips_the_verdict(
    claim: str,
    policy: str,
    node: str,
    change: Callable[[Observation], Observation],
    verdict: str,
) -> None:
    trials = as_predicted(ONE)
    assert verdicts(ONE, trials)[claim] != verdict
    assert verdicts(ONE, planted(trials, policy, node, change))[claim] == verdict


def test_the_nodes_own_address_makes_it_true() -> None:
    trials = as_predicted(ONE)
    for node, address in ("a", "10.1.0.1"), ("b", "10.2.0.1"), ("c", "10.3.0.1"):
        trials = planted(trials, "Cluster", node, saw(POD, address))
    assert verdicts(ONE, trials)["source-is-node-ip"] == "true if"


def test_one_pod_with_everything_is_not_even() -> None:
    trials = as_predicted(THREE)
    for node in "abc":
        trials = planted(trials, "Cluster", node, saw(POD_A, "10.50.0.1"))
    assert verdicts(THREE, trials)["even-spread"] == "false"


def test_a_connection_that_was_cut() -> None:
    assert verdicts(ONE, as_predicted(ONE), (1, 2))["change-cuts-connections"] == "true"
    assert "change-cuts-connections" not in verdicts(ONE, as_predicted(ONE), (0, 0))


def test_what_cannot_be_judged_is_not() -> None:
    """With a pod on every node nothing drops, and the pods have equal shares."""
    placed = {"web": ["a", "b", "c"]}
    even = world(lab(NODES, network=NETWORK, placement=placed), deployment(replicas=3), service())
    known = verdicts(even, as_predicted(even))
    assert "local-drops" not in known
    assert "local-uneven" not in known

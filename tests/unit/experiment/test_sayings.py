"""Every verdict of `compare` is computed: a planted measurement flips it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from comparisons import VERDICTS, disturbance, rest
from support import deployment, service, world

from secondhop.experiment.exhibits import exhibits
from secondhop.experiment.run import under
from secondhop.experiment.sayings import Measured, claims
from secondhop.model.comparison import Sample
from secondhop.model.fate import Fate, Observation, Seen, Trial
from secondhop.predict import predict

WORLD = world(deployment(replicas=2), service())
SERVICE = WORLD.cluster.services[0]
SHOWN = exhibits(WORLD, SERVICE, SERVICE.ports[0], 4)


def trials() -> list[Trial]:
    """The packets do as predicted."""
    assert SHOWN is not None
    found = []
    for policy in ("Cluster", "Local"):
        cluster = under(SHOWN.world.cluster, SHOWN.one, policy)
        for flow in SHOWN.plan(cluster, SHOWN.one):
            told = predict(cluster, flow)
            seen = {Seen(b.pod, str(b.source_ip)): round(12 * b.share) for b in told.backends}
            hops = {b.hops: 12 for b in told.backends}
            observed = Observation(told.fate, 12, seen, {told.fate: 12}, (), hops)
            found.append(Trial(policy, flow, told, observed))
    return found


TRUTH = Measured(
    exhibits=SHOWN,
    trials=trials(),
    held=(2, 2),
    rest=(
        rest("Cluster", (1 / 3, 1 / 3, 1 / 3), ("10.42.0.0",)),
        rest("Local", (0.25, 0.25, 0.5), ("192.168.22.2",)),
    ),
    disturbances=(disturbance("Cluster", "node dies", 5.0, 0.5),),
    grace=5.0,
    weighted=1.0,
)


def verdicts(found: Measured) -> dict[str, str]:
    return {claim.id: claim.verdict for claim in claims(found)}


def test_what_the_real_thing_gives() -> None:
    assert verdicts(TRUTH) == VERDICTS
    assert [claim.id for claim in claims(TRUTH)] == list(VERDICTS)
    assert all(claim.because for claim in claims(TRUTH))


def test_all_trials_agree() -> None:
    assert all(trial.agree for trial in TRUTH.trials)


def met(wanted: Callable[[Trial], bool], fate: Fate) -> Measured:
    """Some of the flows met another fate."""
    changed = [
        replace(t, observed=Observation(fate, 12, {}, {fate: 12})) if wanted(t) else t
        for t in TRUTH.trials
    ]
    assert changed != list(TRUTH.trials)
    return replace(TRUTH, trials=changed)


def to(name: str) -> Callable[[Trial], bool]:
    assert SHOWN is not None
    [found] = [s for s in SHOWN.world.cluster.services if s.name == name]
    return lambda trial: trial.flow.destination.port == found.ports[0].node_port


def shares(policy: str, parts: tuple[float, float, float]) -> Measured:
    changed = (rest(o.policy, parts, ("x",)) if o.policy == policy else o for o in TRUTH.rest)
    return replace(TRUTH, rest=tuple(changed))


def never_noticed() -> Measured:
    [one] = TRUTH.disturbances
    samples = tuple(Sample(at, "" if at > 7 else pod) for at, pod in one.samples)
    return replace(TRUTH, disturbances=(replace(one, samples=samples),))


PLANTED = {
    "even-spread": (shares("Cluster", (0.5, 0.25, 0.25)), "false"),
    "survives-node-death": (never_noticed(), "false"),
    "local-uneven": (shares("Local", (1 / 3, 1 / 3, 1 / 3)), "false"),
    "nobody-rejects": (met(to("secondhop-nobody"), Fate.DROPPED), "false"),
    "ending-serves": (met(to("secondhop-ending"), Fate.DROPPED), "false"),
    "local-short-circuit": (met(lambda t: t.flow.source.kind == "pod", Fate.DROPPED), "false"),
    "only-node-port-and-load-balancer": (
        met(lambda t: t.flow.destination.kind == "externalIP", Fate.UNROUTABLE),
        "true",
    ),
    "local-drops": (
        met(lambda t: to("secondhop-one")(t) and t.observed.fate is Fate.DROPPED, Fate.CLOSED),
        "false",
    ),
    "any-node-serves": (
        met(lambda t: t.policy == "Cluster" and t.flow.destination.node == "gz1", Fate.DROPPED),
        "false",
    ),
    "change-cuts-connections": (replace(TRUTH, held=(0, 2)), "true"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_measurement_flips_the_claim(name: str) -> None:
    found, verdict = PLANTED[name]
    assert verdicts(found)[name] == verdict != VERDICTS[name]


def test_what_cannot_be_judged_is_left_out() -> None:
    nothing = replace(TRUTH, exhibits=None, trials=(), rest=(), disturbances=())
    assert claims(nothing) == []


def test_a_service_without_ready_pods_has_no_exhibits() -> None:
    empty = world(deployment(replicas=0), service())
    assert exhibits(empty, empty.cluster.services[0], SERVICE.ports[0], 4) is None


def test_exhibits_take_nothing_that_others_have() -> None:
    assert SHOWN is not None
    services = SHOWN.world.cluster.services
    ports = [p.node_port for each in services for p in each.ports if p.node_port]
    addresses = [ip for each in services for ip in (*each.cluster_ips, *each.external_ips)]
    assert len(ports) == len(set(ports))
    assert len(addresses) == len(set(addresses))

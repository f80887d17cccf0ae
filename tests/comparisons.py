"""A comparison made up for the tests of reports: 2, 1 and 0 pods, a node that dies."""

import math
from random import Random

from support import reference

from secondhop.experiment.plan import flows
from secondhop.model.claim import Claim
from secondhop.model.cluster import Policy
from secondhop.model.comparison import (
    Comparison,
    Disturbance,
    Event,
    Judged,
    Mark,
    Rest,
    Sample,
    Setup,
    Speed,
)
from secondhop.model.failover import Phase
from secondhop.model.fate import Fate, Observation, Seen, Trial
from secondhop.model.version import NEWEST
from secondhop.predict import predict

VERDICTS = {
    "even-spread": "true if",
    "any-node-serves": "true",
    "survives-node-death": "true if",
    "second-hop": "true",
    "source-is-node-ip": "false",
    "cluster-loses-client-ip": "true if",
    "local-keeps-client-ip": "true if",
    "local-loses-client-ip": "false",
    "local-drops": "true if",
    "nobody-rejects": "true",
    "ending-serves": "true",
    "local-short-circuit": "true",
    "local-uneven": "true if",
    "only-node-port-and-load-balancer": "false",
    "change-cuts-connections": "false",
}
"""What a sound measurement makes of each claim."""
PODS = {"gz1": ("web-5f7d9-aaaaa", "web-5f7d9-bbbbb"), "xjp1": ("web-5f7d9-ccccc",), "n3": ()}


def speed(mean: float, seed: int) -> Speed:
    drawn = Random(seed)
    return Speed(tuple(sorted(mean * math.exp(drawn.gauss(0, 0.3)) for _ in range(500))))


def rest(policy: Policy, shares: tuple[float, float, float], seen: tuple[str, ...]) -> Rest:
    pods = [pod for pods in PODS.values() for pod in pods]
    counts = {
        Seen(pod, source): round(300 * share) // len(seen)
        for pod, share in zip(pods, shares, strict=True)
        for source in seen
    }
    return Rest(
        policy=policy,
        fates={Fate.DELIVERED: sum(counts.values())},
        seen=counts,
        predicted=dict(zip(pods, shares, strict=True)),
        p_value=0.4,
        client_ip="kept" if policy == "Local" else "replaced",
        hops={1: 300} if policy == "Local" else {1: 150, 2: 150},
        speed=speed(0.4 if policy == "Local" else 0.5, len(seen)),
    )


def trials() -> tuple[Trial, ...]:
    """The reference experiment under its own policy, as predicted."""
    world, service = reference()
    found = []
    for flow in flows(world.cluster, service):
        outcome = predict(world.cluster, flow)
        seen = {Seen(b.pod, str(b.source_ip)): 12 for b in outcome.backends}
        found.append(
            Trial("Cluster", flow, outcome, Observation(outcome.fate, 12, seen, {outcome.fate: 12}))
        )
    return tuple(found)


def disturbance(policy: Policy, event: Event, until: float, part: float) -> Disturbance:
    drawn = Random(7)
    pod = PODS["xjp1"][0]
    samples = tuple(
        Sample(n / 50, "" if 0 <= n / 50 < until and drawn.random() < part else pod)
        for n in range(-50, 400)
    )
    lost = sum(not sample.pod for sample in samples)
    phases: tuple[Phase, ...] = ()
    if event == "node dies":
        phases = (Phase(2.9, part), Phase(until, part / 2), Phase(None, 0.0))
    return Disturbance(
        policy,
        event,
        "gz1",
        samples,
        (Mark(2.9, "the balancer leaves gz1 out"), Mark(5.0, "gz1 is NotReady")),
        phases,
        "" if phases else "some: pods that end serve 0 s more, and may be sent to for 5 s",
        (Judged(0, until, part, round(50 * until), lost, 0.3),),
    )


def comparison() -> Comparison:
    return Comparison(
        setup=Setup(
            "default/web", PODS, "192.168.22.2", "iptables", "ecmp", 1, 2, 5, 50, 200, seed=1
        ),
        version=NEWEST,
        direct=speed(0.35, 0),
        rest=(
            rest("Cluster", (1 / 3, 1 / 3, 1 / 3), ("10.42.0.0", "10.42.1.1")),
            rest("Local", (0.25, 0.25, 0.5), ("192.168.22.2",)),
        ),
        disturbances=(
            disturbance("Cluster", "node dies", 5.0, 0.5),
            disturbance("Local", "node dies", 2.9, 0.5),
            disturbance("Cluster", "rollout", 0, 0),
            disturbance("Local", "rollout", 0, 0),
        ),
        trials=trials(),
        claims=(
            Claim("survives", "Cluster survives a node's death", "true if", "seconds", "5.0 s"),
        ),
        elapsed=31.4,
        notes=("xjp1's round trip to gz1 is not in these figures: a <b>machine</b> has none.",),
    )

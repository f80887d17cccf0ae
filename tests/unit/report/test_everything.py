"""`run --all` for a terminal."""

from dataclasses import replace
from ipaddress import ip_address

from secondhop.model.fate import Backend, Fate, HealthAnswer, Observation, Outcome, Seen, Trial
from secondhop.model.flow import Destination, Flow, Source
from secondhop.report.everything import flow, table

from .build import CLIENT

POD = Source("pod", "pod@n0", ip_address("10.50.0.250"), "n0")
NODE_PORT = Destination("nodePort", ip_address("10.1.0.1"), 30080, "TCP", "n0")
BALANCER = Destination("loadBalancerIP", ip_address("2001:db8::7"), 53, "UDP")
HEALTH = Destination("healthCheckNodePort", ip_address("10.1.0.1"), 31000, "TCP", "n0")

SERVED = Outcome(
    Fate.DELIVERED,
    "",
    backends=(Backend("web-0", "n0", "10.50.0.2:80", 1.0, ip_address("10.50.0.1"), 1),),
)
SEEN = Observation(Fate.DELIVERED, 12, {Seen("web-0", "10.50.0.1"): 12}, {Fate.DELIVERED: 12})


def trial(of: Flow, predicted: Outcome = SERVED, observed: Observation = SEEN) -> Trial:
    return Trial("Cluster", of, predicted, observed)


def test_predicted_stands_beside_observed() -> None:
    dropped = Outcome(Fate.DROPPED, "")
    mixed = Observation(Fate.MIXED, 12, {}, {Fate.DROPPED: 7, Fate.LOOP: 5})
    told = [
        trial(Flow(CLIENT, NODE_PORT)),
        replace(trial(Flow(POD, BALANCER, "n1"), dropped, mixed), policy="Local"),
    ]
    assert [" ".join(line.split()) for line in table(told)] == [
        "externalTrafficPolicy: Cluster",
        "TO FROM PREDICTED OBSERVED AGREE",
        "n0 10.1.0.1:30080 client seen as 10.50.0.1 seen as 10.50.0.1 yes",
        "",
        "externalTrafficPolicy: Local",
        "TO FROM PREDICTED OBSERVED AGREE",
        "LB [2001:db8::7]:53/UDP via n1 pod@n0 timeout (dropped)"
        " timeout (dropped), TTL exceeded NO",
    ]


def test_a_health_check_is_told_by_its_answer_and_judged_by_it() -> None:
    flow = Flow(CLIENT, HEALTH)
    outcome = Outcome(Fate.DELIVERED, "", http=HealthAnswer(200, 2))
    same = Observation(Fate.DELIVERED, 12, {}, {Fate.DELIVERED: 12}, http=HealthAnswer(200, 2))
    other = replace(same, http=HealthAnswer(503, 0))
    assert trial(flow, outcome, same).agree
    assert not trial(flow, outcome, other).agree
    *_, good, bad = table([trial(flow, outcome, same), trial(flow, outcome, other)])
    assert " ".join(good.split()) == "health n0 10.1.0.1:31000 client 200, 2 local 200, 2 local yes"
    assert bad.split()[-4:] == ["503,", "0", "local", "NO"]


def test_who_dials_is_named_if_it_is_not_the_client() -> None:
    assert flow(Flow(CLIENT, NODE_PORT)) == "n0 10.1.0.1:30080"
    assert flow(Flow(POD, NODE_PORT)) == "n0 10.1.0.1:30080 from pod@n0"

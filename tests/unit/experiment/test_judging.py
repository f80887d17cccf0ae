"""Whether observations fit predictions: the rule, row by row."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from secondhop.experiment.judging import Judge
from secondhop.model.cluster import Cluster, Node, Service, ServicePort
from secondhop.model.fate import Backend, Fate, HealthAnswer, Observation, Outcome, Seen
from secondhop.model.flow import Destination, DestinationKind, Flow, Source
from secondhop.model.probing import NOBODYS, Control, Prediction, Probe, Tried

CLIENT = "192.0.2.9"
NODE = Node("n0", (ip_interface("172.16.0.1/24"),), (ip_network("10.1.0.0/24"),))
CLUSTER = Cluster((NODE,))
SERVICE = Service("shop", "web", (ServicePort("", "TCP", 80, 30080),), "NodePort")
SILENT = (Control(22, "SSH", "silent"), Control(32767, NOBODYS, "silent"))
ALIVE = (Control(22, "SSH", "refused"), Control(32767, NOBODYS, "silent"))
PROXIED = (Control(22, "SSH", "connected"), Control(32767, NOBODYS, "connected"))


def seen(fates: dict[Fate, int], evidence: str = "", **by: str) -> Observation:
    """by: pod=source; each answered as often as the others."""
    each = fates.get(Fate.DELIVERED, 0) // max(len(by), 1)
    fate = next(iter(fates)) if len(fates) == 1 else Fate.MIXED
    told = {Seen("" if pod == "nobody" else pod, ip): each for pod, ip in by.items()}
    return Observation(fate, sum(fates.values()), told, fates, evidence=evidence)


def predicted(fate: Fate, http: int | None = None, **by: str) -> Outcome:
    backends = tuple(
        Backend(pod, "n0", "10.1.0.2:80", 1 / len(by), ip_address(ip), 1) for pod, ip in by.items()
    )
    health = None if http is None else HealthAnswer(http, 0)
    return Outcome(fate, "so says the rule", None, backends, http=health)


def judged(
    observed: Observation,
    *outcomes: Outcome,
    controls: tuple[Control, ...] = (),
    kind: DestinationKind = "nodePort",
    sources_known: bool = True,
    status: int | None = None,
) -> Probe:
    to = Destination(kind, ip_address("172.16.0.1"), 30080, "TCP", "n0")
    flow = Flow(Source("client", "client", ip_address(CLIENT)), to)
    told = tuple(Prediction(None, one) for one in outcomes)
    row = Tried(flow, observed, "n0", controls, status), told
    return Judge(CLUSTER, SERVICE, sources_known=sources_known).judge([row])


OK = {Fate.DELIVERED: 12}
LOST = {Fate.DROPPED: 12}
KEPT = predicted(Fate.DELIVERED, a=CLIENT)
MASKED = predicted(Fate.DELIVERED, a="10.1.0.1")
TWO = predicted(Fate.DELIVERED, a=CLIENT, b=CLIENT)
DROP = predicted(Fate.DROPPED)
REJECT = predicted(Fate.REJECTED)


@pytest.mark.parametrize(
    ("observed", "outcome", "verdict"),
    [
        (seen(OK, a=CLIENT), KEPT, "agrees"),
        (seen(OK, a="10.1.0.1"), MASKED, "agrees"),
        (seen(OK), MASKED, "agrees"),
        (seen(OK, nobody="10.1.0.1"), MASKED, "agrees"),
        (seen(OK, a=CLIENT), MASKED, "disagrees"),
        (seen(OK, a="172.16.0.1"), KEPT, "disagrees"),
        (seen(OK, b=CLIENT), KEPT, "disagrees"),
        (seen(OK, a=CLIENT, b=CLIENT), TWO, "agrees"),
        (seen({Fate.DELIVERED: 40}, a=CLIENT), TWO, "disagrees"),
        (seen({Fate.DELIVERED: 4}, a=CLIENT), TWO, "agrees"),
        (seen(OK), DROP, "disagrees"),
        (seen({Fate.DELIVERED: 11, Fate.DROPPED: 1}, a=CLIENT), KEPT, "disagrees"),
        (seen({Fate.REJECTED: 12}), REJECT, "agrees"),
        (seen({Fate.REJECTED: 6, Fate.DROPPED: 6}), REJECT, "agrees"),
        (seen({Fate.CLOSED: 12}, "12 of 12: RST"), REJECT, "disagrees"),
        (seen({Fate.CLOSED: 12}, "12 of 12: refused, by RST or ICMP"), REJECT, "agrees"),
        (seen({Fate.UNROUTABLE: 12}), KEPT, "not reached"),
        (seen({Fate.UNROUTABLE: 5, Fate.DROPPED: 7}), DROP, "not reached"),
        (seen({Fate.UNROUTABLE: 12}), predicted(Fate.UNROUTABLE), "agrees"),
    ],
)
def test_a_row(observed: Observation, outcome: Outcome, verdict: str) -> None:
    found = judged(observed, outcome)
    assert found.rows[0].verdict == verdict
    assert found.agree is (verdict != "disagrees")


@pytest.mark.parametrize(
    ("observed", "controls", "outcome", "verdict", "said"),
    [
        (seen(LOST), ALIVE, DROP, "agrees", "the address itself answers at 22 (SSH)"),
        (seen(LOST), ALIVE, KEPT, "disagrees", "12 dropped; predicted delivered"),
        (seen(LOST), SILENT, DROP, "not reached", "cannot be told from here"),
        (seen(LOST), SILENT, DROP, "not reached", f"predicted is a drop: {DROP.reason}"),
        (seen(LOST), SILENT, KEPT, "not reached", "22 (SSH), 32767 (nobody's)"),
        (seen(OK), PROXIED, KEPT, "not reached", "accepts every connection"),
    ],
)
def test_a_drop_is_told_apart_from_an_address_out_of_reach(
    observed: Observation, controls: tuple[Control, ...], outcome: Outcome, verdict: str, said: str
) -> None:
    row = judged(observed, outcome, controls=controls).rows[0]
    assert row.verdict == verdict
    assert said in row.because


def test_what_replaces_the_address_in_front_of_the_nodes_is_remarked() -> None:
    nat = judged(seen(OK, a="198.51.100.7"), KEPT)
    assert nat.agree
    assert "pods saw 198.51.100.7 (nobody here)" in nat.remarks[0]
    balancer = judged(seen(OK, a="10.1.0.99"), KEPT, kind="loadBalancerIP")
    assert balancer.agree
    assert "(a node or pod of the cluster)" in balancer.remarks[0]


def test_without_a_word_of_the_backend_only_fates_are_compared() -> None:
    found = judged(seen(OK), KEPT)
    assert "--source-from" in found.remarks[0]


def test_sources_of_an_unknown_pod_network_are_not_compared() -> None:
    found = judged(seen(OK, a="172.16.0.1"), MASKED, sources_known=False)
    assert found.agree
    assert "were not compared" in found.remarks[0]
    stranger = judged(seen(OK, b="172.16.0.1"), MASKED, sources_known=False)
    assert not stranger.agree


def test_without_a_prediction_there_is_nothing_to_contradict() -> None:
    found = judged(seen(OK, a=CLIENT))
    assert (found.agree, found.rows[0].verdict) == (True, "not predicted")


@pytest.mark.parametrize(("status", "verdict"), [(200, "agrees"), (503, "disagrees")])
def test_a_health_check(status: int, verdict: str) -> None:
    expected = predicted(Fate.DELIVERED, http=200)
    found = judged(seen(OK), expected, kind="healthCheckNodePort", status=status)
    assert found.rows[0].verdict == verdict


def test_a_balancer_may_bring_it_to_any_node() -> None:
    assert judged(seen(OK, a=CLIENT), KEPT, DROP, kind="loadBalancerIP").agree
    some = seen({Fate.DELIVERED: 6, Fate.DROPPED: 6}, a=CLIENT)
    assert judged(some, KEPT, DROP, kind="loadBalancerIP").agree

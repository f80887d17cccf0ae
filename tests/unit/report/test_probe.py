"""The text of a probe: the verdict counts what was reached, and only that."""

from ipaddress import ip_address

import pytest

from secondhop.model.cluster import Service, ServicePort
from secondhop.model.fate import Fate, Observation, Outcome, Seen
from secondhop.model.flow import Destination, Flow, Source
from secondhop.model.probing import Judged, Prediction, Probe, Tried, Verdict
from secondhop.model.version import NEWEST
from secondhop.report.probe import report

SERVICE = Service(
    "shop", "web", (ServicePort("", "TCP", 80, 30080),), "NodePort", external_traffic_policy="Local"
)


def row(number: int, fate: Fate, verdict: Verdict, sender: str | None = None) -> Judged:
    node = f"n{number}"
    to = Destination("nodePort", ip_address(f"172.16.0.{number}"), 30080, "TCP", node)
    source = Source("client" if sender is None else "node", "x", ip_address("192.0.2.9"), sender)
    seen = {Seen("web-0", "192.0.2.9"): 12} if fate is Fate.DELIVERED else {}
    observed = Observation(fate, 12, seen, {fate: 12}, (1.5,) if seen else ())
    predicted = (Prediction(None, Outcome(fate, "so says the rule")),)
    return Judged(Tried(Flow(source, to), observed, node), predicted, verdict, f"why {node}")


@pytest.mark.parametrize(
    ("rows", "head", "fit"),
    [
        (
            [row(1, Fate.DELIVERED, "agrees"), row(2, Fate.DROPPED, "agrees")],
            "shop/web: Local: 1 of 2 addresses reached from here serve; n2 172.16.0.2:30080 not:"
            " timeout (dropped)",
            "Prediction and packets agree in 2 of 2 rows",
        ),
        (
            [row(1, Fate.DELIVERED, "agrees"), row(2, Fate.DROPPED, "not reached")],
            "shop/web: Local: 1 of 1 addresses reached from here serve",
            "agree in 1 of 1 rows; 1 not reached from here",
        ),
        (
            [row(1, Fate.DELIVERED, "disagrees"), row(2, Fate.DROPPED, "agrees")],
            "1 of 2 addresses",
            "DISAGREE in 1 of 2 rows",
        ),
        (
            [row(2, Fate.DROPPED, "not reached")],
            "none of its 1 addresses can be reached from here",
            "There was nothing to compare; 1 not reached",
        ),
        (
            [row(1, Fate.DELIVERED, "agrees", "n1"), row(2, Fate.DROPPED, "not reached", "n1")],
            "shop/web: Local: 1 of 1 addresses reached from n1 serve",
            "1 not reached from n1",
        ),
    ],
)
def test_the_verdict(rows: list[Judged], head: str, fit: str) -> None:
    lines = report(SERVICE, Probe(tuple(rows), ("a remark",)), 1.25, NEWEST)
    text = " ".join(" ".join(lines).split())
    assert head in text
    assert fit in text
    assert text.endswith("- a remark")
    assert all(f"why {one.tried.node}" in text for one in rows)


def test_a_node_dialled_from_itself_is_marked() -> None:
    lines = [*report(SERVICE, Probe((row(1, Fate.DELIVERED, "agrees", "n1"),), ()), 1, NEWEST)]
    assert any("n1 172.16.0.1:30080 (from itself)" in line for line in lines)

"""A lost node and a rollout in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from secondhop.model.failover import Failover, NodeLoss, Phase, Rolling
from secondhop.report.failover import sentences

LOSS = NodeLoss(
    1 / 3, 1 / 3, 0.0, (Phase(3, 0.56), Phase(None, 0.0)), ("n1", "n2"), "certain", 1, 2
)
ROLLING = Rolling("Deployment default/web", 3, 2, 4, "impossible", 0.0, True, 5.0, True)
FOUND = Failover("healthy-nodes", 50, 3, (LOSS,), (ROLLING,))


def told(found: Failover) -> str:
    return " ".join(sentences(found))


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (
            LOSS,
            "If one of n1, n2 is lost, so is what it is sent (33% of connections) until"
            " healthy-nodes leaves it out (3 s) and 33% of what enters by other nodes until the"
            " control plane notices (50 s).",
        ),
        (replace(LOSS, through_others=0.0, nodes=("n1",)), "If n1 is lost, so is what it is sent"),
        (
            replace(LOSS, nodes=(), entering=1.0, through_others=0.0, before=0.25),
            "If a node, in the worst placement, is lost, so is every connection, if it has the"
            " address, until healthy-nodes leaves it out (3 s); 25% is lost already.",
        ),
        (
            replace(LOSS, left=0, movable=False),
            "so is every connection until pods are ready elsewhere, for which there is no other",
        ),
        (replace(LOSS, entering=0.0, through_others=0.0), "is lost, so is nothing."),
        (replace(LOSS, nodes=tuple("abcd")), "If one of 4 nodes is lost"),
    ],
)
def test_a_lost_node(loss: NodeLoss, says: str) -> None:
    assert says in told(replace(FOUND, losses=(loss,)))


def test_the_worst_node_is_said_to_be_the_worst() -> None:
    found = replace(FOUND, losses=(replace(LOSS, nodes=("n3",)), LOSS), detection=None)
    assert told(found).startswith("If n3, the worst, is lost, so is what it is sent")
    assert "for as long as it is down (healthy-nodes never leaves it out)" in told(found)


@pytest.mark.parametrize(
    ("rolling", "says"),
    [
        (
            ROLLING,
            "In a rollout of Deployment default/web: 2 of 3 pods stay ready; ending pods serve 0 s"
            " more, 5 s are needed (preStop sleep).",
        ),
        (replace(ROLLING, served=6.0), "ending pods serve 6 s more, 5 s are needed."),
        (replace(ROLLING, served=None), "the preStop hook must let ending pods serve 5 s more"),
        (
            replace(ROLLING, dark="possible", needed=None),
            "a node may be without a ready one for a while, and drops what healthy-nodes goes on",
        ),
        (replace(ROLLING, dark="certain"), "a node is without a ready one"),
        (replace(ROLLING, probed=False), "no readinessProbe holds new ones back"),
    ],
)
def test_a_rollout(rolling: Rolling, says: str) -> None:
    assert says in told(replace(FOUND, rollouts=(rolling,)))


def test_of_several_rollouts_the_worst_is_told() -> None:
    fine = replace(ROLLING, workload="Deployment default/fine", served=9.0)
    assert "fine" not in told(replace(FOUND, rollouts=(fine, ROLLING)))


def test_a_service_that_serves_nobody_has_nothing_to_lose() -> None:
    assert told(replace(FOUND, losses=())) == ""
    assert told(replace(FOUND, losses=(replace(LOSS, before=1.0),))) == ""

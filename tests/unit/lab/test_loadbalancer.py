"""What a balancer makes of health checks."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.lab.loadbalancer import Health, chosen, health_port
from secondhop.model.cluster import Policy, Service, ServicePort


def verdicts(answers: str, threshold: int) -> str:
    """The verdict after each answer: + good, - bad, ? none yet."""
    health = Health(threshold)
    said = ""
    for answer in answers:
        before = health.healthy
        assert health.hear(answer == "+") == (health.healthy != before)
        said += "?" if health.healthy is None else "+" if health.healthy else "-"
    return said


@pytest.mark.parametrize(
    ("threshold", "answers", "want"),
    [
        (2, "+", "+"),  # the first good answer counts at once
        (2, "-+", "?+"),
        (2, "--++", "?--+"),
        (2, "+--", "++-"),
        (2, "+-+-+-", "++++++"),  # flapping below the threshold turns nothing
        (2, "+--+-+-++", "++------+"),
        (3, "+--+---", "++++++-"),
        (1, "+-+-", "+-+-"),
    ],
)
def test_a_verdict_turns_at_the_threshold(threshold: int, answers: str, want: str) -> None:
    assert verdicts(answers, threshold) == want


@given(st.text("+-", min_size=1), st.integers(1, 4))
def test_a_verdict_that_stands_is_never_older_than_the_threshold(
    answers: str, threshold: int
) -> None:
    """Whatever came before: that many equal answers in a row, and the verdict is theirs."""
    runs = accumulate(answers, lambda run, now: run + now if run.endswith(now) else now)
    for run, verdict in zip(runs, verdicts(answers, threshold), strict=True):
        if len(run) >= threshold:
            assert verdict == run[-1]


@pytest.mark.parametrize(
    ("health", "now", "spread", "single"),
    [
        ("a+ b+ c+", "", "abc", "a"),
        ("a+ b- c+", "abc", "ac", "a"),
        ("a+ b? c?", "", "a", "a"),
        ("a+ b? c?", "c", "ac", "c"),  # nothing is known against c, which has it
        ("a? b? c?", "ab", "ab", "a"),
        ("a- b- c-", "abc", "", ""),
        ("a+ b+ c+", "b", "abc", "b"),  # it stays where it is
        ("a+ b- c+", "b", "ac", "a"),
    ],
)
def test_who_gets_an_address(health: str, now: str, spread: str, single: str) -> None:
    told = {each[0]: {"+": True, "-": False, "?": None}[each[1]] for each in health.split()}
    assert chosen(told, tuple(now), one=False) == tuple(spread)
    assert chosen(told, tuple(now), one=True) == tuple(single)


@pytest.mark.parametrize(
    ("policy", "port", "want"), [("Cluster", 0, 10256), ("Local", 32000, 32000)]
)
def test_where_a_node_is_asked(policy: Policy, port: int, want: int) -> None:
    ports = (ServicePort("", "TCP", 80),)
    one = Service(
        "default", "web", ports, external_traffic_policy=policy, health_check_node_port=port
    )
    assert health_port(one) == want

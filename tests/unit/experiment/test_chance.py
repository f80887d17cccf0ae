"""The tests behind `agree`, against values that everybody can look up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.experiment.chance import binomial, chi_square, losses
from secondhop.model.comparison import SIGNIFICANCE, STRAY

CRITICAL = {1: 3.841, 2: 5.991, 3: 7.815, 4: 9.488, 9: 16.919, 10: 18.307}
"""Chi-square by degrees of freedom at 5 %, as printed in tables."""


@pytest.mark.parametrize("degrees", CRITICAL)
def test_chi_square_has_its_table(degrees: int) -> None:
    """One pod too many by d and one too few, of a mean of 10,000 each."""
    mean = 10_000
    off = math.sqrt(CRITICAL[degrees] * mean / 2)
    seen = {str(n): mean for n in range(degrees + 1)}
    seen |= {"0": round(mean + off), "1": round(mean - off)}
    shares = dict.fromkeys(seen, 1 / len(seen))
    assert chi_square(seen, shares) == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize(
    ("seen", "shares", "p_value"),
    [
        ({"a": 50, "b": 50}, {"a": 0.5, "b": 0.5}, 1.0),
        ({"a": 60, "b": 40}, {"a": 0.5, "b": 0.5}, 0.0455),  # chi-square 4
        ({"a": 10, "b": 20, "c": 30}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 0.00674),  # 10
        ({"a": 7}, {"a": 1.0}, 1.0),
        ({}, {"a": 0.5, "b": 0.5}, 1.0),
        ({"a": 7, "stranger": 1}, {"a": 1.0}, 0.0),
        ({"a": 7, "": 1}, {"a": 1.0, "": 0.0}, 0.0),
        ({"a": 7, "": 0}, {"a": 1.0, "": 0.0}, 1.0),
    ],
)
def test_chi_square(seen: dict[str, int], shares: dict[str, float], p_value: float) -> None:
    assert chi_square(seen, shares) == pytest.approx(p_value, rel=0.01)


@pytest.mark.parametrize(
    ("lost", "sent", "part", "p_value"),
    [
        (5, 10, 0.5, 1.0),
        (0, 10, 0.5, 2 / 1024),
        (1, 10, 0.5, 22 / 1024),
        (0, 3, 1 / 3, 15 / 27),  # of 0 to 3 the chances are 8, 12, 6, 1 of 27
        (0, 100, 0.0, 1.0),
        (1, 100, 0.0, 0.0),
        (100, 100, 1.0, 1.0),
        (99, 100, 1.0, 0.0),
        (0, 0, 0.5, 1.0),
    ],
)
def test_binomial(lost: int, sent: int, part: float, p_value: float) -> None:
    assert binomial(lost, sent, part) == pytest.approx(p_value)


@pytest.mark.parametrize(
    ("lost", "sent", "part", "agree"),
    [
        (0, 100_000, 0.0, True),
        (1, 60, 0.0, True),
        (7, 205, 0.0, True),
        (12, 205, 0.0, False),
        (60, 60, 1.0, True),
        (59, 60, 1.0, True),
        (40, 60, 1.0, False),
        (30, 60, 0.5, True),
        (50, 60, 0.5, False),
        (0, 60, 1 / 3, False),
    ],
)
def test_strays_count_only_where_nothing_else_is_predicted(
    lost: int, sent: int, part: float, agree: bool
) -> None:
    assert (losses(lost, sent, part, STRAY) >= SIGNIFICANCE) is agree


@given(st.integers(0, 60), st.floats(0.01, 0.99))
def test_every_count_has_its_probability(sent: int, part: float) -> None:
    """Some count is the likeliest, and none is likelier than all others together."""
    found = [binomial(lost, sent, part) for lost in range(sent + 1)]
    assert max(found) == pytest.approx(1.0)
    assert all(0 <= value <= 1 for value in found)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=8).filter(any))
def test_what_was_seen_is_no_likelier_than_the_mean(counts: list[int]) -> None:
    seen = {str(n): count for n, count in enumerate(counts)}
    own = {name: count / sum(counts) for name, count in seen.items()}
    even = dict.fromkeys(seen, 1 / len(seen))
    assert chi_square(seen, own) == pytest.approx(1.0)
    assert 0 <= chi_square(seen, even) <= 1.0 + 1e-12

"""Sizes of ReplicaSets on the way from one template to the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.controllers.rollout import Aim, Size, Sizes, aim, first_size, pods, rolling, scaled


@pytest.mark.parametrize(
    ("value", "replicas", "up", "number"),
    [
        (None, 10, True, 0),
        (3, 10, True, 3),
        ("25%", 10, True, 3),
        ("25%", 10, False, 2),
        ("29%", 100, True, 29),  # 0.29 * 100 is less than 29 in binary
        ("100%", 7, False, 7),
        ("0%", 7, True, 0),
    ],
)
def test_percentages_round_up_for_surge_and_down_for_absence(
    value: int | str | None, replicas: int, up: bool, number: int
) -> None:
    assert pods(value, replicas, up=up) == number


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", Aim(4, 1, 1)),
        (1, "25%", "25%", Aim(1, 1, 0)),
        (3, 0, 0, Aim(3, 0, 1)),
        (3, 0, "10%", Aim(3, 0, 1)),
        (2, 5, 5, Aim(2, 5, 2)),
    ],
)
def test_limits_are_never_both_zero(
    replicas: int, surge: int | str, unavailable: int | str, expected: Aim
) -> None:
    assert aim(replicas, surge, unavailable) == expected


NEW, OLD, OLDER = "new", "old", "older"


@pytest.mark.parametrize(
    ("limits", "new", "old", "sizes"),
    [
        (Aim(3, 1, 0), Size(NEW, 0), [Size(OLD, 3, 3)], {NEW: 1}),
        (Aim(3, 1, 0), Size(NEW, 1), [Size(OLD, 3, 3)], {}),  # until it is available
        (Aim(3, 1, 0), Size(NEW, 1, 1), [Size(OLD, 3, 3)], {OLD: 2}),
        (Aim(3, 0, 1), Size(NEW, 0), [Size(OLD, 3, 3)], {OLD: 2}),
        (Aim(3, 0, 1), Size(NEW, 0), [Size(OLD, 2, 2)], {NEW: 1}),
        (Aim(4, 1, 1), Size(NEW, 5), [], {NEW: 4}),
        (Aim(4, 1, 1), Size(NEW, 0), [Size(OLD, 4, 2)], {NEW: 1}),
        (Aim(4, 0, 1), Size(NEW, 0), [Size(OLD, 4, 3)], {OLD: 3}),  # the broken one
        (
            Aim(4, 0, 2),
            Size(NEW, 0),
            [Size(OLD, 2, 2, born="2"), Size(OLDER, 2, 2, born="1")],
            {OLDER: 0},
        ),
        (Aim(4, 0, 1), Size(NEW, 4, 4), [Size(OLD, 0)], {}),
    ],
)
def test_a_step_of_a_rolling_update(limits: Aim, new: Size, old: list[Size], sizes: Sizes) -> None:
    assert rolling(limits, new, old) == sizes


@pytest.mark.parametrize(
    ("limits", "new", "old", "sizes"),
    [
        (Aim(5), Size(NEW, 3, 3), [], {NEW: 5}),
        (Aim(5), Size(NEW, 0), [], {NEW: 5}),
        (Aim(0), Size(NEW, 3), [], {NEW: 0}),
        (Aim(5), Size(NEW, 0), [Size(OLD, 3, 3)], {OLD: 5}),  # paused before it began
        (Aim(5), None, [Size(OLD, 3, 3)], {OLD: 5}),
        (Aim(3), Size(NEW, 3, 3), [Size(OLD, 2, 2)], {OLD: 0}),
        (Aim(20), Size(NEW, 5, 5, 10), [Size(OLD, 5, 5, 10)], {NEW: 10, OLD: 10}),
        (Aim(15), Size(NEW, 2, 0, 10), [Size(OLD, 8, 8, 10)], {NEW: 3, OLD: 12}),
        (Aim(1, 1), Size(NEW, 1, 0, 3), [Size(OLD, 1, 1, 3), Size(OLDER, 1, 1, 3)], {NEW: 0}),
        (Aim(0), Size(NEW, 2, 0, 10), [Size(OLD, 8, 8, 10)], {NEW: 0, OLD: 0}),
    ],
)
def test_a_new_number_of_replicas_is_shared_out(
    limits: Aim, new: Size | None, old: list[Size], sizes: Sizes
) -> None:
    assert scaled(limits, new, old) == sizes


def aims() -> st.SearchStrategy[Aim]:
    return st.builds(aim, st.integers(0, 12), st.integers(0, 4), st.integers(0, 4))


def after(one: Size, sizes: Sizes) -> Size:
    """A ReplicaSet after it was resized: it gives up pods that are not available first."""
    wanted = sizes.get(one.name, one.wanted)
    return one._replace(wanted=wanted, available=min(one.available, wanted))


@given(aims(), st.lists(st.integers(0, 5), max_size=3), st.data())
def test_a_rolling_update_keeps_its_limits_and_arrives(
    limits: Aim, wanted: list[int], data: st.DataObject
) -> None:
    """Whenever pods become available, and whichever."""
    old = [Size(f"{n}", size, size, born=str(n)) for n, size in enumerate(wanted)]
    others = sum(one.wanted for one in old)
    new = Size(NEW, first_size(limits, others), born="9")
    roof = max(limits.most, others)
    for _ in range(200):
        floor = min(limits.fewest, new.available + sum(one.available for one in old))
        sizes = rolling(limits, new, old)
        new, old = after(new, sizes), [after(one, sizes) for one in old]
        assert new.wanted + sum(one.wanted for one in old) <= roof
        assert new.available + sum(one.available for one in old) >= floor
        if not sizes and new.available == new.wanted:
            break
        lacking = new.wanted - new.available
        more = data.draw(st.integers(0 if sizes else min(1, lacking), lacking))
        new = new._replace(available=new.available + more)
    assert new.wanted == new.available == limits.replicas
    assert not any(one.wanted for one in old)


@given(aims(), st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_scaling_loses_no_pod_and_invents_none(limits: Aim, wanted: list[int]) -> None:
    new, *old = [Size(f"{n}", size, 0, sum(wanted), str(n)) for n, size in enumerate(wanted)]
    sizes = scaled(limits, new, old)
    assert all(size >= 0 for size in sizes.values())
    active = [one for one in (new, *old) if one.wanted]
    if len(active) > 1:
        total = sum(sizes.get(one.name, one.wanted) for one in active)
        assert total == (limits.most if limits.replicas else 0)

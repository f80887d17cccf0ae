"""How a Deployment moves from one ReplicaSet to the next: sizes in, sizes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple


class Aim(NamedTuple):
    """What a Deployment wants: replicas, and how far it may be from it on the way, in pods."""

    replicas: int
    surge: int = 0
    unavailable: int = 0

    @property
    def most(self) -> int:
        """Pods there may be at once."""
        return self.replicas + self.surge

    @property
    def fewest(self) -> int:
        """Pods that must stay available."""
        return self.replicas - self.unavailable


class Size(NamedTuple):
    """One ReplicaSet. wanted: spec.replicas. most: `Aim.most` when it was last scaled, 0 if
    unknown. born: creationTimestamp."""

    name: str
    wanted: int
    available: int = 0
    most: int = 0
    born: str = ""


Sizes = dict[str, int]
"""ReplicaSet -> its next spec.replicas, of those that change."""


def pods(value: int | str | None, replicas: int, *, up: bool) -> int:
    """A number or a percentage of the replicas; percentages round up or down."""
    if isinstance(value, str):
        share = Fraction(int(value.removesuffix("%")) * replicas, 100)
        return ceil(share) if up else floor(share)
    return value or 0


def aim(replicas: int, surge: int | str | None, unavailable: int | str | None) -> Aim:
    """A RollingUpdate's limits: surge rounds up, unavailable down, and they are never both 0."""
    more, fewer = pods(surge, replicas, up=True), pods(unavailable, replicas, up=False)
    return Aim(replicas, more, min(fewer, replicas) if more or fewer else 1)


def first_size(aim: Aim, others: int) -> int:
    """Where a ReplicaSet without pods begins, while others have so many."""
    return max(0, min(aim.most - others, aim.replicas))


def rolling(aim: Aim, new: Size, old: Sequence[Size]) -> Sizes:
    """The next step of a RollingUpdate: the new one grows as far as it may; else old ones shrink
    as far as they may, those of their pods first that are not available anyway."""
    if new.wanted > aim.replicas:
        return {new.name: aim.replicas}
    everyone = new.wanted + sum(one.wanted for one in old)
    grown = min(new.wanted + max(0, aim.most - everyone), aim.replicas)
    if grown != new.wanted:
        return {new.name: grown}
    return _shrunk(aim, new, sorted(old, key=_by_age), everyone)


def _shrunk(aim: Aim, new: Size, old: Sequence[Size], everyone: int) -> Sizes:
    sizes: Sizes = {}
    spare = everyone - aim.fewest - (new.wanted - new.available)
    if spare <= 0:
        return sizes
    for one in old:
        broken = min(max(0, spare), one.wanted - one.available)
        if broken > 0:
            sizes[one.name] = one.wanted - broken
            spare -= broken
    surplus = min(spare, new.available + sum(one.available for one in old) - aim.fewest)
    for one in old:
        left = sizes.get(one.name, one.wanted)
        healthy = min(max(0, surplus), left)
        if healthy > 0:
            sizes[one.name] = left - healthy
            surplus -= healthy
    return sizes


def down(sizes: Iterable[Size]) -> Sizes:
    """All of them without pods."""
    return {one.name: 0 for one in sizes if one.wanted}


def scaled(aim: Aim, new: Size | None, old: Sequence[Size]) -> Sizes:
    """What a change of `replicas` in the middle of a rollout, or while it is paused, means: each
    ReplicaSet keeps its share."""
    everyone = [one for one in (new, *old) if one is not None]
    active = [one for one in everyone if one.wanted]
    if len(active) < 2:
        latest = active or ([new] if new else sorted(old, key=_by_age)[-1:])
        return {one.name: aim.replicas for one in latest if one.wanted != aim.replicas}
    if new is not None and new.wanted == aim.replicas == new.available:
        return down(old)
    to_add = (aim.most if aim.replicas else 0) - sum(one.wanted for one in active)
    if not to_add:
        return {}
    active.sort(key=lambda one: one.born, reverse=to_add > 0)
    active.sort(key=lambda one: one.wanted, reverse=True)
    sizes, left = {}, to_add
    for one in active:
        share = _share(one, aim)
        share = min(share, left) if to_add > 0 else max(share, left)
        sizes[one.name] = one.wanted + share
        left -= share
    for one in active:  # what rounding has left over
        rest = max(left, -sizes[one.name])
        sizes[one.name] += rest
        left -= rest
    return {one.name: sizes[one.name] for one in active if sizes[one.name] != one.wanted}


def _share(one: Size, aim: Aim) -> int:
    """By how much a ReplicaSet grows when the whole grows from what it was to what it may be; the
    half of a pod is rounded up."""
    if not aim.replicas:
        return -one.wanted
    whole = one.most or aim.most
    return (2 * one.wanted * aim.most + whole) // (2 * whole) - one.wanted


def _by_age(one: Size) -> tuple[str, str]:
    return one.born, one.name

"""The table of pros and cons as numbers: one row a measure, one column a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..model.cluster import Policy
from ..model.comparison import SIGNIFICANCE, Comparison, Disturbance, Rest, Speed
from ..model.fate import Fate
from .layout import WORDS, few, listed

_BINS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. values: in words, by policy. best: the policy that it speaks for, if any.
    predicted: in words; agree: whether that was seen."""

    measure: str
    values: Mapping[Policy, str]
    best: Policy | None
    predicted: str
    agree: bool


def rows(found: Comparison) -> Iterator[Row]:
    """Every measure, in the order of the story: at rest, then what breaks."""
    rest = {one.policy: one for one in found.rest}
    yield _shares(rest)
    yield _row("busiest pod, in even shares", rest, lambda one: one.imbalance, "{:.2f}".format)
    yield _client_ip(rest)
    yield _row("nodes crossed, mean", rest, _mean_hops, "{:.2f}".format)
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        base = quantile(found.direct, fraction)

        def latency(one: Rest, fraction: float = fraction) -> float:
            return quantile(one.speed, fraction)

        def told(value: float, base: float = base) -> str:
            return f"{value:.2f} ms, {value / base:.2f} x direct"

        yield _row(f"connect {name}", rest, latency, told, close=0.15)

    def throughput(one: Rest) -> float:
        return -one.speed.per_second / found.direct.per_second

    yield _row("connections a second", rest, throughput, lambda v: f"{-v:.2f} x direct", close=0.15)
    for event in dict.fromkeys(one.event for one in found.disturbances):
        of = {one.policy: one for one in found.disturbances if one.event == event}
        yield _loss(f"lost when {event}" if event.endswith("dies") else f"lost in a {event}", of)


def quantile(speed: Speed, fraction: float) -> float:
    """The nearest-rank quantile of the handshakes, in milliseconds; 0 without any."""
    ordered = speed.connect_ms
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else 0.0


def loss(one: Disturbance) -> str:
    """How much was lost, and when: `12 of 400 (3.0 %), from 0.0 to 1.8 s`."""
    sent, lost = len(one.after), len(one.lost)
    if not one.window:
        return f"0 of {sent}"
    first, last = one.window
    return f"{lost} of {sent} ({100 * lost / sent:.1f} %), {first:.1f} to {last:.1f} s"


def expectation(one: Disturbance) -> str:
    """The prediction behind it: `50 % until 3 s, then 33 % until 5 s`."""
    told = [
        f"{100 * phase.lost:.0f} %" + ("" if phase.until is None else f" until {phase.until:.1f} s")
        for phase in one.expected
    ]
    return ", then ".join(told) or "-"


def _shares(rest: Mapping[Policy, Rest]) -> Row:
    values = {}
    for policy, one in rest.items():
        total = sum(one.pods.values()) or 1
        values[policy] = few(
            (f"{pod} {100 * n / total:.0f} %" for pod, n in sorted(one.pods.items())), "pods", 8
        )
        lost = {fate: n for fate, n in one.fates.items() if fate is not Fate.DELIVERED}
        if lost:
            values[policy] += "; " + listed(f"{n} {WORDS[fate]}" for fate, n in lost.items())
    predicted = "; ".join(
        f"{policy}: " + listed(f"{100 * share:.0f} %" for _, share in sorted(one.predicted.items()))
        for policy, one in rest.items()
    )
    agree = all(one.p_value >= SIGNIFICANCE for one in rest.values())
    return Row("share of each pod", values, None, predicted, agree)


def _client_ip(rest: Mapping[Policy, Rest]) -> Row:
    values: dict[Policy, str] = {}
    for policy, one in rest.items():
        seen = listed(sorted({pair.source_ip for pair in one.seen}))
        values[policy] = f"{one.client_ip}: pods see {seen}"
    kept: list[Policy] = [p for p, one in rest.items() if one.client_ip == "kept"]
    return Row("client's address", values, kept[0] if len(kept) == 1 else None, "-", True)


def _mean_hops(one: Rest) -> float:
    total = sum(one.hops.values())
    return sum(hops * n for hops, n in one.hops.items()) / total if total else 0.0


def _row(
    measure: str,
    rest: Mapping[Policy, Rest],
    value: Callable[[Rest], float],
    told: Callable[[float], str],
    close: float = 0.05,
) -> Row:
    """A number, the less the better. close: a relative difference that speaks for nobody."""
    numbers = {policy: value(one) for policy, one in rest.items()}
    return Row(measure, {p: told(n) for p, n in numbers.items()}, _least(numbers, close), "-", True)


def _least(numbers: Mapping[Policy, float], close: float) -> Policy | None:
    least, most = min(numbers.values()), max(numbers.values())
    if most - least <= close * max(abs(least), abs(most)):
        return None
    return min(numbers, key=lambda policy: numbers[policy])


def _loss(measure: str, of: Mapping[Policy, Disturbance]) -> Row:
    parts = {policy: len(one.lost) / max(len(one.after), 1) for policy, one in of.items()}
    predicted = "; ".join(f"{p}: {expectation(one)}" for p, one in of.items() if one.expected)
    return Row(
        measure,
        {policy: loss(one) for policy, one in of.items()},
        _least(parts, 0.1),
        predicted or "-",
        all(one.agree for one in of.values()),
    )

"""The table of pros and cons as numbers: one row a measure, one column a policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from ..model.cluster import Policy
from ..model.comparison import USUAL_GRACE, Comparison, Disturbance, Rest
from ..model.fate import Fate
from .layout import few, listed

_MOST_PODS = 8
_GIVEN = 5
_HARDLY = 0.05
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. values: in words, by policy. best: the policy that it speaks for, if any.
    predicted: in words, empty where nothing is; agree: whether that was seen."""

    measure: str
    values: Mapping[Policy, str]
    best: Policy | None = None
    predicted: str = ""
    agree: bool = True


def rows(found: Comparison) -> Iterator[Row]:
    """Every measure, in the order of the story: at rest, then what breaks."""
    rest = {one.policy: one for one in found.rest}
    yield _shares(rest)
    yield _imbalance(rest)
    yield _client_ip(rest)
    yield _row("nodes crossed, mean", rest, _mean_hops, "{:.2f}".format)
    for fraction in (0.5, 0.99):
        yield _latency(found, rest, fraction)
    yield _throughput(found, rest)
    for event in dict.fromkeys(one.event for one in found.disturbances):
        of = {one.policy: one for one in found.disturbances if one.event == event}
        yield _loss(found, f"lost, {event}", of)
        if any(one.lost for one in of.values()):
            yield Row("  answered meanwhile", {p: _instead(one) for p, one in of.items()})


def loss(one: Disturbance) -> str:
    """How much was lost, and when: `12 of 400 (3.0%), 0.0 to 1.8 s`."""
    sent, lost = len(one.after), len(one.lost)
    if not one.window:
        return f"0 of {sent}"
    end = "the end" if not one.after[-1].pod else f"{one.window[1]:.1f} s"
    return f"{lost} of {sent} ({100 * lost / sent:.1f}%), {one.window[0]:.1f} to {end}"


def expectation(one: Disturbance) -> str:
    """The prediction behind it: `50% until 3.0 s, then 33% until 5.0 s`."""
    told = [
        f"{100 * phase.lost:.0f}%" + ("" if phase.until is None else f" until {phase.until:.1f} s")
        for phase in one.expected
    ]
    return ", then ".join(told) or one.foretold


def usual(found: Comparison, one: Disturbance) -> str:
    """The end of the loss with the node grace that clusters have, where it hangs on that."""
    until = found.usual_window(one)
    return "" if until is None else f"with a node grace of {USUAL_GRACE:g} s: to {until:.1f} s"


def second_hop(found: Comparison) -> str:
    """What the second hop costs, and what of it one machine cannot show; empty where none was
    seen."""
    rest = {one.policy: one for one in found.rest}
    cluster, base = rest.get("Cluster"), rest["Local"].speed if "Local" in rest else found.direct
    further = _mean_hops(cluster) - 1 if cluster else 0.0
    if cluster is None or further < _HARDLY or not base.per_second:
        return ""
    more = (1000 / cluster.speed.per_second - 1000 / base.per_second) / further
    return (
        "What the second hop costs here is one more traversal of a kernel, NAT there and VXLAN's"
        f" work, on the same processors: {max(more, 0):.3f} ms a handshake that is handed on, of"
        f" which {100 * further:.0f}% are. In a cluster add a round trip between two of your nodes,"
        " which one machine cannot show: `ping` tells it."
    )


def nicknames(pods: Collection[str]) -> dict[str, str]:
    """The last parts of pods' names, where these are such as controllers give and differ."""
    last = {pod: pod.rpartition("-")[2] for pod in pods}
    given = all(len(part) == _GIVEN for part in last.values())
    return last if given and len(set(last.values())) == len(last) else {pod: pod for pod in pods}


def _shares(rest: Mapping[Policy, Rest]) -> Row:
    """Of all connections; what is lost is told, too."""
    short = nicknames({pod for one in rest.values() for pod in (*one.pods, *one.predicted)})
    values = {}
    for policy, one in rest.items():
        total = sum(one.fates.values()) or 1
        parts = [f"{short[pod]} {100 * n / total:.0f}%" for pod, n in sorted(one.pods.items())]
        if lost := total - one.fates.get(Fate.DELIVERED, 0):
            parts.append(f"nobody {100 * lost / total:.0f}%")
        values[policy] = few(parts, "pods", _MOST_PODS)
    predicted = "; ".join(
        f"{policy}: "
        + few(
            (f"{short[pod]} {100 * share:.0f}%" for pod, share in sorted(one.predicted.items())),
            "pods",
            _MOST_PODS,
        )
        for policy, one in rest.items()
    )
    return Row("share of each pod", values, None, predicted, _agree(rest))


def _imbalance(rest: Mapping[Policy, Rest]) -> Row:
    """Two that differ no more than chance makes them are equal."""
    row = _row("busiest pod, in even shares", rest, lambda one: one.imbalance, "{:.2f}".format)
    predicted = {
        policy: max(one.predicted.values(), default=0.0) * len(one.predicted)
        for policy, one in rest.items()
    }
    told = "; ".join(f"{policy}: {value:.2f}" for policy, value in predicted.items())
    return Row(row.measure, row.values, _least(predicted, 0.01), told, _agree(rest))


def _agree(rest: Mapping[Policy, Rest]) -> bool:
    return all(one.agree for one in rest.values())


def _client_ip(rest: Mapping[Policy, Rest]) -> Row:
    values: dict[Policy, str] = {}
    for policy, one in rest.items():
        seen = listed(sorted({pair.source_ip for pair in one.seen}))
        values[policy] = f"{one.client_ip}: pods see {seen}"
    kept: list[Policy] = [p for p, one in rest.items() if one.client_ip == "kept"]
    return Row("client's address", values, kept[0] if len(kept) == 1 < len(rest) else None)


def _mean_hops(one: Rest) -> float:
    total = sum(one.hops.values())
    return sum(hops * n for hops, n in one.hops.items()) / total if total else 0.0


def _latency(found: Comparison, rest: Mapping[Policy, Rest], fraction: float) -> Row:
    base = found.direct.quantile(fraction)

    def told(value: float) -> str:
        return f"{value:.3f} ms" + (f", {value / base:.2f} x direct" if base else "")

    def latency(one: Rest) -> float:
        return one.speed.quantile(fraction)

    return _row(f"connect p{100 * fraction:g}", rest, latency, told, close=0.15)


def _throughput(found: Comparison, rest: Mapping[Policy, Rest]) -> Row:
    base = found.direct.per_second

    def told(value: float) -> str:
        return f"{-value:.0f}" + (f", {-value / base:.2f} x direct" if base else "")

    return _row("connections/s", rest, lambda one: -one.speed.per_second, told, close=0.15)


def _row(
    measure: str,
    rest: Mapping[Policy, Rest],
    value: Callable[[Rest], float],
    told: Callable[[float], str],
    close: float = 0.05,
) -> Row:
    """A number, the less the better. close: a relative difference that speaks for nobody."""
    numbers = {policy: value(one) for policy, one in rest.items()}
    return Row(measure, {p: told(n) for p, n in numbers.items()}, _least(numbers, close))


def _least(numbers: Mapping[Policy, float], close: float) -> Policy | None:
    least, most = min(numbers.values()), max(numbers.values())
    if most - least <= close * max(abs(least), abs(most)):
        return None
    return min(numbers, key=lambda policy: numbers[policy])


def _loss(found: Comparison, measure: str, of: Mapping[Policy, Disturbance]) -> Row:
    values = {p: "; ".join(filter(None, (loss(one), usual(found, one)))) for p, one in of.items()}
    foreseen = {policy: expectation(one) for policy, one in of.items()}
    told = "; ".join(f"{policy}: {words}" for policy, words in foreseen.items())
    if len(set(foreseen.values())) == 1:
        told = next(iter(foreseen.values()))
    return Row(measure, values, _lost_less(of), told, all(one.agree for one in of.values()))


def _lost_less(of: Mapping[Policy, Disturbance]) -> Policy | None:
    """The one of two that lost fewer, if by more than three standard errors of the difference."""
    if len(of) < 2:
        return None
    parts = {policy: len(one.lost) / max(len(one.after), 1) for policy, one in of.items()}
    mean = sum(parts.values()) / 2
    error = math.sqrt(mean * (1 - mean) * sum(1 / max(len(one.after), 1) for one in of.values()))
    if max(parts.values()) - min(parts.values()) <= 3 * error:
        return None
    return min(parts, key=lambda policy: parts[policy])


def _instead(one: Disturbance) -> str:
    if not one.lost:
        return "-"
    short = nicknames(one.instead)
    told = (f"{short[pod]} {n}" for pod, n in sorted(one.instead.items()))
    return few(told, "pods", _MOST_PODS) or "nobody"

"""Every number behind the page's charts, as tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ..model.comparison import Comparison, Disturbance, Rest, Speed
from ..model.fate import Fate, Trial
from . import tradeoff
from .comparison import rounded
from .layout import WORDS, listed

DIRECT = "direct to the pod"


def tables(found: Comparison) -> str:
    """All of them."""
    return "".join(
        (
            _speeds(found),
            *map(_rest, found.rest),
            *map(_disturbance, found.disturbances),
            _trials(found.trials),
        )
    )


def speeds(found: Comparison) -> Mapping[str, Speed]:
    """What was measured of speed, by its name."""
    return {DIRECT: found.direct} | {one.policy: one.speed for one in found.rest}


def tabled(head: Sequence[str], lines: Sequence[str], caption: str = "") -> str:
    """A table of ready-made rows; what is too wide can be moved by itself."""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{told}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _line(*cells: object) -> str:
    return f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"


def _speeds(found: Comparison) -> str:
    lines = [
        _line(
            name,
            *(f"{speed.quantile(part):.4f}" for part in tradeoff.QUANTILES),
            len(speed.connect_ms),
            f"{speed.per_second:.1f}",
        )
        for name, speed in speeds(found).items()
    ]
    head = ["handshakes, ms", *(f"p{100 * part:g}" for part in tradeoff.QUANTILES)]
    return tabled([*head, "connections", "connections/s"], lines)


def _rest(one: Rest) -> str:
    pods = sorted({*one.predicted, *one.pods})
    lines = [_line(pod, one.pods.get(pod, 0), f"{one.predicted.get(pod, 0):.6f}") for pod in pods]
    lost = {fate: count for fate, count in one.fates.items() if fate is not Fate.DELIVERED}
    lines += [_line(WORDS[fate], count, "") for fate, count in lost.items()]
    hops = listed(f"{count} by {hops}" for hops, count in sorted(one.hops.items()))
    sources = listed(sorted({pair.source_ip for pair in one.seen}))
    caption = (
        f"{one.policy} at rest: {one.fates.get(Fate.DELIVERED, 0)} connections delivered, imbalance"
        f" {one.imbalance:.4f}, chi-square p = {rounded(one.p_value)}; nodes crossed: {hops}; pods"
        f" see {sources}"
    )
    return tabled(["pod", "connections", "predicted share"], lines, caption)


def _disturbance(one: Disturbance) -> str:
    window = "" if one.window is None else f", {one.window[0]:.3f} to {one.window[1]:.3f} s"
    meanwhile = listed(f"{pod} {count}" for pod, count in sorted(one.instead.items()))
    caption = (
        f"{one.policy}, {one.event} ({one.subject}): {len(one.lost)} of {len(one.after)} lost"
        f"{window}; answered meanwhile: {meanwhile}"
    )
    lines = [_line(f"{at} s", "", good, bad, "") for at, good, bad in _seconds(one)]
    lines += [
        _line(
            f"{part.since:.3f} to {part.until:.3f} s",
            f"{part.predicted:.6f}",
            part.sent - part.lost,
            part.lost,
            f"of {part.sent}: binomial p = {rounded(part.p_value)}",
        )
        for part in one.judged
    ]
    lines += [
        _line("" if p.until is None else f"until {p.until} s", f"{p.lost:.6f}", "", "", "expected")
        for p in one.expected
    ]
    lines += [_line(f"{mark.at:.3f} s", "", "", "", mark.what) for mark in one.marks]
    if one.foretold:
        lines.append(_line("", "", "", "", f"expected: {one.foretold}"))
    return tabled(["when", "predicted loss", "answered", "lost", ""], lines, caption)


def _seconds(one: Disturbance) -> Iterator[tuple[int, int, int]]:
    """Each second, with what was answered and what was lost of the connections begun in it."""
    counts = Counter((math.floor(sample.at), bool(sample.pod)) for sample in one.samples)
    for second in sorted({second for second, _ in counts}):
        yield second, counts[second, True], counts[second, False]


def _trials(trials: Sequence[Trial]) -> str:
    lines = []
    for trial in trials:
        flow, seen = trial.flow, trial.observed
        fates = listed(f"{WORDS[fate]} {count}" for fate, count in seen.fates.items())
        sources = listed(sorted({pair.source_ip for pair in seen.seen}))
        lines.append(
            _line(
                trial.policy,
                flow.source.name,
                f"{flow.destination.kind} {flow.destination}",
                flow.via or flow.destination.node or "",
                WORDS[trial.predicted.fate],
                fates,
                sources,
                "yes" if trial.agree else "NO",
            )
        )
    head = ["policy", "from", "to", "through", "predicted", "seen", "pod sees", "agree"]
    return tabled(head, lines, "Single flows") if lines else ""

"""`compare` for a terminal and as JSON: the verdict, the table of numbers, the claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..model.comparison import (
    SIGNIFICANCE,
    STRAY,
    USUAL_GRACE,
    Comparison,
    Disturbance,
    Rest,
    Speed,
)
from ..model.fate import Trial
from . import tradeoff
from .json import document
from .json.experiment import trial
from .layout import WORDS, columns, of_version, wrapped


def text(found: Comparison) -> Iterator[str]:
    """The verdict, then the evidence."""
    yield from wrapped(f"{verdict(found)} {of_version(found.version)}", "")
    yield from wrapped(agreement(found), "")
    yield ""
    yield from _table(found)
    for one in found.disagreements:
        yield from ("", *_disagreement(one))
    if found.claims:
        yield from ("", "What people say, judged by these measurements:")
        for claim in found.claims:
            condition = f"; provided that {claim.condition}" if claim.condition else ""
            told = f"{claim.verdict:<7}  {claim.says}: {claim.because}{condition}"
            yield from wrapped(told, "  ", " " * 11)
    for paragraph in (tradeoff.second_hop(found), basis(found)):
        if paragraph:
            yield from ("", *wrapped(paragraph, ""))
    for note in found.notes:
        yield from wrapped(note, "  ", "    ")


def _table(found: Comparison) -> Iterator[str]:
    policies = [one.policy for one in found.rest]
    cells = [("MEASURED", *(policy.upper() for policy in policies), "PREDICTED", "AGREE")]
    for row in tradeoff.rows(found):
        values = (f"{row.values[p]}{' *' if row.best == p else ''}" for p in policies)
        judged = ("yes" if row.agree else "NO") if row.predicted else "-"
        cells.append((row.measure, *values, row.predicted or "-", judged))
    for lines in columns(cells):
        yield from lines
    if len(policies) > 1:
        yield "* the better of the two, where they differ by more than noise"


def verdict(found: Comparison) -> str:
    """What each policy costs, in one sentence."""
    return f"{found.setup.service}: {'; '.join(costs(found))}"


def costs(found: Comparison) -> list[str]:
    """What each policy gives and takes: a sentence for each."""
    return [_costs(rest, found) for rest in found.rest]


def agreement(found: Comparison) -> str:
    """Whether the predictions held, and by which test."""
    of, bad = len(found.predictions), len(found.disagreements)
    how = (
        f"shares by a chi-square test, losses by an exact binomial test, each at {SIGNIFICANCE:g},"
        f" with up to {100 * STRAY:g}% strays;"
        f" {len(found.trials)} single flows as in run; {found.elapsed:.1f} s"
    )
    if bad:
        return f"Prediction and measurement DISAGREE in {bad} of {of} ({how})."
    return f"Prediction and measurement agree in {of} of {of} ({how})."


def basis(found: Comparison) -> str:
    """What was measured, where."""
    setup = found.setup
    nodes = ", ".join(f"{name} ({counted(len(pods))})" for name, pods in setup.nodes.items())
    times = "once" if setup.threshold == 1 else f"{setup.threshold} times in a row"
    return (
        f"Measured on a lab: {nodes}; client {setup.client}; kube-proxy in {setup.mode} mode; a"
        f" balancer ({setup.balancer}) that asks each node every {setup.interval:g} s and leaves it"
        f" out when that failed {times}; node grace {setup.grace:g} s; {setup.rate:g} connections a"
        f" second under each policy, {setup.rest_rate:g} at rest; seed {setup.seed}."
    )


def counted(pods: int) -> str:
    """`1 pod`, `2 pods`."""
    return "1 pod" if pods == 1 else f"{pods} pods"


def as_json(found: Comparison) -> str:
    """A Comparison document."""
    return document("Comparison", found.version, data(found))


def data(found: Comparison) -> dict[str, Any]:
    """What the document holds."""
    setup = asdict(found.setup)
    service = setup.pop("service")
    setup["graceSeconds"], setup["intervalSeconds"] = setup.pop("grace"), setup.pop("interval")
    setup["restRate"] = setup.pop("rest_rate")
    return {
        "service": service,
        "agree": found.agree,
        "elapsedSeconds": round(found.elapsed, 3),
        "setup": setup,
        "significance": SIGNIFICANCE,
        "direct": _speed(found.direct),
        "rest": [_rest(one) for one in found.rest],
        "disturbances": [_disturbance(found, one) for one in found.disturbances],
        "trials": [trial(one) for one in found.trials],
        "claims": [asdict(claim) for claim in found.claims],
        "secondHop": tradeoff.second_hop(found),
        "notes": list(found.notes),
    }


def _speed(one: Speed) -> dict[str, Any]:
    return {
        "connections": len(one.connect_ms),
        "connectMs": {
            f"p{100 * part:g}": round(one.quantile(part), 4) for part in tradeoff.QUANTILES
        },
        "connectionsPerSecond": round(one.per_second, 1),
    }


def _rest(one: Rest) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "fates": {str(fate): count for fate, count in one.fates.items()},
        "pods": dict(one.pods),
        "predictedShares": {pod: round(share, 6) for pod, share in one.predicted.items()},
        "pValue": rounded(one.p_value),
        "agree": one.agree,
        "imbalance": round(one.imbalance, 4),
        "clientIP": one.client_ip,
        "sourceIPs": sorted({pair.source_ip for pair in one.seen}),
        "hops": {str(hops): count for hops, count in one.hops.items()},
        "speed": _speed(one.speed),
    }


def _disturbance(found: Comparison, one: Disturbance) -> dict[str, Any]:
    usual = found.usual_window(one)
    return {
        "policy": one.policy,
        "event": one.event,
        "subject": one.subject,
        "sent": len(one.after),
        "lost": len(one.lost),
        "windowSeconds": [round(at, 3) for at in one.window] if one.window else None,
        "lastLossAtUsualGraceSeconds": None if usual is None else round(usual, 3),
        "answeredMeanwhile": dict(one.instead),
        "marks": [{"at": round(mark.at, 3), "what": mark.what} for mark in one.marks],
        "expected": [{"untilSeconds": p.until, "lost": round(p.lost, 6)} for p in one.expected],
        "foretold": one.foretold,
        "judged": [
            {
                "sinceSeconds": round(part.since, 3),
                "untilSeconds": round(part.until, 3),
                "predicted": round(part.predicted, 6),
                "sent": part.sent,
                "lost": part.lost,
                "pValue": rounded(part.p_value),
            }
            for part in one.judged
        ],
        "agree": one.agree,
        "samples": [[round(at, 3), pod] for at, pod in one.samples],
    }


def rounded(p_value: float) -> float:
    """To three digits that count."""
    return float(f"{p_value:.3g}")


def _costs(rest: Rest, found: Comparison) -> str:
    told = [f"{'keeps' if rest.client_ip == 'kept' else 'hides'} the client's address"]
    told.append(f"gives its busiest pod {rest.imbalance:.2f} of an even share")
    worst = max(
        (one for one in found.disturbances if one.policy == rest.policy),
        key=lambda one: len(one.lost),
        default=None,
    )
    if worst is not None:
        told.append(_worst(found, worst))
    return f"{rest.policy} {', '.join(told)}"


def _worst(found: Comparison, one: Disturbance) -> str:
    if one.window is None:
        return "lost nothing in what broke here"
    happens = f"a {one.event}" if one.event.endswith("dies") else f"there is a {one.event}"
    until = "to the end" if not one.after[-1].pod else f"until {one.window[1]:.1f} s"
    if usual := found.usual_window(one):
        until += f" ({usual:.0f} s with a node grace of {USUAL_GRACE:g} s)"
    return f"loses most when {happens}: {len(one.lost)} of {len(one.after)} connections {until}"


def _disagreement(one: Rest | Disturbance | Trial) -> Iterator[str]:
    if isinstance(one, Trial):
        to = one.flow.destination
        where = f"{one.flow.source.name} to {to}" + (f" by {one.flow.via}" if one.flow.via else "")
        yield f"DISAGREE: {one.policy}, {where}"
        yield from wrapped(f"predicted {WORDS[one.predicted.fate]}: {one.predicted.reason}")
        yield from wrapped(f"seen {WORDS[one.observed.fate]}")
    elif isinstance(one, Rest):
        yield f"DISAGREE: {one.policy}, share of each pod"
        yield from wrapped(f"a difference like this has p = {one.p_value:.2g}")
    else:
        yield f"DISAGREE: {one.policy}, {one.event} ({one.subject})"
        for part in one.judged:
            yield from wrapped(
                f"{part.since:.1f} to {part.until:.1f} s: predicted {100 * part.predicted:.1f}%"
                f" lost, seen {part.lost} of {part.sent} (p = {part.p_value:.2g})"
            )

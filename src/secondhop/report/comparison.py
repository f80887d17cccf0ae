"""`compare` for a terminal and as JSON: the verdict, the table of numbers, the claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..model.comparison import SIGNIFICANCE, Comparison, Disturbance, Rest, Speed
from . import tradeoff
from .json import document
from .layout import columns, of_version, wrapped


def text(found: Comparison) -> Iterator[str]:
    """The verdict, then the evidence."""
    yield from wrapped(f"{verdict(found)} {of_version(found.version)}", "")
    yield agreement(found)
    yield ""
    policies = [one.policy for one in found.rest]
    head = ("MEASURED", *(policy.upper() for policy in policies), "PREDICTED", "AGREE")
    cells = [head]
    for row in tradeoff.rows(found):
        values = (
            f"{row.values[policy]}{' *' if row.best == policy else ''}" for policy in policies
        )
        judged = "-" if row.predicted == "-" else "yes" if row.agree else "NO"
        cells.append((row.measure, *values, row.predicted, judged))
    for lines in columns(cells):
        yield from lines
    yield "* the better of the two, where they differ by more than noise"
    for one in found.disturbances:
        if not one.agree:
            yield from ("", *_disagreement(one))
    if found.claims:
        yield from ("", "What people say, judged by these measurements:")
        for claim in found.claims:
            condition = f"; provided that {claim.condition}" if claim.condition else ""
            told = f"{claim.verdict:<7}  {claim.says}: {claim.because}{condition}"
            yield from wrapped(told, "  ", " " * 11)
    yield ""
    yield from wrapped(basis(found), "")
    for note in found.notes:
        yield from wrapped(note, "  ", "    ")


def verdict(found: Comparison) -> str:
    """What each policy costs, in one sentence."""
    parts = [_costs(rest, found) for rest in found.rest]
    return f"{found.setup.service}: {'; '.join(parts)}"


def agreement(found: Comparison) -> str:
    """Whether the predictions held, and by which test."""
    judged = len(found.rest) + len(found.disturbances)
    bad = sum(one.p_value < SIGNIFICANCE for one in found.rest)
    bad += sum(not one.agree for one in found.disturbances)
    how = f"chi-square and binomial tests at {SIGNIFICANCE:g}"
    took = f"{found.elapsed:.0f} s"
    if bad:
        return f"Prediction and measurement DISAGREE in {bad} of {judged} ({how}; {took})."
    return f"Prediction and measurement agree in {judged} of {judged} ({how}; {took})."


def basis(found: Comparison) -> str:
    """What was measured, where."""
    setup = found.setup
    nodes = ", ".join(f"{name} ({len(pods)} pods)" for name, pods in setup.nodes.items())
    return (
        f"Measured on a lab: {nodes}; kube-proxy in {setup.mode} mode; an {setup.balancer} balancer"
        f" that asks every {setup.interval:g} s and leaves a node out after {setup.threshold}"
        f" failures; node grace {setup.grace:g} s; {setup.rate:g} connections a second under each"
        f" policy; seed {setup.seed}."
    )


def as_json(found: Comparison) -> str:
    """A Comparison document."""
    setup = asdict(found.setup)
    service = setup.pop("service")
    setup["graceSeconds"], setup["intervalSeconds"] = setup.pop("grace"), setup.pop("interval")
    return document(
        "Comparison",
        found.version,
        {
            "service": service,
            "agree": found.agree,
            "elapsedSeconds": round(found.elapsed, 3),
            "setup": setup,
            "significance": SIGNIFICANCE,
            "direct": _speed(found.direct),
            "rest": [_rest(one) for one in found.rest],
            "disturbances": [_disturbance(one) for one in found.disturbances],
            "claims": [asdict(claim) for claim in found.claims],
            "notes": list(found.notes),
        },
    )


def _speed(one: Speed) -> dict[str, Any]:
    return {
        "connectMs": [round(value, 4) for value in one.connect_ms],
        "p50": tradeoff.quantile(one, 0.5),
        "p99": tradeoff.quantile(one, 0.99),
        "connectionsPerSecond": round(one.per_second, 1),
    }


def _rest(one: Rest) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "fates": {str(fate): count for fate, count in one.fates.items()},
        "pods": dict(one.pods),
        "predictedShares": dict(one.predicted),
        "pValue": one.p_value,
        "imbalance": round(one.imbalance, 4),
        "clientIP": one.client_ip,
        "sourceIPs": sorted({pair.source_ip for pair in one.seen}),
        "hops": {str(hops): count for hops, count in one.hops.items()},
        "speed": _speed(one.speed),
    }


def _disturbance(one: Disturbance) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "event": one.event,
        "subject": one.subject,
        "sent": len(one.after),
        "lost": len(one.lost),
        "windowSeconds": list(one.window) if one.window else None,
        "answered": dict(one.answered),
        "marks": [{"at": round(mark.at, 3), "what": mark.what} for mark in one.marks],
        "expected": [{"untilSeconds": p.until, "lost": p.lost} for p in one.expected],
        "judged": [
            {
                "sinceSeconds": part.since,
                "untilSeconds": part.until,
                "predicted": part.predicted,
                "sent": part.sent,
                "lost": part.lost,
                "pValue": part.p_value,
            }
            for part in one.judged
        ],
        "agree": one.agree,
        "samples": [[round(at, 3), pod] for at, pod in one.samples],
    }


def _costs(rest: Rest, found: Comparison) -> str:
    told = [f"{'keeps' if rest.client_ip == 'kept' else 'hides'} the client's address"]
    told.append(f"gives its busiest pod {rest.imbalance:.2f} of an even share")
    losing = [one for one in found.disturbances if one.policy == rest.policy and one.lost]
    if losing:
        worst = max(losing, key=lambda one: len(one.lost))
        last = (worst.window or (0.0, 0.0))[1]
        told.append(f"loses most when {_happens(worst)}: {len(worst.lost)} until {last:.1f} s")
    elif found.disturbances:
        told.append("lost nothing in what broke here")
    return f"{rest.policy} {', '.join(told)}"


def _happens(one: Disturbance) -> str:
    return one.event if one.event.endswith("dies") else f"there is a {one.event}"


def _disagreement(one: Disturbance) -> Iterator[str]:
    yield f"DISAGREE: {one.policy}, {one.event} ({one.subject})"
    for part in one.judged:
        yield from wrapped(
            f"{part.since:.1f} to {part.until:.1f} s: predicted {100 * part.predicted:.1f} % lost,"
            f" seen {part.lost} of {part.sent} (p = {part.p_value:.2g})"
        )

"""A probe for a terminal: the verdict, a row and a reason for each address, remarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..model.cluster import Service
from ..model.fate import Fate, Observation
from ..model.probing import Judged, Probe
from ..model.version import KubeVersion
from .json.parts import quantile
from .layout import FEW, WORDS, few, listed, of_version, table, wrapped

_HEAD: tuple[str, ...] = ("ADDRESS", "ANSWER", "BY", "POD SAW", "MS", "FITS")
_FIT = {"agrees": "yes", "disagrees": "NO", "not reached": "not reached", "not predicted": "-"}


def report(service: Service, found: Probe, elapsed: float, version: KubeVersion) -> Iterator[str]:
    """All lines. elapsed: seconds."""
    yield from wrapped(f"{service}: {_verdict(service, found)} {of_version(version)}", "")
    yield from wrapped(f"{_fit(found)} ({elapsed:.1f} s).", "")
    yield ""
    rows, reasons = [_HEAD], [""]
    for row in found.rows:
        rows.append(_row(row))
        reasons.append(row.because)
    yield from table(rows, reasons)
    if found.remarks:
        yield ""
    for remark in found.remarks:
        yield from wrapped(remark, "- ", "  ")


def _verdict(service: Service, found: Probe) -> str:
    """What the traffic of the Service itself meets; health checks are not its."""
    rows = [r for r in found.rows if r.tried.flow.destination.kind != "healthCheckNodePort"]
    reached = [row for row in rows if row.verdict != "not reached"]
    lost = [row for row in reached if row.tried.observed.fate is not Fate.DELIVERED]
    policy = service.external_traffic_policy
    place = here(found)
    if not reached:
        return f"{policy}: none of its {len(rows)} addresses can be reached from {place}"
    served = len(reached) - len(lost)
    told = f"{policy}: {served} of {len(reached)} addresses reached from {place} serve"
    if not lost:
        return told
    words = listed(WORDS[row.tried.observed.fate] for row in lost)
    return f"{told}; {few(map(_address, lost), 'addresses')} not: {words}"


def here(found: Probe) -> str:
    """Where it was tried from: this machine, a node, or a pod on one."""
    sources = {row.tried.flow.source for row in found.rows}
    places = {s.node if s.kind == "node" else f"a pod on {s.node}" for s in sources if s.node}
    return ", ".join(sorted(map(str, places))) or "here"


def _fit(found: Probe) -> str:
    counts = Counter(row.verdict for row in found.rows)
    compared = counts["agrees"] + counts["disagrees"]
    parts = []
    if compared and counts["disagrees"]:
        parts.append(f"Prediction and packets DISAGREE in {counts['disagrees']} of {compared} rows")
    elif compared:
        parts.append(f"Prediction and packets agree in {compared} of {compared} rows")
    else:
        parts.append("There was nothing to compare")
    if counts["not reached"]:
        parts.append(f"{counts['not reached']} not reached from {here(found)}")
    return "; ".join(parts)


def _address(row: Judged) -> str:
    to = row.tried.flow.destination
    return f"{to.node} {to}" if to.node else str(to)


def _row(row: Judged) -> tuple[str, ...]:
    tried = row.tried
    seen = tried.observed.seen
    kinds = {"healthCheckNodePort": "health check ", "loadBalancerIP": "load balancer "}
    kind = tried.flow.destination.kind
    same = " (from itself)" if tried.same_node else ""
    return (
        f"{kinds.get(kind, '')}{_address(row)}{same}",
        _answer(tried.observed, tried.status if kind == "healthCheckNodePort" else None),
        few(sorted({one.pod for one in seen if one.pod}), "pods", FEW) or "-",
        few(sorted({one.source_ip for one in seen}), "addresses", FEW) or "-",
        f"{quantile(ms, 0.5):.1f}" if (ms := tried.observed.connect_ms) else "-",
        _FIT[row.verdict],
    )


def _answer(observed: Observation, status: int | None) -> str:
    if observed.fate is Fate.MIXED:
        return ", ".join(f"{count} {WORDS[fate]}" for fate, count in observed.fates.items())
    http = f" {status}" if status is not None else ""
    word = "silence" if observed.fate is Fate.DROPPED else WORDS[observed.fate]
    return f"{word}{http} {observed.attempts}/{observed.attempts}"

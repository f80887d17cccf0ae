"""What several kinds of document hold: flows, what was predicted, what was observed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...model.fate import HealthAnswer, Observation, Outcome
from ...model.flow import Destination, Source
from ...model.inference import Inference


def source(one: Source) -> dict[str, Any]:
    """A flow's source."""
    found = {"kind": one.kind, "name": one.name, "ip": str(one.ip)}
    return found if one.node is None else {**found, "node": one.node}


def destination(one: Destination) -> dict[str, Any]:
    """A flow's destination."""
    found: dict[str, Any] = {"kind": one.kind}
    if one.node is not None:
        found["node"] = one.node
    return found | {"address": str(one.address), "port": one.port, "protocol": one.protocol}


def outcome(one: Outcome) -> dict[str, Any]:
    """An OUTCOME; its steps only where they were asked for."""
    found: dict[str, Any] = {
        "fate": str(one.fate),
        "reason": one.reason,
        "clientIP": one.client_ip,
        "backends": [
            {
                "pod": b.pod,
                "node": b.node,
                "address": b.address,
                "share": b.share,
                "sourceIP": str(b.source_ip),
                "hops": b.hops,
            }
            for b in one.backends
        ],
    }
    if one.steps:
        found["steps"] = [
            {"node": s.node, "what": s.what, "rule": s.rule, "chain": s.chain} for s in one.steps
        ]
    if one.http is not None:
        found["http"] = _health(one.http)
    if one.certainty is not None:
        found["certainty"] = one.certainty
    return found


def observation(one: Observation) -> dict[str, Any]:
    """An OBSERVATION."""
    pods, sources = Counter[str](), Counter[str]()
    for seen, count in one.seen.items():
        pods[seen.pod] += count
        sources[seen.source_ip] += count
    found = {
        "fate": str(one.fate),
        "attempts": one.attempts,
        "fates": {str(fate): count for fate, count in one.fates.items()},
        "backends": dict(pods),
        "sourceIPs": dict(sources),
        "hops": {str(hops): count for hops, count in one.hops.items()},
        "connectMs": {"p50": quantile(one.connect_ms, 0.5), "p99": quantile(one.connect_ms, 0.99)}
        if one.connect_ms
        else None,
        "evidence": one.evidence,
    }
    return found if one.http is None else found | {"http": _health(one.http)}


def _health(answer: HealthAnswer) -> dict[str, int]:
    return {"status": answer.status, "localEndpoints": answer.local_endpoints}


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """The nearest-rank quantile of ascending values."""
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def inferred(inferences: Sequence[Inference]) -> dict[str, Any]:
    """What was found of a real cluster beside its objects; nothing for another input."""
    if not inferences:
        return {}
    return {"inferred": [asdict(one) for one in inferences]}

"""The documents of `-o json` (product.md): apiVersion secondhop/v1, shapes kept by a schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..model.claim import Claim
from ..model.cluster import Policy, Service
from ..model.difference import Change, Difference
from ..model.failover import Failover
from ..model.fate import Fate, HealthAnswer, Observation, Outcome, Trial
from ..model.finding import Check, Where
from ..model.flow import Destination, Flow, Source
from ..model.inference import Inference
from ..model.probing import Judged, Probe
from ..model.share import Share
from ..model.trace import Addresses, Trace, Way
from ..model.version import KubeVersion

API_VERSION = "secondhop/v1"


def experiment(
    service: Service,
    trials: Sequence[Trial],
    claims: Sequence[Claim],
    elapsed: float,
    notes: Sequence[str],
    version: KubeVersion,
    inferences: Sequence[Inference] = (),
) -> str:
    """An Experiment document. elapsed: seconds; notes: what was assumed or left out; inferences: of
    a real cluster."""
    return document(
        "Experiment",
        version,
        {
            "service": str(service),
            "agree": all(t.agree for t in trials),
            "elapsedSeconds": round(elapsed, 3),
            "trials": [trial(t) for t in trials],
            "claims": [asdict(claim) for claim in claims],
            "notes": list(notes),
            **inferred(inferences),
        },
    )


def probe(
    service: Service,
    found: Probe,
    elapsed: float,
    notes: Sequence[str],
    inferences: Sequence[Inference],
    version: KubeVersion,
) -> str:
    """A Probe document. elapsed: seconds."""
    return document(
        "Probe",
        version,
        {
            "service": str(service),
            "agree": found.agree,
            "elapsedSeconds": round(elapsed, 3),
            "trials": [_judged(row) for row in found.rows],
            "remarks": list(found.remarks),
            "notes": list(notes),
            **inferred(inferences),
        },
    )


def _judged(row: Judged) -> dict[str, Any]:
    tried = row.tried
    return {
        "source": source(tried.flow.source),
        "destination": destination(tried.flow.destination),
        "predicted": [{"via": one.via, "outcome": outcome(one.outcome)} for one in row.predicted],
        "observed": observation(tried.observed),
        "reached": tried.reached,
        "controls": [one._asdict() for one in tried.controls],
        "httpStatus": tried.status,
        "sameNode": tried.same_node,
        "verdict": row.verdict,
        "because": row.because,
    }


def predictions(
    service: Service, rows: Sequence[tuple[Policy, Flow, Outcome]], version: KubeVersion
) -> str:
    """A Prediction document of the experiment's rows, where nothing could be observed."""
    cells = [{**_cell(service, flow, told), "policy": policy} for policy, flow, told in rows]
    return document("Prediction", version, {"cells": cells})


def prediction(
    cells: Iterable[tuple[Service | None, Flow, Outcome]],
    version: KubeVersion,
    found: Failover | None = None,
    inferences: Sequence[Inference] = (),
) -> Iterator[str]:
    """A Prediction document in pieces, one cell a line: there may be millions. found: of the one
    Service that they are about. inferences: of a real cluster."""
    head = json.dumps(_head("Prediction", version)).removesuffix("}")
    yield f'{head}, "cells": ['
    before = "\n "
    for cell in cells:
        yield before + json.dumps(_cell(*cell))
        before = ",\n "
    yield "\n]"
    if found is not None:
        yield f', "failover": {json.dumps(failover(found))}'
    if inferences:
        yield f', "inferred": {json.dumps(inferred(inferences)["inferred"])}'
    yield "}\n"


def _cell(service: Service | None, flow: Flow, predicted: Outcome) -> dict[str, Any]:
    return {
        "service": None if service is None else str(service),
        "source": source(flow.source),
        "destination": destination(flow.destination),
        "via": flow.via,
        "predicted": outcome(predicted),
    }


def inferred(inferences: Sequence[Inference]) -> dict[str, Any]:
    """What was found of a real cluster beside its objects; nothing for another input."""
    if not inferences:
        return {}
    return {"inferred": [asdict(one) for one in inferences]}


def failover(found: Failover) -> dict[str, Any]:
    """What a lost node and a rollout cost."""
    return {
        "balancer": found.balancer,
        "nodeGraceSeconds": found.grace,
        "detectionSeconds": found.detection,
        "nodeLosses": [
            {
                "nodes": list(loss.nodes),
                "certainty": loss.certainty,
                "pods": loss.pods,
                "podsLeft": loss.left,
                "movable": loss.movable,
                "entering": loss.entering,
                "throughOthers": loss.through_others,
                "lostBefore": loss.before,
                "phases": [{"untilSeconds": p.until, "lost": p.lost} for p in loss.phases],
                "nodesServing": loss.serving,
                "nodesDark": loss.dark,
            }
            for loss in found.losses
        ],
        "rollouts": [
            {
                "workload": one.workload,
                "wanted": one.wanted,
                "leastReady": one.least,
                "most": one.most,
                "nodeWithoutReadyPod": one.dark,
                "terminatingFallback": one.covered,
                "servedSeconds": one.served,
                "neededSeconds": one.needed,
                "fallsShort": one.falls_short,
                "readinessProbe": one.probed,
            }
            for one in found.rollouts
        ],
    }


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


def trial(one: Trial) -> dict[str, Any]:
    """One row of an experiment."""
    return {
        "policy": one.policy,
        "source": source(one.flow.source),
        "destination": destination(one.flow.destination),
        "via": one.flow.via,
        "predicted": outcome(one.predicted),
        "observed": observation(one.observed),
        "agree": one.agree,
    }


def difference(found: Difference, inferences: Sequence[Inference] = ()) -> str:
    """A Difference document. inferences: of a real cluster."""
    return document(
        "Difference",
        found.cluster.kube_version,
        {
            "service": str(found.service),
            "set": list(found.settings),
            "changed": not found.is_empty,
            "nodes": {
                "dark": list(found.entries(Fate.DELIVERED, Fate.DROPPED)),
                "refusing": list(found.entries(Fate.DELIVERED, Fate.REJECTED)),
            },
            "alike": {name: list(names) for name, names in found.alike.items()},
            "changes": [_change(change) for change in found.changes],
            "balancer": found.balancer,
            "shares": {
                "before": [_share(share) for share in found.shares_before],
                "after": [_share(share) for share in found.shares_after],
            },
            "networkPolicies": [
                {
                    "policy": one.policy,
                    "pods": list(one.pods),
                    "before": {str(ip): admitted for ip, admitted in one.before.items()},
                    "after": {str(ip): admitted for ip, admitted in one.after.items()},
                    "cutOff": one.cut_off,
                }
                for one in found.admissions
            ],
            "liveConnectionsCut": False,
            "advice": list(found.advice),
            **inferred(inferences),
        },
    )


def _change(one: Change) -> dict[str, Any]:
    return {
        "sources": [source(sender) for sender in one.sources],
        "destination": destination(one.destination),
        "vias": list(one.vias),
        "before": None if one.before is None else outcome(one.before),
        "after": None if one.after is None else outcome(one.after),
    }


def _share(one: Share) -> dict[str, Any]:
    return {
        "port": one.port.port,
        "protocol": one.port.protocol,
        "family": f"IPv{one.family}",
        "holder": one.holder,
        "entries": dict(one.entries),
        "pods": dict(one.pods),
        "lost": {str(fate): share for fate, share in one.lost.items()},
        "unsent": one.unsent,
        "sources": list(one.sources),
    }


def trace(told: Trace, version: KubeVersion, elapsed: float, notes: Sequence[str]) -> str:
    """A Trace document. elapsed: seconds; notes: what was assumed or left out."""
    recording = told.recording
    return document(
        "Trace",
        version,
        {
            "service": None if told.service is None else str(told.service),
            "source": source(told.flow.source),
            "destination": destination(told.flow.destination),
            "via": told.flow.via,
            "predicted": outcome(told.predicted),
            "observed": {
                "fate": str(recording.fate),
                "pod": recording.seen.pod if recording.seen else None,
                "sourceIP": recording.seen.source_ip if recording.seen else None,
                "evidence": recording.evidence,
            },
            "agree": told.agree,
            "elapsedSeconds": round(elapsed, 3),
            "stations": [{**one._asdict(), "same": one.same} for one in told.stations],
            "ways": [_way(way) for way in told.ways],
            "notes": [*recording.notes, *notes],
        },
    )


def _way(way: Way) -> dict[str, Any]:
    return {
        "packet": way.packet,
        "request": way.request,
        "origin": _addresses(way.origin),
        "sightings": [
            {
                "microseconds": round(one.seconds * 1e6, 3),
                "place": one.place,
                "interface": one.device,
                "direction": "out" if one.outgoing else "in",
                "addresses": _addresses(one.addresses),
                "ttl": one.ttl,
                "encapsulatedIn": one.outer and _addresses(one.outer),
                "change": one.change,
                "rulesBefore": [asdict(rule) for rule in one.rules],
            }
            for one in way.sightings
        ],
        "rulesAtTheEnd": [asdict(rule) for rule in way.last],
    }


def _addresses(one: Addresses) -> dict[str, Any]:
    return {
        "source": one.source,
        "sourcePort": one.source_port,
        "destination": one.destination,
        "destinationPort": one.destination_port,
        "protocol": one.protocol,
    }


def check(found: Check, inferences: Sequence[Inference] = ()) -> str:
    """A Check document. inferences: of a real cluster."""
    return document(
        "Check",
        found.cluster.kube_version,
        {
            "services": found.services,
            "balancer": found.balancer,
            "met": found.met,
            "requirements": [
                {
                    "requirement": one.asked,
                    "subject": one.subject,
                    "holds": one.holds,
                    "why": one.why,
                    **_place(one.where),
                }
                for one in found.requirements
            ],
            "findings": [
                {
                    "id": one.id,
                    "severity": one.severity,
                    "certainty": one.certainty,
                    "subject": one.subject,
                    "field": one.field,
                    "message": one.message,
                    "remedy": one.remedy,
                    **_place(one.where),
                }
                for one in found.findings
            ],
            "notes": list(found.notes),
            **inferred(inferences),
        },
    )


def _place(where: Where | None) -> dict[str, Any]:
    return {"file": where.file if where else None, "line": (where and where.line) or None}


def document(kind: str, version: KubeVersion | None, fields: Mapping[str, Any]) -> str:
    """One document of ours, ready to print. version: of the rules, None where there are none."""
    return json.dumps({**_head(kind, version), **fields}, indent=1)


def _head(kind: str, version: KubeVersion | None) -> dict[str, Any]:
    head = {"apiVersion": API_VERSION, "kind": kind}
    return head if version is None else head | {"kubeVersion": str(version)}

"""The Trace document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...model.trace import Addresses, Trace, Way
from ...model.version import KubeVersion
from . import document
from .parts import destination, outcome, source


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

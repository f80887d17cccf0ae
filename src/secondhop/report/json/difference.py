"""The Difference document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...model.difference import Change, Difference
from ...model.fate import Fate
from ...model.inference import Inference
from ...model.share import Share
from . import document
from .parts import destination, inferred, outcome, source


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

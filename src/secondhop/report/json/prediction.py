"""The Prediction document: of an experiment's rows, or of any number of flows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...model.cluster import Policy, Service
from ...model.failover import Failover
from ...model.fate import Outcome
from ...model.flow import Flow
from ...model.inference import Inference
from ...model.version import KubeVersion
from . import document, head
from .parts import destination, inferred, outcome, source


def prediction(
    cells: Iterable[tuple[Service | None, Flow, Outcome]],
    version: KubeVersion,
    found: Failover | None = None,
    inferences: Sequence[Inference] = (),
) -> Iterator[str]:
    """A Prediction document in pieces, one cell a line: there may be millions. found: of the one
    Service that they are about. inferences: of a real cluster."""
    begun = json.dumps(head("Prediction", version)).removesuffix("}")
    yield f'{begun}, "cells": ['
    before = "\n "
    for cell in cells:
        yield before + json.dumps(_cell(*cell))
        before = ",\n "
    yield "\n]"
    if found is not None:
        yield f', "failover": {json.dumps(_failover(found))}'
    if inferences:
        yield f', "inferred": {json.dumps(inferred(inferences)["inferred"])}'
    yield "}\n"


def predictions(
    service: Service, rows: Sequence[tuple[Policy, Flow, Outcome]], version: KubeVersion
) -> str:
    """A Prediction document of the experiment's rows, where nothing could be observed."""
    cells = [{**_cell(service, flow, told), "policy": policy} for policy, flow, told in rows]
    return document("Prediction", version, {"cells": cells})


def _cell(service: Service | None, flow: Flow, predicted: Outcome) -> dict[str, Any]:
    return {
        "service": None if service is None else str(service),
        "source": source(flow.source),
        "destination": destination(flow.destination),
        "via": flow.via,
        "predicted": outcome(predicted),
    }


def _failover(found: Failover) -> dict[str, Any]:
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

"""The documents of `-o json`."""

import json
from dataclasses import replace

from secondhop.model.fate import HealthAnswer, Step
from secondhop.model.flow import Flow
from secondhop.model.version import NEWEST
from secondhop.report.json.parts import outcome as told
from secondhop.report.json.prediction import prediction

from .build import SERVICE, outcome, row


def test_a_prediction_without_cells_is_a_document() -> None:
    text = "".join(prediction([], NEWEST))
    assert json.loads(text) == {
        "apiVersion": "secondhop/v1",
        "kind": "Prediction",
        "kubeVersion": "1.36",
        "cells": [],
    }


def test_each_cell_is_a_line() -> None:
    made = row(0, outcome("10.50.0.1"))
    flow = Flow(made.sources[0], made.destination)
    text = "".join(prediction([(SERVICE, flow, made.outcome), (None, flow, made.outcome)], NEWEST))
    assert text.count("\n") == 4
    first, second = json.loads(text)["cells"]
    assert (first["service"], second.pop("service")) == ("default/web", None)
    assert second == {key: first[key] for key in second}


def test_steps_and_health_answers_are_there_where_they_mean_something() -> None:
    plain = outcome()
    assert set(told(plain)) == {"fate", "reason", "clientIP", "backends"}
    step = Step("n0", "takes it", "Service default/web")
    health = outcome(health=HealthAnswer(200, 2))
    assert told(health)["http"] == {"status": 200, "localEndpoints": 2}
    assert told(replace(plain, steps=(step,)))["steps"] == [
        {"node": "n0", "what": "takes it", "rule": "Service default/web", "chain": ""}
    ]

"""`secondhop schema`: every real document is valid, and a renamed field is not."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from comparisons import comparison
from jsonschema import Draft202012Validator

from secondhop.report.comparison import as_json
from secondhop.report.schema import KINDS, schema

from .conftest import Secondhop

GOOD = str(Path(__file__).parents[2] / "fixtures" / "reference" / "good.yaml")
OUTPUTS = {
    "run": ["run", "-o", "json"],
    "explain": ["explain", "-o", "json"],
    "explain --all": ["explain", "--all", "-o", "json"],
    "explain --to": ["explain", "--to", "192.168.8.1:30316", "-o", "json"],
    "explain --to, of no Service": ["explain", "--to", "192.168.8.1:22", "-o", "json"],
    "diff": ["diff", "svc/traffic-test", "--set", "externalTrafficPolicy=Local", "-o", "json"],
    "diff of nothing": ["diff", "svc/traffic-test", "--set", "type=NodePort", "-o", "json"],
    "check": ["check", "-f", GOOD, "--require", "client-ip", "-o", "json"],
    "doctor": ["doctor", "-o", "json"],
}
MAPS = {
    ".observed.": {"fates", "backends", "sourceIPs", "hops"},
    ".shares.": {"entries", "pods", "lost"},
    ".rest[": {"fates", "pods", "predictedShares", "hops"},
    ".disturbances[": {"answeredMeanwhile"},
    ".setup.": {"nodes"},
}
"""Fields below these whose keys are data."""


@pytest.fixture(scope="module", params=[*OUTPUTS, "compare"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a verb prints. `run` and `doctor` speak even where there can be no lab; `compare`, which
    takes its time, of measurements that are made up."""
    if request.param == "compare":
        made_up: dict[str, Any] = json.loads(as_json(comparison()))
        return made_up
    code = "from secondhop.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *OUTPUTS[request.param]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1, 3), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(schema(kind))


def test_real_output_is_valid(document: dict[str, Any]) -> None:
    assert list(validator(document["kind"]).iter_errors(document)) == []


def renamed(value: Any, inside: str = "") -> Iterator[tuple[str, Callable[[], None]]]:
    """Every field below a value by its path, and how to rename it there."""
    if isinstance(value, list):
        for number, item in enumerate(value[:1]):
            yield from renamed(item, f"{inside}[{number}]")
    if isinstance(value, dict):
        field = inside.rpartition(".")[2]
        data = any(part in inside and field in fields for part, fields in MAPS.items())
        for key in list(value):
            if not data:
                yield f"{inside}.{key}", lambda k=key: value.update({k + "X": value.pop(k)})  # type: ignore[misc]
            yield from renamed(value[key], f"{inside}.{key}")


def test_no_field_can_be_renamed(document: dict[str, Any]) -> None:
    check = validator(document["kind"])
    paths = [path for path, _ in renamed(document)]
    assert len(paths) > 5
    for number, path in enumerate(paths):
        spoilt = copy.deepcopy(document)
        list(renamed(spoilt))[number][1]()
        assert not check.is_valid(spoilt), path


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_sound_and_complete_in_itself(secondhop: Secondhop, kind: str) -> None:
    done = secondhop("schema", kind)
    printed = json.loads(done.out)
    Draft202012Validator.check_schema(printed)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed == schema(kind)
    used = set(done.out.split('"$ref": "#/$defs/')[1:])
    assert {text.partition('"')[0] for text in used} == set(printed["$defs"])


def test_health_answers_are_part_of_the_schema() -> None:
    outcome: dict[str, Any] = {"fate": "delivered", "reason": "r", "clientIP": None, "backends": []}
    source = {"kind": "client", "name": "client", "ip": "192.168.22.2"}
    to = {"kind": "healthCheckNodePort", "node": "n", "address": "::1", "port": 1}
    cell = {
        "service": "a/b",
        "source": source,
        "destination": {**to, "protocol": "TCP"},
        "via": None,
        "predicted": {**outcome, "http": {"status": 200, "localEndpoints": 2}},
    }
    check = validator("Prediction")
    whole: dict[str, Any] = {
        "apiVersion": "secondhop/v1",
        "kind": "Prediction",
        "kubeVersion": "1.36",
    }
    whole["cells"] = [cell]
    assert check.is_valid(whole)
    for wrong in ({"kind": "pod"}, {"node": "n"}, {"kind": "elsewhere"}):
        assert not check.is_valid({**whole, "cells": [{**cell, "source": {**source, **wrong}}]})


def test_kinds_are_listed(secondhop: Secondhop) -> None:
    assert (
        secondhop("schema").out.split()
        == list(KINDS)
        == [
            "Experiment",
            "Prediction",
            "Difference",
            "Check",
            "Comparison",
            "Trace",
            "Probe",
            "Diagnosis",
        ]
    )


def test_case_does_not_matter(secondhop: Secondhop) -> None:
    assert secondhop("schema", "prediction").out == secondhop("schema", "Prediction").out


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("Predictions", "Did you mean Prediction?"),
        ("diagnose", "Did you mean Diagnosis?"),
        (
            "Lab",
            "There is Experiment, Prediction, Difference, Check, Comparison, Trace, Probe,"
            " Diagnosis.",
        ),
    ],
)
def test_an_unknown_kind_is_refused(secondhop: Secondhop, kind: str, remedy: str) -> None:
    done = secondhop("schema", kind)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"secondhop: there is no kind {kind}\n  {remedy}\n"

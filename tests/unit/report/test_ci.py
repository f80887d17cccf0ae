"""A check for CI systems: SARIF by its schema, JUnit by a reader of its own."""

import json
import re
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from junitparser import Failure, JUnitXml, TestCase, TestSuite

from secondhop.check import CATALOGUE
from secondhop.model.cluster import Cluster, Node
from secondhop.model.finding import Check, Finding, Requirement, Where
from secondhop.report import check, junit, sarif

SCHEMA = Path(__file__).parents[2] / "fixtures" / "sarif" / "sarif-2.1.0.json"
CLUSTER = Cluster((Node("n1", (ip_interface("10.1.0.1/24"),)),), (ip_interface("10.9.0.1/24"),))
WEB = "Service default/web"


def finding(id: str, file: str = "web.yaml", line: int = 7, **fields: Any) -> Finding:
    told: dict[str, Any] = {
        "severity": CATALOGUE[id].severity,
        "certainty": "certain",
        "subject": WEB,
        "field": "spec.type",
        "message": f"this is {id}.",
        "remedy": "Do that.",
        "where": Where(file, line),
    }
    return Finding(id, **(told | fields))


def requirement(name: str, holds: Any, *, line: int = 1) -> Requirement:
    where = Where("web.yaml", line) if line else None
    return Requirement(name, name, WEB, holds, f"because {holds}.", where)


FOUND = Check(
    (
        finding("misplaced-field"),
        finding("misplaced-field", line=9),
        finding("local-drops", file="more/web 2.yaml", certainty="possible"),
        finding("client-ip-lost", line=0),
    ),
    (
        requirement("client-ip", "certain"),
        requirement("no-blackhole", "possible"),
        requirement("valid", "no", line=0),
    ),
    ("web.yaml", "more/web 2.yaml", "clean.yaml"),
    2,
    CLUSTER,
    "every-node",
)
NOTHING = Check((), (), ("clean.yaml",), 1, CLUSTER, "every-node")
ODD = "\x00\x1b[31m <&\"'> \ud800 \uffff é \U0001f600"


def log(found: Check) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(sarif.report(found, CATALOGUE.values()))
    return document


@pytest.mark.parametrize(
    "found",
    [
        FOUND,
        NOTHING,
        Check((finding("local-drops", file="-"),), (), (), 1, CLUSTER, "every-node"),
        Check((finding("local-drops", message=ODD, subject=ODD),), (), (), 1, CLUSTER, "x"),
    ],
)
def test_sarif_is_what_its_schema_says(found: Check) -> None:
    schema = json.loads(SCHEMA.read_text())
    assert list(Draft202012Validator(schema).iter_errors(log(found))) == []


def test_sarif_points_at_the_line() -> None:
    (run,) = log(FOUND)["runs"]
    told = []
    for result in run["results"]:
        (location,) = result["locations"]
        place = location["physicalLocation"]
        line = place.get("region", {}).get("startLine")
        told.append((result["ruleId"], result["level"], place["artifactLocation"]["uri"], line))
    assert told == [
        ("required-no-blackhole", "error", "web.yaml", 1),
        ("required-valid", "error", "web.yaml", None),
        ("misplaced-field", "error", "web.yaml", 7),
        ("misplaced-field", "error", "web.yaml", 9),
        ("local-drops", "warning", "more/web%202.yaml", 7),
        ("client-ip-lost", "note", "web.yaml", None),
    ]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]


def test_every_sarif_result_has_its_rule_and_a_fingerprint_of_its_own() -> None:
    (run,) = log(FOUND)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} >= set(CATALOGUE)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    prints = [json.dumps(result["partialFingerprints"]) for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_a_sarif_fingerprint_does_not_mind_the_line() -> None:
    def prints(line: int) -> Any:
        found = Check((finding("local-drops", line=line),), (), (), 1, CLUSTER, "every-node")
        return log(found)["runs"][0]["results"][0]["partialFingerprints"]

    assert prints(7) == prints(70)


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("./a/../web.yaml", "web.yaml"),
        ("/tmp/my web.yaml", "file:///tmp/my%20web.yaml"),
        ("ä#1.yaml", "%C3%A4%231.yaml"),
    ],
)
def test_sarif_names_files_as_uris(file: str, uri: str) -> None:
    found = Check((finding("local-drops", file=file),), (), (), 1, CLUSTER, "every-node")
    location = log(found)["runs"][0]["results"][0]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == uri


def suites(found: Check) -> list[TestSuite]:
    document = JUnitXml.fromstring(junit.report(found).encode())
    assert isinstance(document, JUnitXml)
    return list(document)


def test_junit_has_a_suite_for_each_file() -> None:
    document = JUnitXml.fromstring(junit.report(FOUND).encode())
    told = [(suite.name, suite.tests, suite.failures) for suite in suites(FOUND)]
    assert told == [
        ("web.yaml", 5, 3),
        ("more/web 2.yaml", 1, 0),
        ("clean.yaml", 1, 0),
        ("requirements", 1, 1),
    ]
    assert (document.tests, document.failures, document.errors) == (8, 4, 0)


def test_junit_fails_for_errors_and_for_requirements_that_do_not_hold() -> None:
    failed = {}
    for suite in suites(FOUND):
        for case in suite:
            assert isinstance(case, TestCase)
            failed[case.name] = [type(result) for result in case.result] == [Failure]
    assert failed == {
        "client-ip": False,
        "no-blackhole": True,
        "valid": True,
        "misplaced-field spec.type": True,
        "local-drops spec.type": False,
        "client-ip-lost spec.type": False,
        "nothing found": False,
    }


def test_junit_holds_any_text() -> None:
    odd = finding("misplaced-field", message=ODD, subject=ODD, field=ODD, file="a<b&\x01.yaml")
    found = Check((odd,), (), (), 1, CLUSTER, "every-node")
    ((case,),) = suites(found)
    assert "é \U0001f600" in case.name
    assert not re.search("[\x00\x1b\ud800\uffff]", junit.report(found))


def test_text_begins_with_the_verdict() -> None:
    lines = list(check.report(FOUND))
    assert lines[:7] == [
        "2 Services: 2 errors, 1 warning, 1 note; requirements that do not hold: no-blackhole,"
        " valid (k8s",
        "1.36)",
        "  client-ip holds, Service default/web: because certain.",
        "  no-blackhole POSSIBLY NOT, Service default/web: because possible.",
        "  valid FAILS, Service default/web: because no.",
        "",
        "web.yaml:7: error misplaced-field",
    ]
    assert "more/web 2.yaml:7: possible warning local-drops" in lines
    assert max(map(len, lines)) <= 100


def test_text_of_nothing() -> None:
    assert list(check.report(NOTHING)) == ["1 Service: nothing found (k8s 1.36)"]

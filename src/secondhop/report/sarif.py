"""A check as SARIF 2.1.0, for code scanning and viewers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..model.finding import Check, Finding, Kind, Requirement, Where

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_REQUIRED = "required-"
"""Begins the rule id of a requirement."""


def report(found: Check, kinds: Iterable[Kind]) -> str:
    """The whole log, of one run. kinds: every kind of finding there is."""
    anywhere = Where(found.files[0], 0) if found.files else None
    rules = [*map(_rule, kinds), *(_requirement_rule(name) for name in _names(found.requirements))]
    index = {rule["id"]: n for n, rule in enumerate(rules)}
    results = [_of_requirement(r, anywhere) for r in found.requirements if not r.met]
    results += map(_of_finding, found.findings)
    seen: Counter[str] = Counter()
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
        result["partialFingerprints"] = {"secondhop/v1": _fingerprint(result, seen)}
    driver = {"name": "secondhop", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "exitCode": 0 if found.met else 1}],
        "properties": {"kubeVersion": str(found.cluster.kube_version), "balancer": found.balancer},
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _rule(kind: Kind) -> dict[str, Any]:
    page = f"docs/findings/{kind.id}.md"
    return {
        "id": kind.id,
        "name": "".join(word.capitalize() for word in kind.id.split("-")),
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": kind.why},
        "help": {"text": f"{kind.why} More: {page}", "markdown": f"{kind.why} More: `{page}`"},
        "defaultConfiguration": {"level": kind.severity},
    }


def _requirement_rule(name: str) -> dict[str, Any]:
    return {
        "id": f"{_REQUIRED}{name}",
        "shortDescription": {"text": f"--require {name}"},
        "defaultConfiguration": {"level": "error"},
    }


def _names(requirements: Iterable[Requirement]) -> Iterator[str]:
    yield from dict.fromkeys(requirement.name for requirement in requirements)


def _of_requirement(one: Requirement, anywhere: Where | None) -> dict[str, Any]:
    """One that does not hold; code scanning wants a file even if it is about all of them."""
    text = f"{one.subject}: {one.asked} does not hold for certain: {one.why}"
    return _result(f"{_REQUIRED}{one.name}", "error", text, one.subject, one.where or anywhere)


def _of_finding(one: Finding) -> dict[str, Any]:
    field = f" {one.field}" if one.field else ""
    text = f"{one.subject}{field}: {one.message}\nRemedy: {one.remedy}"
    result = _result(one.id, one.severity, text, f"{one.subject}{field}", one.where)
    result["properties"] = {"certainty": one.certainty}
    return result


def _result(rule: str, level: str, text: str, name: str, where: Where | None) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name}]}
    if where is not None and where.file != "-":
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(where.file)}}
        if where.line:
            physical["region"] = {"startLine": where.line}
        location["physicalLocation"] = physical
    return {"ruleId": rule, "level": level, "message": {"text": text}, "locations": [location]}


def _uri(file: str) -> str:
    """A relative path stays relative, to where the command ran: viewers join it to the checkout."""
    if os.path.isabs(file):
        return Path(file).as_uri()
    return quote(os.fsencode(Path(os.path.normpath(file)).as_posix()))


def _fingerprint(result: dict[str, Any], seen: Counter[str]) -> str:
    """Equal as long as rule, file and field are, whatever moves around them."""
    location = result["locations"][0]
    file = location.get("physicalLocation", {}).get("artifactLocation", {}).get("uri", "")
    place = "\n".join(
        (result["ruleId"], file, location["logicalLocations"][0]["fullyQualifiedName"])
    )
    seen[place] += 1
    return sha256(f"{place}\n{seen[place]}".encode(errors="replace")).hexdigest()

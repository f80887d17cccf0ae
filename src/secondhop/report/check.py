"""A check for a terminal: the verdict, then requirements, then findings, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..model.finding import Check, Finding, Requirement
from .layout import of_version, wrapped

_WORDS = {"certain": "holds", "possible": "POSSIBLY NOT", "no": "FAILS"}


def report(found: Check) -> Iterator[str]:
    """All lines."""
    yield from wrapped(f"{_verdict(found)} {of_version(found.cluster.kube_version)}", "")
    for requirement in found.requirements:
        yield from _required(requirement)
    for finding in found.findings:
        yield ""
        yield from _told(finding)
    if found.findings:
        yield ""
        yield "More about each: docs/findings/ID.md"


def _verdict(found: Check) -> str:
    counts = Counter(finding.severity for finding in found.findings)
    told = ", ".join(f"{n} {severity}{'s' if n > 1 else ''}" for severity, n in counts.items())
    said = f"{_services(found)}: {told or 'nothing found'}"
    unmet = [requirement for requirement in found.requirements if not requirement.met]
    if unmet:
        names = ", ".join(dict.fromkeys(requirement.asked for requirement in unmet))
        return f"{said}; requirements that do not hold: {names}"
    return f"{said}; every requirement holds" if found.requirements else said


def _services(found: Check) -> str:
    """How many were judged, and how many were not."""
    judged, left_out = found.services, found.left_out
    services = f"{judged or left_out} Service{'' if (judged or left_out) == 1 else 's'}"
    if not left_out:
        return services
    return f"{services} judged, {left_out} not" if judged else f"{services} not judged"


def _required(requirement: Requirement) -> Iterator[str]:
    told = f"{requirement.asked} {_WORDS[requirement.holds]}, {requirement.subject}"
    yield from wrapped(f"{told}: {requirement.why}", "  ", "    ")


def _told(finding: Finding) -> Iterator[str]:
    where = f"{finding.where}: " if finding.where else ""
    possible = "possible " if finding.certainty == "possible" else ""
    yield f"{where}{possible}{finding.severity} {finding.id}"
    field = f" {finding.field}" if finding.field else ""
    yield from wrapped(f"{finding.subject}{field}: {finding.message}")
    yield from wrapped(f"Remedy: {finding.remedy}")

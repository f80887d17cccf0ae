"""The lab against what a real control plane and kube-proxy did: the same packets, real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import groupby

import pytest

from secondhop.lab.client import Lab
from secondhop.model.fate import Observation
from secondhop.model.flow import Flow

from .cases import RATE_LIMITED, Probe, Scenario, key, recorded
from .compare import contradictions

ATTEMPTS = 12
AT_ONCE = 24
EACH_TIME = {
    f"{recording} {mode}"
    for recording in ("truth6 v2", "truth6 s1", "truth t1")
    for mode in ("iptables", "nftables")
}
"""Those that are played unasked: datagrams, hairpin, localhost. The others
take minutes: `make soak`."""


def _marks(scenario: Scenario) -> list[pytest.MarkDecorator]:
    name, _, _ = scenario.name.partition(":")
    return [] if name in EACH_TIME else [pytest.mark.soak]


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(one, marks=_marks(one), id=one.name) for one in recorded()],
)
def test_a_recorded_scenario_on_the_lab(able: None, scenario: Scenario) -> None:
    """Fates and health checks as recorded; pods, sources and shares as strictly as the recording
    itself is held against predict."""
    played = replace(scenario, probes=tuple(_played(scenario)))
    comparable = [p for p in scenario.probes if key(scenario, p) not in RATE_LIMITED]
    assert {key(scenario, p): (p.fate, p.http) for p in played.probes} == {
        key(scenario, p): (p.fate, p.http) for p in comparable
    }
    assert contradictions(played) == []


def _played(scenario: Scenario) -> Iterator[Probe]:
    """The comparable probes, with what came of them here."""
    probes = [p for p in scenario.probes if key(scenario, p) not in RATE_LIMITED]
    probes.sort(key=lambda probe: probe.flow.via or "")
    with Lab() as lab:
        lab.start(scenario.cluster)
        lab.program(scenario.cluster)
        for _, group in groupby(probes, key=lambda probe: probe.flow.via):
            same = list(group)
            for at in range(0, len(same), AT_ONCE):
                part = same[at : at + AT_ONCE]
                seen = lab.observe([_asked(probe) for probe in part], ATTEMPTS)
                for probe, (observed, _) in zip(part, seen, strict=True):
                    yield _with(probe, observed)


def _asked(probe: Probe) -> Flow:
    """A health check is asked in its own way."""
    to = probe.flow.destination
    if probe.http is None:
        return probe.flow
    return replace(probe.flow, destination=replace(to, kind="healthCheckNodePort"))


def _with(probe: Probe, observed: Observation) -> Probe:
    pods, sources = Counter[str](), Counter[str]()
    for one, count in observed.seen.items():
        pods[one.pod] += count
        sources[one.source_ip] += count
    return replace(
        probe,
        attempts=observed.attempts,
        fate=observed.fate,
        pods=pods,
        sources={ip_address(source): count for source, count in sources.items()},
        http=observed.http,
    )

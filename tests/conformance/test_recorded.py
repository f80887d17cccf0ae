"""predict against what a real control plane and kube-proxy did, IPv4 and dual-stack."""

import pytest

from secondhop.model.fate import Fate

from .cases import RATE_LIMITED, Scenario, key, recorded
from .compare import contradictions


@pytest.mark.parametrize("scenario", recorded(), ids=lambda scenario: scenario.name)
def test_a_recorded_scenario(scenario: Scenario) -> None:
    assert contradictions(scenario) == []


def test_nothing_is_left_out() -> None:
    assert len(recorded()) == 186
    assert sum(len(scenario.probes) for scenario in recorded()) == 7596


def test_the_incomparable_probes_are_rejects_that_the_rate_limit_swallowed() -> None:
    left_out = 0
    for scenario in recorded():
        silent = [p for p in scenario.probes if key(scenario, p) in RATE_LIMITED]
        for probe in silent:
            assert probe.fate is Fate.DROPPED
            assert any(
                other.fate is Fate.REJECTED and other.flow.destination == probe.flow.destination
                for other in scenario.probes
            )
        left_out += len(silent)
    assert left_out == len(RATE_LIMITED)

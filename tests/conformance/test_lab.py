"""The lab against what a real cluster did: its recorded probes, made with real packets."""

import pytest

from .cases import Scenario, recorded
from .lab import contradictions, sample

FEW = 4
"""Attempts of a probe, where its pods need no more."""


@pytest.fixture(autouse=True)
def _able(able: None) -> None:
    """Skipped where doctor says that the kernel cannot."""


@pytest.mark.parametrize("scenario", sample(), ids=lambda scenario: scenario.name)
def test_the_lab_does_what_was_recorded(scenario: Scenario) -> None:
    assert contradictions(scenario, FEW) == []


@pytest.mark.soak
@pytest.mark.parametrize("scenario", recorded(), ids=lambda scenario: scenario.name)
def test_the_lab_does_all_that_was_recorded(scenario: Scenario) -> None:
    assert contradictions(scenario) == []

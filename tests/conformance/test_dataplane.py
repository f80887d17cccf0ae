"""The rules of the iptables mode, walked by packets: Kubernetes' unit tests and the recordings."""

import pytest

from .cases import Scenario, Selection, UnitFlow, categorize
from .dataplane import selection_contradiction, unit_flow_contradiction, unit_flows
from .routed import contradictions, scenarios


@pytest.mark.parametrize("case", unit_flows(), ids=lambda case: str(case.number))
def test_a_packet(case: UnitFlow) -> None:
    assert unit_flow_contradiction(case) == ""


@pytest.mark.parametrize("case", categorize(), ids=lambda case: str(case.number))
def test_an_endpoint_selection(case: Selection) -> None:
    assert selection_contradiction(case) == ""


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_a_recorded_scenario(scenario: Scenario) -> None:
    assert contradictions(scenario) == []


def test_nothing_is_left_out() -> None:
    assert (len(unit_flows()), len(categorize()), len(scenarios())) == (246, 32, 93)
    assert sum(len(scenario.probes) for scenario in scenarios()) == 3800

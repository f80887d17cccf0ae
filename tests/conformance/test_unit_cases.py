"""predict against the cases of Kubernetes' own unit tests: 464 packets and 32 selections."""

import pytest

from .cases import Selection, UnitFlow, categorize, packetflow
from .compare import selection_contradiction, unit_flow_contradiction


@pytest.mark.parametrize("case", packetflow(), ids=lambda case: str(case.number))
def test_a_packet(case: UnitFlow) -> None:
    assert unit_flow_contradiction(case) == ""


@pytest.mark.parametrize("case", categorize(), ids=lambda case: str(case.number))
def test_an_endpoint_selection(case: Selection) -> None:
    assert selection_contradiction(case) == ""


def test_nothing_is_left_out() -> None:
    assert sorted(case.number for case in packetflow()) == list(range(464))
    assert sorted(case.number for case in categorize()) == list(range(32))

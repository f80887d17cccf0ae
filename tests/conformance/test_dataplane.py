"""The rules of the iptables mode, walked by packets: Kubernetes' unit tests and the recordings."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from secondhop.dataplane import iptables

from .cases import Scenario, Selection, UnitFlow, categorize
from .dataplane import selection_contradiction, unit_flow_contradiction, unit_flows
from .routed import contradictions, scenarios
from .walker import Packet, Walker, told


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


def test_the_first_listed_endpoint_that_remembers_the_source_gets_it() -> None:
    """semantics §5.3, §13.1: whichever way the connection came, and whoever was used last."""
    [case] = [case for case in unit_flows() if case.number == 219]
    [service] = [s for s in case.cluster.services if s.name == "svc4"]
    sticky = replace(service, affinity_timeout=10)
    cluster, node = replace(case.cluster, services=(sticky,)), case.cluster.nodes[0]
    rules = iptables.rules(cluster, node, counters=False)
    remembers = [name for name in rules["nat"] if name.startswith("KUBE-SEP-")]
    for destination in (*service.cluster_ips, *service.external_ips):
        packet = Packet(ip_address("10.0.0.2"), destination, 80)

        def given(*names: str, packet: Packet = packet) -> str:
            return told(Walker(rules, (), names).walk(packet, made_here=False))

        assert given() == "10.180.0.4:80, 10.180.0.5:80"
        assert given(remembers[1]) == "10.180.0.5:80"
        assert given(*remembers) == "10.180.0.4:80"

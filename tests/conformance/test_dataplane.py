"""The rules of both modes, walked by packets: Kubernetes' unit tests and the recordings."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from secondhop.model.cluster import ProxyMode

from .cases import Scenario, Selection, UnitFlow, categorize, packetflow, recorded
from .dataplane import MODES, selection_contradiction, unit_flow_contradiction
from .routed import contradictions, walker_of
from .walker import Packet, told


@pytest.mark.parametrize("case", packetflow(), ids=lambda case: str(case.number))
def test_a_packet(case: UnitFlow) -> None:
    assert unit_flow_contradiction(case) == ""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", categorize(), ids=lambda case: str(case.number))
def test_an_endpoint_selection(case: Selection, mode: ProxyMode) -> None:
    assert selection_contradiction(case, mode) == ""


@pytest.mark.parametrize("scenario", recorded(), ids=lambda scenario: scenario.name)
def test_a_recorded_scenario(scenario: Scenario) -> None:
    assert contradictions(scenario) == []


def test_nothing_is_left_out() -> None:
    assert (len(packetflow()), len(categorize()), len(recorded())) == (246 + 218, 32, 93 + 93)
    assert sum(len(scenario.probes) for scenario in recorded()) == 7596


@pytest.mark.parametrize(
    ("mode", "memory"),
    [
        ("iptables", ("KUBE-SEP-UKSFD7AGPMPPLUHC", "KUBE-SEP-C6EBXVWJJZMIWKLZ")),
        (
            "nftables",
            (
                "affinity-UNZV3OEC-ns4/svc4/tcp/p80__10.180.0.4/80",
                "affinity-5RFCDDV7-ns4/svc4/tcp/p80__10.180.0.5/80",
            ),
        ),
    ],
)
def test_the_first_listed_endpoint_that_remembers_the_source_gets_it(
    mode: ProxyMode, memory: tuple[str, str]
) -> None:
    """semantics §5.3, §13.1: whichever way the connection came, and whoever was used last."""
    [case] = [case for case in packetflow() if case.number == 219]
    [service] = [s for s in case.cluster.services if s.name == "svc4"]
    sticky = replace(service, affinity_timeout=10)
    proxy = replace(case.cluster.proxy, mode=mode)
    cluster = replace(case.cluster, services=(sticky,), proxy=proxy)
    for destination in (*service.cluster_ips, *service.external_ips):
        packet = Packet(ip_address("10.0.0.2"), destination, 80)

        def given(*names: str, packet: Packet = packet) -> str:
            walker = walker_of(cluster, cluster.nodes[0], 4, names)
            return told(walker.walk(packet, made_here=False))

        assert given() == "10.180.0.4:80, 10.180.0.5:80"
        assert given(memory[1]) == "10.180.0.5:80"
        assert given(*memory) == "10.180.0.4:80"

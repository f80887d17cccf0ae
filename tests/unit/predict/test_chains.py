"""Chain names as a real kube-proxy wrote them for Services `default/web` and `default/kubernetes`
(read off the rules of a recorded node)."""

import pytest

from secondhop.model.cluster import ServicePortName
from secondhop.predict.chains import Part, service_chain

WEB = ServicePortName("default", "web", "p", "TCP")


@pytest.mark.parametrize(
    ("part", "iptables", "nftables"),
    [
        ("service", "KUBE-SVC-446JGJO3FXDO7OFC", "service-X546UWPH-default/web/tcp/p"),
        ("local", "KUBE-SVL-446JGJO3FXDO7OFC", "local-X546UWPH-default/web/tcp/p"),
        ("firewall", "KUBE-FW-446JGJO3FXDO7OFC", "firewall-X546UWPH-default/web/tcp/p"),
    ],
)
def test_a_chain_of_each_kind(part: Part, iptables: str, nftables: str) -> None:
    assert service_chain("iptables", part, WEB) == iptables
    assert service_chain("nftables", part, WEB) == nftables


def test_another_service_port() -> None:
    name = ServicePortName("default", "kubernetes", "https", "TCP")
    assert service_chain("iptables", "service", name) == "KUBE-SVC-NPX46M4PTMTKRN6Y"
    expected = "service-2QRHZV4L-default/kubernetes/tcp/https"
    assert service_chain("nftables", "service", name) == expected

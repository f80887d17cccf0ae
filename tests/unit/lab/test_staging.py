"""Objects as an API server would have stored them."""

from typing import Any

import pytest
from support import service as manifest
from support import world

from secondhop.lab.staging import service


@pytest.mark.parametrize(
    ("ips", "families"),
    [
        (["10.43.0.7"], ["IPv4"]),
        (["fd00:43::7"], ["IPv6"]),
        (["10.43.0.7", "fd00:43::7"], ["IPv4", "IPv6"]),
        (["fd00:43::7", "10.43.0.7"], ["IPv6", "IPv4"]),
    ],
)
def test_a_service_says_its_families(ips: list[str], families: list[str]) -> None:
    """kube-proxy finds the second clusterIP by them, and by nothing else."""
    policy = "RequireDualStack" if len(ips) > 1 else "SingleStack"
    own: dict[str, Any] = {"clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": families}
    cluster = world(manifest(ipFamilyPolicy=policy, **own)).cluster
    spec = service(cluster.services[0])["spec"]
    assert (spec["clusterIPs"], spec["ipFamilies"]) == (ips, families)

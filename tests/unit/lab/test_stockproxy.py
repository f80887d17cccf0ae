"""What a stock kube-proxy is told, and what its metrics say."""

from ipaddress import ip_network

import pytest

from secondhop.lab.stockproxy import Stamps, configuration, stamps
from secondhop.model.cluster import Proxy

NAME = "kubeproxy_sync_proxy_rules_last"


@pytest.mark.parametrize(
    ("proxy", "path", "expected"),
    [
        (Proxy(), ["mode"], "iptables"),
        (Proxy(mode="nftables"), ["mode"], "nftables"),
        (Proxy(), ["hostnameOverride"], "gz1"),
        (Proxy(), ["clientConnection", "kubeconfig"], "/the/kubeconfig"),
        (Proxy(), ["nodePortAddresses"], []),
        (Proxy(node_port_addresses=("primary",)), ["nodePortAddresses"], ["primary"]),
        (
            Proxy(detect_local=(ip_network("10.42.0.0/16"), ip_network("fd00::/48"))),
            ["clusterCIDR"],
            "10.42.0.0/16,fd00::/48",
        ),
        (Proxy(masquerade_all=True), ["iptables", "masqueradeAll"], True),
        (Proxy(masquerade_all=True), ["nftables", "masqueradeAll"], True),
        (Proxy(localhost_node_ports=False), ["iptables", "localhostNodePorts"], False),
        (Proxy(), ["conntrack", "maxPerCore"], 0),  # stack.md, trap 22
        (Proxy(), ["conntrack", "min"], 0),
    ],
)
def test_the_configuration_is_the_clusters(proxy: Proxy, path: list[str], expected: object) -> None:
    found: object = configuration(proxy, "gz1", "/the/kubeconfig")
    for part in path:
        assert isinstance(found, dict)
        found = found[part]
    assert found == expected


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("", Stamps(0, 0, rests=True)),
        # before the first sync
        (f"{NAME}_queued_timestamp_seconds 1.5e+09", Stamps(1.5e9, 0, rests=False)),
        # without families, as before 1.34
        (
            f"{NAME}_queued_timestamp_seconds 1.5e+09\n{NAME}_timestamp_seconds 1.6e+09\n",
            Stamps(1.5e9, 1.6e9, rests=True),
        ),
        # asked again since
        (
            f"{NAME}_queued_timestamp_seconds 7\n{NAME}_timestamp_seconds 6\n",
            Stamps(7, 6, rests=False),
        ),
        # one family is behind
        (
            f'{NAME}_queued_timestamp_seconds{{ip_family="IPv4"}} 1\n'
            f'{NAME}_queued_timestamp_seconds{{ip_family="IPv6"}} 5\n'
            f'{NAME}_timestamp_seconds{{ip_family="IPv4"}} 4\n'
            f'{NAME}_timestamp_seconds{{ip_family="IPv6"}} 3\n',
            Stamps(5, 3, rests=False),
        ),
        # a family that is never asked does not count; other metrics neither
        (
            f'# HELP {NAME}_timestamp_seconds x\n'
            f'{NAME}_queued_timestamp_seconds{{ip_family="IPv4"}} 1\n'
            f'{NAME}_queued_timestamp_seconds{{ip_family="IPv6"}} 0\n'
            f'{NAME}_timestamp_seconds{{ip_family="IPv4"}} 2\n'
            "kubeproxy_sync_full_proxy_rules_duration_seconds_sum 9\n",
            Stamps(1, 2, rests=True),
        ),
    ],
)  # fmt: skip
def test_the_stamps_of_the_metrics(metrics: str, expected: Stamps) -> None:
    assert stamps(metrics) == expected

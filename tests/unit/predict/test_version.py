"""Semantics §15: which release behaves how, and which proxies no verdict is given for."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from secondhop.errors import UsageError
from secondhop.model.cluster import Ingress, Policy, ProxyMode
from secondhop.model.version import NEWEST, SINCE, Feature, KubeVersion, read_version
from secondhop.predict.modelled import UNMODELLED, modelled

from .build import GZ1, LB_IP, XJP1, client, cluster, endpoint, fates, flow, leaving, pod

RELEASES = [KubeVersion(1, minor) for minor in range(21, 37)]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.27", "1.27"),
        ("v1.27.3+k3s1", "1.27"),
        ("1.36", "1.36"),
        ("v1.21.0", "1.21"),
        ("1.29+", "1.29"),
        ("v1.30.2-gke.1587003", "1.30"),
        ("v1.31.0-rc.1+rke2r1", "1.31"),
        (" 1.33\n", "1.33"),
    ],
)
def test_a_version_is_read_as_kubectl_writes_it(text: str, version: str) -> None:
    assert str(read_version(text)) == version


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is not a Kubernetes version"),
        ("latest", "'latest' is not a Kubernetes version\n  Write for example 1.36"),
        ("1", "'1' is not a Kubernetes version"),
        ("1.x", "'1.x' is not a Kubernetes version"),
        ("1.27;", "'1.27;' is not a Kubernetes version"),
        ("1.²7", "'1.²7' is not a Kubernetes version"),
        ("1.20.15", "Kubernetes 1.20 is too old: the rules are known from 1.21 on"),
        ("0.9", "Kubernetes 0.9 is too old"),
        ("1.37", "Kubernetes 1.37 is not known yet: the newest known is 1.36\n  Leave --kube-"),
        ("2.0", "Kubernetes 2.0 is not known yet"),
    ],
)
def test_what_is_no_known_version_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_version(text)
    assert str(refused.value).startswith(says)


def test_the_newest_has_every_feature_and_the_oldest_none() -> None:
    assert all(NEWEST.has(feature) for feature in SINCE)
    assert not any(KubeVersion(1, 21).has(feature) for feature in SINCE)


HINTED = [
    endpoint(GZ1, 2, zone_hints=frozenset({"zone-a"}), node_hints=frozenset({"gz1"})),
    endpoint(XJP1, 3, zone_hints=frozenset({"zone-b"}), node_hints=frozenset({"xjp1"})),
]
PROXIED = {"type": "LoadBalancer", "ingress": (Ingress(ip_address(LB_IP), "Proxy"),)}
TO_GZ1 = flow(client(), GZ1)
INSIDE = flow(pod(GZ1), "10.43.0.10")
BY_LB = flow(client(), LB_IP, via=GZ1)
LOCAL: Policy = "Local"

ROWS: list[tuple[Feature, list[Any], dict[str, Any], Any, str, str]] = [
    # endpoints, Service; flow; what comes of it before the feature, and with it
    ("terminating fallback", [leaving(XJP1)], {}, TO_GZ1, "rejected", "10.42.0.0"),
    (
        "terminating fallback",
        [leaving(GZ1), endpoint(XJP1, 3)],
        {"external_traffic_policy": LOCAL},
        TO_GZ1,
        "dropped",
        "192.168.22.2",
    ),
    ("ipMode", [endpoint(GZ1)], PROXIED, BY_LB, "10.42.0.1", "loop"),
    (
        "internalTrafficPolicy",
        [endpoint(XJP1)],
        {"internal_traffic_policy": LOCAL},
        INSIDE,
        "10.42.0.250",
        "dropped",
    ),
    ("topology hints", HINTED, {}, TO_GZ1, "10.42.0.0 10.42.0.1", "10.42.0.1"),
]


@pytest.mark.parametrize("version", RELEASES, ids=str)
@pytest.mark.parametrize(("feature", "endpoints", "service", "sent", "before", "since"), ROWS)
def test_a_release_behaves_as_it_did(
    version: KubeVersion,
    feature: Feature,
    endpoints: list[Any],
    service: dict[str, Any],
    sent: Any,
    before: str,
    since: str,
) -> None:
    there = cluster(*endpoints, kube_version=version, **service)
    assert fates(there, sent) == (since if version >= SINCE[feature] else before)


@pytest.mark.parametrize("version", RELEASES, ids=str)
def test_node_hints_come_after_zone_hints(version: KubeVersion) -> None:
    """gz1's zone has two pods, one of them on gz1."""
    near = [endpoint(GZ1, 2), endpoint(XJP1, 3)]
    hints = [frozenset({"gz1"}), frozenset({"xjp1"})]
    both = [
        endpoint(GZ1, 2, zone_hints=frozenset({"zone-a"}), node_hints=hints[0]),
        endpoint(XJP1, 3, zone_hints=frozenset({"zone-a"}), node_hints=hints[1]),
    ]
    seen = fates(cluster(*both, kube_version=version), TO_GZ1)
    assert seen == (
        "10.42.0.1"
        if version.has("node hints")
        else fates(cluster(*near, kube_version=version), TO_GZ1)
    )


@pytest.mark.parametrize(
    ("mode", "version", "says"),
    [
        ("iptables", "1.21", None),
        ("nftables", "1.36", None),
        ("nftables", "1.31", None),
        ("nftables", "1.30", "kube-proxy of Kubernetes 1.30 has no nftables mode by default"),
        ("ipvs", "1.36", "no verdict for ipvs: every node owns every Service address"),
        ("cilium", "1.36", "no verdict for cilium: eBPF serves Services at the socket"),
        ("ebpf", "1.36", "'ebpf' is not a proxy mode known here\n  Write iptables or nftables."),
    ],
)
def test_no_verdict_is_given_for_a_proxy_that_may_differ(
    mode: str, version: str, says: str | None
) -> None:
    if says is None:
        assert modelled(mode, read_version(version)) == mode
        return
    with pytest.raises(UsageError) as refused:
        modelled(mode, read_version(version))
    assert str(refused.value).startswith(says)


def test_every_refusal_says_why_and_what_to_do() -> None:
    for name in UNMODELLED:
        with pytest.raises(UsageError, match="differ") as refused:
            modelled(name, NEWEST)
        assert "--proxy-mode iptables" in refused.value.remedy


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_default_is_the_newest(mode: ProxyMode) -> None:
    assert cluster(mode=mode).kube_version == NEWEST

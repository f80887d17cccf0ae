"""Rules in words, with the field of the Service behind each."""

from ipaddress import ip_address, ip_network

import pytest

from secondhop.evidence.words import Teller
from secondhop.model.cluster import Cluster, Ingress, Service, ServicePort
from secondhop.model.trace import Addresses, Met, Rule, RuleEvent, RuleKey

WEB = Service(
    "default",
    "web",
    (ServicePort("a", "TCP", 443, 30443), ServicePort("", "TCP", 80, 30080)),
    "LoadBalancer",
    (ip_address("10.43.0.1"),),
    (ip_address("203.0.113.9"),),
    (Ingress(ip_address("203.0.113.7")),),
    (ip_network("192.0.2.0/24"),),
)
CLUSTER = Cluster(nodes=(), services=(WEB,))
PACKET = Addresses("192.168.22.2", 40000, "203.0.113.7", 80, "TCP")


def told(*texts: str, target: str = "", verdict: str = "jump", handle: int = 3) -> Rule | None:
    """The last of several rules, as one packet meets them."""
    teller = Teller(CLUSTER)
    key = RuleKey("gz1", "ip", "filter", "odd", handle)
    rule = None
    for text in texts:
        rule = teller.tell(RuleEvent(Met(key, target), 1, verdict), text, PACKET)
    return rule


FOR_WEB = '-m comment --comment "default/web'
TABLE = "ip kube-proxy"


@pytest.mark.parametrize(
    ("text", "what", "field"),
    [
        (
            f'-A KUBE-NODEPORTS -p tcp {FOR_WEB}" -m tcp --dport 30080 -j KUBE-EXT-A',
            "node port 30080 is that of Service default/web",
            "spec.ports[1].nodePort=30080",
        ),
        (
            f'-A KUBE-SERVICES -d 10.43.0.1/32 -p tcp {FOR_WEB} cluster IP" -m tcp --dport 80 -j'
            " KUBE-SVC-A",
            "10.43.0.1 is an IP of Service default/web",
            "spec.clusterIPs",
        ),
        (
            f'-A KUBE-SERVICES -d 203.0.113.7/32 {FOR_WEB} loadbalancer IP" -j KUBE-FW-A',
            "203.0.113.7 is an IP of Service default/web",
            "status.loadBalancer.ingress",
        ),
        (
            '-A KUBE-EXT-A -m comment --comment "masquerade traffic for default/web external'
            ' destinations" -j KUBE-MARK-MASQ',
            "(SNAT)",
            "spec.externalTrafficPolicy=Cluster",
        ),
        (
            '-A KUBE-EXT-A -s 10.42.0.0/16 -m comment --comment "pod traffic for default/web'
            ' external destinations" -j KUBE-SVC-A',
            "comes from a pod",
            "",
        ),
        (
            f'-A KUBE-SVC-A {FOR_WEB} -> 10.42.1.2:80" -m statistic --mode random --probability'
            " 0.33333333349 -j KUBE-SEP-A",
            "chance (1 in 3 of those left) chooses the endpoint 10.42.1.2:80",
            "EndpointSlices of Service default/web",
        ),
        (
            f'-A KUBE-SVC-A {FOR_WEB} -> [fd00::2]:80" -j KUBE-SEP-A',
            "the endpoint is [fd00::2]:80",
            "EndpointSlices of Service default/web",
        ),
        (
            f'-A KUBE-SVC-A {FOR_WEB} -> 10.42.1.2:80" -m recent --rcheck -j KUBE-SEP-A',
            "was given 10.42.1.2:80 before",
            "spec.sessionAffinity=ClientIP",
        ),
        (
            f'-A KUBE-SEP-A -p tcp {FOR_WEB}" -m tcp -j DNAT --to-destination 10.42.1.2:80',
            "DNAT: now it goes to 10.42.1.2:80",
            "",
        ),
        (f'-A KUBE-SEP-A -s 10.42.1.2/32 {FOR_WEB}" -j KUBE-MARK-MASQ', "hairpin", ""),
        (
            f'-A KUBE-EXTERNAL-SERVICES -p tcp {FOR_WEB} has no local endpoints" --dport 1 -j DROP',
            "dropped: no ready pod of Service default/web is on this node",
            "spec.externalTrafficPolicy=Local",
        ),
        (
            f'-A KUBE-SERVICES -d 10.43.0.1/32 {FOR_WEB} has no local endpoints" -j DROP',
            "dropped: no ready pod",
            "spec.internalTrafficPolicy=Local",
        ),
        (
            f'-A KUBE-EXTERNAL-SERVICES -p tcp {FOR_WEB} has no endpoints" --dport 1 -j REJECT',
            "rejected: nobody serves it",
            "EndpointSlices of Service default/web",
        ),
        (
            f'-A KUBE-PROXY-FIREWALL -p tcp {FOR_WEB} traffic not accepted by KUBE-FW-A" -j DROP',
            "none of the ranges",
            "spec.loadBalancerSourceRanges",
        ),
        ("-A KUBE-POSTROUTING -j MASQUERADE --random-fully", "SNAT", ""),
        ("-A FLANNEL-POSTRTG -s 10.42.0.0/16 -j MASQUERADE --random-fully", "--ip-masq", ""),
        (
            f"element {TABLE} service-nodeports {{ tcp . 30443 : goto external-A-default/web/ }}",
            "node port 30443",
            "spec.ports[0].nodePort=30443",
        ),
        (
            f"element {TABLE} service-ips {{ 203.0.113.9 . tcp . 80 : goto x-A-default/web/ }}",
            "203.0.113.9 is an IP",
            "spec.externalIPs",
        ),
        (
            f"element {TABLE} service-ips {{ 203.0.113.9 . tcp . 80 : goto external-A-default/web/,"
            " 203.0.113.7 . tcp . 80 : goto external-A-default/web/ }",
            "203.0.113.7 is an IP",
            "status.loadBalancer.ingress",
        ),
        (
            f"rule {TABLE} external-A-default/web/tcp/ goto local-A-default/web/tcp/",
            "only ready pods of this node",
            "spec.externalTrafficPolicy=Local",
        ),
        (
            f"rule {TABLE} service-A-default/web/tcp/ meta l4proto tcp dnat ip to numgen random"
            " mod 2 map { 0 : 10.42.0.2 . 80, 1 : 10.42.1.2 . 80 }",
            "DNAT: now it goes to an endpoint that chance (1 in 2) chooses",
            "EndpointSlices of Service default/web",
        ),
        (
            f"rule {TABLE} local-A-default/web/tcp/ numgen random mod 1 vmap {{ 0 : goto e }}",
            "there is only one endpoint",
            "EndpointSlices of Service default/web",
        ),
        (
            f'element {TABLE} no-endpoint-nodeports {{ tcp . 30080 comment "default/web" : drop }}',
            "dropped: no ready pod of Service default/web",
            "spec.externalTrafficPolicy=Local",
        ),
        (
            f"element {TABLE} no-endpoint-services {{ 10.43.0.1 . tcp . 80 comment"
            ' "default/web" : drop }',
            "dropped: no ready pod",
            "spec.internalTrafficPolicy=Local",
        ),
        (
            f"rule {TABLE} firewall-A-default/web/tcp/ ip saddr != 192.0.2.0/24 drop",
            "none of the ranges",
            "spec.loadBalancerSourceRanges",
        ),
        (
            f"rule {TABLE} masquerading meta mark & 0x00004000 != 0x00000000 meta mark set meta"
            " mark ^ 0x00004000 masquerade fully-random",
            "SNAT",
            "",
        ),
    ],
)
def test_words_and_field(text: str, what: str, field: str) -> None:
    rule = told(text)
    assert rule is not None
    assert what in rule.what
    assert rule.field.removeprefix("Service default/web ") == field
    assert rule.field.startswith("Service default/web ") == field.startswith(("spec.", "status."))
    assert rule.owner == ("flannel" if "FLANNEL" in text else "kube-proxy")


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("-A PREROUTING -m comment --comment x -j KUBE-SERVICES", "kube-proxy"),
        ("-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT", "kube-proxy"),
        ("-A POSTROUTING -j FLANNEL-POSTRTG", "flannel"),
        ("rule ip kube-proxy nat-prerouting jump services", "kube-proxy"),
        ("-A FORWARD -p tcp -j DROP", ""),
        ("rule ip odd late tcp dport 80 drop", ""),
    ],
)
def test_plumbing_and_strangers_have_no_words(text: str, owner: str) -> None:
    rule = told(text)
    assert rule is not None
    assert (rule.what, rule.owner, rule.text) == ("", owner, text)


def test_a_rule_that_names_no_service_is_about_the_one_named_before() -> None:
    chosen = f'-A KUBE-NODEPORTS {FOR_WEB}" --dport 30080 -j KUBE-EXT-A'
    rule = told(chosen, "-A KUBE-EXT-A -j KUBE-SVL-A")
    assert rule is not None
    assert rule.field == "Service default/web spec.externalTrafficPolicy=Local"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("-A KUBE-X -j NFLOG --nflog-prefix 0a1b2c3d --nflog-group 1 --nflog-threshold 1", ""),
        ('rule ip kube-proxy refused-0a1b2c3d log prefix "0a1b2c3d" group 1', ""),
        ("element ip kube-proxy no-endpoint-nodeports { tcp . 1 : goto refused-0a1b2c3d }",
         "refused-0a1b2c3d"),
    ],
)  # fmt: skip
def test_what_the_lab_added_to_hear_of_refusals_is_not_told(text: str, target: str) -> None:
    assert told(text, target=target) is None


def test_a_rule_that_is_gone_and_a_policy_have_names() -> None:
    gone, policy = told(""), told("", handle=0)
    assert gone is not None
    assert policy is not None
    assert gone.text == "rule 3 of chain odd in table ip filter"
    assert policy.text == "the policy of chain odd in table ip filter"

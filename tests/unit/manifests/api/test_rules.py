"""Path and message of every row of the table in semantics §1.5."""

from __future__ import annotations

from typing import Any

import pytest

from secondhop.manifests.api.admission import external_ips_denied
from secondhop.manifests.api.balancer import validate_service_status
from secondhop.manifests.api.field import GATES, Object
from secondhop.manifests.api.service import validate_service

from .objects import port, service

BALANCER = "may only be used when `type` is 'LoadBalancer'"
HEALTH = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
INACCESSIBLE = "may only be set for externally-accessible services"
EXTERNAL_NAME = "may not be set for ExternalName services"
ANNOTATED = "service.beta.kubernetes.io/load-balancer-source-ranges"
BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
KEY = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LOCAL: Object = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
DUAL: Object = {"ipFamilyPolicy": "RequireDualStack"}


def annotated(**annotations: str) -> Object:
    return {"metadata": {"annotations": annotations}}


def ranged(*cidrs: str) -> Object:
    return {"type": "LoadBalancer", "loadBalancerSourceRanges": list(cidrs)}


def ips(*texts: str, **more: Any) -> Object:
    return {"clusterIP": texts[0], "clusterIPs": list(texts), **more}


def sticky(seconds: int) -> Object:
    config = {"clientIP": {"timeoutSeconds": seconds}}
    return {"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}


CREATE: list[tuple[Object, list[str]]] = [
    # externalTrafficPolicy
    (
        {"externalTrafficPolicy": "Local"},
        [f'spec.externalTrafficPolicy: Invalid value: "Local": {INACCESSIBLE}'],
    ),
    (
        {"type": "ExternalName", "externalName": "x.y", "externalTrafficPolicy": "Cluster"},
        [f'spec.externalTrafficPolicy: Invalid value: "Cluster": {INACCESSIBLE}'],
    ),
    (
        ips("None", externalTrafficPolicy="Cluster"),
        [f'spec.externalTrafficPolicy: Invalid value: "Cluster": {INACCESSIBLE}'],
    ),
    ({"externalIPs": ["1.2.3.4"], "externalTrafficPolicy": "Local"}, []),
    (
        {"type": "NodePort", "externalTrafficPolicy": None},
        ["spec.externalTrafficPolicy: Required value"],
    ),
    (
        {"externalIPs": ["1.2.3.4"], "externalTrafficPolicy": None},
        ["spec.externalTrafficPolicy: Required value"],
    ),
    (
        {"type": "NodePort", "externalTrafficPolicy": "Near"},
        [
            'spec.externalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", '
            '"Local"'
        ],
    ),
    # healthCheckNodePort
    (
        {"type": "LoadBalancer", "healthCheckNodePort": 30000},
        [f"spec.healthCheckNodePort: Invalid value: 30000: {HEALTH}"],
    ),
    (LOCAL, ["spec.healthCheckNodePort: Required value"]),
    (
        LOCAL | {"healthCheckNodePort": 65536},
        ["spec.healthCheckNodePort: Invalid value: 65536: must be between 1 and 65535, inclusive"],
    ),
    # ports
    (
        {"ports": [port(80), port(81, 30000)]},
        ["spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ),
    (
        {"type": "NodePort", "ports": [port(1, 30000), port(2, 30000)]},
        ["spec.ports[1].nodePort: Duplicate value: 30000"],
    ),
    ({"type": "NodePort", "ports": [port(1, 30000), port(2, 30000, "UDP")]}, []),
    (
        {"ports": [port(80), port(80, name="other")]},
        [
            'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,'
            '"Port":80,"TargetPort":0,"NodePort":0}'
        ],
    ),
    (
        {"ports": [{"port": 1}, {"port": 2, "name": "a"}]},
        ["spec.ports[0].name: Required value"],
    ),
    (
        {"ports": [port(1, name="a"), port(2, name="a")]},
        ['spec.ports[1].name: Duplicate value: "a"'],
    ),
    ({"ports": [port(1, name="A")]}, [f'spec.ports[0].name: Invalid value: "A": {LABEL}']),
    (
        {"ports": [port(1, name="a.b")]},
        ['spec.ports[0].name: Invalid value: "a.b": must not contain dots'],
    ),
    ({"ports": []}, ["spec.ports: Required value"]),
    (ips("None", ports=[]), []),
    ({"type": "ExternalName", "externalName": "x.y", "ports": []}, []),
    (
        {"ports": [{"port": 80, "targetPort": "a--2345678901234-"}]},
        [
            f'spec.ports[0].targetPort: Invalid value: "a--2345678901234-": {why}'
            for why in (
                "must be no more than 15 bytes",
                "must not contain consecutive hyphens",
                "must not begin or end with a hyphen",
            )
        ],
    ),
    (
        {"ports": [{"port": 80, "targetPort": "8_"}]},
        [
            'spec.ports[0].targetPort: Invalid value: "8_": must contain only alpha-numeric '
            "characters (a-z, 0-9), and hyphens (-)",
            'spec.ports[0].targetPort: Invalid value: "8_": must contain at least one letter (a-z)',
        ],
    ),
    (
        {"ports": [{"port": 80, "protocol": "tcp"}]},
        [
            'spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", '
            '"UDP"'
        ],
    ),
    (
        {"ports": [{"port": 80, "appProtocol": "~h2c"}]},
        [f'spec.ports[0].appProtocol: Invalid value: "~h2c": name part {KEY}'],
    ),
    # load balancers
    (
        {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
        [f"spec.LoadBalancerSourceRanges: Forbidden: {BALANCER}"],
    ),
    (
        annotated(**{ANNOTATED: "10.0.0.0/8"}),
        [f"metadata.annotations[{ANNOTATED}]: Forbidden: {BALANCER}"],
    ),
    (annotated(**{ANNOTATED: ""}), [f"metadata.annotations[{ANNOTATED}]: Forbidden: {BALANCER}"]),
    (
        {"type": "LoadBalancer"} | annotated(**{ANNOTATED: "10.0.0.0/8, x"}),
        [f'metadata.annotations[{ANNOTATED}]: Invalid value: "x": {BAD_CIDR}'],
    ),
    (ranged(" 10.0.0.0/8 ") | annotated(**{ANNOTATED: "x"}), []),
    (
        ranged("", "10.0.0.0"),
        [
            f'spec.LoadBalancerSourceRanges[0]: Invalid value: "": {BAD_CIDR}',
            f'spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.0": {BAD_CIDR}',
        ],
    ),
    (
        ranged("010.0.0.0/8", "10.0.0.0/08", "::ffff:10.0.0.0/104", "10.0.0.1/8"),
        [
            'spec.LoadBalancerSourceRanges[0]: Invalid value: "010.0.0.0/8": must not have leading '
            "0s in IP or prefix length",
            'spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.0/08": must not have leading '
            "0s in IP or prefix length",
            'spec.LoadBalancerSourceRanges[2]: Invalid value: "::ffff:10.0.0.0/104": must not have '
            "an IPv4-mapped IPv6 address",
            'spec.LoadBalancerSourceRanges[3]: Invalid value: "10.0.0.1/8": must not have bits set '
            "beyond the prefix length",
        ],
    ),
    (
        {"allocateLoadBalancerNodePorts": False},
        [f"spec.allocateLoadBalancerNodePorts: Forbidden: {BALANCER}"],
    ),
    (
        {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": None},
        ["allocateLoadBalancerNodePorts: Required value"],
    ),
    ({"loadBalancerClass": "x/y"}, [f"spec.loadBalancerClass: Forbidden: {BALANCER}"]),
    (
        {"type": "LoadBalancer", "loadBalancerClass": "X/y"},
        [f'spec.loadBalancerClass: Invalid value: "X/y": prefix part {SUBDOMAIN}'],
    ),
    # sessionAffinity
    *(
        (
            sticky(seconds),
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: "
                f"{seconds}: must be greater than 0 and less than 86400"
            ],
        )
        for seconds in (0, -1, 86401)
    ),
    (sticky(86400), []),
    (sticky(1), []),
    (
        {"sessionAffinity": "Cookie"},
        ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
    ),
    (
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": None},
        ["spec.sessionAffinityConfig: Required value: when session affinity type is ClientIP"],
    ),
    # externalIPs
    *(
        (
            {"externalIPs": ["198.51.100.1", text]},
            [f'spec.externalIPs[1]: Invalid value: "{text}": {why}'],
        )
        for text, why in (
            ("", BAD_IP),
            ("example.com", BAD_IP),
            ("1.2.3.4/32", BAD_IP),
            ("fe80::1%eth0", BAD_IP),
            ("1.2.3.04", "must not have leading 0s"),
            ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
            ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
            ("::", "may not be unspecified (::)"),
            ("127.1.2.3", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
            ("febf::1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
            (
                "224.0.0.251",
                "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
            ),
            ("ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        )
    ),
    ({"externalIPs": ["10.43.0.1", "192.168.8.1", "239.1.1.1", "ff0e::1"]}, []),
    # types
    *(
        (
            ips("None", type=kind, ports=[port(1)]),
            [
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for "
                f"{kind} services"
            ],
        )
        for kind in ("LoadBalancer", "NodePort")
    ),
    (
        {"type": "ExternalName", "externalName": "x.y", "ipFamilies": ["IPv4"]}
        | ips("1.2.3.4", ipFamilyPolicy="SingleStack"),
        [
            f"spec.{field}: Forbidden: {EXTERNAL_NAME}"
            for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        ],
    ),
    ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
    (
        {"type": "ExternalName", "externalName": "a..b"},
        [f'spec.externalName: Invalid value: "a..b": {SUBDOMAIN}'],
    ),
    ({"type": "ExternalName", "externalName": "a.b.", "internalTrafficPolicy": "Local"}, []),
    (
        {"type": "Ingress"},
        [
            'spec.type: Unsupported value: "Ingress": supported values: "ClusterIP", '
            '"ExternalName", "LoadBalancer", "NodePort"'
        ],
    ),
    # internalTrafficPolicy, trafficDistribution
    ({"internalTrafficPolicy": None}, ["spec.internalTrafficPolicy: Required value"]),
    (
        {"internalTrafficPolicy": "Near"},
        [
            'spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", '
            '"Local"'
        ],
    ),
    (
        {"trafficDistribution": "PreferNear"},
        [
            'spec.trafficDistribution: Unsupported value: "PreferNear": supported values: '
            '"PreferClose", "PreferSameZone", "PreferSameNode"'
        ],
    ),
    # clusterIPs and families
    (
        {"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.1"]},
        ['spec.clusterIPs: Invalid value: ["10.0.0.1"]: first value must match `clusterIP`'],
    ),
    (
        {"clusterIPs": ["10.0.0.1"]},
        [
            'spec.clusterIPs: Invalid value: ["10.0.0.1"]: must be empty when `clusterIP` is not '
            "specified"
        ],
    ),
    (
        ips("10.0.0.1", "fd00::1", "10.0.0.2"),
        [
            'spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","10.0.0.2"]: may only hold up '
            "to 2 values"
        ],
    ),
    (
        ips("10.0.0.1", "10.0.0.2"),
        [
            'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one '
            "IP for each IP family"
        ],
    ),
    (
        ips("10.0.0.1", ipFamilies=["IPv6"]),
        [
            'spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by '
            "`ipFamilies[0]`"
        ],
    ),
    (
        ips("fd00::1", ipFamilies=["IPv4"]),
        [
            'spec.clusterIPs[0]: Invalid value: "fd00::1": expected an IPv4 value as indicated by '
            "`ipFamilies[0]`"
        ],
    ),
    (
        {"ipFamilies": ["IPv4", "IPv4"]},
        ['spec.ipFamilies[1]: Duplicate value: "IPv4"'],
    ),
    (
        {"ipFamilies": ["IPv5"], "ipFamilyPolicy": "Both"},
        [
            'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
            'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", '
            '"RequireDualStack", "SingleStack"',
        ],
    ),
    (
        ips("None", "10.0.0.1"),
        [
            'spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: \'None\' must be the first and '
            "only value"
        ],
    ),
    (ips("x"), [f'spec.clusterIPs[0]: Invalid value: "x": {BAD_IP}']),
    # metadata
    (
        annotated(
            **{
                "service.kubernetes.io/topology-mode": "Auto",
                "service.kubernetes.io/topology-aware-hints": "auto",
            }
        ),
        [
            "metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "
            '"Auto": must match annotations[service.kubernetes.io/topology-aware-hints] when both '
            "are specified"
        ],
    ),
    ({"metadata": {"name": "9-web"}}, []),
    (
        {"metadata": {"name": "web."}},
        [f'metadata.name: Invalid value: "web.": {LABEL}'],
    ),
    (
        {"metadata": {"name": "a" * 64}},
        [f'metadata.name: Invalid value: "{"a" * 64}": must be no more than 63 bytes'],
    ),
    (
        {"metadata": {"name": ""}},
        ["metadata.name: Required value: name or generateName is required"],
    ),
    ({"metadata": {"namespace": ""}}, ["metadata.namespace: Required value"]),
    ({"metadata": {"generateName": "web-"}}, []),
    (
        {"metadata": {"labels": {"a/b/c": "x"}}},
        [
            f'metadata.labels: Invalid value: "a/b/c": a valid label key {KEY} with an optional '
            "DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ],
    ),
    (
        {"metadata": {"annotations": {"/x": "x" * (256 << 10)}}},
        [
            'metadata.annotations: Invalid value: "/x": prefix part must be non-empty',
            "metadata.annotations: Too long: must have at most 262144 bytes",
        ],
    ),
    (
        {"selector": {"app": "a b"}},
        [
            'spec.selector: Invalid value: "a b": a valid label must be an empty string or consist '
            "of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
            "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), CREATE)
def test_create(spec: Object, expected: list[str]) -> None:
    assert [str(error) for error in validate_service(service(**spec))] == expected


def test_affinity_configuration_without_affinity() -> None:
    """Only internal callers get there: defaulting takes it away."""
    value = service()
    value["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 5}}
    (error,) = validate_service(value)
    why = "must not be set when session affinity is None"
    assert str(error) == f"spec.sessionAffinityConfig: Forbidden: {why}"


def test_names_of_services_before_the_relaxation() -> None:
    (error,) = validate_service(service("9-web"), gates=GATES._replace(relaxed_names=False))
    assert str(error) == (
        'metadata.name: Invalid value: "9-web": a DNS-1035 label must consist of lower case '
        "alphanumeric characters or '-', start with an alphabetic character, and end with an "
        "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
        "'[a-z]([-a-z0-9]*[a-z0-9])?')"
    )


HEALTHY = LOCAL | {"healthCheckNodePort": 30000}
PAIR = ips("10.0.0.1", "fd00::1", ipFamilies=["IPv4", "IPv6"], **DUAL)
UPDATE: list[tuple[Object, Object, list[str]]] = [
    (
        HEALTHY,
        HEALTHY | {"healthCheckNodePort": 30001},
        ["spec.healthCheckNodePort: Forbidden: field is immutable"],
    ),
    (
        {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
        {"type": "LoadBalancer", "loadBalancerClass": "a/c"},
        ['spec.loadBalancerClass: Invalid value: "a/c": may not change once set'],
    ),
    (
        {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
        {"type": "LoadBalancer"},
        ["spec.loadBalancerClass: Invalid value: null: may not change once set"],
    ),
    (
        {"type": "LoadBalancer"},
        {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
        ['spec.loadBalancerClass: Invalid value: "a/b": may not change once set'],
    ),
    ({}, {"type": "LoadBalancer", "loadBalancerClass": "a/b"}, []),
    (
        ips("10.0.0.1"),
        ips("10.0.0.2"),
        ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'],
    ),
    (
        ips("10.0.0.1"),
        {},
        ["spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset"],
    ),
    (
        {"ipFamilies": ["IPv4"]},
        {"ipFamilies": ["IPv6"]},
        ['spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set'],
    ),
    (ips("None", ipFamilies=["IPv4"]), ips("None", ipFamilies=["IPv6"]), []),
    ({"type": "ExternalName", "externalName": "x"}, ips("10.0.0.2", ipFamilies=["IPv4"]), []),
    (
        PAIR,
        ips("10.0.0.1", ipFamilies=["IPv4"], ipFamilyPolicy="PreferDualStack"),
        [
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' "
            f"when releasing the secondary {what}"
            for what in ("clusterIP", "ipFamily")
        ],
    ),
    (
        PAIR,
        ips("10.0.0.1", ipFamilies=["IPv4"]),
        [
            "spec.ipFamilyPolicy: Invalid value: null: must be set to 'SingleStack' when releasing "
            f"the secondary {what}"
            for what in ("clusterIP", "ipFamily")
        ],
    ),
    (PAIR, ips("10.0.0.1", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack"), []),
    (ranged(" 10.0.0.1/8"), ranged("10.0.0.1/8 ", "10.0.0.0/8"), []),
    (
        ranged("10.0.0.1/8") | {"type": "LoadBalancer"},
        {"loadBalancerSourceRanges": ["10.0.0.1/8"], "type": "NodePort"},
        [f"spec.LoadBalancerSourceRanges: Forbidden: {BALANCER}"],
    ),
    ({"externalIPs": ["1.2.3.04"]}, {"externalIPs": ["1.2.3.4", "1.2.3.04"]}, []),
    (
        {"externalIPs": ["127.0.0.1"]},
        {"externalIPs": ["127.0.0.1"]},
        [
            'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range '
            "(127.0.0.0/8, ::1/128)"
        ],
    ),
    (
        {"metadata": {"uid": "1", "generation": 2}},
        {"metadata": {"name": "other", "uid": "2", "resourceVersion": "", "generation": 1}},
        [
            'metadata.resourceVersion: Invalid value: "": must be specified for an update',
            "metadata.generation: Invalid value: 1: must not be decremented",
            'metadata.name: Invalid value: "other": field is immutable',
            'metadata.uid: Invalid value: "2": field is immutable',
        ],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), UPDATE)
def test_update(before: Object, after: Object, expected: list[str]) -> None:
    found = validate_service(service(**after), service(**before))
    assert [str(error) for error in found] == expected


def ingress(*entries: Object, kind: str = "LoadBalancer") -> Object:
    value = service(type=kind, externalName="x")
    return value | {"status": {"loadBalancer": {"ingress": list(entries)}}}


STATUS: list[tuple[Object, list[str]]] = [
    (
        ingress({"ip": "192.0.2.1", "ipMode": "VIP"}, kind="NodePort"),
        [": Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
    ),
    (
        ingress({"ip": "192.0.2.1"}),
        ["[0].ipMode: Required value: must be specified when `ip` is set"],
    ),
    (
        ingress({"hostname": "a.b"}, {"ipMode": "VIP"}),
        ["[1].ipMode: Forbidden: may not be specified when `ip` is not set"],
    ),
    (
        ingress({"ip": "192.0.2.1", "ipMode": "Nat"}),
        ['[0].ipMode: Unsupported value: "Nat": supported values: "Proxy", "VIP"'],
    ),
    (
        ingress({"hostname": "192.0.2.1"}),
        ['[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address'],
    ),
    (
        ingress({"hostname": "a_b"}),
        [f'[0].hostname: Invalid value: "a_b": {SUBDOMAIN}'],
    ),
    (ingress({"ip": "x", "ipMode": "VIP"}), [f'[0].ip: Invalid value: "x": {BAD_IP}']),
]


@pytest.mark.parametrize(("value", "expected"), STATUS)
def test_status(value: Object, expected: list[str]) -> None:
    found = [str(error) for error in validate_service_status(value, value | {"status": {}})]
    assert found == [f"status.loadBalancer.ingress{text}" for text in expected]


def test_a_plugin_denies_external_ips_that_are_new() -> None:
    one, two = service(externalIPs=["192.0.2.1"]), service(externalIPs=["192.0.2.1", "192.0.2.2"])
    why = "Use of external IPs is denied by admission control"
    assert [
        external_ips_denied(*pair) for pair in ((one,), (two, one), (one, two), (one, one))
    ] == [
        why,
        why,
        "",
        "",
    ]


def test_values_are_quoted_as_the_server_quotes_them() -> None:
    names = {'say "hi"\\': "", "é\t\x01": "", "\u2028\U000e0001": ""}
    found = validate_service(service(selector=names))
    assert [error.message.split(": ")[1] for error in found] == [
        '"say \\"hi\\"\\\\"',
        '"é\\t\\x01"',
        '"\\u2028\\U000e0001"',
    ]

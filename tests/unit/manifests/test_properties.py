"""What must hold for any input."""

from __future__ import annotations

import json
import random
import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.errors import ManifestError
from secondhop.manifests import World, build, read_files, read_text, with_readiness
from secondhop.manifests.reference import LAB, WORKLOAD

from .helpers import (
    REFERENCE,
    container,
    deployment,
    lab,
    node,
    pod,
    service,
    slice_of,
    world,
)

EVERYTHING = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            service(type="LoadBalancer", externalTrafficPolicy="Local", externalIPs=["1.2.3.4"])
            | {"status": {"loadBalancer": {"ingress": [{"ip": "5.6.7.8", "ipMode": "Proxy"}]}}},
            slice_of("web", {"addresses": ["10.42.0.9"], "hints": {"forZones": [{"name": "z"}]}}),
            pod(
                spec={
                    "containers": [
                        container(
                            ports=[{"name": "http", "containerPort": 80}],
                            readinessProbe={"httpGet": {"port": "http"}},
                        )
                    ],
                    "tolerations": [{"operator": "Exists"}],
                },
                status={"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "hostIP": "10.0.0.1"},
            ),
            deployment("api", replicas=2, nodeSelector={"kubernetes.io/hostname": "n1"}),
            {**deployment("agent", hostNetwork=True), "kind": "DaemonSet"},
            node("n1", "10.0.0.1", podCIDRs=["10.42.7.0/24"]),
            lab(client={"addresses": ["10.9.0.1", "fd00::1"]}, placement={"web": ["n1"]}),
        ],
    },
    indent=1,
)
TEXTS = [
    *(path.read_text() for path in sorted(REFERENCE.glob("*.yaml"))),
    f"{LAB}---\n{WORKLOAD}",
    EVERYTHING,
]
PIECES = [
    *"\t\n -:{}[]09,#|>!*&'\"%~\0é\u2028",
    *("99999", "&a ", "*a", "null", "true", "yes", "1.5", "::", "/8", "-1", '""', "0x1", "1e9"),
    *("None", "<<: *a", "---\n", "fd00::1", "10.42.0.0/33", "kind", "spec", "ports", "List"),
]


def mutated(seed: int) -> str:
    """One of the texts with a few bytes replaced, removed, doubled, or words exchanged."""
    draw = random.Random(seed)
    text = draw.choice(TEXTS)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = draw.randrange(len(text))
        end = at + draw.choice((0, 1, 2, 5, 20))
        match draw.randrange(5):
            case 0:
                text = text[:at] + draw.choice(PIECES) + text[end:]
            case 1:
                text = text[:at] + text[end:] or " "
            case 2:
                text = text[:end] + text[at:]
            case _:
                words = list(re.finditer(r"[\w./-]+|$", text))
                word, other = draw.choice(words), draw.choice([*PIECES, *(w[0] for w in words)])
                text = text[: word.start()] + other + text[word.end() :]
    return text


def sane(built: World) -> None:
    """What any World must keep."""
    cluster = built.cluster
    addresses = [ip for p in cluster.pods if not p.host_network for ip in p.addresses]
    derived = [ip for ip in addresses if any(ip in c for c in cluster.cni.pod_cidrs)]
    assert all(ip.version in (4, 6) for ip in derived)
    ips = [ip for one in cluster.services for ip in one.cluster_ips]
    assert len(set(ips)) == len(ips)
    numbers = [
        {p.node_port for p in one.ports if p.node_port} | {one.health_check_node_port} - {0}
        for one in cluster.services
    ]
    assert all(not (one & other) for one, other in combinations(numbers, 2))
    for found in cluster.endpoints.values():
        assert [str(e) for e in found] == sorted({str(e) for e in found})
    assert with_readiness(built, {}) == built


def tried(text: str) -> bool:
    """Whether a text is valid: a sane World, or else nothing but a ManifestError."""
    try:
        built = build(read_text(text, "mutant"))
    except ManifestError as error:
        refused = error
    else:
        sane(built)
        return True
    assert refused.problems
    assert all(p.remedy and p.message for p in refused.problems)
    str(refused).encode()
    return False


def test_mutants_give_a_manifest_error_or_a_sane_world() -> None:
    assert 10 < sum(tried(mutated(seed)) for seed in range(1500)) < 1400


@pytest.mark.soak
def test_many_mutants() -> None:
    assert sum(tried(mutated(seed)) for seed in range(10_000, 200_000)) > 1000


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    tried(data.decode("latin-1"))


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True)


@given(
    count=st.integers(1, 6),
    replicas=st.lists(st.integers(0, 9), max_size=4),
    kinds=st.lists(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]), max_size=6),
    policy=st.sampled_from(["Cluster", "Local"]),
    names=st.lists(NAMES, min_size=4, max_size=4, unique=True),
)
def test_worlds_are_whole(
    count: int, replicas: list[int], kinds: list[str], policy: str, names: list[str]
) -> None:
    nodes = [{"name": f"n{n}", "address": f"192.168.{n}.1"} for n in range(count)]
    client = {"address": "192.168.100.2"}
    workloads = [deployment(name, r) for name, r in zip(names, replicas, strict=False)]
    services = [
        service(
            f"s{n}",
            type=kind,
            selector={"app": names[n % 4]},
            externalTrafficPolicy=None if kind == "ClusterIP" else policy,
        )
        for n, kind in enumerate(kinds)
    ]
    built = world(lab(nodes=nodes, client=client), *workloads, *services)
    sane(built)
    pods = built.cluster.pods
    assert len(pods) == sum(replicas)
    assert len({p.name for p in pods}) == len({ip for p in pods for ip in p.addresses}) == len(pods)
    for p in pods:
        cidr = built.cluster.node(p.node or "").pod_cidr(4)
        assert cidr is not None
        assert p.addresses[0] in list(cidr.hosts())[1:]
    for one in built.cluster.services:
        labels = names[int(one.name[1:]) % 4]
        wanted = {p.name for p in pods if p.labels["app"] == labels}
        found = built.cluster.endpoints_of(one, one.ports[0], 4)
        assert {e.pod for e in found} == wanted
        assert (one.ports[0].node_port > 0) == (one.type != "ClusterIP")
        needs = one.type == "LoadBalancer" and policy == "Local"
        assert (one.health_check_node_port > 0) == needs


def test_the_same_input_gives_the_same_world() -> None:
    path = str(REFERENCE / "good.yaml")
    assert build(read_files([path])) == build(read_files([path]))

"""What a cluster is recognised by: the clue, and what is made of it."""

import json
from collections.abc import Mapping

import pytest

from secondhop.live.clues import (
    CALICO_IPIP,
    CALICO_VXLAN,
    FLANNEL_BACKEND,
    NODE_ARGS,
    Agent,
    Clues,
    Machine,
    options,
)
from secondhop.live.network import find_network
from secondhop.live.proxy import find_proxy
from secondhop.live.version import find_version
from secondhop.model.version import NEWEST, KubeVersion

UNREAD = ("not allowed: get configmaps/kube-proxy in namespace kube-system",)


def nodes(*notes: Mapping[str, str], kubelet: str = "") -> tuple[Machine, ...]:
    return tuple(Machine(f"n{n}", each, kubelet, ()) for n, each in enumerate(notes))


def daemon(name: str, *arguments: str, **env: str) -> tuple[Agent, ...]:
    return (Agent("kube-system", name, arguments, env),)


def args(*words: str) -> dict[str, str]:
    return {NODE_ARGS[0]: json.dumps(["server", *words])}


def config(**fields: object) -> dict[str, dict[str, str]]:
    text = json.dumps({"kind": "KubeProxyConfiguration", "clusterCIDR": "10.9.0.0/16"} | fields)
    return {"kube-system/kube-proxy": {"config.conf": text, "kubeconfig.conf": "kind: Config"}}


CILIUM = daemon("cilium")
KUBE_PROXY = daemon("kube-proxy")


@pytest.mark.parametrize(
    ("clues", "mode", "sureness", "source"),
    [
        (Clues(), "iptables", "assumed", "nothing in the cluster"),
        (Clues(unread=UNREAD), "iptables", "assumed", "not allowed: get configmaps/kube-proxy"),
        (Clues(configs=config(mode="nftables")), "nftables", "read", "ConfigMap kube-system/kube"),
        (Clues(configs=config(mode="ipvs")), "ipvs", "read", "ConfigMap"),
        (Clues(configs=config(mode="")), "iptables", "read", "leaves the mode to the default"),
        (
            Clues(configs={"kube-system/kube-proxy": {"config.conf": ":["}}),
            "iptables",
            "assumed",
            "",
        ),
        (Clues(nodes(args())), "iptables", "recognised", "the default of k3s"),
        (
            Clues(nodes(args("--kube-proxy-arg", "proxy-mode=ipvs"))),
            "ipvs",
            "read",
            "node-args of 1",
        ),
        (Clues(nodes(args("--kube-proxy-arg=proxy-mode=nftables"))), "nftables", "read", "1 of 1"),
        (Clues(nodes(args("--disable-kube-proxy"))), "none", "read", "--disable-kube-proxy"),
        (
            Clues(agents=daemon("kube-proxy", "--proxy-mode=ipvs")),
            "ipvs",
            "read",
            "--proxy-mode of",
        ),
        (Clues(agents=KUBE_PROXY), "iptables", "assumed", "does not say which"),
        (Clues(agents=CILIUM), "cilium", "recognised", "no DaemonSet kube-proxy"),
        (Clues(agents=(*CILIUM, *KUBE_PROXY)), "iptables", "assumed", ""),
        (
            Clues(
                agents=CILIUM,
                configs={"kube-system/cilium-config": {"kube-proxy-replacement": "true"}},
            ),
            "cilium",
            "read",
            "kube-proxy-replacement: true",
        ),
        (
            Clues(
                agents=CILIUM, configs={**config(mode="nftables"), "kube-system/cilium-config": {}}
            ),
            "nftables",
            "read",
            "ConfigMap",
        ),
        (
            Clues(agents=daemon("calico-node", FELIX_BPFENABLED="true")),
            "calico-ebpf",
            "read",
            "FELIX",
        ),
        (Clues(agents=daemon("ovnkube-node")), "ovn-kubernetes", "recognised", "ovnkube-node"),
        (Clues(agents=daemon("kube-router")), "kube-router", "recognised", "not told otherwise"),
        (
            Clues(agents=daemon("kube-router", "--run-service-proxy=false")),
            "iptables",
            "assumed",
            "",
        ),
    ],
)
def test_the_proxy(clues: Clues, mode: str, sureness: str, source: str) -> None:
    found = find_proxy(clues)
    assert (found.mode, found.sureness) == (mode, sureness)
    assert source in found.source
    assert bool(found.inference.doubt) is not found.modelled


def test_nodes_that_differ_are_told() -> None:
    other = args("--kube-proxy-arg", "proxy-mode=nftables")
    found = find_proxy(Clues(nodes(args(), args(), other)))
    assert found.mode == "iptables"
    assert "iptables on 2, nftables on 1" in found.inference.doubt


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ({}, ""),
        ({"iptables": {"masqueradeAll": True}}, "masqueradeAll"),
        ({"detectLocalMode": "NodeCIDR"}, "by NodeCIDR, here"),
        ({"clusterCIDR": ""}, "without a clusterCIDR"),
    ],
)
def test_what_of_a_configuration_is_not_modelled(fields: dict[str, object], doubt: str) -> None:
    found = find_proxy(Clues(configs=config(**fields)))
    assert doubt in found.doubt
    assert bool(found.doubt) == bool(doubt)


def test_addresses_and_ranges_of_a_configuration() -> None:
    found = find_proxy(Clues(configs=config(nodePortAddresses=["10.0.0.0/8"])))
    assert (found.node_port_addresses, found.pod_ranges) == (("10.0.0.0/8",), ("10.9.0.0/16",))
    words = (
        "--cluster-cidr",
        "10.1.0.0/16,fd00::/56",
        "--kube-proxy-arg",
        "nodeport-addresses=1::/64",
    )
    of_k3s = find_proxy(Clues(nodes(args(*words))))
    assert of_k3s.node_port_addresses == ("1::/64",)
    assert of_k3s.pod_ranges == ("10.1.0.0/16", "fd00::/56")


FLANNEL_CONFIG = {
    "kube-flannel/kube-flannel-cfg": {"net-conf.json": '{"Backend": {"Type": "host-gw"}}'}
}


@pytest.mark.parametrize(
    ("clues", "name", "backend", "sureness", "known"),
    [
        (Clues(), "flannel vxlan", "vxlan", "assumed", True),
        (Clues(unread=UNREAD), "flannel vxlan", "vxlan", "assumed", False),
        (Clues(agents=KUBE_PROXY), "unknown", "vxlan", "unknown", False),
        (Clues(nodes({FLANNEL_BACKEND: "vxlan"})), "flannel vxlan", "vxlan", "read", True),
        (Clues(nodes({FLANNEL_BACKEND: "host-gw"})), "flannel host-gw", "host-gw", "read", True),
        (Clues(nodes({FLANNEL_BACKEND: "wireguard"})), "flannel wireguard", "vxlan", "read", False),
        (
            Clues(nodes({FLANNEL_BACKEND: "vxlan"}, {FLANNEL_BACKEND: "host-gw"})),
            "flannel vxlan",
            "vxlan",
            "read",
            False,
        ),
        (
            Clues(agents=daemon("kube-flannel-ds"), configs=FLANNEL_CONFIG),
            "flannel host-gw",
            "host-gw",
            "read",
            True,
        ),
        (Clues(agents=daemon("kube-flannel-ds")), "flannel vxlan", "vxlan", "assumed", True),
        (
            Clues(nodes(args("--flannel-backend=host-gw"))),
            "flannel host-gw",
            "host-gw",
            "read",
            True,
        ),
        (Clues(agents=daemon("kindnet")), "kindnet", "host-gw", "recognised", True),
        (Clues(agents=CILIUM), "Cilium", "host-gw", "recognised", False),
        (Clues(agents=daemon("aws-node")), "AWS VPC", "host-gw", "recognised", False),
        (Clues(agents=daemon("calico-node")), "Calico bgp", "host-gw", "recognised", False),
        (
            Clues(nodes({CALICO_IPIP: "10.1.0.1"}), daemon("calico-node")),
            "Calico ipip",
            "vxlan",
            "recognised",
            False,
        ),
        (
            Clues(nodes({CALICO_VXLAN: "10.1.0.1"}), daemon("calico-node")),
            "Calico vxlan",
            "vxlan",
            "recognised",
            False,
        ),
        (
            Clues(agents=daemon("calico-node", CALICO_IPV4POOL_IPIP="Always")),
            "Calico ipip",
            "vxlan",
            "recognised",
            False,
        ),
        (
            Clues(agents=daemon("calico-node", CALICO_IPV4POOL_VXLAN="Never")),
            "Calico bgp",
            "host-gw",
            "recognised",
            False,
        ),
    ],
)
def test_the_pod_network(clues: Clues, name: str, backend: str, sureness: str, known: bool) -> None:
    found = find_network(clues)
    assert (found.name, found.backend, found.sureness) == (name, backend, sureness)
    assert found.source_known is known
    assert bool(found.inference.doubt) is not known


@pytest.mark.parametrize(
    ("server", "kubelet", "version", "sureness", "doubt"),
    [
        ("v1.30.2+k3s1", "v1.30.2+k3s1", KubeVersion(1, 30), "read", ""),
        ("v1.30.2", "v1.29.9", KubeVersion(1, 30), "read", "nodes run v1.29.9"),
        ("v1.99.0", "v1.99.0", None, "read", f"those of {NEWEST} are used"),
        ("", "", None, "assumed", ""),
    ],
)
def test_the_version(
    server: str, kubelet: str, version: KubeVersion | None, sureness: str, doubt: str
) -> None:
    found, told = find_version(Clues(nodes({}, kubelet=kubelet), server=server))
    assert (found, told.sureness) == (version, sureness)
    assert doubt in told.doubt
    assert bool(doubt) == bool(told.doubt)


def test_options_of_a_command_line() -> None:
    words = ["server", "--a", "1", "--a=2", "--flag", "--b=", "-c", "x", "y"]
    assert options(words) == {"a": ["1", "2"], "flag": [""], "b": [""], "c": ["x"]}

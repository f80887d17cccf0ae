"""`secondhop explain`: transcripts of the reference experiment, the JSON of product.md, errors."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import deployment, lab, reference, service

from secondhop.report.schema import schema

from .conftest import NODES, RANGES, Secondhop, write

WORLD, SERVICE = reference()
POD = WORLD.cluster.pods[0].name
PLACED = {"apiVersion": "secondhop/v1", "kind": "Lab", "placement": {"traffic-test": "xjp1"}}

OVERVIEW = f"""\
default/traffic-test: Cluster serves through every node and hides the client's address (k8s 1.36)

THROUGH                  ANSWER     LANDS ON  POD SEES   HOPS
gz1 192.168.8.1:30316    delivered  xjp1      10.42.0.0  2
  gz1 has no ready pod; it passes the connection on to xjp1 (second hop) and replaces the source by
  10.42.0.0, the address of flannel.1
xjp1 172.17.26.70:30316  delivered  xjp1      10.42.1.1  1
  xjp1 hands it to its own pod {POD} and replaces the source by 10.42.1.1,
  the address of cni0

If xjp1, the worst, is lost, so is every connection until pods are ready elsewhere.
In a rollout of Deployment default/traffic-test: 1 of 1 pods stay ready; ending pods serve 0 s more,
5 s are needed (preStop sleep); no readinessProbe holds new ones back until they listen.
"""
LOCAL = f"""\
default/traffic-test: Local loses what enters through gz1: timeout (dropped); elsewhere it keeps the
client's address (k8s 1.36)
What helps: a ready pod on every node (a DaemonSet, or more replicas, spread); a balancer that asks
the health check and leaves the other nodes out; or Cluster, at the price of the client's address.

THROUGH                  ANSWER             LANDS ON  POD SEES      HOPS
gz1 192.168.8.1:30316    timeout (dropped)  -         -             -
  dropped on gz1: externalTrafficPolicy=Local and none of gz1's pods is ready (1 ready elsewhere)
xjp1 172.17.26.70:30316  delivered          xjp1      192.168.22.2  1
  xjp1 hands it to its own pod {POD}; the pod sees the sender's own address
"""
ALL = """\
default/traffic-test: Cluster serves through every node and hides the client's address (k8s 1.36)

TO                       FROM         ANSWER      LANDS ON  POD SEES     HOPS
gz1 192.168.8.1:30316    everyone     delivered   xjp1      10.42.0.0    2
xjp1 172.17.26.70:30316  everyone     delivered   xjp1      10.42.1.1    1
cluster IP 10.43.1.1:80  client       unroutable  -         -            -
                         pod of gz1   delivered   xjp1      10.42.0.250  2
                         pod of xjp1  delivered   xjp1      10.42.1.250  1
                         node gz1     delivered   xjp1      10.42.0.0    2
                         node xjp1    delivered   xjp1      10.42.1.1    1

unroutable: an ICMP unreachable from the network
everyone: the client, a pod of each node and each node itself
pod: of a node, nobody's endpoint
"""
FLOW = f"""\
delivered: gz1 has no ready pod; it passes the connection on to xjp1 (second hop) and replaces the
source by 10.42.0.0, the address of flannel.1 (k8s 1.36)
client (192.168.22.2) to 192.168.8.1:30316/TCP, node port of Service default/traffic-test on gz1

1. gz1: takes 192.168.8.1:30316 for the node port of Service default/traffic-test
   - Service default/traffic-test spec.ports[0].nodePort=30316 [KUBE-NODEPORTS]
2. gz1: chooses the only endpoint, 10.42.1.2:80
   - Service default/traffic-test spec.externalTrafficPolicy=Cluster [KUBE-SVC-ULIPINWRNWDNMQWK]
3. gz1: replaces the source 192.168.22.2 by 10.42.0.0, the address of flannel.1
   - Service default/traffic-test spec.externalTrafficPolicy=Cluster masquerades every connection
     [KUBE-POSTROUTING]
4. xjp1: {POD}: reached by flannel.1 of gz1, sees 10.42.0.0
   - Node xjp1 spec.podCIDRs

POD                            NODE  ADDRESS       SHARE   SEES       HOPS
{POD}  xjp1  10.42.1.2:80  100.0%  10.42.0.0  2
"""
UNROUTABLE = """\
unroutable at the router: it knows no way to 10.43.1.1, which exists only inside the cluster (k8s
1.36)
client (192.168.22.2) to 10.43.1.1:80/TCP, cluster IP of Service default/traffic-test

1. the router: unroutable: it knows no way to 10.43.1.1, which exists only inside the cluster
   - routing; no rule of kube-proxy
"""


@pytest.mark.parametrize(
    ("arguments", "report"),
    [
        ([], OVERVIEW),
        (["svc/traffic-test"], OVERVIEW),
        (["--all"], ALL),
        (["--to", "192.168.8.1:30316"], FLOW),
        (["svc/traffic-test", "--from", "client", "--to", "192.168.8.1:30316/tcp"], FLOW),
        (["--to", "10.43.1.1:80"], UNROUTABLE),
    ],
)
def test_the_reference_experiment(secondhop: Secondhop, arguments: list[str], report: str) -> None:
    done = secondhop("explain", *arguments)
    told, _, basis = done.out.partition("\nPredicted, not tried: ")
    assert told == report
    assert basis.startswith("kube-proxy in iptables mode on gz1, xjp1; pod network vxlan; client")
    assert done.code == 0
    assert done.err == ""


def test_local_says_who_is_cut_off(secondhop: Secondhop, tmp_path: Path) -> None:
    spec = {"externalTrafficPolicy": "Local"}
    file = write(
        tmp_path / "local.json",
        deployment("traffic-test"),
        service("traffic-test", node_port=30316, **spec),
        PLACED,
    )
    done = secondhop("explain", "-f", file)
    told = re.sub(r"traffic-test-\w{10}-\w{5}", POD, done.out)
    assert told.partition("\nPredicted, ")[0] == LOCAL
    assert done.code == 0


def test_the_basis_names_the_proxy_mode_the_assumptions_and_what_was_skipped(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    settings = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in "ab"
    ]
    file = write(tmp_path / "all.json", deployment(), service(), *settings)
    basis = secondhop("explain", "-f", file, "--proxy-mode", "nftables").out.split("\n\n")[-1]
    assert "kube-proxy in nftables mode on gz1, xjp1" in basis
    assert "Deployment default/web: " in basis
    assert basis.endswith("Skipped, not looked at: 2 ConfigMap.\n")


def test_stdin_is_a_file(secondhop: Secondhop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(service("piped"))))
    assert secondhop("explain", "-f", "-").out.startswith(
        "default/piped: Cluster serves through no"
    )


def test_the_proxy_mode_names_the_chains(secondhop: Secondhop) -> None:
    asked = ("explain", "--to", "192.168.8.1:30316", "--proxy-mode")
    assert "[KUBE-NODEPORTS]" in secondhop(*asked, "iptables").out
    assert "KUBE-" not in secondhop(*asked, "nftables").out


def test_several_services_are_counted_first(secondhop: Secondhop, many: str) -> None:
    out = secondhop("explain", "-f", many).out
    assert out.startswith(
        "2 Services: 1 not served through some entry (default/web), 1 without a way in from"
        " outside\n(default/inner) (k8s 1.36)\n\n"
        "default/web: Local loses what enters through n2, n3, n4: "
    )
    assert "\n203.0.113.10:80 by n0 " in out
    assert "\nn1 10.1.0.2:30999 (health check) " in out


def test_equal_rows_are_folded_within_a_hundred_columns(secondhop: Secondhop, many: str) -> None:
    out = secondhop("explain", "svc/web", "--all", "-f", many).out
    assert max(map(len, out.splitlines())) <= 100
    assert "port 30080 of n2," in out
    assert "everyone else: all senders but that node and its pods" in out
    assert "loop: " not in out


def test_a_service_without_a_way_in(secondhop: Secondhop, many: str) -> None:
    out = secondhop("explain", "svc/inner", "-f", many).out
    assert out.startswith("default/inner: no way in from outside (type ClusterIP) (k8s 1.36)\n")


def test_both_families_and_a_bracketed_address(secondhop: Secondhop, tmp_path: Path) -> None:
    nodes = [
        {
            "name": "a",
            "addresses": ["10.1.0.1", "fd00:1::1"],
            "podCIDRs": ["10.50.0.0/24", "fd00:50::/64"],
        }
    ]
    network = {
        "podCIDRs": ["10.50.0.0/16", "fd00:50::/56"],
        "serviceCIDRs": ["10.96.0.0/16", "fd00:96::/112"],
    }
    client = {"addresses": ["192.168.22.2", "fd00:22::2"]}
    both: dict[str, Any] = {"ipFamilyPolicy": "RequireDualStack", "externalTrafficPolicy": "Local"}
    file = write(
        tmp_path / "dual.json",
        lab(nodes, network=network, client=client),
        deployment(),
        service(**both),
    )
    out = secondhop("explain", "-f", file).out
    assert out.startswith("default/web: Local serves through the only node (a) and keeps")
    assert "a [fd00:1::1]:30080" in out
    out = secondhop("explain", "-f", file, "--to", "[FD00:1:0::1]:30080").out
    assert "client (fd00:22::2) to [fd00:1::1]:30080/TCP, node port" in out


def test_the_json_has_the_shape_of_product_md(secondhop: Secondhop) -> None:
    document = json.loads(secondhop("explain", "-o", "json").out)
    assert {key: document[key] for key in document if key not in ("cells", "failover")} == {
        "apiVersion": "secondhop/v1",
        "kind": "Prediction",
        "kubeVersion": "1.36",
    }
    assert document["cells"][0] == {
        "service": "default/traffic-test",
        "source": {"kind": "client", "name": "client", "ip": "192.168.22.2"},
        "destination": {
            "kind": "nodePort",
            "node": "gz1",
            "address": "192.168.8.1",
            "port": 30316,
            "protocol": "TCP",
        },
        "via": None,
        "predicted": {
            "fate": "delivered",
            "reason": "gz1 has no ready pod; it passes the connection on to xjp1 (second hop) and"
            " replaces the source by 10.42.0.0, the address of flannel.1",
            "clientIP": "replaced",
            "backends": [
                {
                    "pod": POD,
                    "node": "xjp1",
                    "address": "10.42.1.2:80",
                    "share": 1.0,
                    "sourceIP": "10.42.0.0",
                    "hops": 2,
                }
            ],
        },
    }


def test_a_lost_node_and_a_rollout_behind_a_balancer(secondhop: Secondhop, tmp_path: Path) -> None:
    made = deployment(replicas=len(NODES))
    places = lab(NODES, network=RANGES, placement={"web": [node["name"] for node in NODES]})
    spread = write(tmp_path / "web.json", places, made, service(externalTrafficPolicy="Local"))
    asked = ("explain", "-f", spread, "--balancer", "healthy-nodes")
    out = secondhop(*asked).out
    assert f"If one of {len(NODES)} nodes is lost, so is what it is sent" in out
    assert "\nIn a rollout of Deployment default/web: " in out
    document = json.loads(secondhop(*asked, "-o", "json").out)
    Draft202012Validator(schema("Prediction")).validate(document)
    found = document["failover"]
    (loss,) = found["nodeLosses"]
    share = pytest.approx(1 / len(NODES))
    assert loss["phases"] == [{"untilSeconds": 3, "lost": share}, {"untilSeconds": None, "lost": 0}]
    assert (found["balancer"], found["detectionSeconds"]) == ("healthy-nodes", 3)
    assert found["rollouts"][0]["neededSeconds"] == 5
    everything = json.loads(secondhop(*asked, "--all", "-o", "json").out)
    assert everything["failover"] == found


def test_nothing_is_said_of_many_services_or_of_nodes_that_stand_in(
    secondhop: Secondhop, tmp_path: Path, many: str
) -> None:
    unknown = write(tmp_path / "web.json", deployment(), service())
    for file in many, unknown:
        document = json.loads(secondhop("explain", "-f", file, "-o", "json").out)
        assert "failover" not in document
        assert "is lost, so is" not in secondhop("explain", "-f", file).out
    assert "there is no balancer f5" in secondhop("explain", "--balancer", "f5").err


def identity(cell: dict[str, Any]) -> tuple[Any, ...]:
    source, to = cell["source"], cell["destination"]
    sender = (source["kind"], source.get("node"))
    return (
        cell["service"],
        sender,
        to["kind"],
        to["address"],
        to["port"],
        to["protocol"],
        cell["via"],
    )


def test_all_has_one_cell_for_each_flow_and_the_overview_is_a_part_of_it(
    secondhop: Secondhop, many: str
) -> None:
    everything = json.loads(secondhop("explain", "-f", many, "--all", "-o", "json").out)["cells"]
    table = {identity(cell): cell for cell in everything}
    entries = 5 + 5 + 5 + 1  # node ports, LB and external IP by each node, cluster IP
    assert len(everything) == len(table) == 11 * entries + 5 + 11  # health checks; inner's IP
    shown = json.loads(secondhop("explain", "-f", many, "-o", "json").out)["cells"]
    assert [table[identity(cell)] for cell in shown] == shown
    outside = [
        cell
        for cell in everything
        if cell["source"]["kind"] == "client" and cell["destination"]["kind"] != "clusterIP"
    ]
    assert len(shown) == len(outside)
    assert table["default/web", ("client", None), "healthCheckNodePort", "10.1.0.1", 30999, "TCP",
                 None]["predicted"]["http"] == {"status": 200, "localEndpoints": 2}  # fmt: skip


def test_an_input_without_services_is_refused(secondhop: Secondhop, tmp_path: Path) -> None:
    done = secondhop("explain", "-f", write(tmp_path / "pods.json", deployment()))
    assert "the input has no Service" in done.err
    assert done.code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--kube-version 1.37", "Kubernetes 1.37 is not known yet: the newest known is 1.36"),
        ("--kube-version 1.19", "Kubernetes 1.19 is too old"),
        ("--kube-version one", "'one' is not a Kubernetes version"),
        ("--proxy-mode ipvs", "no verdict for ipvs: every node owns every Service address"),
        ("--proxy-mode cilium", "no verdict for cilium: "),
        ("--proxy-mode nftables --kube-version 1.28", "1.28 has no nftables mode by default"),
    ],
)
def test_rules_that_are_not_known_are_refused(
    secondhop: Secondhop, arguments: str, says: str
) -> None:
    done = secondhop("explain", *arguments.split(" "))
    assert says in done.err
    assert (done.out, done.code) == ("", 2)


def test_a_lab_files_proxy_mode_is_refused_where_the_release_has_none(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    world = lab(NODES, network=RANGES, proxy={"mode": "nftables"})
    file = write(tmp_path / "nft.json", world, deployment(), service())
    assert secondhop("explain", "-f", file).code == 0
    done = secondhop("explain", "-f", file, "--kube-version", "1.30")
    assert (done.code, "nftables" in done.err) == (2, True)


def test_the_release_switches_the_rules_and_is_printed(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    near = service(trafficDistribution="PreferSameNode")
    file = write(tmp_path / "near.json", deployment(replicas=2), near)
    for version, nodes in ("1.36", ["gz1"]), ("1.33", ["gz1", "xjp1"]):
        asked = ("explain", "-f", file, "--kube-version")
        verdict = secondhop(*asked, f"v{version}.1+k3s1").out.partition("\n\n")[0]
        assert verdict.startswith("default/web: Cluster serves through every node and hides")
        assert verdict.endswith(f"(k8s {version})")
        document = json.loads(secondhop(*asked, version, "-o", "json").out)
        assert document["kubeVersion"] == version
        reached = document["cells"][0]["predicted"]["backends"]
        assert [backend["node"] for backend in reached] == nodes


def spread_out(made: dict[str, Any]) -> dict[str, Any]:
    """The Deployment with at most one pod more on a node than on another."""
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": made["spec"]["selector"],
    }
    made["spec"]["template"]["spec"]["topologySpreadConstraints"] = [constraint]
    return made


FEW = NODES[:3]


@pytest.mark.parametrize(
    ("documents", "policy", "verdict", "certainty"),
    [
        (
            [deployment(replicas=3)],
            "Local",
            "default/web: Local drops what enters through a node without a pod: possible with 2"
            " nodes or more, certain with more than 3 nodes; elsewhere it keeps the client's"
            " address (k8s 1.36) What makes it certain that no node drops: a DaemonSet, or at least"
            " as many replicas as nodes with a topologySpreadConstraint on kubernetes.io/hostname"
            " (maxSkew: 1, whenUnsatisfiable: DoNotSchedule).",
            "possible",
        ),
        (
            [spread_out(deployment(replicas=3))],
            "Local",
            "default/web: Local drops what enters through a node without a pod: impossible with up"
            " to 3 nodes, certain with more; elsewhere it keeps the client's address (k8s 1.36)"
            " What makes it certain that no node drops: a DaemonSet, or at least as many replicas"
            " as nodes.",
            "possible",
        ),
        (
            [deployment(replicas=3)],
            "Cluster",
            "default/web: Cluster serves through every node and hides the client's address,"
            " wherever its pods are placed (k8s 1.36)",
            "certain",
        ),
        (
            [spread_out(deployment(replicas=3)), lab(FEW, network=RANGES)],
            "Local",
            "default/web: Local serves through every node and keeps the client's address,"
            " wherever its pods are placed (k8s 1.36)",
            "certain",
        ),
        (
            [spread_out(deployment(replicas=2)), lab(FEW, network=RANGES)],
            "Local",
            "default/web: Local drops what enters through a node without a pod: possible for n0,"
            " n1, n2, certain for some of them; elsewhere it keeps the client's address (k8s 1.36)"
            " What makes it certain that no node drops: a DaemonSet, or at least 3 replicas.",
            "possible",
        ),
        (
            [deployment(), lab(FEW, network=RANGES, placement={"web": "n1"})],
            "Local",
            "default/web: Local loses what enters through n0, n2: timeout (dropped); elsewhere it"
            " keeps the client's address (k8s 1.36) What helps: a ready pod on every node (a"
            " DaemonSet, or more replicas, spread); a balancer that asks the health check and"
            " leaves the other nodes out; or Cluster, at the price of the client's address.",
            None,
        ),
    ],
)
def test_the_verdict_is_over_every_placement(
    secondhop: Secondhop,
    tmp_path: Path,
    documents: list[dict[str, Any]],
    policy: str,
    verdict: str,
    certainty: str | None,
) -> None:
    file = write(tmp_path / "web.json", service(externalTrafficPolicy=policy), *documents)
    out = secondhop("explain", "-f", file).out
    assert " ".join(out.partition("\n\n")[0].split()) == verdict
    assert ("For example, in one of the placements" in out) == (certainty is not None)
    assert (", possible" in out) == (certainty == "possible")
    assert ("where they are placed" in out) == (certainty is not None)
    document = json.loads(secondhop("explain", "-f", file, "-o", "json").out)
    Draft202012Validator(schema("Prediction")).validate(document)
    assert {cell["predicted"].get("certainty") for cell in document["cells"]} == {certainty}
    everything = secondhop("explain", "-f", file, "--all").out
    assert ("possible: in some placements" in everything) == (certainty == "possible")


def test_one_flow_says_what_is_only_possible(secondhop: Secondhop, tmp_path: Path) -> None:
    local = service(externalTrafficPolicy="Local")
    file = write(tmp_path / "web.json", local, deployment(), lab(FEW, network=RANGES))
    out = secondhop("explain", "-f", file, "--to", "10.1.0.1:30080").out
    assert out.startswith("possible, not certain: delivered: n0 hands it to its own pod")
    assert "Nobody has placed the pods: what is named here is one of the placements" in out
    out = secondhop("explain", "-f", file, "--to", "10.1.0.1:31234").out
    assert "placed" not in out.partition("Predicted")[0]


def test_of_many_services_those_that_hang_on_places_are_named(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    services = [
        service(f"s{k}", node_port=30080 + k, selector={"app": "web"}, externalTrafficPolicy=policy)
        for k, policy in enumerate(("Local", "Cluster"))
    ]
    file = write(tmp_path / "web.json", *services, deployment(replicas=2))
    first = " ".join(secondhop("explain", "-f", file).out.partition("\n\n")[0].split())
    assert first == (
        "2 Services: 1 served through every entry or not, by placement (default/s0), 1 served"
        " through every entry (default/s1) (k8s 1.36)"
    )


def test_a_service_without_its_workload_is_in_doubt(secondhop: Secondhop, tmp_path: Path) -> None:
    alone = secondhop("explain", "-f", write(tmp_path / "a.json", service("web", node_port=30080)))
    verdict = " ".join(alone.out.partition("\n\n")[0].split())
    assert "In doubt, endpoints of default/web (none): the input has no pod of that" in verdict
    file = write(tmp_path / "b.json", deployment("web", replicas=0), service("web"))
    assert "In doubt" not in secondhop("explain", "svc/web", "-f", file).out


def test_a_name_of_another_namespace(secondhop: Secondhop, tmp_path: Path) -> None:
    shop, bank = service("web"), service("web", node_port=30081)
    shop["metadata"]["namespace"], bank["metadata"]["namespace"] = "shop", "bank"
    one = secondhop("explain", "svc/web", "-f", write(tmp_path / "1.json", shop))
    assert one.err.endswith("\n  Did you mean -n shop?\n")
    two = secondhop("explain", "svc/web", "-f", write(tmp_path / "2.json", shop, bank))
    assert two.err.endswith("\n  It is in the namespaces shop, bank: say which with -n.\n")


def test_a_namespace_does_not_make_names_alike(secondhop: Secondhop) -> None:
    far, near = secondhop("explain", "svc/kubernetes"), secondhop("explain", "svc/trafic-test")
    assert "There is default/traffic-test. Check the name" in far.err
    assert "Did you mean default/traffic-test?" in near.err


def test_a_service_as_two_words(secondhop: Secondhop) -> None:
    done = secondhop("explain", "svc", "traffic-test")
    assert done.code == 2
    assert "A Service is one word, svc/NAME" in done.err

"""One flow as typed: its ends recognised, and what cannot be meant refused."""

import json

import pytest
from support import reference

from .conftest import Secondhop

POD = reference()[0].cluster.pods[0].name


@pytest.mark.parametrize(
    ("asked", "source", "destination"),
    [
        (
            ["--to", "10.1.0.1:30080"],
            {"kind": "client", "name": "client", "ip": "192.168.22.2"},
            {"kind": "nodePort", "node": "n0"},
        ),
        (
            ["--from", "node/n1", "--to", "203.0.113.10:80"],
            {"kind": "node", "name": "n1", "ip": "10.1.0.2", "node": "n1"},
            {"kind": "loadBalancerIP"},
        ),
        (
            ["--from", "192.168.22.2", "--to", "198.51.100.7:80/TCP", "--via", "n2"],
            {"kind": "client", "name": "client", "ip": "192.168.22.2"},
            {"kind": "externalIP"},
        ),
        (
            ["--from", "10.1.0.3", "--to", "10.1.0.1:30999"],
            {"kind": "node", "name": "n2", "ip": "10.1.0.3", "node": "n2"},
            {"kind": "healthCheckNodePort", "node": "n0"},
        ),
        (
            ["--from", "8.8.8.8", "--to", "10.1.0.1:22"],
            {"kind": "address", "name": "8.8.8.8", "ip": "8.8.8.8"},
            {"kind": "address"},
        ),
    ],
)
def test_the_ends_of_a_flow_are_recognised(
    secondhop: Secondhop,
    many: str,
    asked: list[str],
    source: dict[str, str],
    destination: dict[str, str],
) -> None:
    (cell,) = json.loads(secondhop("explain", "-f", many, "-o", "json", *asked).out)["cells"]
    assert cell["source"] == source
    known = {key: cell["destination"].get(key) for key in ("kind", "node")}
    assert known == {"kind": destination["kind"], "node": destination.get("node")}
    assert cell["service"] == (None if destination["kind"] == "address" else "default/web")
    assert cell["predicted"]["steps"]


def test_a_pod_of_the_input_sends_by_name_or_by_address(secondhop: Secondhop) -> None:
    for sender in f"pod/{POD}", "10.42.1.2":
        asked = ("explain", "--from", sender, "--to", "192.168.8.1:30316", "-o", "json")
        (cell,) = json.loads(secondhop(*asked).out)["cells"]
        assert cell["source"] == {"kind": "pod", "name": POD, "ip": "10.42.1.2", "node": "xjp1"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--to 10.0.0.1", "--to 10.0.0.1 is not ADDR:PORT[/PROTO]\n  Write for example 192.168."),
        ("--to fd00::1:80", "is not ADDR:PORT[/PROTO]\n  An IPv6 address stands in brackets"),
        ("--to 10.0.0.1:0", "0 is not a port\n  A port is a number between 1 and 65535."),
        ("--to 10.0.0.1:65536", "65536 is not a port"),
        ("--to 10.0.0.1:", "nothing is not a port"),
        ("--to 10.0.0.1:²", "² is not a port"),
        ("--to 10.0.0.1:80/icmp", "icmp is not a protocol\n  Write tcp, udp or sctp."),
        ("--to gz1:80", "gz1 is not an IP address\n  Names are not looked up"),
        ("--to []:80", "nothing is not an IP address"),
        ("--to [fd00::1]:80", "--from client: it has no IPv6 address"),
        ("--to [fd00::1]:80 --from node/gz1", "--from node/gz1: it has no IPv6 address"),
        ("--to [fd00::1]:80 --from 8.8.8.8", "the families differ"),
        ("--to 10.0.0.1:80 --from bob", "--from bob: bob is not an IP address"),
        ("--to 10.0.0.1:80 --from svc/x", "svc cannot send\n  Write client, an IP, pod/NAME or"),
        ("--to 10.0.0.1:80 --from node/gz2", "there is no node gz2\n  Did you mean gz1?"),
        ("--to 10.0.0.1:80 --from node/zzz", "there is no node zzz\n  There is gz1, xjp1."),
        ("--to 10.0.0.1:80 --from pod/traffic", f"namespace default\n  Did you mean {POD}?"),
        ("--to 10.0.0.1:80 --from pod/x -n web", "in namespace web\n  There is traffic-test-"),
        ("--to 10.0.0.1:80 --via gz2", "--via gz2: there is no node gz2\n  Did you mean gz1?"),
        ("--to 192.168.8.1:30316 --via gz1", "does not go with --to 192.168.8.1:30316"),
        ("--via gz1", "--via needs --to"),
        ("--from client", "--from needs --to"),
        ("--all --to 10.0.0.1:80", "--to is one flow, --all is every flow"),
        ("svc/traffic", "no Service default/traffic in the input\n  Did you mean default/traffic-"),
        ("pod/x", "pod/x is not a Service"),
    ],
)
def test_what_cannot_be_meant_is_refused(secondhop: Secondhop, arguments: str, says: str) -> None:
    done = secondhop("explain", *arguments.split(" "))
    assert says in done.err
    assert done.err.startswith("secondhop: ")
    assert done.out == ""
    assert done.code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--to 203.0.113.10:80", "the network must bring it to one\n  Say to which with --via: n0"),
        ("svc/inner --to 10.1.0.1:30080", "belongs to Service default/web, not to default/inner"),
    ],
)
def test_what_the_input_rules_out_is_refused(
    secondhop: Secondhop, many: str, arguments: str, says: str
) -> None:
    done = secondhop("explain", "-f", many, *arguments.split(" "))
    assert says in done.err
    assert done.code == 2

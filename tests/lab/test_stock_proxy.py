"""A stock kube-proxy in the proxy's seat, judged by the prediction. The real one where there is
one; what it meets, and what becomes of one that fails, with stand-ins."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Unprivileged
from staying import Secondhop, gone, processes
from strangers_in_seats import DYING, DYING_WHEN_TOLD, IDLE_PROXY, VERSION, kube_bin, program
from support import deployment, lab, random_world, reference, sandboxed, service

from secondhop.errors import LabError
from secondhop.experiment.events import Probed
from secondhop.experiment.run import run
from secondhop.lab import iptables
from secondhop.lab.client import Lab
from secondhop.lab.netns import Namespace
from secondhop.lab.stockproxy import Stock, StockProxy
from secondhop.model.cluster import ProxyMode

REFERENCE = [
    ("Cluster", "xjp1", "delivered", ["10.42.1.1"]),
    ("Cluster", "gz1", "delivered", ["10.42.0.0"]),
    ("Local", "xjp1", "delivered", ["192.168.22.2"]),
    ("Local", "gz1", "dropped", []),
]
GOOD = Path(__file__).parents[1] / "fixtures/reference/good.yaml"


def lab_file(folder: Path, kube_proxy: object, mode: str = "iptables") -> str:
    proxy = {"mode": mode, "external": str(kube_proxy)}
    path = folder / "lab.yaml"
    path.write_text(json.dumps({"apiVersion": "secondhop/v1", "kind": "Lab", "proxy": proxy}))
    path.chmod(0o644)
    return str(path)


def rows(answer: dict[str, list[dict[str, dict[str, object]]]]) -> list[tuple[object, ...]]:
    return [
        (
            trial["policy"],
            trial["destination"]["node"],
            trial["observed"]["fate"],
            sorted(trial["observed"]["sourceIPs"]),  # type: ignore[call-overload]
        )
        for trial in answer["trials"]
    ]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_real_one_does_what_was_predicted(
    mode: str, secondhop: Secondhop, tmp_path: Path
) -> None:
    lab = lab_file(tmp_path, kube_bin("kube-proxy") / "kube-proxy", mode)
    done = secondhop("run", "-o", "json", "-f", lab, "-f", str(GOOD))
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert rows(answer) == REFERENCE
    assert "no answer in 1 s" in answer["trials"][3]["observed"]["evidence"]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_real_one_needs_no_privileges(mode: str, unprivileged: Unprivileged) -> None:
    kube_proxy = kube_bin("kube-proxy") / "kube-proxy"
    lab = lab_file(unprivileged.home, kube_proxy, mode)
    objects = unprivileged.home / "good.yaml"
    objects.write_text(GOOD.read_text())
    done = unprivileged.run("run", "-o", "json", "-f", lab, "-f", str(objects))
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(json.loads(done.stdout)) == REFERENCE


def test_the_real_one_in_a_lab_that_stays(secondhop: Secondhop, root: Path, tmp_path: Path) -> None:
    lab = lab_file(tmp_path, kube_bin("kube-proxy") / "kube-proxy")
    assert secondhop("lab", "up", "-f", lab, "-f", str(GOOD)).returncode == 0
    curl = ["lab", "exec", "client", "--", "curl", "-s", "--connect-timeout", "1"]
    patience = time.monotonic() + 20
    while "10.42.0.0" not in secondhop(*curl, "192.168.8.1:30316").stdout:
        assert time.monotonic() < patience
    log = root / "secondhop/default/kube-proxy-gz1.log"
    assert "Version info" in log.read_text()
    assert oct(log.stat().st_mode & 0o777) == "0o600"


def test_one_that_writes_no_rules_is_found_out(secondhop: Secondhop, tmp_path: Path) -> None:
    """It meets an API that answers all that kube-proxy asks; then prediction and packets differ."""
    lab = lab_file(tmp_path, program(tmp_path / "kube-proxy", IDLE_PROXY))
    done = secondhop("run", "-o", "json", "-f", lab, "-f", str(GOOD))
    assert done.returncode == 4, done.stderr
    answer = json.loads(done.stdout)
    assert {fate for _, _, fate, _ in rows(answer)} == {"closed"}
    assert any("a stock one, Kubernetes v1.36.0" in note for note in answer["notes"])


def test_a_lab_that_stays_keeps_what_it_says(
    secondhop: Secondhop, root: Path, tmp_path: Path
) -> None:
    lab = lab_file(tmp_path, program(tmp_path / "kube-proxy", IDLE_PROXY))
    assert secondhop("lab", "up", "-f", lab).returncode == 0
    assert f"\n  kube-proxy: {tmp_path / 'kube-proxy'}\n" in secondhop("lab", "status").stdout
    log = root / "secondhop/default/kube-proxy-xjp1.log"
    wanted = {"ADDED Service", "ADDED Node", "BOOKMARK EndpointSlice"}
    patience = time.monotonic() + 20
    while not wanted <= set(log.read_text().splitlines()):
        assert time.monotonic() < patience, log.read_text()
        time.sleep(0.02)
    assert secondhop("lab", "down").returncode == 0
    assert gone(root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "proxy.external: {path} is not there"),
        ("", "is no kube-proxy: --version says"),
        (DYING, "ended with exit code 3; it said last:\n    E1123 it is told nothing that it"),
    ],
)
def test_one_that_does_not_run_is_told_of(
    text: str | None, said: str, secondhop: Secondhop, tmp_path: Path
) -> None:
    path = tmp_path / "kube-proxy"
    if text is not None:
        program(path, text)
    done = secondhop("run", "-f", lab_file(tmp_path, path), "-f", str(GOOD))
    assert done.returncode == 3
    assert said.format(path=path) in done.stderr
    assert "Traceback" not in done.stderr
    assert "Predicted, not tried" in done.stdout


def test_one_that_may_not_be_executed(secondhop: Secondhop, tmp_path: Path) -> None:
    path = program(tmp_path / "kube-proxy", VERSION)
    path.chmod(0o644)
    for command in ("run",), ("lab", "up"):
        done = secondhop(*command, "-f", lab_file(tmp_path, path), "-f", str(GOOD))
        assert done.returncode == 3
        assert f"proxy.external: {path} cannot be executed" in done.stderr


def refused_again_and_again() -> list[int]:
    """How many descriptors there are after each sync that flannel's rules fail in."""

    async def syncs() -> list[int]:
        cluster, found = reference()[0].cluster, []
        proxy = StockProxy(Namespace.create("gz1"), Stock("/nothing", ""))
        for _ in range(4):
            with pytest.raises(LabError):
                await proxy.sync(cluster)
            found.append(len(os.listdir("/proc/self/fd")))
        return found

    def refuse(namespace: Namespace, text: str, family: int) -> None:
        raise LabError("no", "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iptables, "Restore", refuse)
        return asyncio.run(syncs())


def test_a_sync_that_fails_leaves_nothing_open() -> None:
    assert len(set(sandboxed(refused_again_and_again))) == 1


def test_nothing_is_left_of_a_run_that_is_killed(root: Path, tmp_path: Path) -> None:
    lab_yaml = lab_file(tmp_path, program(tmp_path / "kube-proxy", DYING_WHEN_TOLD))
    main = "import sys; from secondhop.cli import main; sys.exit(main())"
    running = subprocess.Popen(
        [sys.executable, "-c", main, "run", "-f", lab_yaml, "-f", str(GOOD)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    patience = time.monotonic() + 20
    wanted = f"{tmp_path / 'kube-proxy'}\0--config="
    while sum(wanted in command(one) for one in processes(root)) < 2:
        assert time.monotonic() < patience
        time.sleep(0.02)
    running.kill()
    running.wait(10)
    assert gone(root)


def command(process: int) -> str:
    """A process's command line; empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def test_its_end_is_the_labs_end_and_the_lab_says_why(
    secondhop: Secondhop, root: Path, tmp_path: Path
) -> None:
    lab = lab_file(tmp_path, program(tmp_path / "kube-proxy", DYING_WHEN_TOLD))
    assert secondhop("lab", "up", "-f", lab).returncode == 0
    (tmp_path / "end").touch()
    assert gone(root, 20)
    told = secondhop("lab", "status").stderr
    assert re.search(r"kube-proxy on (gz1|xjp1) ended with exit code 3; it said last:", told)


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("seed", range(1000, 1020))
def test_the_real_one_does_what_was_predicted_anywhere(seed: int, mode: ProxyMode) -> None:
    of = random_world(seed)
    of = replace(
        of,
        cluster=replace(of.cluster, proxy=replace(of.cluster.proxy, mode=mode)),
        lab=replace(of.lab, external_proxy=str(kube_bin("kube-proxy") / "kube-proxy")),
    )
    with Lab() as throw_away:
        events = run(throw_away, of, of.cluster.services[0])
        made = [event.trial for event in events if isinstance(event, Probed)]
    assert not [trial for trial in made if not trial.agree]


BALANCED = [{"ip": "203.0.113.10", "ipMode": "VIP"}, {"ip": "2001:db8:113::10", "ipMode": "VIP"}]
LB: dict[str, Any] = {"type": "LoadBalancer", "ingress": BALANCED}
UDP = [
    {"name": "dns", "port": 53, "targetPort": 80, "nodePort": 30053, "protocol": "UDP"},
    {"name": "http", "port": 80, "targetPort": 80, "nodePort": 30080},
]
SERVICES: dict[str, dict[str, Any]] = {
    "plain": {},
    "externalIPs": {"externalIPs": ["198.51.100.7", "2001:db8:51::7"]},
    "local": LB | {"externalTrafficPolicy": "Local", "healthCheckNodePort": 32100},
    "ranges": LB | {"loadBalancerSourceRanges": ["192.168.22.0/24"]},
    "others' ranges": LB | {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
    "without node ports": LB
    | {"allocateLoadBalancerNodePorts": False, "ports": [{"name": "http", "port": 80}]},
    "proxied": {"type": "LoadBalancer", "ingress": [{"ip": "203.0.113.10", "ipMode": "Proxy"}]},
    "affinity": {"sessionAffinity": "ClientIP"},
    "internal": {"internalTrafficPolicy": "Local"},
    "local and internal": LB
    | {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}
    | {"healthCheckNodePort": 32101},
    "udp": {"ports": UDP},
    "nobody": LB | {"selector": {"app": "nobody"}},
    "zone": {"trafficDistribution": "PreferSameZone"},
    "node": {"trafficDistribution": "PreferSameNode"},
}
DUAL = [
    {
        "name": name,
        "addresses": [ip, f"2001:db8:{n}::1"],
        "podCIDRs": [f"10.42.{n}.0/24", f"fd00:42:0:{n}::/64"],
        "zone": zone,
    }
    for n, (name, ip, zone) in enumerate(
        [("gz1", "192.168.8.1", "a"), ("xjp1", "172.17.26.70", "b"), ("bj1", "172.17.27.70", "b")],
        1,
    )
]


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("name", SERVICES)
def test_the_real_one_does_what_was_predicted_from_everywhere(
    name: str, mode: str, secondhop: Secondhop
) -> None:
    both = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
    spec = both | {k: v for k, v in SERVICES[name].items() if k != "ingress"}
    balanced = {"ingress": SERVICES[name].get("ingress", [])}
    of = service(clusterIPs=["10.43.7.7", "fd00:43::77"], clusterIP="10.43.7.7")
    of["spec"] |= spec
    external = {"mode": mode, "external": str(kube_bin("kube-proxy") / "kube-proxy")}
    described = lab(
        DUAL,
        client={"addresses": ["192.168.22.2", "2001:db8:22::2"]},
        network={
            "podCIDRs": ["10.42.0.0/16", "fd00:42::/48"],
            "serviceCIDRs": ["10.43.0.0/16", "fd00:43::/112"],
        },
        proxy=external,
        placement={"web": ["xjp1", "bj1"]},
    )
    objects = [described, deployment(replicas=2), of | {"status": {"loadBalancer": balanced}}]
    text = "\n---\n".join(map(json.dumps, objects))
    done = secondhop("run", "--all", "-o", "json", "-f", "-", text=text)
    answer = json.loads(done.stdout)
    assert not [trial for trial in answer["trials"] if not trial["agree"]]
    assert len(answer["trials"]) > 100

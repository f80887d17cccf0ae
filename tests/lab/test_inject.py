"""Faults by name: on an embedded cluster, over the supervisor's channel, on a lab that stays."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from embedding import Life, gone, is_true, living, restarts, shell, whoami
from staying import Secondhop
from support import enter, pod, service, world

from secondhop.client import Object, meta
from secondhop.controllers.loop import Settings
from secondhop.errors import ApiError, LabError, UsageError
from secondhop.lab.client import Lab
from secondhop.lab.control import ask
from secondhop.lab.faults import inject
from secondhop.lab.state import State
from secondhop.lab.uplink import Uplink

LABELS = {"app": "many"}


async def workload(life: Life, kind: str, **spec: object) -> None:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [whoami()]}}
    spec = {"selector": {"matchLabels": LABELS}, "template": template, **spec}
    metadata = {"name": kind.lower(), "namespace": "default"}
    await life.api.create(
        {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}
    )


async def pods(life: Life, met: Callable[[list[Object]], object]) -> list[Object]:
    """All pods, once they are as wanted."""
    async with asyncio.timeout(15):
        while True:
            found = list((await life.api.list("Pod", "default")).items)
            if met(found):
                return found
            await asyncio.sleep(0.01)


def ready(count: int) -> Callable[[list[Object]], bool]:
    return lambda found: len(found) == count and all(map(is_true, found))


def test_a_killed_pod_starts_again_and_a_deleted_one_is_gone() -> None:
    async def body(life: Life) -> None:
        for name, container in ("built-in", whoami()), ("program", shell("exec sleep 1000")):
            await life.pod(name, container)
            await life.until(name, is_true)
            await inject(life.lab, "kill", name)
            await life.until(name, lambda pod: restarts(pod) == 1 and is_true(pod))
        await inject(life.lab, "delete", "default/built-in")
        await life.until("built-in", gone)

    living(body)


def test_a_killed_whoami_starts_again_beside_a_program_that_is_just_being_started() -> None:
    """Between fork and exec a program has whatever this process has open, whoami's port too."""

    async def body(life: Life) -> None:
        await life.pod("web")
        await life.until("web", is_true)
        reading, writing = os.pipe()
        if not (program := os.fork()):
            os.close(writing)
            os.read(reading, 1)  # until the test is over, whatever its end
            os._exit(0)
        try:
            await inject(life.lab, "kill", "web")
            again = await life.until("web", lambda pod: restarts(pod) and is_true(pod))
            assert restarts(again) == 1, await life.logs("web", previous=True)
        finally:
            os.close(writing)
            os.waitpid(program, 0)

    living(body)


def test_a_drained_node_keeps_only_its_daemons_until_it_is_uncordoned() -> None:
    async def body(life: Life) -> None:
        await workload(life, "Deployment", replicas=4)
        await workload(life, "DaemonSet")
        await pods(life, ready(6))
        await inject(life.lab, "drain", "gz1")
        left = await pods(life, lambda found: ready(6)(found) and len(on(found, "gz1")) == 1)
        assert [o["kind"] for o in on(left, "gz1")[0]["metadata"]["ownerReferences"]] == [
            "DaemonSet"
        ]
        await life.pod("late", node="")
        await life.until("late", lambda pod: pod["spec"].get("nodeName") == "xjp1")
        await inject(life.lab, "uncordon", "gz1")
        assert "unschedulable" not in (await life.get("gz1", "Node"))["spec"]

    living(body)


def on(found: list[Object], node: str) -> list[Object]:
    return [pod for pod in found if pod["spec"].get("nodeName") == node]


def names(found: list[Object]) -> set[str]:
    return {meta(pod)[1] for pod in found}


def test_a_rolled_deployment_has_new_pods_each_time() -> None:
    async def body(life: Life) -> None:
        await workload(life, "Deployment", replicas=2)
        first = await pods(life, ready(2))
        await inject(life.lab, "roll", "deployment")
        second = await pods(life, lambda found: ready(2)(found) and not names(found) & names(first))
        await inject(life.lab, "roll", "default/deployment")
        await pods(life, lambda found: ready(2)(found) and not names(found) & names(second))

    living(body)


UNKNOWN = {
    ("melt", "gz1"): "there is no fault melt",
    ("cut", "gz2"): "there is no node gz2",
    ("mend", "gz2"): "there is no node gz2",
    ("drain", "gz2"): 'nodes "gz2" not found',
    ("uncordon", "gz2"): 'nodes "gz2" not found',
    ("kill", "nope"): "no pod default/nope runs",
    ("delete", "other/nope"): 'pods "nope" not found',
    ("unready", "nope"): 'pods "nope" not found',
    ("unready", "nowhere"): "no pod default/nowhere runs",
    ("unready", "there"): "pod default/there has no readiness probe that can be made to fail",
    ("roll", "nope"): 'deployments.apps "nope" not found',
}


def test_what_is_not_there() -> None:
    async def body(life: Life) -> dict[tuple[str, str], str]:
        await life.pod("nowhere", node="", nodeSelector={"no": "where"})
        await life.pod("there")
        await life.until("there", is_true)
        said = {}
        for fault, target in UNKNOWN:
            with pytest.raises((UsageError, ApiError)) as refused:
                await inject(life.lab, fault, target)
            said[fault, target] = refused.value.message
        return said

    assert living(body) == UNKNOWN


async def until_node(life: Life, met: Callable[[Object], object]) -> None:
    async with asyncio.timeout(15):
        while not met(await life.get("xjp1", "Node")):
            await asyncio.sleep(0.01)


def test_a_kubelet_behind_a_link_that_is_down_hears_nothing_and_catches_up() -> None:
    """Whoever took the link down; here it is somebody on the node."""

    async def body(life: Life) -> None:
        await life.pod("old")
        await life.until("old", is_true)
        xjp1 = life.lab.wiring.nodes["xjp1"].namespace
        uplink = Uplink(life.api, xjp1)
        watch = uplink.watch("Pod", since=(await uplink.list("Pod")).revision)
        with xjp1:
            subprocess.run(["ip", "link", "set", "eth0", "down"], check=True)
        await life.delete("old")
        await life.pod("new")
        with pytest.raises(OSError, match="Network is unreachable"):
            await anext(watch)
        for refused in (
            uplink.get("Pod", "new", "default"),
            uplink.list("Pod"),
            uplink.create({}),
            uplink.update({}),
            uplink.patch("Pod", "new", "default", {}),
            uplink.delete("Pod", "new", "default"),
        ):
            with pytest.raises(OSError, match="Network is unreachable"):
                await refused
        await until_node(life, lambda node: not is_true(node))
        assert not gone(await life.get("old")), "its kubelet has not been told"
        with xjp1:
            subprocess.run(["ip", "link", "set", "eth0", "up"], check=True)
        await until_node(life, is_true)
        await life.until("new", is_true)
        await life.until("old", gone)

    living(body, settings=Settings(node_grace_seconds=1))


def test_over_the_supervisors_channel() -> None:
    served = world(pod("web-0", "xjp1"), service())
    with Lab() as lab:
        lab.start(served.cluster)
        lab.program(served.cluster)
        port = served.cluster.services[0].ports[0].node_port
        curl = ("curl", "-s", "--max-time", "1", f"http://172.17.26.70:{port}/")
        assert enter(lab, "client", *curl).returncode == 0
        lab.inject("cut", "xjp1")
        assert enter(lab, "client", *curl).returncode != 0
        lab.inject("mend", "xjp1")
        patient = ("--max-time", "5")  # the router asks for the node's address once a second
        assert enter(lab, "client", *curl, *patient).returncode == 0
        with pytest.raises(LabError, match="there is no node nope"):
            lab.inject("cut", "nope")


LAB = """
apiVersion: secondhop/v1
kind: Lab
client: {addresses: [192.168.22.2, "fd00:22::2"]}
nodes:
- {name: gz1, addresses: [192.168.8.1, "fd00:8::1"]}
- {name: xjp1, addresses: [172.17.26.70, "fd00:26::70"]}
nodeGraceSeconds: 1
balancer: {pool: [198.51.100.0/28, "2001:db8:9::/112"], interval: 0.2}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: whoami, image: traefik/whoami}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80}]
"""


def reached(secondhop: Secondhop) -> set[str]:
    """What pods see of the client, who tries again until both load balancer IPs answer."""
    curl = ("curl", "-s", "--retry", "9", "--retry-all-errors", "--max-time", "1")
    replies = [
        secondhop("lab", "exec", "client", "--", *curl, f"http://{host}/").stdout
        for host in ("198.51.100.1", "[2001:db8:9::1]")
    ]
    return {re.findall(r"RemoteAddr: (\S+):\d+", reply)[0] for reply in replies}


def until_ready(secondhop: Secondhop, nodes: int) -> None:
    deadline = time.monotonic() + 15
    while f" {nodes} of 2 nodes Ready" not in (said := secondhop("lab", "status").stdout):
        assert time.monotonic() < deadline, said


def test_a_lab_that_stays_has_balancer_and_faults_in_both_families(
    secondhop: Secondhop, root: Path, tmp_path: Path
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    up = secondhop("lab", "up", "-f", str(file))
    assert up.returncode == 0, up.stderr
    state = State("default", root / "secondhop")
    assert reached(secondhop) == {"192.168.22.2", "[fd00:22::2]"}
    ask(state, "inject", fault="cut", target="gz1")
    until_ready(secondhop, 1)
    assert reached(secondhop) == {"192.168.22.2", "[fd00:22::2]"}
    ask(state, "inject", fault="mend", target="gz1")
    ask(state, "inject", fault="cut", target="xjp1")
    until_ready(secondhop, 1)
    assert reached(secondhop) == {"192.168.22.2", "[fd00:22::2]"}
    with pytest.raises(UsageError, match="there is no fault melt"):
        ask(state, "inject", fault="melt", target="gz1")

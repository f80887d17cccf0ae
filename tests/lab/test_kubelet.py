"""Pods in a running cluster: from their creation to the moment when nothing is left of them."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from embedding import (
    NODES,
    SECONDS,
    Life,
    container,
    gone,
    is_true,
    living,
    restarts,
    shell,
    state,
    whoami,
)
from support import deployment, service

from secondhop.apiserver.agent import LogOptions
from secondhop.client import Object
from secondhop.errors import ApiError
from secondhop.lab.timing import Timing

STAY = "trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done"
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.02; done"


# --- lives ------------------------------------------------------------------------------------


def test_a_pod_becomes_ready_and_says_everything_of_itself() -> None:
    async def body(life: Life) -> None:
        await life.pod("web")
        status = (await life.until("web", is_true))["status"]
        assert status["phase"] == "Running"
        assert status["hostIP"] == "172.17.26.70"
        assert status["podIPs"] == [{"ip": status["podIP"]}] == [{"ip": "10.42.1.2"}]
        assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
            (
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled",
            ),
            "True",
        )
        assert not [c for c in status["conditions"] if "reason" in c]
        assert container({"status": status})["started"] is True
        assert "RemoteAddr: 10.42.1.1" in await life.fetch("10.42.1.2", source="node/xjp1")

    living(body)


@pytest.mark.parametrize(
    ("policy", "code", "phase", "again"),
    [
        ("Never", 0, "Succeeded", False),
        ("Never", 3, "Failed", False),
        ("OnFailure", 0, "Succeeded", False),
        ("OnFailure", 3, "Running", True),
        ("Always", 0, "Running", True),
    ],
)
def test_restart_policies(policy: str, code: int, phase: str, again: bool) -> None:
    async def body(life: Life) -> None:
        await life.pod("job", shell(f"exit {code}"), restartPolicy=policy)
        if again:
            pod = await life.until("job", lambda pod: restarts(pod) >= 2)
            assert container(pod)["lastState"]["terminated"]["exitCode"] == code
        else:
            pod = await life.until("job", lambda pod: pod["status"].get("phase") == phase)
            assert (restarts(pod), container(pod)["state"]["terminated"]["exitCode"]) == (0, code)
            assert not is_true(pod)
        assert pod["status"]["phase"] == phase

    living(body)


def test_the_first_restart_is_at_once_and_the_next_ones_wait_twice_as_long_each() -> None:
    async def body(life: Life) -> list[str]:
        await life.pod("crash", shell("exit 1"))
        pauses: dict[int, str] = {}

        def four(pod: Object) -> bool:
            if said := container(pod).get("state", {}).get("waiting", {}).get("message"):
                pauses[restarts(pod)] = said.split()[1]
            return len(pauses) == 4

        await life.until("crash", four)
        await life.told("Back-off restarting failed container main in pod crash")
        assert min(pauses) == 1
        return list(pauses.values())

    slow = Timing(back_off=1.0, longest_back_off=3.0, retry=0.05)
    assert living(body, timing=slow) == ["1s", "2s", "3s", "3s"]


def test_a_container_that_crashes_can_be_told_from_its_logs() -> None:
    async def body(life: Life) -> None:
        await life.pod("crash", shell("echo life; date +%N; exit 1"))
        await life.until("crash", lambda pod: restarts(pod) >= 2)
        previous = await life.logs("crash", previous=True)
        assert previous.startswith("life\n")
        assert previous != await life.logs("crash")
        with pytest.raises(ApiError, match="container nope is not valid for pod crash"):
            await life.logs("crash", "nope")

    living(body)


def test_following_a_log_ends_with_the_container() -> None:
    async def body(life: Life) -> str:
        script = "for i in 1 2 3; do echo line $i; sleep 0.05; done"
        await life.pod("talk", shell(script), restartPolicy="Never")
        await life.until("talk", lambda pod: state(pod) not in ("", "ContainerCreating"))
        return await life.logs("talk", follow=True)

    assert living(body) == "line 1\nline 2\nline 3\n"


# --- what cannot be started -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason", "said"),
    [
        (
            {"image": "nginx"},
            "ErrImagePull",
            'image "nginx" cannot be pulled: the lab has no registry. Available: traefik/whoami',
        ),
        (
            {"image": "x", "command": ["nosuch"]},
            "StartError",
            'exec: "nosuch": No such file or directory',
        ),
        (
            {"image": "x", "command": ["true"], "envFrom": [{"configMapRef": {"name": "none"}}]},
            "CreateContainerConfigError",
            'configmap "none" not found',
        ),
    ],
)
def test_what_cannot_be_started_says_why(bad: Object, reason: str, said: str) -> None:
    async def body(life: Life) -> None:
        await life.pod("bad", {"name": "main", **bad}, restartPolicy="Never")
        pod = await life.until("bad", lambda pod: state(pod) == reason)
        told = next(iter(container(pod)["state"].values()))
        assert said in told["message"]
        assert not is_true(pod)
        await life.told(said)
        await life.delete("bad")
        await life.until("bad", gone)

    living(body)


def test_a_config_map_that_comes_later_mends_the_pod() -> None:
    async def body(life: Life) -> str:
        source = {"configMapKeyRef": {"name": "late", "key": "word"}}
        words = [{"name": "WORD", "valueFrom": source}]
        await life.pod("late", shell("echo $WORD", env=words), restartPolicy="Never")
        await life.until("late", lambda pod: state(pod) == "CreateContainerConfigError")
        metadata = {"name": "late", "namespace": "default"}
        value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        await life.api.create({**value, "data": {"word": "hi"}})
        await life.until("late", lambda pod: state(pod) == "Completed")
        return await life.logs("late")

    assert living(body) == "hi\n"


def test_a_node_without_addresses_left_makes_pods_wait_and_harms_nobody() -> None:
    async def body(life: Life) -> None:
        for number in range(6):
            await life.pod(f"p{number}")
        for number in range(5):  # /29: eight, less the base, the bridge and the broadcast address
            await life.until(f"p{number}", is_true)
        await life.told("no pod address is left on this node")
        await life.delete("p0", grace=0)
        await life.until("p5", is_true)

    small = [{"name": "xjp1", "address": "172.17.26.70", "podCIDR": "10.42.1.0/29"}]
    living(body, nodes=small)


# --- init containers and sidecars -------------------------------------------------------------


def test_init_containers_run_one_after_the_other_before_the_rest() -> None:
    async def body(life: Life) -> None:
        inits = [shell("exit 0", "one"), shell("sleep 0.3; exit 0", "two")]
        await life.pod("web", initContainers=inits)
        pod = await life.until("web", lambda pod: state(pod, "two") == "running")
        assert (state(pod, "one"), state(pod)) == ("Completed", "PodInitializing")
        assert not is_true(pod, "Initialized")
        pod = await life.until("web", is_true)
        assert is_true(pod, "Initialized")

    living(body)


def test_an_init_container_that_fails_is_tried_again_or_ends_the_pod() -> None:
    async def body(life: Life) -> None:
        await life.pod("again", initContainers=[shell("exit 1", "init")])
        await life.until("again", lambda pod: restarts(pod, "init") >= 2)
        sidecar = shell("sleep 600", "side", restartPolicy="Always")
        never: Object = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
        await life.pod("never", initContainers=[sidecar, shell("exit 1", "init")], **never)
        await life.until("never", lambda pod: pod["status"].get("phase") == "Failed")

    living(body)


def test_a_sidecar_starts_before_the_work_and_ends_after_it() -> None:
    async def body(life: Life) -> None:
        sidecar = shell(STUBBORN, "side", restartPolicy="Always")
        brief: Object = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
        await life.pod("job", shell("sleep 0.2"), initContainers=[sidecar], **brief)
        pod = await life.until("job", lambda pod: state(pod) == "running")
        assert state(pod, "side") == "running"
        await life.until("job", lambda pod: state(pod) == "Completed")
        pod = await life.until("job", lambda pod: pod["status"]["phase"] == "Succeeded")
        assert container(pod, "side")["state"]["terminated"]["exitCode"] == 137

    living(body)


# --- probes -----------------------------------------------------------------------------------


def probe(**how: Any) -> Object:
    return {"periodSeconds": 1, "failureThreshold": 1, **how}


@pytest.mark.parametrize("port", [8080, "web"])
def test_a_readiness_probe_turns_the_pod_and_the_kernels_rules(port: Any) -> None:
    """EndpointSlices follow, and so do the proxies: a node without a ready pod refuses."""

    async def body(life: Life) -> None:
        ports = [{"name": "web", "containerPort": 8080}]
        asked = probe(httpGet={"path": "/health", "port": port})
        main = whoami("main", "--port", "8080", ports=ports, readinessProbe=asked)
        web = service(node_port=30080)
        web["metadata"]["namespace"] = "default"
        web["spec"]["ports"][0]["targetPort"] = port
        await life.api.create(web)
        await life.pod("web", main)
        pod = await life.until("web", is_true)
        address = pod["status"]["podIP"]
        await reached(life, True)
        assert await health(life, address, 503)
        await life.until("web", lambda pod: not is_true(pod))
        await life.told("Readiness probe failed: HTTP probe failed with statuscode: 503")
        await reached(life, False)
        assert restarts(await life.get("web")) == 0
        assert await health(life, address, 200)
        await life.until("web", is_true)
        await reached(life, True)

    living(body)


async def health(life: Life, address: str, code: int) -> bool:
    """Tell a whoami what to answer, from its node."""
    import socket

    sock = life.lab.wiring.nodes["xjp1"].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (address, 8080))
        text = f"POST /health HTTP/1.0\r\nContent-Length: 3\r\n\r\n{code}"
        await loop.sock_sendall(sock, text.encode())
        return (await loop.sock_recv(sock, 1000)).startswith(b"HTTP/1.0 200")


async def reached(life: Life, wanted: bool) -> None:
    """Wait until the node port answers, or refuses."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            await life.fetch("192.168.8.1", 30080)
            answered = True
        except ConnectionRefusedError:
            answered = False
        if answered == wanted:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tcpSocket": {"port": 81}}, "dial tcp 10.42.1.2:81: connect: connection refused"),
        ({"httpGet": {"port": 80, "path": "/%zz"}}, "HTTP probe failed with statuscode: 400"),
        ({"exec": {"command": ["sh", "-c", "echo ill; exit 3"]}}, "exit status 3: ill"),
        ({"exec": {"command": ["sleep", "60"]}}, "no answer in 1 s"),
        ({"tcpSocket": {"port": "nope"}}, 'the container has no port named "nope"'),
    ],
)
def test_a_liveness_probe_restarts(asked: Object, said: str) -> None:
    async def body(life: Life) -> None:
        await life.pod("ill", whoami(livenessProbe=probe(**asked)))
        await life.until("ill", lambda pod: restarts(pod) >= 1)
        await life.told(f"Liveness probe failed: {said}")

    living(body)


def test_a_startup_probe_holds_the_others_back_and_restarts_after_too_many_failures() -> None:
    async def body(life: Life) -> None:
        asked = {"exec": {"command": ["test", "-e", "/tmp/up"]}}
        slow = shell(
            f"sleep 1.5; touch /tmp/up; {STAY}",
            startupProbe=probe(failureThreshold=5, **asked),
            livenessProbe=probe(exec={"command": ["test", "-e", "/tmp/up"]}),
        )
        await life.pod("slow", slow)
        await life.pod("never", shell(STAY, startupProbe=probe(failureThreshold=2, **asked)))
        pod = await life.until("slow", lambda pod: state(pod) == "running")
        assert container(pod)["started"] is False
        assert restarts(await life.until("slow", is_true)) == 0
        pod = await life.until("never", lambda pod: restarts(pod) >= 1)
        await life.told("Startup probe failed: exit status 1")

    living(body)


# --- ends -------------------------------------------------------------------------------------


def test_a_pod_ends_by_itself_on_sigterm() -> None:
    async def body(life: Life) -> float:
        await life.pod("web", shell(STAY))
        await life.up("web")
        begun = time.monotonic()
        await life.delete("web")
        await life.until("web", gone)
        return time.monotonic() - begun

    assert living(body) < 10  # its grace period is 30


def test_what_does_not_end_is_killed_after_its_grace_period() -> None:
    async def body(life: Life) -> float:
        await life.pod("web", shell(STUBBORN), terminationGracePeriodSeconds=1)
        await life.up("web")
        begun = time.monotonic()
        await life.delete("web")
        assert not gone(await life.get("web"))
        await life.until("web", gone)
        return time.monotonic() - begun

    assert 1 <= living(body) < 10


@pytest.mark.parametrize("grace", [0, 1])
def test_a_second_deletion_shortens_the_first(grace: int) -> None:
    async def body(life: Life) -> None:
        await life.pod("web", shell(STUBBORN), terminationGracePeriodSeconds=600)
        await life.until("web", is_true)
        await life.delete("web")
        await asyncio.sleep(0.1)
        assert not gone(await life.get("web"))
        await life.delete("web", grace=grace)
        await life.until("web", gone)
        await nothing_left(life)

    living(body)


async def nothing_left(life: Life) -> None:
    """Wait until no pod is plugged in any more."""
    async with asyncio.timeout(SECONDS):
        while life.lab.wiring.pods:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("hook", "seconds"),
    [
        ({"sleep": {"seconds": 1}}, 1),
        ({"exec": {"command": ["sh", "-c", "sleep 1; echo hooked >/proc/1/fd/1"]}}, 1),
        ({"httpGet": {"path": "/?wait=1s", "port": 80}}, 0),
    ],
)
def test_a_pre_stop_hook_comes_before_sigterm(hook: Object, seconds: float) -> None:
    async def body(life: Life) -> float:
        kind = whoami if "httpGet" in hook else lambda **fields: shell(STAY, **fields)
        await life.pod("web", kind(lifecycle={"preStop": hook}))
        await (life.until("web", is_true) if "httpGet" in hook else life.up("web"))
        begun = time.monotonic()
        await life.delete("web")
        if seconds:
            await asyncio.sleep(0.3)
            assert state(await life.get("web")) == "running"
        await life.until("web", gone)
        return time.monotonic() - begun

    assert seconds <= living(body) < 20


def test_a_pre_stop_hook_has_no_more_than_the_grace_period() -> None:
    async def body(life: Life) -> None:
        hook = {"preStop": {"exec": {"command": ["sleep", "600"]}}}
        await life.pod("web", shell(STAY, lifecycle=hook), terminationGracePeriodSeconds=1)
        await life.up("web")
        await life.delete("web")
        await life.until("web", gone)
        assert not [event for event in await life.events() if "FailedPreStopHook" in event]

    living(body)


def test_sigterm_comes_even_when_the_hook_took_all_of_the_time() -> None:
    async def body(life: Life) -> str:
        hook = {"preStop": {"sleep": {"seconds": 1}}}
        script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
        await life.pod("web", shell(script, lifecycle=hook), terminationGracePeriodSeconds=1)
        await life.up("web")
        record = life.lab.kubelets["xjp1"]._record("default", "web", None)
        assert record.log is not None
        pieces = record.log.read(LogOptions(follow=True))
        await life.delete("web")
        await life.until("web", gone)
        return b"".join([piece async for piece in pieces]).decode()

    assert living(body) == "up\nbye\n"


@pytest.mark.parametrize("pause", [0, 0.001, 0.005, 0.02])
def test_a_pod_that_is_deleted_while_it_starts_goes(pause: float) -> None:
    async def body(life: Life) -> None:
        for number in range(5):
            await life.pod(f"p{number}", shell(STUBBORN), terminationGracePeriodSeconds=1)
            await asyncio.sleep(pause * (number + 1) / 3)
            await life.delete(f"p{number}")
        for number in range(5):
            await life.until(f"p{number}", gone)
        await nothing_left(life)

    living(body)


def test_a_pod_of_the_same_name_may_come_before_the_last_one_is_gone() -> None:
    async def body(life: Life) -> None:
        for _ in range(10):
            await life.pod("web", shell(STUBBORN))
            await life.until("web", is_true)
            await life.delete("web", grace=0)
        await life.pod("web")
        pod = await life.until("web", is_true)
        assert await life.fetch(pod["status"]["podIP"], source="node/xjp1")
        async with asyncio.timeout(SECONDS):
            while len(life.lab.wiring.pods) > 1:
                await asyncio.sleep(0.01)
        assert await life.fetch(pod["status"]["podIP"], source="node/xjp1")

    living(body)


def test_nothing_is_left_of_a_hundred_pods() -> None:
    async def body(life: Life) -> None:
        async def wave(count: int) -> None:
            for number in range(count):
                main = whoami() if number % 2 else shell(STAY)
                await life.pod(f"p{number}", main, node=("gz1", "xjp1")[number % 2])
            for number in range(count):
                await life.until(f"p{number}", is_true, seconds=60)
                await life.delete(f"p{number}", grace=number % 3)
            for number in range(count):
                await life.until(f"p{number}", gone)
            await nothing_left(life)
            await asyncio.sleep(0.3)

        await wave(4)
        before = len(os.listdir("/proc/self/fd"))
        await wave(100)
        assert len(os.listdir("/proc/self/fd")) <= before
        async with asyncio.timeout(SECONDS):
            while any(
                "veth" in link.name for n in life.lab.wiring.nodes.values() for link in n.links()
            ):
                await asyncio.sleep(0.05)
        with pytest.raises(ChildProcessError):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)

    living(body)


# --- exec, hostNetwork ------------------------------------------------------------------------


@pytest.mark.parametrize("main", [whoami(), shell(STAY)], ids=["whoami", "program"])
def test_exec_runs_inside_the_pod(main: Object) -> None:
    async def body(life: Life) -> None:
        await life.pod("web", main)
        address = (await life.until("web", is_true))["status"]["podIP"]
        status, said = await life.execute("web", "sh", "-c", "hostname; ip -4 -br addr; exit 4")
        assert (status, said.splitlines()[0]) == (4, "web")
        assert address in said
        assert await life.execute("web", "sh", "-c", "sleep 600 & exit 3") == (3, "")
        with pytest.raises(ApiError, match='exec: "nosuch": No such file or directory'):
            await life.execute("web", "nosuch")

    living(body)


def test_what_runs_in_a_pod_may_not_change_its_machine() -> None:
    async def body(life: Life) -> None:
        script = (
            "mount -o remount,bind,rw /usr 2>/dev/null && echo mounted; ip link add x type veth"
        )
        await life.pod("web", shell(f"{script}; {STAY}"))
        await life.until("web", is_true)
        status, said = await life.execute("web", "sh", "-c", script)
        assert status != 0
        assert "mounted" not in said + await life.logs("web")

    living(body)


def test_host_network_pods_share_the_nodes_ports() -> None:
    async def body(life: Life) -> None:
        for name, node in ("one", "gz1"), ("two", "xjp1"), ("three", "xjp1"):
            await life.pod(name, whoami("main", "--port", "8080"), node=node, hostNetwork=True)
            if name != "three":
                pod = await life.until(name, is_true)
                assert pod["status"]["podIP"] == pod["status"]["hostIP"]
        await life.until("three", lambda pod: restarts(pod) >= 1)
        assert "bind: address already in use" in await life.logs("three", previous=True)
        assert "Hostname: xjp1" in await life.fetch("172.17.26.70", 8080)
        await life.delete("two")
        await life.until("three", is_true)

    living(body)


# --- the node ---------------------------------------------------------------------------------


def test_a_node_registers_and_gives_signs_of_life() -> None:
    async def body(life: Life) -> None:
        node = await life.get("xjp1", "Node")
        assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "172.17.26.70"}
        assert node["spec"]["podCIDR"] == "10.42.1.0/24"
        before = await life.api.get("Lease", "xjp1", "kube-node-lease")
        await life.api.delete("Lease", "xjp1", "kube-node-lease")
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    after = await life.api.get("Lease", "xjp1", "kube-node-lease")
                    break
                except ApiError:
                    await asyncio.sleep(0.02)
        assert after["spec"]["renewTime"] > before["spec"]["renewTime"]

    living(body)


def test_a_node_that_was_taken_for_dead_says_that_it_is_not() -> None:
    """After a machine has slept, say."""

    async def body(life: Life) -> None:
        node = await life.get("xjp1", "Node")
        conditions = [{**c, "status": "Unknown"} for c in node["status"]["conditions"]]
        patch = {"status": {"conditions": conditions}}
        await life.api.patch("Node", "xjp1", "", patch, subresource="status")
        async with asyncio.timeout(SECONDS):
            while not is_true(await life.get("xjp1", "Node")):
                await asyncio.sleep(0.02)

    living(body)


def test_an_api_that_fails_now_and_then_harms_no_kubelet() -> None:
    async def body(life: Life) -> None:
        server, calls = life.lab.server, iter(range(10**9))
        patch, delete = server.patch, server.delete

        def moody(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                match next(calls) % 4:
                    case 0:
                        raise ApiError(500, "InternalError", "no")
                    case 1:
                        raise OSError("away")
                return method(*arguments, **named)

            return call

        life.lab.server.patch = moody(patch)  # type: ignore[method-assign]
        life.lab.server.delete = moody(delete)  # type: ignore[method-assign]
        for number in range(4):
            await life.pod(f"p{number}", shell(STAY))
        for number in range(4):
            await life.up(f"p{number}")
        life.lab.server.delete = delete  # type: ignore[method-assign]
        for number in range(4):
            await life.delete(f"p{number}")
        life.lab.server.delete = moody(delete)  # type: ignore[method-assign]
        for number in range(4):
            await life.until(f"p{number}", gone)

    living(body)


def test_a_mistake_of_ours_in_one_pod_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from secondhop.lab.pod import PodRun

    initialize = PodRun._initialize

    async def fails(self: PodRun, group: asyncio.TaskGroup) -> bool:
        if self.home.pod == "bad":
            raise KeyError("oops")
        return await initialize(self, group)

    monkeypatch.setattr(PodRun, "_initialize", fails)

    async def body(life: Life) -> None:
        await life.pod("bad")
        await life.pod("good")
        await life.until("good", is_true)
        await life.told("oops")
        await life.delete("bad")
        await life.until("bad", gone)

    living(body)


# --- rolling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_rolling_update_under_load_loses_nothing(policy: str) -> None:
    """50 connections a second from outside; pods that wait before they end, and say when they are
    ready. Under Local through the nodes that have a ready pod, as a balancer would."""

    async def body(life: Life) -> tuple[int, list[str]]:
        web = deployment(replicas=2, readinessProbe=probe(httpGet={"path": "/health", "port": 80}))
        spec = web["spec"]["template"]["spec"]
        spec["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 2}}}
        spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname"}
        spread |= {"whenUnsatisfiable": "DoNotSchedule"}
        spread |= {"labelSelector": {"matchLabels": {"app": "web"}}}
        spec["topologySpreadConstraints"] = [{**spread, "matchLabelKeys": ["pod-template-hash"]}]
        web["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        outside = service(node_port=30080, externalTrafficPolicy=policy)
        for value in web, outside:
            value["metadata"]["namespace"] = "default"
            await life.api.create(value)
        await rolled(life)
        for node in NODES:
            await answers(life, node["address"])
        lost: list[str] = []
        tasks: list[asyncio.Task[None]] = []

        async def one(address: str) -> None:
            try:
                await life.fetch(address, 30080, seconds=3)
            except (OSError, TimeoutError) as error:
                lost.append(f"{address}: {error!r}")

        async def load() -> None:
            loop = asyncio.get_running_loop()
            next_one = loop.time()
            while True:
                address = NODES[len(tasks) % 2]["address"]
                tasks.append(asyncio.create_task(one(address)))
                next_one += 0.02
                await asyncio.sleep(max(0.0, next_one - loop.time()))

        loading = asyncio.create_task(load())
        await asyncio.sleep(0.5)
        new = {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}}
        await life.api.patch("Deployment", "web", "default", new)
        await rolled(life)
        async with asyncio.timeout(SECONDS):
            while len((await life.api.list("Pod", "default")).items) > 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        loading.cancel()
        await asyncio.gather(*tasks)
        return len(tasks), lost

    count, lost = living(body, timing=Timing())
    assert lost == []
    assert count > 50


async def rolled(life: Life) -> None:
    """Wait until a Deployment has two new pods, and no old one is counted."""
    async with asyncio.timeout(SECONDS):
        while True:
            web = await life.api.get("Deployment", "web", "default")
            status = web.get("status") or {}
            if (
                status.get("observedGeneration") == web["metadata"]["generation"]
                and status.get("updatedReplicas")
                == status.get("availableReplicas")
                == status.get("replicas")
                == 2
            ):
                return
            await asyncio.sleep(0.02)


async def answers(life: Life, address: str) -> None:
    """Wait until a node port does."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await life.fetch(address, 30080, seconds=0.5)
                return
            except (OSError, TimeoutError):
                await asyncio.sleep(0.02)

"""What kubectl shows."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from secondhop.apiserver.kinds import KINDS

from .conftest import Kube

COLUMNS = {
    "pods": "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES",
    "services": "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR",
    "nodes": "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION "
    "CONTAINER-RUNTIME",
    "deployments": "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
    "namespaces": "NAME STATUS AGE",
}


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_version_and_kinds(kube: Kube) -> None:
    assert "Server Version: v1." in kube("version")
    assert {"v1", "apps/v1", "discovery.k8s.io/v1"} <= set(kube("api-versions").split())
    listed = words(kube("api-resources"))
    for kind in KINDS.values():
        names = [kind.plural, *([",".join(kind.short)] if kind.short else [])]
        assert [*names, kind.api_version, str(kind.namespaced).lower(), kind.kind] in listed
    assert kube("get", "--raw", "/healthz") == "ok"


@pytest.mark.parametrize("resource", COLUMNS)
def test_get_wide(kube: Kube, resource: str) -> None:
    head, *rows = words(kube("get", resource, "-o", "wide"))
    assert head == COLUMNS[resource].split()
    assert rows


def test_get_in_other_forms(kube: Kube) -> None:
    assert kube("get", "svc", "web", "-o", "name") == "service/web\n"
    assert kube("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].nodePort}") == "30080"
    assert json.loads(kube("get", "svc", "web", "-o", "json"))["kind"] == "Service"
    assert "kind: List" in kube("get", "svc,pods", "-o", "yaml")
    assert "nodePort: 30080" in kube("get", "svc", "web", "-o", "yaml")
    assert words(kube("get", "svc", "web", "-o", "custom-columns=N:.metadata.name"))[1] == ["web"]
    assert words(kube("get", "pods", "--show-labels"))[1][-1] == "app=web"
    assert words(kube("get", "pods", "-L", "app"))[1][-1] == "web"
    assert words(kube("get", "svc", "--sort-by=.metadata.name"))[1][0] == "kubernetes"
    assert {line[1] for line in words(kube("get", "all", "-A"))[1:] if line} >= {
        "pod/web",
        "service/web",
        "deployment.apps/web",
    }


def test_get_some(kube: Kube) -> None:
    assert len(words(kube("get", "pods", "-lapp=web", "--no-headers"))) == 1
    assert kube("get", "pods", "-l", "app notin (web)", "--no-headers") == ""
    assert kube.run("get", "pods", "-n", "kube-system").stderr == (
        "No resources found in kube-system namespace.\n"
    )
    selected = kube("get", "pods", "--field-selector", "spec.nodeName=gz1", "-o", "name")
    assert selected == "pod/web\n"
    for number in range(25):
        kube.server.create(KINDS["ConfigMap"], {"metadata": {"name": f"m{number:02}"}}, "default")
    names = kube("get", "cm", "--chunk-size=10", "-o", "name").split()
    assert names == [f"configmap/m{number:02}" for number in range(25)]


def test_get_watch_tells_of_changes_as_they_come(kube: Kube) -> None:
    with kube.start("get", "svc", "web", "-w", "--no-headers") as process:
        killer = threading.Timer(20, process.kill)
        killer.start()
        assert process.stdout is not None
        assert "NodePort" in process.stdout.readline()
        kube("patch", "svc", "web", "-p", '{"spec": {"type": "ClusterIP"}}')
        assert "ClusterIP" in process.stdout.readline()
        process.kill()
        killer.cancel()


def test_explain(kube: Kube) -> None:
    text = kube("explain", "service.spec.externalTrafficPolicy")
    assert "FIELD: externalTrafficPolicy <string>" in text
    text = kube("explain", "deployment", "--recursive")
    assert "readinessProbe" in text
    assert "GROUP:      apps" in text


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("svc", "30080/TCP"),
        ("deploy", "1 desired"),
        ("pod", "Node:             gz1"),
        ("node", ""),
        ("ns", ""),
    ],
)
def test_describe(kube: Kube, what: str, expected: str) -> None:
    name = {"node": "gz1", "ns": "default"}.get(what, "web")
    text = kube("describe", what, name)
    assert name in text
    assert expected in text


def test_logs(kube: Kube) -> None:
    assert kube("logs", "web") == "one\ntwo\nthree\n"
    assert kube("logs", "web", "-c", "web", "--tail=1") == "three\n"
    assert kube("logs", "-f", "deploy/web") == "one\ntwo\nthree\nfour\n"
    kube("logs", "web", "--since=5s", "--timestamps", "--previous")
    asked = kube.agent.asked[-1]
    assert (asked.since_seconds, asked.timestamps, asked.previous) == (5, True, True)
    kube("logs", "web", "--since-time=2026-01-01T00:00:00Z", "--limit-bytes=5")
    assert (kube.agent.asked[-1].since_seconds or 0) > 1000
    assert "container no is not valid for pod web" in kube.fails("logs", "web", "-c", "no")
    assert 'pods "none" not found' in kube.fails("logs", "none")


def test_wait(kube: Kube) -> None:
    assert kube("wait", "--for=condition=Ready", "pod/web") == "pod/web condition met\n"
    kube("wait", "--for=jsonpath={.spec.type}=NodePort", "svc/web")
    assert "timed out" in kube.fails("wait", "--for=delete", "svc/web", "--timeout=100ms")
    waiting = kube.start("wait", "--for=delete", "svc/web", "--timeout=20s")
    kube("delete", "svc", "web")
    waiting.communicate(timeout=25)
    assert waiting.returncode == 0


def test_what_is_seldom_asked(kube: Kube) -> None:
    assert "Kubernetes control plane" in kube("cluster-info")
    event = {"metadata": {"name": "one"}, "involvedObject": {"kind": "Node", "name": "gz1"}}
    told = {"reason": "Starting", "message": "said", "lastTimestamp": "2026-01-01T00:00:00Z"}
    kube.server.create(KINDS["Event"], event | told, "default")
    assert "said" in kube("events")
    assert words(kube("get", "events.events.k8s.io"))[1][-1] == "said"
    assert words(kube("get", "servicecidrs"))[1][:2] == ["kubernetes", "10.43.0.0/16"]
    assert kube.run("get", "pdb").stderr == "No resources found in default namespace.\n"


def test_proxy(kube: Kube) -> None:
    with kube.start("proxy", "--port=0") as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        with urlopen(f"http://{address}/api/v1/namespaces/default/services/web") as answer:
            assert json.load(answer)["metadata"]["name"] == "web"
        process.kill()


def test_the_table_has_every_verb(kube: Kube) -> None:
    listed = re.findall(r"^  ([a-z-]+)  ", kube("--help"), re.M)
    table = (Path(__file__).parents[2] / "docs/kubectl.md").read_text()
    named = {word for command in re.findall(r"`([^`]*)`", table) for word in command.split()}
    assert len(listed) > 30
    assert set(listed) <= named


def test_what_one_may_do(kube: Kube) -> None:
    assert kube("auth", "can-i", "create", "pods") == "yes\n"
    assert "*.*" in kube("auth", "can-i", "--list")
    assert "secondhop-admin" in kube("auth", "whoami")

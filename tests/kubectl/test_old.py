"""kubectl 1.27 and 1.28: what works works, and of the rest they are told why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Kube

pytestmark = pytest.mark.soak


def test_what_works(old: Kube) -> None:
    assert "web" in old("get", "pods,svc,deploy,nodes", "-o", "wide")
    assert "30080/TCP" in old("describe", "svc", "web")
    patch = '{"spec": {"externalTrafficPolicy": "Local"}}'
    assert old("patch", "svc", "web", "-p", patch) == "service/web patched\n"
    assert old("scale", "deploy/web", "--replicas=3") == "deployment.apps/web scaled\n"
    assert old("logs", "web") == "one\ntwo\nthree\n"
    old("create", "deployment", "two", "--image=x", "--replicas=2")
    old("delete", "deploy", "two")
    for kind in "clusterip", "nodeport", "loadbalancer":
        assert old("create", "service", kind, kind, "--tcp=80") == f"service/{kind} created\n"
    old("create", "namespace", "two")
    old("create", "configmap", "two", "--from-literal=a=b")
    old("create", "serviceaccount", "two")
    assert old("auth", "can-i", "create", "pods") == "yes\n"
    assert old("wait", "--for=condition=Ready", "pod/web") == "pod/web condition met\n"
    assert "cordoned" in old("cordon", "gz1")
    drained = old.run("drain", "gz1", "--force", "--timeout=1s")
    assert "evicting pod default/web" in drained.stdout + drained.stderr
    assert "uncordoned" in old("uncordon", "gz1")


def test_what_reads_openapi_v2(old: Kube, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n")
    assert "externalTrafficPolicy" in old("explain", "svc.spec")
    assert old("apply", "-f", str(path)) == "configmap/one created\n"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n")
    assert "configured" in old("apply", "-f", str(path))
    apply = "apply", "--server-side", "-f", str(path)
    assert old(*apply) == "configmap/one serverside-applied\n"
    old("patch", "cm", "one", "-p", '{"data": {"a": "c"}}')
    assert 'conflict with "kubectl-patch" using v1: .data.a' in old.fails(*apply)
    assert old(*apply, "--force-conflicts") == "configmap/one serverside-applied\n"


def test_what_needs_spdy(old: Kube) -> None:
    assert "not over SPDY: use kubectl 1.31 or later" in old.fails("exec", "web", "--", "true")

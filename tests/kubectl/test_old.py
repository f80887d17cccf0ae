"""kubectl 1.27 and 1.28: what works works, and of the rest they are told why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Kube

pytestmark = pytest.mark.soak
NO_V2 = "OpenAPI v2 is not served here"


def test_what_works(old: Kube) -> None:
    assert "web" in old("get", "pods,svc,deploy,nodes", "-o", "wide")
    assert "30080/TCP" in old("describe", "svc", "web")
    patch = '{"spec": {"externalTrafficPolicy": "Local"}}'
    assert old("patch", "svc", "web", "-p", patch) == "service/web patched\n"
    assert old("scale", "deploy/web", "--replicas=3") == "deployment.apps/web scaled\n"
    assert old("logs", "web") == "one\ntwo\nthree\n"
    old("create", "deployment", "two", "--image=x")
    old("delete", "deploy", "two")


def test_what_needs_openapi_v2(old: Kube, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n")
    assert NO_V2 in old.fails("explain", "svc")
    assert NO_V2 in old.fails("apply", "-f", str(path))
    assert old("apply", "-f", str(path), "--validate=false") == "configmap/one created\n"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n")
    assert "configured" in old("apply", "-f", str(path), "--validate=false")


def test_what_needs_spdy(old: Kube) -> None:
    assert "not over SPDY: use kubectl 1.31 or later" in old.fails("exec", "web", "--", "true")

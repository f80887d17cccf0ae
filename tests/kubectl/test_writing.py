"""What kubectl changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Kube

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: traffic-test
spec:
  replicas: 1
  selector:
    matchLabels: {app: traffic-test}
  template:
    metadata:
      labels: {app: traffic-test}
    spec:
      containers:
      - name: whoami
        image: traefik/whoami
        ports:
        - containerPort: 80
---
apiVersion: v1
kind: Service
metadata:
  name: traffic-test
spec:
  type: NodePort
  selector: {app: traffic-test}
  ports:
  - port: 80
    nodePort: 30316
"""
BOTH = "deployment.apps/traffic-test {0}\nservice/traffic-test {0}\n"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text(WEB)
    return path


def field(kube: Kube, what: str, path: str) -> str:
    return kube("get", what, "-o", f"jsonpath={{{path}}}")


def test_apply(kube: Kube, manifest: Path) -> None:
    apply = "apply", "-f", str(manifest)
    assert kube(*apply, "--dry-run=server") == BOTH.replace("\n", " (server dry run)\n").format(
        "created"
    )
    assert kube(*apply) == BOTH.format("created")
    assert kube(*apply) == BOTH.format("unchanged")
    manifest.write_text(WEB.replace("replicas: 1", "replicas: 3").replace("30316", "30317"))
    diff = kube.run("diff", "-f", str(manifest))
    assert diff.returncode == 1, diff.stderr
    assert "-  - nodePort: 30316\n+  - nodePort: 30317\n" in diff.stdout
    assert kube(*apply) == BOTH.format("configured")
    assert field(kube, "deploy/traffic-test", ".spec.replicas") == "3"
    assert field(kube, "svc/traffic-test", ".spec.ports[*].nodePort") == "30317"
    assert kube("delete", "-f", str(manifest)) == (
        'deployment.apps "traffic-test" deleted{0}\nservice "traffic-test" deleted{0}\n'.format(
            " from default namespace" if kube.minor >= 34 else ""
        )
    )


def test_a_list_goes_back_as_it_was_read(kube: Kube, tmp_path: Path) -> None:
    """kubectl validates it by OpenAPI v2."""
    kube("create", "configmap", "one")
    kube("create", "configmap", "two")
    path = tmp_path / "list.yaml"
    path.write_text(kube("get", "configmap", "one", "two", "-o", "yaml"))
    kube("delete", "configmap", "one", "two")
    assert kube("create", "-f", str(path)) == "configmap/one created\nconfigmap/two created\n"
    path.write_text(path.read_text().replace("metadata:", "dada: {}\n  metadata:", 1))
    assert 'unknown field "dada"' in kube.fails("replace", "-f", str(path))


def test_unknown_fields_are_refused_by_the_server(kube: Kube, manifest: Path) -> None:
    manifest.write_text(WEB.replace("replicas:", "replica:"))
    text = kube.fails("apply", "-f", str(manifest))
    assert 'unknown field "spec.replica"' in text
    done = kube.run("apply", "-f", str(manifest), "--validate=warn")
    assert 'Warning: unknown field "spec.replica"' in done.stderr


def test_server_side_apply(kube: Kube, manifest: Path) -> None:
    apply = "apply", "--server-side", "-f", str(manifest)
    applied = BOTH.format("serverside-applied")
    assert kube(*apply, "--dry-run=server").count("(server dry run)") == 2
    assert kube(*apply) == kube(*apply) == applied
    manifest.write_text(WEB.replace("replicas: 1", "replicas: 2"))
    diff = kube.run("diff", "--server-side", "-f", str(manifest))
    assert "-  replicas: 1\n+  replicas: 2\n" in diff.stdout
    kube("patch", "deploy", "traffic-test", "-p", '{"spec": {"replicas": 3}}')
    text = kube.fails(*apply)
    conflict = 'Apply failed with 1 conflict: conflict with "kubectl-patch" using apps/v1: '
    assert f"error: {conflict}.spec.replicas\n" in text
    assert kube(*apply, "--force-conflicts") == applied
    assert field(kube, "deploy/traffic-test", ".spec.replicas") == "2"
    manifest.write_text(WEB.replace("30316", "30317"))
    text = kube.fails(*apply, "--field-manager=somebody")
    assert 'conflict with "kubectl": .spec.ports[port=80,protocol="TCP"].nodePort\n' in text
    assert kube(*apply) == applied
    assert field(kube, "svc/traffic-test", ".spec.ports[*].nodePort") == "30317"
    shown = kube("get", "svc", "traffic-test", "-o", "yaml", "--show-managed-fields")
    assert "manager: kubectl\n    operation: Apply\n" in shown


def test_server_side_apply_takes_over_from_client_side_apply(kube: Kube, manifest: Path) -> None:
    kube("apply", "-f", str(manifest))
    manifest.write_text(WEB.replace("30316", "30317"))
    assert kube("apply", "--server-side", "-f", str(manifest)) == BOTH.format("serverside-applied")
    assert field(kube, "svc/traffic-test", ".spec.ports[*].nodePort") == "30317"


def test_create_and_replace(kube: Kube, manifest: Path) -> None:
    assert kube("create", "-f", str(manifest)) == BOTH.format("created")
    text = kube.fails("create", "-f", str(manifest))
    assert "Error from server (AlreadyExists): error when creating" in text
    assert 'deployments.apps "traffic-test" already exists' in text
    assert "30316: provided port is already allocated" in text
    assert kube("replace", "-f", str(manifest)) == BOTH.format("replaced")
    assert "replaced" in kube("replace", "--force", "-f", str(manifest))


def test_create_what_go_sends_as_protobuf(kube: Kube) -> None:
    create = "create", "deployment", "proto", "--image=traefik/whoami"
    assert kube(*create, "--replicas=0", "--port=80", "--", "whoami", "--port=80") == (
        "deployment.apps/proto created\n"
    )
    spec = json.loads(kube("get", "deploy", "proto", "-o", "json"))["spec"]
    assert spec["replicas"] == 0
    container = spec["template"]["spec"]["containers"][0]
    assert container["command"] == ["whoami", "--port=80"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert kube("create", "service", "nodeport", "proto", "--tcp=80:8080", "--node-port=30090")
    assert field(kube, "svc/proto", ".spec.ports[0].nodePort") == "30090"
    service = "create", "service"
    assert kube(*service, "clusterip", "inside", "--tcp=80") == "service/inside created\n"
    assert kube(*service, "clusterip", "none", "--clusterip=None") == "service/none created\n"
    assert kube(*service, "loadbalancer", "outside", "--tcp=80") == "service/outside created\n"
    kube(*service, "externalname", "name", "--external-name=example.org")
    types = field(kube, "svc", ".items[*].spec.type").split()
    assert sorted(set(types)) == ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    assert kube("create", "serviceaccount", "proto") == "serviceaccount/proto created\n"
    assert kube("create", "configmap", "proto", "--from-literal=a=b") == "configmap/proto created\n"
    assert field(kube, "cm/proto", ".data.a") == "b"
    assert kube("create", "namespace", "proto") == "namespace/proto created\n"
    assert kube("create", "deployment", "dry", "--image=x", "--dry-run=server")
    kube.fails("get", "deploy", "dry")


def test_expose_and_run(kube: Kube) -> None:
    assert kube("expose", "deploy", "web", "--name=two", "--port=80", "--type=NodePort") == (
        "service/two exposed\n"
    )
    assert kube("run", "one", "--image=traefik/whoami") == "pod/one created\n"


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        ([], '{"spec": {"externalTrafficPolicy": "Local"}}'),
        (["--type=merge"], '{"spec": {"externalTrafficPolicy": "Local"}}'),
        (
            ["--type=json"],
            '[{"op": "replace", "path": "/spec/externalTrafficPolicy", "value": "Local"}]',
        ),
    ],
)
def test_patch(kube: Kube, form: list[str], patch: str) -> None:
    command = "patch", "svc", "web", *form, "-p", patch
    assert kube(*command) == "service/web patched\n"
    assert kube(*command) == "service/web patched (no change)\n"
    assert field(kube, "svc/web", ".spec.externalTrafficPolicy") == "Local"


def test_edit(kube: Kube) -> None:
    editor = "sed -i s/30080/30081/"
    assert kube("edit", "svc", "web", KUBE_EDITOR=editor) == "service/web edited\n"
    assert field(kube, "svc/web", ".spec.ports[0].nodePort") == "30081"


def test_small_changes(kube: Kube) -> None:
    assert kube("scale", "deploy/web", "--replicas=3") == "deployment.apps/web scaled\n"
    assert field(kube, "deploy/web", ".spec.replicas") == "3"
    assert kube("set", "image", "deploy/web", "web=x:2") == "deployment.apps/web image updated\n"
    assert field(kube, "deploy/web", ".spec.template.spec.containers[0].image") == "x:2"
    assert kube("label", "svc", "web", "a=b") == "service/web labeled\n"
    assert kube("annotate", "svc", "web", "a=b") == "service/web annotated\n"
    assert kube("label", "svc", "web", "a-") == "service/web unlabeled\n"
    assert kube("set", "selector", "svc", "web", "app=other") == "service/web selector updated\n"
    assert kube("rollout", "restart", "deploy/web") == "deployment.apps/web restarted\n"
    assert "web" in kube("rollout", "history", "deploy/web")


def test_parts_of_workloads(kube: Kube) -> None:
    assert kube("set", "env", "deploy/web", "A=b") == "deployment.apps/web env updated\n"
    assert "A=b" in kube("set", "env", "deploy/web", "--list")
    limited = kube("set", "resources", "deploy", "web", "--limits=cpu=1")
    assert limited == "deployment.apps/web resource requirements updated\n"
    assert "updated" in kube("set", "serviceaccount", "deploy", "web", "other")
    assert kube("rollout", "pause", "deploy/web") == "deployment.apps/web paused\n"
    assert kube("rollout", "resume", "deploy/web") == "deployment.apps/web resumed\n"


def test_a_kustomization_and_what_was_applied(kube: Kube, manifest: Path) -> None:
    text = "namePrefix: my-\nresources: [web.yaml]\n"
    (manifest.parent / "kustomization.yaml").write_text(text)
    applied = kube("apply", "-k", str(manifest.parent))
    assert sorted(applied.splitlines()) == [
        "deployment.apps/my-traffic-test created",
        "service/my-traffic-test created",
    ]
    assert "nodePort: 30316" in kube("apply", "view-last-applied", "svc/my-traffic-test")


def test_nodes(kube: Kube) -> None:
    assert kube("cordon", "gz1") == "node/gz1 cordoned\n"
    assert "SchedulingDisabled" in kube("get", "nodes")
    assert kube("uncordon", "gz1") == "node/gz1 uncordoned\n"
    assert kube("taint", "node", "gz1", "a=b:NoSchedule") == "node/gz1 tainted\n"
    assert field(kube, "node/gz1", ".spec.taints[0].key") == "a"
    assert "evicting pod default/web (server dry run)" in kube(
        "drain", "gz1", "--force", "--dry-run=server"
    )
    assert not field(kube, "pod/web", ".metadata.deletionTimestamp")
    # Nothing ends pods here: drain evicts, and waits in vain.
    done = kube.run("drain", "gz1", "--force", "--timeout=1s")
    assert "evicting pod default/web" in done.stdout + done.stderr
    assert field(kube, "pod/web", ".metadata.deletionTimestamp")


def test_delete(kube: Kube) -> None:
    kube("delete", "deploy", "web", "--cascade=orphan", "--wait=false")
    assert field(kube, "deploy/web", ".metadata.finalizers") == '["orphan"]'
    kube("patch", "deploy", "web", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    kube.fails("get", "deploy", "web")
    assert kube("delete", "svc", "web", "--wait").startswith('service "web" deleted')
    kube("delete", "pod", "web", "--wait=false")
    assert field(kube, "pod/web", ".metadata.deletionGracePeriodSeconds") == "30"
    assert "force deleted" in kube("delete", "pod", "web", "--grace-period=0", "--force")
    assert "not found" in kube.fails("get", "pod", "web")
    kube("create", "configmap", "one")
    kube("create", "configmap", "two")
    kube("delete", "configmaps", "--all")
    assert kube("get", "cm", "-o", "name") == ""


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("get svc none", 'Error from server (NotFound): services "none" not found\n'),
        ("get teapots", 'error: the server doesn\'t have a resource type "teapots"\n'),
        (
            "create service nodeport web --tcp=80",
            'error: failed to create NodePort service: services "web" already exists\n',
        ),
        (
            "create service nodeport two --tcp=80 --node-port=80",
            'error: failed to create NodePort service: Service "two" is invalid: '
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
            "The range of valid ports is 30000-32767\n",
        ),
        (
            "delete namespace default",
            'Error from server (Forbidden): namespaces "default" is forbidden: this namespace may '
            "not be deleted\n",
        ),
    ],
)
def test_refusals(kube: Kube, command: str, text: str) -> None:
    assert kube.fails(*command.split()) == text


def test_what_is_not_served_is_refused_in_words(kube: Kube) -> None:
    for command in ("debug web --image=x --target=web", "create token default", "top pods"):
        assert "error" in kube.fails(*command.split()).lower()


NO_SUCH = "could not find the requested resource"


def test_what_the_lab_does_not_have(kube: Kube) -> None:
    for command, text in (
        ("attach web", NO_SUCH),
        ("port-forward web 8080:80", NO_SUCH),
        ("debug web --image=x --attach=false", "ephemeral containers are disabled"),
        ("top nodes", "Metrics API not available"),
        ("create token default", NO_SUCH),
        ("create secret generic one", NO_SUCH),
        ("create job one --image=x", NO_SUCH),
        ("create poddisruptionbudget one --selector=a=b --min-available=1", "does not allow"),
        ("certificate approve one", "certificatesigningrequests"),
    ):
        done = kube.run(*command.split())
        assert done.returncode == 1
        assert text in done.stderr, command
    assert kube.run("autoscale", "deploy", "web", "--max=3").returncode == 1

"""Programs that nobody here wrote, on a lab that stays: the official Python client, lightkube and
kr8s, each used as its documentation says."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from staying import commands

GOOD = Path(__file__).parents[1] / "fixtures/reference/good.yaml"
WEB = "traffic-test"
SHELL = ["sh", "-c", "read line; echo got $line; echo more >&2; exit 3"]


pytestmark = [  # strangers leave connections open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What they leave open is gone before the next test."""
    yield
    gc.collect()


@contextmanager
def threads_ended() -> Iterator[None]:
    """Waits for the threads that the block starts: one of httpx2 2.16 may read on from a socket
    that is closed, by its number, which is that of the next connection."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def kubeconfig(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a lab with the reference's Deployment and Service."""
    root = tmp_path_factory.mktemp("strangers", numbered=True)
    with commands(root) as secondhop:
        done = secondhop("lab", "up", "-f", str(GOOD))
        assert done.returncode == 0, done.stderr
        yield str(root / "secondhop/default/kubeconfig")


def test_the_official_client(kubeconfig: str) -> None:
    from kubernetes import client, config, watch
    from kubernetes.stream import stream

    with config.new_client_from_config(kubeconfig) as api:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        assert [node.metadata.name for node in core.list_node().items] == ["gz1", "xjp1"]
        apps.patch_namespaced_deployment_scale(WEB, "default", {"spec": {"replicas": 2}})
        events = watch.Watch()
        for event in events.stream(apps.list_namespaced_deployment, "default", timeout_seconds=20):
            if event["object"].status.ready_replicas == 2:
                events.stop()
        pods = core.list_namespaced_pod("default", label_selector=f"app={WEB}").items
        assert [pod.status.phase for pod in pods] == ["Running"] * 2
        body = {"spec": {"externalTrafficPolicy": "Local"}}
        service = core.patch_namespaced_service(WEB, "default", body)
        assert service.spec.external_traffic_policy == "Local"
        name = pods[0].metadata.name
        assert "Starting up on port 80" in core.read_namespaced_pod_log(name, "default")
        session = stream(
            core.connect_get_namespaced_pod_exec, name, "default", command=SHELL,
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
        session.write_stdin("this\n")
        session.run_forever(timeout=20)
        assert (session.read_stdout(), session.read_stderr()) == ("got this\n", "more\n")
        assert session.returncode == 3
        session.close()
        made = core.create_namespace(client.V1Namespace(metadata={"generateName": "official-"}))
        core.delete_namespace(made.metadata.name)
        with pytest.raises(client.ApiException) as error:
            core.read_namespaced_service("none", "default")
        assert (error.value.status, error.value.reason) == (404, "Not Found")
        review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
        assert answer.status.allowed
        (lease, _) = client.CoordinationV1Api(api).list_namespaced_lease("kube-node-lease").items
        assert lease.spec.holder_identity == "gz1"
        told = core.list_namespaced_event("default").items
        assert "Started" in {each.reason for each in told}
        (cidr,) = client.NetworkingV1Api(api).list_service_cidr().items
        assert cidr.spec.cidrs == ["10.43.0.0/16"]


def test_lightkube(kubeconfig: str) -> None:
    from lightkube import ApiError, Client, KubeConfig
    from lightkube.models.autoscaling_v1 import ScaleSpec
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import ConfigMap, Node, Pod, Service

    config = KubeConfig.from_file(kubeconfig)
    with closing(Client(config=config, field_manager="lightkube")) as api:
        assert [node.metadata.name for node in api.list(Node)] == ["gz1", "xjp1"]
        there = ObjectMeta(name=WEB, namespace="default")
        api.replace(Deployment.Scale(metadata=there, spec=ScaleSpec(replicas=3)), WEB)
        for _, each in api.watch(Deployment, fields={"metadata.name": WEB}, server_timeout=20):
            if each.status.readyReplicas == 3:
                break
        api.wait(Deployment, WEB, for_conditions=["Available"])
        body = {"spec": {"externalTrafficPolicy": "Cluster"}}
        assert api.patch(Service, WEB, body).spec.externalTrafficPolicy == "Cluster"
        pod = next(iter(api.list(Pod, labels={"app": WEB})))
        assert "Starting up on port 80" in "".join(api.log(pod.metadata.name))
        with threads_ended():
            done = api.exec(
                pod.metadata.name, command=SHELL, stdin="this\n", stdout=True, stderr=True
            )
        assert (done.stdout, done.stderr, done.exit_code) == ("got this\n", "more\n", 3)
        shared = ConfigMap(metadata=ObjectMeta(name="shared", namespace="default"), data={"a": "1"})
        assert api.apply(shared).data == {"a": "1"}
        shared.data = {"a": "2"}
        with pytest.raises(ApiError, match=r'conflict with "lightkube": \.data\.a'):
            api.apply(shared, field_manager="somebody")
        assert api.apply(shared, field_manager="somebody", force=True).data == {"a": "2"}
        api.delete(ConfigMap, "shared")
        with pytest.raises(ApiError) as error:
            api.get(ConfigMap, "shared")
        assert error.value.status.reason == "NotFound"


@pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported:UserWarning")
def test_kr8s(kubeconfig: str) -> None:
    import kr8s
    from kr8s.objects import ConfigMap, Deployment, Node, Service

    api = kr8s.api(kubeconfig=kubeconfig)
    assert api.whoami() == "secondhop-admin"
    assert {node.name for node in api.get("nodes")} == {"gz1", "xjp1"}
    web = Deployment.get(WEB, api=api)
    web.scale(4)
    web.wait("jsonpath='{.status.readyReplicas}'=4", timeout=20)
    pod, *_ = web.pods()
    pod.wait("condition=Ready", timeout=20)
    service = Service.get(WEB, api=api)
    service.patch({"spec": {"externalTrafficPolicy": "Local"}})
    assert service.spec.externalTrafficPolicy == "Local"
    assert "Starting up on port 80" in "".join(pod.logs())
    done = pod.exec(
        ["sh", "-c", "echo said; echo more >&2; exit 3"], check=False
    )  # it has no stdin
    assert (done.stdout, done.stderr, done.returncode) == (b"said\n", b"more\n", 3)
    for event, seen in api.watch("pods", namespace="default"):
        assert event == "ADDED"
        assert seen.name.startswith(WEB)
        break
    mine = ConfigMap({"metadata": {"name": "mine", "namespace": "default"}}, api=api)
    mine.create()
    mine.label({"team": "edge"})
    assert [each.name for each in api.get("configmaps", label_selector="team=edge")] == ["mine"]
    mine.delete()
    mine.wait("delete", timeout=20)
    assert not mine.exists()
    node = Node.get("gz1", api=api)
    node.cordon()
    assert node.unschedulable
    node.uncordon()
    with pytest.raises(kr8s.NotFoundError):
        Service.get("none", api=api)

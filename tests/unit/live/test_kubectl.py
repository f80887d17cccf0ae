"""The way to a cluster: what is asked again, what is not, and what every failure says."""

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from standin import StandIn

from secondhop.errors import ClusterError
from secondhop.live.failures import failure
from secondhop.live.kubectl import PAGE, Access, Kubectl, Right

PODS = Right("list", "pods")
SERVER = "Error from server"


def pods(count: int) -> list[dict[str, Any]]:
    return [
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": f"p{n}", "namespace": "shop"}}
        for n in range(count)
    ]


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one["metadata"]["name"] for one in found]


def same(value: dict[str, Any]) -> dict[str, Any]:
    return value


def test_a_long_list_comes_in_pages(kubectl: StandIn) -> None:
    kubectl.serve(pods(2 * PAGE + 1))
    found = Kubectl(Access()).listed(PODS, same)
    assert names(found) == [f"p{n}" for n in range(2 * PAGE + 1)]
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("v1", "Pod")}
    asked = [words[-1] for words in kubectl.calls]
    assert asked == [
        f"--raw=/api/v1/pods?limit={PAGE}",
        f"--raw=/api/v1/pods?limit={PAGE}&continue={PAGE}",
        f"--raw=/api/v1/pods?limit={PAGE}&continue={2 * PAGE}",
    ]


def test_a_page_that_has_expired_begins_the_list_anew(kubectl: StandIn) -> None:
    kubectl.serve(pods(PAGE + 1))
    gone = f"{SERVER} (Expired): The provided continue parameter is too old"
    kubectl.faults([{"on": "continue=", "says": gone, "times": 2}])
    assert len(Kubectl(Access()).listed(PODS, same)) == PAGE + 1
    kubectl.faults([{"on": "continue=", "says": gone}])
    with pytest.raises(ClusterError, match="continue parameter is too old"):
        Kubectl(Access()).listed(PODS, same)


@pytest.mark.parametrize(
    "said",
    [
        f"{SERVER} (TooManyRequests): the server is busy",
        f"{SERVER} (InternalError): an error on the server",
        f"{SERVER} (ServiceUnavailable): the server is currently unable to handle the request",
        "error: read tcp 10.0.0.1:1->10.0.0.2:6443: read: connection reset by peer",
        "error: unexpected EOF",
    ],
)
def test_what_passes_is_asked_again(kubectl: StandIn, said: str) -> None:
    kubectl.serve(pods(1))
    kubectl.faults([{"on": "pods", "says": said, "times": 2}])
    assert names(Kubectl(Access()).listed(PODS, same)) == ["p0"]
    assert len(kubectl.calls) == 3


@pytest.mark.parametrize(
    ("said", "reason", "told"),
    [
        (f"{SERVER} (Forbidden): pods is forbidden: no", "Forbidden", "list pods at the cluster"),
        ("error: You must be logged in to the server (Unauthorized)", "Unauthorized", "Log in"),
        (
            f'{SERVER} (Forbidden): error when retrieving: User "u" cannot get resource "pods" in'
            ' API group "" in the namespace "shop"',
            "Forbidden",
            "not allowed (context x): get pods in namespace shop (to list pods at the cluster",
        ),
        (
            f'{SERVER} (Forbidden): pods is forbidden: User "u" cannot list resource "pods" in API'
            ' group "" at the cluster scope',
            "Forbidden",
            "not allowed (context x): list pods at the cluster scope\n",
        ),
        (
            "Error from server: error dialing backend: dial tcp: lookup n1: no such host",
            "Kubelet",
            "that node's kubelet",
        ),
        (
            "Unable to connect to the server: getting credentials: exec: exit 1",
            "Unauthorized",
            "Log in again as you do for kubectl",
        ),
        ('error: context "x" does not exist', "Config", "get-contexts"),
        (
            "Unable to connect to the server: dial tcp 192.0.2.1:6443: connect: no route to host",
            "Unreachable",
            "cannot be reached (context x)",
        ),
    ],
)
def test_what_does_not_pass_is_told_at_once(
    kubectl: StandIn, said: str, reason: str, told: str
) -> None:
    kubectl.faults([{"on": "pods", "says": said}])
    with pytest.raises(ClusterError) as caught:
        Kubectl(Access("x")).listed(PODS, same)
    assert caught.value.reason == reason
    assert told in str(caught.value)
    assert len(kubectl.calls) == 1


def test_a_slow_server_is_given_up(kubectl: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secondhop.live.kubectl._GRACE", 0.1)
    kubectl.faults([{"on": "pods", "sleep": 60}])
    before = time.monotonic()
    with pytest.raises(ClusterError, match=r"no answer within 0\.1 s to: list pods") as caught:
        Kubectl(Access(), seconds=0.1).listed(PODS, same)
    assert caught.value.reason == "Deadline"
    assert time.monotonic() - before < 30
    assert kubectl.calls[0][0] == "--request-timeout=0.1s"


def test_a_server_that_is_slow_to_fail_is_not_asked_again(kubectl: StandIn) -> None:
    kubectl.faults([{"on": "pods", "sleep": 0.2, "says": "error: TLS handshake timeout"}])
    with pytest.raises(ClusterError, match="TLS handshake timeout"):
        Kubectl(Access(), seconds=0.1).listed(PODS, same)
    assert len(kubectl.calls) == 1


def test_without_kubectl_there_is_the_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ClusterError, match="no kubectl on PATH") as caught:
        Kubectl(Access()).context()
    assert "secondhop explain -f -" in caught.value.remedy


def test_a_kubectl_that_does_not_run_is_told(
    kubectl: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kubectl.bin / "kubectl").write_text("neither script nor program")
    monkeypatch.setenv("PATH", str(kubectl.bin))
    with pytest.raises(ClusterError, match="kubectl on PATH does not run: Exec format") as caught:
        Kubectl(Access()).context()
    assert "secondhop explain -f -" in caught.value.remedy


@pytest.mark.parametrize("printed", ["hello", "[]", "{}"])
def test_a_kubectl_that_is_none_is_told(kubectl: StandIn, printed: str) -> None:
    (kubectl.bin / "kubectl").write_text(f"#!/bin/sh\necho '{printed}'\n")
    one = Kubectl(Access())
    for ask in (one.context, partial(one.listed, PODS, same)):
        with pytest.raises(ClusterError, match="is no answer to") as caught:
            ask()
        assert "kubectl version" in caught.value.remedy


def test_the_context_is_the_one_named(kubectl: StandIn, tmp_path: Path) -> None:
    named = Access("b; rm -rf /", str(tmp_path / "a file"))
    assert Kubectl(named).context() == ("test", "shop", "https://192.0.2.1:6443")
    assert kubectl.calls[0][:2] == ["--context=b; rm -rf /", f"--kubeconfig={tmp_path}/a file"]


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer abc.def",
        "Authorization: Basic abc.def",
        "token=abc.def",
        "access_token: abc.def",
        '{"client_secret":"abc.def"}',
        "POST https://bob:abc.def@10.0.0.1/login",
        "got eyJabc.def.ghi from it",
    ],
)
def test_what_looks_like_a_secret_is_not_repeated(kubectl: StandIn, secret: str) -> None:
    kubectl.faults([{"on": "pods", "says": f"error: exec plugin: {secret} failed"}])
    with pytest.raises(ClusterError, match="exec plugin") as caught:
        Kubectl(Access()).listed(PODS, same)
    assert "abc" not in str(caught.value)


def test_an_interrupt_ends_every_kubectl(kubectl: StandIn) -> None:
    """As Ctrl-C is in the main thread while the calls are in others."""
    kubectl.faults([{"on": "pods", "sleep": 3600}])
    one = Kubectl(Access())

    def interrupt() -> None:
        while len(kubectl.calls) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        one.together(*[partial(one.listed, PODS, same)] * 2)
    assert not one._running


def test_no_current_context_is_said_in_our_words() -> None:
    said = failure("error: current-context must exist in order to minify", "read", None, 30)
    assert str(said).splitlines()[0] == "kubectl has no current context, so no cluster is meant"

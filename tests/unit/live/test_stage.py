"""The namespace of our own: made, labelled, removed, whatever happens inside."""

import os
import signal
from typing import Any

import pytest

from secondhop.errors import ClusterError
from secondhop.live.experiment import Wish, objects, ready
from secondhop.live.kubectl import Access, Kubectl, Object, Right
from secondhop.live.stage import LABEL, PREFIX, fresh_name, leftovers, staged, strike


class Fake(Kubectl):
    """A cluster of namespaces. stuck: they stay, whatever is asked."""

    def __init__(self, *, stuck: bool = False) -> None:
        super().__init__(Access())
        self.there: dict[str, Object] = {}
        self.stuck = stuck
        self.fails = ""

    def anew(self) -> Kubectl:
        return self

    def apply(self, objects: object, doing: str) -> None:
        if self.fails:
            raise ClusterError(self.fails, "Ask.", "Forbidden")
        for one in objects if isinstance(objects, list) else ():
            self.there[one["metadata"]["name"]] = one

    def delete_namespace(self, name: str) -> None:
        if not self.stuck:
            self.there.pop(name, None)

    def get(self, right: Right) -> Object | None:
        return self.there.get(right.name)

    def listed(self, right: Right, keep: object) -> list[Any]:
        assert callable(keep)
        return [keep(one) for one in self.there.values()]


def test_what_is_made_is_labelled_and_goes() -> None:
    cluster = Fake()
    with staged(cluster, "secondhop-x2x2x"):
        (made,) = cluster.there.values()
        assert made["metadata"]["labels"] == {LABEL: "secondhop"}
        assert [one.name for one in leftovers(cluster)] == ["secondhop-x2x2x"]
    assert not cluster.there


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_block_and_not_the_cleaning(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    class Disturbed(Fake):
        def delete_namespace(self, name: str) -> None:
            os.kill(os.getpid(), number)
            super().delete_namespace(name)

    cluster = Disturbed()
    with pytest.raises(KeyboardInterrupt), staged(cluster, "secondhop-x2x2x"):
        os.kill(os.getpid(), number)
    assert not cluster.there
    assert signal.getsignal(number) is before


def test_what_cannot_be_made_is_said_and_nothing_stays() -> None:
    cluster = Fake()
    cluster.fails = "not allowed: create namespaces/secondhop-x2x2x"
    with pytest.raises(ClusterError, match="not allowed"), staged(cluster, "secondhop-x2x2x"):
        raise AssertionError
    assert not cluster.there


def test_a_namespace_stuck_in_terminating_is_told_with_the_reason() -> None:
    cluster = Fake(stuck=True)
    said = "Some content in the namespace has finalizers remaining"
    conditions = [{"type": "NamespaceFinalizersRemaining", "status": "True", "message": said}]
    cluster.there = {"secondhop-x": {"status": {"conditions": conditions}}}
    with pytest.raises(ClusterError) as caught:
        strike(cluster, ["secondhop-x"], seconds=0)
    assert said in caught.value.message
    assert "secondhop cleanup" in caught.value.remedy


def test_only_namespaces_of_ours_are_left_over() -> None:
    cluster = Fake()
    labels = {LABEL: "secondhop"}
    for name, of in (("secondhop-a", {}), ("mine", labels), (f"{PREFIX}b", labels)):
        cluster.there[name] = {"metadata": {"name": name, "labels": of}}
    assert [one.name for one in leftovers(cluster)] == [f"{PREFIX}b"]


def test_names_differ() -> None:
    assert len({fresh_name() for _ in range(100)}) > 90


def test_the_objects_are_the_references_in_the_namespace_with_the_image() -> None:
    deployment, service = objects(Wish("mirror/whoami", 3, "LoadBalancer"), "secondhop-x")
    assert deployment["spec"]["replicas"] == 3
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "mirror/whoami"
    assert service["spec"]["type"] == "LoadBalancer"
    assert "nodePort" not in service["spec"]["ports"][0]
    for one in (deployment, service):
        assert one["metadata"]["namespace"] == "secondhop-x"
        assert one["metadata"]["labels"][LABEL] == "secondhop"


def test_pods_that_do_not_come_say_why() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod = {
        "metadata": {"name": "p"},
        "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
    }

    class Never(Fake):
        def listed(self, right: Right, keep: object) -> list[Any]:
            return [pod] if right.resource == "pods" else []

    with pytest.raises(ClusterError, match="ImagePullBackOff: no such image"):
        ready(Never(), Wish("x", seconds=0), "secondhop-x")

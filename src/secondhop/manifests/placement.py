"""Where pods go and which addresses they get: scheduling and addressing without chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..model.cluster import Address, Network, Node, Pod
from .nodes import Machine
from .pods import Wanted, letters
from .problems import did_you_mean, shown


class Places:
    """Places pods on machines, each in turn, and gives them the lowest free addresses."""

    def __init__(
        self, machines: Sequence[Machine], preferences: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._machines = machines
        self._by_name = {machine.node.name: machine for machine in machines}
        self._preferences = preferences
        self._taken: set[Address] = set()
        self._next: dict[Network, int] = {}
        self.notes: dict[str, None] = {}

    def settle(self, wanted: Iterable[Wanted]) -> tuple[Pod, ...]:
        """All pods, placed and addressed, in their order; those that fit nowhere have no node."""
        wanted = list(wanted)
        for one in wanted:
            self._taken.update(one.pod.addresses)
        return tuple(pod for one in wanted for pod in self._pods(one))

    def _pods(self, one: Wanted) -> Iterator[Pod]:
        if one.resource.kind == "DaemonSet":
            for machine in self._fitting(one):
                suffix = letters(f"{one.pod}/{machine.node.name}", 5)
                pod = replace(one.pod, name=f"{one.owner}-{suffix}", node=machine.node.name)
                yield self._addressed(one, pod)
        elif one.settled:
            yield one.pod
        else:
            yield self._addressed(one, replace(one.pod, node=self._place(one)))

    def _place(self, one: Wanted) -> str | None:
        """nodeName; else the preference of the Lab; else the workload's pods in turn."""
        name = one.pod.node
        if name is not None:
            if name not in self._by_name:
                one.resource.refuse(
                    (*one.base, "nodeName"),
                    f"there is no node {shown(name)}",
                    did_you_mean(name, self._by_name),
                )
            return name
        fitting = [machine.node.name for machine in self._fitting(one)]
        if not fitting:
            self.notes[
                f"pod {one.pod} is pending: no node fits its nodeSelector and tolerations"
            ] = None
            return None
        liked = self._preferences.get(one.owner, ())
        if liked and (like := liked[one.number % len(liked)]) in fitting:
            return like
        return fitting[one.number % len(fitting)]

    def _fitting(self, one: Wanted) -> list[Machine]:
        selector = (one.spec("nodeSelector") or {}).items()
        tolerations = one.spec("tolerations") or []
        daemon = one.resource.kind == "DaemonSet"
        return [
            machine
            for machine in self._machines
            if selector <= machine.labels.items()
            and all(
                (daemon and taint["key"] == "node.kubernetes.io/unschedulable")
                or any(tolerates(toleration, taint) for toleration in tolerations)
                for taint in machine.taints
            )
        ]

    def _addressed(self, one: Wanted, pod: Pod) -> Pod:
        """The pod with an address of each of its node's families; given addresses stay."""
        machine = self._by_name.get(pod.node or "")
        if machine is None or pod.addresses:
            return pod
        if pod.host_network:
            return replace(pod, addresses=_first_of_each_family(machine.node))
        found = []
        for cidr in machine.node.pod_cidrs:
            address = self._free(cidr)
            if address is None:
                one.resource.refuse(
                    one.base,
                    f"{cidr} of node {machine.node.name} has no address left for another pod",
                    "Give the node a larger podCIDR, or run fewer replicas.",
                )
            else:
                found.append(address)
        return replace(pod, addresses=tuple(found))

    def _free(self, cidr: Network) -> Address | None:
        """The lowest free address after the bridge's; an IPv4 range's last is its broadcast."""
        end = cidr.num_addresses - (1 if cidr.version == 4 else 0)
        for offset in range(self._next.get(cidr, 2), end):
            address = cidr[offset]
            if address not in self._taken:
                self._taken.add(address)
                self._next[cidr] = offset + 1
                return address
        return None


def _first_of_each_family(node: Node) -> tuple[Address, ...]:
    found = (node.address(4), node.address(6))
    return tuple(address for address in found if address is not None)


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration of a pod puts up with a taint of a node."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration.get("key") == taint.get("key") and same_value

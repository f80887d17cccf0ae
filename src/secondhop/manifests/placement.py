"""Where pods go and which addresses they get: scheduling and addressing without chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..model.cluster import Address, Network, Node, Pod
from ..model.workload import Spread, Workload
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
        self._fitting: dict[frozenset[str], list[str]] = {}
        self._first: dict[int, int] = {}
        self._rooms: dict[int, _Room] = {}
        self.notes: dict[str, None] = {}

    def settle(self, wanted: Iterable[tuple[Wanted, Workload]]) -> list[tuple[Pod, ...]]:
        """The pods of each, placed and addressed, in their order; those that fit nowhere have no
        node."""
        wanted = list(wanted)
        for one, _ in wanted:
            self._taken.update(one.pod.addresses)
        return [tuple(self._pods(one, self._room(workload))) for one, workload in wanted]

    def as_wished(self, workload: Workload) -> bool:
        """Whether every pod of a workload is where the preference of the Lab wants it."""
        return self._room(workload).wished == workload.replicas

    def _room(self, workload: Workload) -> _Room:
        room = self._rooms.get(id(workload))
        if room is None:
            where = workload.eligible or frozenset()
            fitting = self._fitting.get(where)
            if fitting is None:
                fitting = [m.node.name for m in self._machines if m.node.name in where]
                self._fitting[where] = fitting
            room = self._rooms[id(workload)] = _Room(workload, fitting)
        return room

    def _pods(self, one: Wanted, room: _Room) -> Iterator[Pod]:
        if one.resource.kind == "DaemonSet":
            for name in room.fitting:
                suffix = letters(f"{one.pod}/{name}", 5)
                pod = replace(one.pod, name=f"{one.owner}-{suffix}", node=name)
                yield self._addressed(one, pod)
        elif one.settled:
            yield one.pod
        else:
            yield self._addressed(one, replace(one.pod, node=self._place(one, room)))

    def _place(self, one: Wanted, room: _Room) -> str | None:
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
        liked = self._preferences.get(one.owner, ())
        wishes = [liked[one.number % len(liked)]] if liked else []
        first = self._first_open(room.fitting)
        for name in chain(wishes, room.from_turn(first + one.number)):
            if room.admits(name) and (one.pod.host_network or self._has_address(name)):
                room.take(name)
                room.wished += name in wishes
                return name
        full = next(filter(room.admits, room.fitting), None)
        if full is not None:  # only addresses are short, and whoever gives it one says so
            return full
        self.notes[f"pod {one.pod} is pending: {room.why_full}"] = None
        return None

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

    def _first_open(self, fitting: Sequence[str]) -> int:
        """Where in a list the machines begin that have addresses left; 0 where all have."""
        first = self._first.get(id(fitting), 0)
        while first < len(fitting) and not self._has_address(fitting[first]):
            first += 1
        self._first[id(fitting)] = first
        return first

    def _has_address(self, name: str) -> bool:
        """Whether a node's ranges are not used up."""
        cidrs = self._by_name[name].node.pod_cidrs
        return all(self._next.get(cidr, 0) < cidr.num_addresses - 1 for cidr in cidrs)

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


class _Room:
    """What is left for the next pod of a workload, by the scheduler's hard constraints."""

    def __init__(self, workload: Workload, fitting: Sequence[str]) -> None:
        self.fitting = fitting
        self.wished = 0
        self._eligible = workload.eligible or frozenset()
        self._alone = workload.alone
        self._used: set[str] = set()
        self._skews = [_Skew(spread) for spread in workload.spreads]

    @property
    def why_full(self) -> str:
        """Why a pod found no place."""
        if not self.fitting:
            return "no node fits its nodeSelector, affinity and tolerations"
        return "its topology spread, anti-affinity or host ports leave it no node"

    def from_turn(self, number: int) -> Iterator[str]:
        """The machines that fit, from the one whose turn it is."""
        for step in range(len(self.fitting)):
            yield self.fitting[(number + step) % len(self.fitting)]

    def admits(self, name: str) -> bool:
        """Whether one more pod may go to this machine."""
        if name not in self._eligible or (self._alone and name in self._used):
            return False
        return all(skew.admits(name) for skew in self._skews)

    def take(self, name: str) -> None:
        """A pod is there now."""
        self._used.add(name)
        for skew in self._skews:
            skew.take(name)


class _Skew:
    """The pods that one topology spread constraint counts."""

    def __init__(self, spread: Spread) -> None:
        self._spread = spread
        self._taken = Counter[str]()
        domains = len(set(spread.domains.values()))
        self._at = Counter({0: domains})
        self._starved = domains < spread.min_domains
        self._least = 0

    def admits(self, name: str) -> bool:
        """Whether one more pod on this machine keeps the skew."""
        least = 0 if self._starved else self._least
        return self._taken[self._spread.domains[name]] + 1 - least <= self._spread.max_skew

    def take(self, name: str) -> None:
        """Count one more."""
        domain = self._spread.domains[name]
        self._at[self._taken[domain]] -= 1
        self._taken[domain] += 1
        self._at[self._taken[domain]] += 1
        while not self._at[self._least]:
            self._least += 1

"""What a lost node and a rollout cost a Service (semantics §14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .placement import Certainty


class Phase(NamedTuple):
    """A time after the loss of a node. until: seconds from the loss on; None: for as long as nobody
    acts. lost: of all fresh connections, the fraction that is lost meanwhile."""

    until: float | None
    lost: float


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """The loss of any one of some nodes that are alike in it; of the worst service port.

    nodes: empty where placements differ: then it is the worst that one can make of it, and
    certainty is `possible`. pods, left: usable ones that go with the node, and those elsewhere.
    entering: of all fresh connections, what the balancer sends to the node (all, where it may have
    an address that one node has at a time). through_others: of what enters through other nodes,
    what goes on to the dead pods until the control plane takes them for unready. before: lost
    already, with all nodes alive. phases: without a break from the loss on. serving, dark: other
    nodes to which the balancer sends in the end, that serve and that do not. movable: whether its
    pods may run elsewhere; None where the input does not tell what makes them.
    """

    entering: float
    through_others: float
    before: float
    phases: tuple[Phase, ...]
    nodes: tuple[str, ...] = ()
    certainty: Certainty = "certain"
    pods: int = 0
    left: int = 0
    serving: int = 0
    dark: int = 0
    movable: bool | None = None


@dataclass(frozen=True, slots=True)
class Rolling:
    """A rollout of a workload.

    wanted, least, most: pods, and how many are ready at least and there at most meanwhile. dark:
    whether, under Local, a node that had a ready pod has none for a while. served: seconds that a
    pod, told to end, goes on to be sent to and serves for certain; None where its preStop hook is
    not known. covered: kube-proxy sends to pods that end, where no other is ready (§2.1). needed:
    seconds until nobody sends to it any more; None: the balancer never leaves a node without a
    ready pod. probed: each container that serves has a readinessProbe.
    """

    workload: str
    wanted: int
    least: int
    most: int
    dark: Certainty
    served: float | None
    covered: bool
    needed: float | None
    probed: bool

    @property
    def falls_short(self) -> bool:
        """Whether pods may end while they are still sent to."""
        return self.needed is None or (self.served is not None and self.served < self.needed)


@dataclass(frozen=True, slots=True)
class Failover:
    """Both, for one Service behind a balancer. grace: seconds until the control plane takes a dead
    node's pods for unready; detection: until the balancer leaves it out, None: never. losses: the
    worst first."""

    balancer: str
    grace: float
    detection: float | None
    losses: tuple[NodeLoss, ...]
    rollouts: tuple[Rolling, ...]

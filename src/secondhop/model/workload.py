"""A workload: what decides where its pods may be placed, and how a rollout replaces them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .cluster import ServicePortName

WorkloadKind: TypeAlias = Literal["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Pod"]

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Spread:
    """A topologySpreadConstraint with `whenUnsatisfiable: DoNotSchedule`.

    domains: node -> domain, of the nodes that the scheduler counts, which may be more than those
    the pod can go to (nodeAffinityPolicy Honor, nodeTaintsPolicy Ignore by default).
    """

    key: str
    max_skew: int
    min_domains: int = 1
    domains: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Rollout:
    """How pods are replaced.

    surge, unavailable: pods beyond and below the wanted number, rounded as the Deployment
    controller does. grace: terminationGracePeriodSeconds. pre_stop: seconds that a preStop hook is
    known to sleep; None where it does something else. probed: each container that serves has a
    readinessProbe.
    """

    surge: int = 0
    unavailable: int = 1
    grace: float = 30.0
    pre_stop: float | None = 0.0
    probed: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """What makes pods, and where the scheduler may put them.

    replicas: None for a DaemonSet: one on each eligible node. pods: the names of those derived
    from it, none where the input has its pods. placed: where its pods are is a fact: they run, name
    their node, or the Lab says so. eligible: nodes that it selects and whose taints it tolerates;
    None where no nodes are known. choosy: it has a nodeSelector or required nodeAffinity. alone: at
    most one on a node (anti-affinity to itself, a host port). loose: other pods count in its
    constraints, or it has one that is not understood, so that no more is known than where its pods
    may go. backs: the service ports whose endpoints its pods are.
    """

    kind: WorkloadKind
    namespace: str
    name: str
    replicas: int | None = 1
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    pods: tuple[str, ...] = ()
    placed: bool = False
    eligible: frozenset[str] | None = None
    choosy: bool = False
    alone: bool = False
    spreads: tuple[Spread, ...] = ()
    loose: bool = False
    host_network: bool = False
    rollout: Rollout = Rollout()
    backs: frozenset[ServicePortName] = frozenset()

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

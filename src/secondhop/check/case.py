"""A Service under inspection: what every rule asks of it, worked out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias

from ..manifests import Declared, Examined, Resource
from ..manifests.pods import WORKLOADS
from ..manifests.problems import Path, dotted, printable
from ..model.cluster import Node, Pod, Service, ServicePort
from ..model.finding import Certainty, Finding, Severity, Where
from ..predict.balancers import BALANCERS, Balancer, in_front_of
from ..predict.entries import Entries, Entry
from ..predict.landing import Landing, landings, weight_of
from ..predict.path import Paths
from ..predict.services import FAMILIES, Target, has_health_check
from ..predict.share import Sender
from .catalogue import CATALOGUE

ETP: Path = ("spec", "externalTrafficPolicy")


class Surroundings:
    """What all Services of the input share. balancer: the name of one of BALANCERS."""

    def __init__(self, examined: Examined, balancer: str) -> None:
        self.examined = examined
        self.cluster = examined.world.cluster
        self.paths = Paths(self.cluster)
        self.entries = Entries(self.paths, admitted=True)
        self.balancer = balancer

    @cached_property
    def pods(self) -> dict[str, list[Pod]]:
        """The pods of each namespace."""
        found: dict[str, list[Pod]] = {}
        for pod in self.cluster.pods:
            found.setdefault(pod.namespace, []).append(pod)
        return found

    @cached_property
    def excluded(self) -> frozenset[str]:
        """The nodes that are not for load balancers."""
        return frozenset(node.name for node in self.cluster.nodes if node.excluded)

    @cached_property
    def employers(self) -> set[str]:
        """The namespaces that have a workload, whether or not it makes pods."""
        return {r.namespace for r in self.examined.resources if r.kind in WORKLOADS}


class Case:
    """One Service, in its surroundings.

    nodes_known: whether the nodes are the input's. outlook: over all placements, where some of its
    pods have no place yet. placed: the nodes are known, and so is every pod's. If not, whatever
    hangs on where pods land cannot be read off the World: the rules about placements judge it.
    """

    def __init__(self, declared: Declared, around: Surroundings) -> None:
        self.declared = declared
        self.around = around
        self.service: Service = declared.service
        self.resource: Resource = declared.resource
        self.nodes_known = around.examined.world.nodes_known
        self.outlook = around.paths.placements.of_service(self.service)
        self.placed = self.nodes_known and self.outlook is None

    @property
    def balancer(self) -> Balancer:
        """The balancer in front; without weights where no health check tells them (§6.1)."""
        chosen = BALANCERS[in_front_of(self.service, self.around.balancer)]
        told = self.around.cluster.kube_version.has("endpoint weight header")
        if chosen.weighted and not (told and has_health_check(self.service)):
            return replace(chosen, weighted=False)
        return chosen

    @property
    def excluded(self) -> frozenset[str]:
        """The nodes to which the balancer never sends, whatever runs there."""
        return self.around.excluded if self.balancer.heeds_exclusion else frozenset()

    @cached_property
    def shut_in(self) -> frozenset[str]:
        """Of those, the nodes where under Local pods may land that nothing then reaches."""
        if self.outlook is None or not self.local:
            return frozenset()
        return self.excluded.intersection(self.outlook.always + self.outlook.maybe)

    @cached_property
    def homes(self) -> Counter[str]:
        """The ready pods of its first port by node, as they stand in the World."""
        endpoints = self.targets[0].endpoints if self.targets else ()
        return Counter(e.node for e in endpoints if e.ready and e.node)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Each port in each family, as kube-proxy sees it, if it serves the Service."""
        found = (
            self.around.entries.target(self.service, port, family)
            for port in self.service.ports
            for family in FAMILIES
        )
        return tuple(target for target in found if target is not None)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The outside client at every entry."""
        return tuple(self.around.entries.of(self.service))

    @cached_property
    def sender(self) -> Sender:
        """The balancer, in front of this Service."""
        return Sender(self.around.paths, self.service, self.balancer)

    @cached_property
    def used(self) -> tuple[Entry, ...]:
        """The entries through nodes to which the balancer sends."""
        return tuple(entry for entry in self.entries if weight_of(self.sender, entry))

    @cached_property
    def landings(self) -> tuple[Landing, ...]:
        """Where the balancer's connections land."""
        return tuple(landings(self.sender, self.entries))

    @property
    def local(self) -> bool:
        """Whether externalTrafficPolicy Local is in force for some entry."""
        return any(t.external_local and t.accessible for t in self.targets)

    def port_path(self, port: ServicePort, *rest: str) -> Path:
        """Where a port, or a field of it, stands."""
        return ("spec", "ports", self.service.ports.index(port), *rest)

    def find(
        self,
        id: str,
        path: Path,
        message: str,
        remedy: str,
        *,
        certainty: Certainty = "certain",
        severity: Severity | None = None,
    ) -> Finding:
        """A finding about this Service. severity: where it is not the usual one."""
        return Finding(
            id,
            severity or CATALOGUE[id].severity,
            certainty,
            str(self.resource),
            dotted(path),
            message,
            remedy,
            place(self.resource, path),
        )


Rule: TypeAlias = Callable[[Case], Iterator[Finding]]


def place(resource: Resource, path: Path = ()) -> Where:
    """Where a field was written, or what should hold it; of what a server gave, only the file."""
    document = resource.document
    line = 0 if resource.from_server else document.line(path)
    return Where(printable(document.source.name), line)


def named(nodes: Iterable[Node], count: int, most: int = 3) -> str:
    """A few nodes by name, and how many more there are."""
    names: list[str] = []
    for node in nodes:
        if len(names) == most:
            break
        names.append(node.name)
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")

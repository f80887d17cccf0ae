"""What changes when a Service is updated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .cluster import Address, Cluster, Service
from .fate import Fate, Outcome
from .flow import Destination, Source
from .placement import Outlook
from .share import Share


@dataclass(frozen=True, slots=True)
class Change:
    """Flows whose fate changes alike: each source by each via.

    before, after: of the first source by the first via; those of the others differ at most in the
    addresses and nodes they name. None where the flow has no entry to dial. alike: of nodes that
    stand for others too, all these names; sources, destination and vias name none of the others.
    """

    service: Service
    sources: tuple[Source, ...]
    destination: Destination
    vias: tuple[str | None, ...]
    before: Outcome | None
    after: Outcome | None
    alike: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def from_outside(self) -> bool:
        """Whether the outside client sends, to an entry that is meant for it. It stands first."""
        return self.sources[0].kind == "client" and self.destination.kind not in (
            "clusterIP",
            "healthCheckNodePort",
        )

    @property
    def entries(self) -> tuple[str, ...]:
        """The nodes through which these flows enter, where the destination or `via` says so."""
        named = (self.destination.node or via for via in self.vias)
        told = (self.alike.get(name, (name,)) for name in named if name is not None)
        return tuple(dict.fromkeys(name for names in told for name in names))


@dataclass(frozen=True, slots=True)
class Admission:
    """A NetworkPolicy whose ingress ipBlocks match the client's connections differently, judged by
    the addresses that pods see.

    pods: the selected ones, by name. before, after: each address, and whether a rule admits it.
    cut_off: no policy at all admits some of the new addresses, where all of the old were admitted.
    """

    policy: str
    pods: tuple[str, ...]
    before: Mapping[Address, bool]
    after: Mapping[Address, bool]
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """An update of a Service and what comes of it.

    settings: as `field=value`. cluster: before. service, updated: before and after. changes: worst
    first. balancer: its name; shares_before, shares_after: what it makes of the Service. advice:
    what would make the update safe. outlook: where the update turns to Local, and a node may have
    no pod since nobody has placed them. unplaced: whether some pods have no place, before or after;
    then the changes are those of one placement.
    """

    settings: tuple[str, ...]
    cluster: Cluster
    service: Service
    updated: Service
    changes: tuple[Change, ...]
    balancer: str
    shares_before: tuple[Share, ...]
    shares_after: tuple[Share, ...]
    admissions: tuple[Admission, ...] = ()
    advice: tuple[str, ...] = ()
    outlook: Outlook | None = None
    unplaced: bool = False

    @property
    def alike(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that stand for others in the changes, each with all these names."""
        return self.changes[0].alike if self.changes else {}

    @property
    def is_empty(self) -> bool:
        """Whether traffic lands as before, affinity included."""
        return (
            not self.changes
            and self.shares_before == self.shares_after
            and self.service.affinity_timeout == self.updated.affinity_timeout
        )

    def entries(self, before: Fate | None, after: Fate | None) -> tuple[str, ...]:
        """Nodes through which some connection of the client has turned from one fate to another;
        None: there is nothing to dial."""
        return tuple(
            dict.fromkeys(
                name
                for change in self.changes
                if change.from_outside
                and fate_of(change.before) == before
                and fate_of(change.after) == after
                for name in change.entries
            )
        )


def fate_of(outcome: Outcome | None) -> Fate | None:
    """The fate of an outcome, if there is one."""
    return None if outcome is None else outcome.fate

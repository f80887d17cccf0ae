"""A live cluster tried from one place: what was seen at each address, and how it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .fate import Observation, Outcome
from .flow import Flow

Verdict: TypeAlias = Literal["agrees", "disagrees", "not reached", "not predicted"]


Answer: TypeAlias = Literal["connected", "refused", "silent"]


class Control(NamedTuple):
    """Another port of the same address, dialled once. what: who has it; NOBODYS for a port that
    nobody has."""

    port: int
    what: str
    answer: Answer


NOBODYS = "nobody's"


@dataclass(frozen=True, slots=True)
class Tried:
    """One address. node: whose it is, None where the network decides. controls: only where nobody
    told who answers. status, page: of an HTTP reply, if there was one."""

    flow: Flow
    observed: Observation
    node: str | None = None
    controls: tuple[Control, ...] = ()
    status: int | None = None
    page: str = ""

    @property
    def silent(self) -> bool:
        """Whether nothing came back at all: a drop, or no way there."""
        return set(self.observed.fates) == {"dropped"}

    @property
    def same_node(self) -> bool:
        """Whether it was sent from the very node that is dialled, or a pod of it: that node serves
        its own senders by other rules than strangers."""
        return self.node is not None and self.flow.source.node == self.node

    @property
    def intercepted(self) -> bool:
        """Whether something on the way accepts connections for everybody: even a port that nobody
        has connects."""
        return any(c.what == NOBODYS and c.answer == "connected" for c in self.controls)

    @property
    def reached(self) -> bool:
        """Whether packets from here get to the address: something there answered."""
        if self.intercepted:
            return False
        return not self.silent or any(control.answer != "silent" for control in self.controls)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected through one node. via: the node to which the network brings the address;
    None for a node's own."""

    via: str | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Judged:
    """One row: what was tried, what had been predicted, and how they fit. because: in words."""

    tried: Tried
    predicted: tuple[Prediction, ...]
    verdict: Verdict
    because: str


@dataclass(frozen=True, slots=True)
class Probe:
    """All rows, and what they show together. remarks: sentences."""

    rows: tuple[Judged, ...]
    remarks: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Whether nothing that was seen contradicts what was predicted."""
        return all(row.verdict != "disagrees" for row in self.rows)

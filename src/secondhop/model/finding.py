"""What a check of manifests finds, and whether what was required of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .cluster import Cluster

Severity: TypeAlias = Literal["error", "warning", "note"]
Certainty: TypeAlias = Literal["certain", "possible"]
Holds: TypeAlias = Literal["certain", "possible", "no"]


class Where(NamedTuple):
    """A place in the input. file: as given, `-` for stdin. line: from 1; 0 where there is none."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Kind(NamedTuple):
    """A kind of finding. id: stable, also the name of its page. severity: the usual one. why: what
    it leads to, in one line."""

    id: str
    title: str
    severity: Severity
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about an object.

    id: of the kind of finding, stable; docs/findings has a page for each. certainty: `possible`
    where it hangs on what the input does not say. subject: the object, as `Service default/web`.
    field: its path in the object, as written; empty for the whole object. remedy: what to do.
    """

    id: str
    severity: Severity
    certainty: Certainty
    subject: str
    field: str
    message: str
    remedy: str
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """Whether something that was asked for holds.

    name, asked: `max-share` and `max-share=0.5`. subject: the Service, or `input` for all of it.
    holds: `possible` where it hangs on what the input does not say; that is not enough. why: what
    speaks for or against it, and what would make it certain.
    """

    name: str
    asked: str
    subject: str
    holds: Holds
    why: str
    where: Where | None = None

    @property
    def met(self) -> bool:
        """Whether it holds for certain."""
        return self.holds == "certain"


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of a check. findings: worst first. files: the input, in its order. services: how
    many were looked at. cluster: the world they were judged in. balancer: its name. notes: what
    was assumed. left_out: how many Services were not, for what is wrong with them."""

    findings: tuple[Finding, ...]
    requirements: tuple[Requirement, ...]
    files: tuple[str, ...]
    services: int
    cluster: Cluster
    balancer: str
    notes: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def met(self) -> bool:
        """Whether everything that was required holds for certain."""
        return all(requirement.met for requirement in self.requirements)

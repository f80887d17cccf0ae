"""What an experiment tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..model.cluster import Cluster, Policy
from ..model.fate import Trial


@dataclass(frozen=True, slots=True)
class Applied:
    """The objects stand like this now, and the nodes' kernels agree."""

    policy: Policy
    cluster: Cluster


@dataclass(frozen=True, slots=True)
class Probed:
    """One row, and the first reply as it came."""

    trial: Trial
    reply: str


@dataclass(frozen=True, slots=True)
class Held:
    """Connections from before a patch that answered once more after it, and how many there were."""

    alive: int
    total: int


Event: TypeAlias = Applied | Probed | Held

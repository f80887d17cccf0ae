"""What is known of a pod's containers, and the status that an API is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..client import Object
from ..model.cluster import Address
from .container import Container
from .health import Vitals
from .log import Log

_CREATING: Mapping[str, Any] = {"waiting": {"reason": "ContainerCreating"}}


@dataclass(slots=True)
class Record:
    """What is known of one container."""

    spec: Mapping[str, Any]
    init: bool = False
    state: Mapping[str, Any] = field(default_factory=lambda: _CREATING)
    last_state: Mapping[str, Any] = field(default_factory=dict)
    restarts: int = 0
    vitals: Vitals | None = None
    container: Container | None = None
    log: Log | None = None
    previous: Log | None = None
    serial: int = 0

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.spec["name"])

    @property
    def started(self) -> bool:
        """Whether it runs, and its startup probe has passed."""
        return self.vitals is not None and self.vitals.started

    @property
    def ready(self) -> bool:
        """Whether it is ready, or an init container that has done its work."""
        if self.init and not self.sidecar:
            return self.exit_code == 0
        return self.vitals is not None and self.vitals.ready

    @property
    def sidecar(self) -> bool:
        """An init container that keeps running."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def waits(self) -> str:
        """Why it does not run, if it waits."""
        return str(self.state.get("waiting", {}).get("reason", ""))

    @property
    def exit_code(self) -> int | None:
        """How it ended, if it has."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])


@dataclass(frozen=True, slots=True)
class Picture:
    """A pod at one moment. over: no container will be started any more. open: so are all of its
    readiness gates."""

    pod: str
    addresses: Sequence[Address]
    host_ips: Sequence[Address]
    started: datetime
    initialized: bool
    over: bool
    open: bool
    records: Sequence[Record]

    def status(self) -> Object:
        """The status that the API is to know; when its conditions turned is not its affair."""
        main = [record for record in self.records if not record.init]
        ready = all(r.ready for r in self.records)
        phase = self._phase(main)
        told: Object = {
            "phase": phase,
            "conditions": _conditions(self.initialized, ready, ready and self.open, phase),
            "hostIP": str(self.host_ips[0]),
            "hostIPs": [{"ip": str(ip)} for ip in self.host_ips],
            "podIP": str(self.addresses[0]),
            "podIPs": [{"ip": str(ip)} for ip in self.addresses],
            "startTime": stamp(self.started),
            "qosClass": "BestEffort",
            "containerStatuses": [self._told(record) for record in main],
        }
        if init := [self._told(record) for record in self.records if record.init]:
            told["initContainerStatuses"] = init
        return told

    def _phase(self, main: Sequence[Record]) -> str:
        codes = [record.exit_code for record in main]
        if self.over and (not self.initialized or None not in codes):
            return "Succeeded" if self.initialized and not any(codes) else "Failed"
        begun = any("waiting" not in r.state or r.last_state for r in main)
        return "Running" if begun else "Pending"

    def _told(self, record: Record) -> Object:
        waits = record.state is _CREATING and not record.init and not self.initialized
        inits = waits and any(each.init for each in self.records)
        return {
            "name": record.name,
            "image": record.spec.get("image") or "",
            "imageID": "",
            "containerID": f"secondhop://{self.pod}/{record.name}/{record.serial}"
            if record.serial
            else "",
            "state": waiting("PodInitializing") if inits else record.state,
            "lastState": record.last_state,
            "ready": record.ready,
            "started": record.started,
            "restartCount": record.restarts,
        }


def _conditions(initialized: bool, contained: bool, ready: bool, phase: str) -> list[Object]:
    """For a strategic patch: it takes a reason that is None away."""
    over = phase in ("Succeeded", "Failed")
    why = "PodCompleted" if over else "ContainersNotReady"
    states = {
        "PodReadyToStartContainers": not over,
        "Initialized": initialized,
        "Ready": ready and not over,
        "ContainersReady": contained and not over,
        "PodScheduled": True,
    }
    return [
        {"type": name, "status": "True" if state else "False", "reason": None if state else why}
        for name, state in states.items()
    ]


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """A container's state before it runs."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def terminated(code: int, reason: str, begun: datetime, message: str = "") -> dict[str, Any]:
    """A container's state after its end."""
    told = {
        "exitCode": code,
        "reason": reason,
        "startedAt": stamp(begun),
        "finishedAt": stamp(now()),
    }
    return {"terminated": told | ({"message": message} if message else {})}


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def stamp(time: datetime) -> str:
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")

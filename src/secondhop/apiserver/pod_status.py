"""A pod's state in a word, as `kubectl get pods` shows it (semantics §10.1)."""

from __future__ import annotations

from typing import NamedTuple

from ..client.api import Object


class Summary(NamedTuple):
    """reason: Running, Completed, CrashLoopBackOff, Init:0/1, Terminating …; last_restart: when a
    container ended last, as a timestamp."""

    ready: int
    containers: int
    reason: str
    restarts: int
    last_restart: str


class _Count(NamedTuple):
    restarts: int = 0
    last: str = ""

    def plus(self, container: Object) -> _Count:
        ended = (container.get("lastState") or {}).get("terminated") or {}
        last = max(self.last, ended.get("finishedAt") or "")
        return _Count(self.restarts + container.get("restartCount", 0), last)


def pod_summary(pod: Object) -> Summary:
    """Everything that a pod's row says of its containers."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    sidecars = {
        each["name"]
        for each in spec.get("initContainers") or []
        if each.get("restartPolicy") == "Always"
    }
    reason = status.get("reason") or status.get("phase") or "Unknown"
    if conditions.get("PodScheduled", {}).get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    ready, count, lasting, initializing = 0, _Count(), _Count(), ""
    for n, container in enumerate(status.get("initContainerStatuses") or []):
        count = count.plus(container)
        sidecar = container["name"] in sidecars
        lasting = lasting.plus(container) if sidecar else lasting
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
        elif initializing := _initializing(container):
            reason = f"Init:{n}/{len(spec.get('initContainers') or [])}"
            reason = reason if initializing == "-" else f"Init:{initializing}"
            break
    if not initializing or conditions.get("Initialized", {}).get("status") == "True":
        count, running = lasting, False
        for container in reversed(status.get("containerStatuses") or []):
            count = count.plus(container)
            state = container.get("state") or {}
            if stopped := (state.get("waiting") or {}).get("reason") or _ended(state):
                reason = stopped
            elif container.get("ready") and "running" in state:
                running = True
                ready += 1
        if reason == "Completed" and running:
            is_ready = conditions.get("Ready", {}).get("status") == "True"
            reason = "Running" if is_ready else "NotReady"
    if "deletionTimestamp" in pod["metadata"]:
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return Summary(ready, len(spec.get("containers") or []) + len(sidecars), reason, *count)


def _initializing(container: Object) -> str:
    """Why an init container holds the others up; `-` if there is no better word than its number,
    empty if it has done its work."""
    state = container.get("state") or {}
    if "terminated" in state:
        return _ended(state) if state["terminated"].get("exitCode") else ""
    waiting = (state.get("waiting") or {}).get("reason") or ""
    return waiting if waiting not in ("", "PodInitializing") else "-"


def _ended(state: Object) -> str:
    ended = state.get("terminated")
    if ended is None:
        return ""
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"

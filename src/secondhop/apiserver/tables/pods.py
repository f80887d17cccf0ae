"""Rows of Pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...client import Object
from .text import NONE, age, since


def pod(value: Object, now: float) -> list[object]:
    """NAME READY STATUS RESTARTS AGE; IP NODE NOMINATED NODE READINESS GATES."""
    spec, status = value.get("spec") or {}, value.get("status") or {}
    ready, total, state, runs = _state(value, spec, status)
    return [
        value["metadata"]["name"],
        f"{ready}/{total}",
        state,
        _restarts(runs, now),
        age(value, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


class _State(NamedTuple):
    ready: int
    total: int
    state: str
    runs: Sequence[Object]
    """The containerStatuses whose restarts count."""


def _state(value: Object, spec: Object, status: Object) -> _State:
    """What a pod is up to, in a word: the latest news of its containers, or of itself."""
    containers, initial = spec.get("containers") or [], spec.get("initContainers") or []
    sidecars = {c["name"] for c in initial if c.get("restartPolicy") == "Always"}
    runs, first_runs = (
        status.get(key) or [] for key in ("containerStatuses", "initContainerStatuses")
    )
    beside = [run for run in first_runs if run["name"] in sidecars]
    ready = sum(bool(run.get("started") and run.get("ready")) for run in beside)
    total = len(containers) + len(sidecars)
    starting = _starting(first_runs, sidecars, len(initial))
    state = status.get("reason") or status.get("phase", "")
    if _condition(status, "PodScheduled", "reason") == "SchedulingGated":
        state = "SchedulingGated"
    if starting and _condition(status, "Initialized") != "True":
        state, counted = starting, first_runs
    else:
        running = [run for run in runs if run.get("ready") and "running" in _now(run)]
        ready += len(running)
        state = next(filter(None, map(_news, runs)), state)
        if state == "Completed" and running:
            state = "Running" if _condition(status, "Ready") == "True" else "NotReady"
        counted = [*beside, *runs]
    if value["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            state = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            state = "Terminating"
    return _State(ready, total, state, counted)


def _starting(runs: Sequence[Object], sidecars: set[str], total: int) -> str:
    """What the first init container that is not done is up to; empty if all are."""
    for number, run in enumerate(runs):
        now = _now(run)
        if run["name"] in sidecars and run.get("started"):
            continue
        if "terminated" in now:
            if now["terminated"].get("exitCode") == 0:
                continue
            return f"Init:{_end(now['terminated'])}"
        reason = now.get("waiting", {}).get("reason", "")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{number}/{total}"
    return ""


def _news(run: Object) -> str:
    """Why a container does not run; empty if it does."""
    now = _now(run)
    if reason := now.get("waiting", {}).get("reason"):
        return str(reason)
    return _end(now["terminated"]) if "terminated" in now else ""


def _end(terminated: Object) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _restarts(runs: Sequence[Object], now: float) -> str:
    count = sum(run.get("restartCount", 0) for run in runs)
    ends = [(run.get("lastState") or {}).get("terminated", {}).get("finishedAt") for run in runs]
    last = max(filter(None, ends), default=None)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def _gates(spec: Object, status: Object) -> str:
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or []]
    passed = sum(_condition(status, gate) == "True" for gate in gates)
    return f"{passed}/{len(gates)}" if gates else NONE


def _condition(status: Object, name: str, key: str = "status") -> str:
    found = (c.get(key, "") for c in status.get("conditions") or [] if c.get("type") == name)
    return next(found, "")


def _now(run: Object) -> Object:
    state: Object = run.get("state") or {}
    return state

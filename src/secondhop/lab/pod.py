"""One pod from its binding to its end: its containers, their probes, its status, its last seconds.

Everything that a kubelet decides for one pod is in here; what it needs of the node comes in as a
Seat.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..client import Object
from ..errors import ApiError
from ..model.cluster import Address
from .container import Container, Home, Unavailable, run
from .environment import PATH, Unresolved, commanded, environment
from .health import Target, Vitals, check
from .netns import Namespace
from .podstatus import Picture, Record, now, stamp, terminated, waiting
from .timing import Timing

_GRACE_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_RESTARTS: Mapping[str, Callable[[int], bool]] = {
    "Always": lambda code: True,
    "OnFailure": lambda code: code != 0,
}


@dataclass(frozen=True, slots=True)
class Seat:
    """What a pod needs of its node.

    host_ips: the node's address of each family. changed: to be called whenever `PodRun.status` may
    say something new. event: (type, reason, message), for `kubectl describe`. config_map: data by
    name, in the pod's namespace.
    """

    node: Namespace
    host_ips: Sequence[Address]
    changed: Callable[[], None]
    event: Callable[[str, str, str], None]
    config_map: Callable[[str], Awaitable[Mapping[str, str] | None]]
    timing: Timing


class PodRun:
    """A pod that runs on this node."""

    def __init__(self, pod: Object, home: Home, seat: Seat) -> None:
        self.pod, self.home, self._seat = pod, home, seat
        spec = pod["spec"]
        self.records = [Record(c, init=True) for c in spec.get("initContainers") or []]
        self.records += [Record(c) for c in spec.get("containers") or []]
        self._ending = asyncio.Event()
        self._grace = self._deadline = math.inf
        self._limits: set[asyncio.Timeout] = set()
        self._stops: dict[Container, asyncio.Task[None]] = {}
        self._started = now()
        self._initialized = False
        self._over = False
        self._tasks = asyncio.TaskGroup()

    async def live(self) -> None:
        """Run the containers until they have ended for good, by themselves or because of `end`."""
        try:
            async with self._tasks as group:
                await self._live(group)
        except ExceptionGroup as failures:  # a mistake in here costs this pod, and no other
            self._seat.event("Warning", "FailedSync", f"secondhop: {failures.exceptions[0]!r}")
        finally:
            self._over = True
            self._seat.changed()

    def status(self) -> Object:
        """The status that the API is to know."""
        home = self.home
        return Picture(
            home.pod,
            home.addresses,
            self._seat.host_ips,
            self._started,
            self._initialized,
            self._over,
            self._open(),
            self.records,
        ).status()

    def _open(self) -> bool:
        """Whether others have opened all readiness gates."""
        told = (self.pod.get("status") or {}).get("conditions") or ()
        states = {condition["type"]: condition["status"] for condition in told}
        gates = self.pod["spec"].get("readinessGates") or ()
        return all(states.get(gate["conditionType"]) == "True" for gate in gates)

    def end(self, grace: float) -> None:
        """Ask the containers to end: preStop, SIGTERM, and after `grace` seconds SIGKILL; sidecars
        after the others. Then `live` returns. Called again, it may shorten the time."""
        self._ending.set()
        self._grace = min(grace, self._grace)
        self._deadline = min(_loop_time() + grace, self._deadline)
        for limit in self._limits:
            if not limit.expired() and (limit.when() or 0.0) > self._deadline:
                limit.reschedule(self._deadline)
        for record in self.records:
            if not record.sidecar:
                self._stop(record, grace)

    def record(self, container: str | None) -> Record | None:
        """A container's record by name; without a name, the first that is no init container."""
        if container is None:
            return next(r for r in self.records if not r.init)
        return next((r for r in self.records if r.name == container), None)

    # --- containers -------------------------------------------------------------------------

    async def _live(self, group: asyncio.TaskGroup) -> None:
        if await self._initialize(group):
            self._initialized = True
            main = [record for record in self.records if not record.init]
            await asyncio.wait([group.create_task(self._keep(record)) for record in main])
        self._ending.set()
        for record in reversed(self.records):
            if stop := self._stop(record, self._usual_grace):
                await stop

    async def _initialize(self, group: asyncio.TaskGroup) -> bool:
        """Run the init containers one after the other, start the sidecars among them; whether the
        others may start."""
        for record in self.records:
            if record.sidecar:
                group.create_task(self._keep(record))
                while not record.started and not self._ending.is_set():
                    await asyncio.sleep(_LOOK_SECONDS)
            elif record.init:
                await self._keep(record)
                if record.exit_code != 0:
                    return False
        return not self._ending.is_set()

    async def _keep(self, record: Record) -> None:
        """One container: start it, and again after each end as the restart policy says. The first
        restart is at once."""
        pause, timing = 0.0, self._seat.timing
        while not self._ending.is_set():
            begun = _loop_time()
            code = await self._once(record)
            if code is None or self._ending.is_set() or not self._again(record, code):
                return
            if _loop_time() - begun > 2 * timing.longest_back_off:
                pause = 0.0
            if pause:
                await self._back_off(record, pause)
                if self._ending.is_set():
                    return
            record.last_state = record.state
            record.restarts += 1
            pause = min(max(2 * pause, timing.back_off), timing.longest_back_off)

    async def _back_off(self, record: Record, pause: float) -> None:
        ended = record.last_state = record.state
        said = f"back-off {pause:.0f}s restarting failed container={record.name}"
        record.state = waiting("CrashLoopBackOff", f"{said} pod={self.home.pod}")
        said = f"Back-off restarting failed container {record.name} in pod {self.home.pod}"
        self._seat.event("Warning", "BackOff", said)
        self._seat.changed()
        await self._unless_ending(pause)
        record.state = ended

    async def _unless_ending(self, seconds: float) -> None:
        """Wait, but not longer than the pod is to live."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    def _again(self, record: Record, code: int) -> bool:
        if record.sidecar:
            return True
        policy = self.pod["spec"].get("restartPolicy") or "Always"
        if record.init and policy == "Always":
            policy = "OnFailure"
        return policy in _RESTARTS and _RESTARTS[policy](code)

    async def _once(self, record: Record) -> int | None:
        """One life of a container: its exit status; None if there is nothing to be run."""
        if (resolved := await self._resolved(record)) is None:
            return None
        begun = now()
        try:
            container = await run(self.home, *resolved)
        except Unavailable as unavailable:
            self._lacking(record, "ErrImagePull", str(unavailable))
            await self._ending.wait()
            return None
        except OSError as error:
            said = f'exec: "{error.filename}": {error.strerror}'
            self._seat.event("Warning", "Failed", f"Error: {said}")
            record.state = terminated(128, "StartError", begun, said)
            return 128
        record.container, record.previous, record.log = container, record.log, container.log
        record.serial += 1
        record.state = {"running": {"startedAt": stamp(begun)}}
        self._seat.event("Normal", "Started", f"Started container {record.name}")
        record.vitals = self._vitals(record, container)
        probing = asyncio.create_task(record.vitals.run())
        self._seat.changed()
        if self._ending.is_set():  # meanwhile: `end` has not seen it
            container.signal(signal.SIGKILL)
        try:
            code = await container.wait()
            if self._seat.timing.relist:
                await self._unless_ending(self._seat.timing.relist)
        except BaseException:
            container.signal(signal.SIGKILL)
            raise
        finally:
            probing.cancel()
            record.container = record.vitals = None
            self._stops.pop(container, None)
        told = ""
        if code and record.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            told = container.log.last_line()
        record.state = terminated(code, "Completed" if code == 0 else "Error", begun, told)
        self._seat.changed()
        return code

    async def _resolved(self, record: Record) -> tuple[Mapping[str, Any], Mapping[str, str]] | None:
        """The container's spec and environment, once everything is there that they refer to; None
        if the pod is to end before."""
        addresses = {"pod": self.home.addresses, "host": self._seat.host_ips}
        spec = record.spec
        while True:
            try:
                own = await environment(self.pod, spec, addresses, self._seat.config_map)
            except (Unresolved, ApiError, OSError) as error:
                self._lacking(record, "CreateContainerConfigError", str(error))
                await self._unless_ending(self._seat.timing.retry)
                if self._ending.is_set():
                    return None
                continue
            words = {name: commanded(spec.get(name) or [], own) for name in ("command", "args")}
            usual = {"PATH": PATH, "HOME": "/root", "HOSTNAME": self.home.pod}
            return {**spec, **words}, usual | own

    def _lacking(self, record: Record, reason: str, message: str) -> None:
        """It cannot be started for now."""
        record.state = waiting(reason, message)
        self._seat.event("Warning", "Failed", f"Error: {reason}: {message}")
        self._seat.changed()

    # --- ends -------------------------------------------------------------------------------

    @property
    def _usual_grace(self) -> float:
        grace = self.pod["spec"].get("terminationGracePeriodSeconds")
        return _GRACE_SECONDS if grace is None else float(grace)

    def _stop(self, record: Record, grace: float, said: str = "") -> asyncio.Task[None] | None:
        """End a container that runs, if that has not begun yet."""
        container = record.container
        if container is None:
            return None
        if container not in self._stops:
            self._seat.event("Normal", "Killing", said or f"Stopping container {record.name}")
            stopping = self._last_seconds(record, container, grace)
            self._stops[container] = self._tasks.create_task(stopping)
        return self._stops[container]

    async def _last_seconds(self, record: Record, container: Container, grace: float) -> None:
        """preStop, SIGTERM, SIGKILL."""
        end = min(_loop_time() + grace, self._deadline)
        if grace:
            async with self._until(end):
                await self._pre_stop(record, container)
            end = max(
                min(end, self._deadline),
                _loop_time() + min(self._seat.timing.last, grace, self._grace),
            )
            container.signal(signal.SIGTERM)
            async with self._until(end):
                await container.wait()
        container.signal(signal.SIGKILL)
        await container.wait()

    @contextlib.asynccontextmanager
    async def _until(self, moment: float) -> AsyncIterator[None]:
        """Break off at a moment, or earlier if the pod is to end earlier."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(moment) as limit:
                self._limits.add(limit)
                try:
                    yield
                finally:
                    self._limits.discard(limit)

    async def _pre_stop(self, record: Record, container: Container) -> None:
        hook = (record.spec.get("lifecycle") or {}).get("preStop") or {}
        if "sleep" in hook:
            await asyncio.sleep(hook["sleep"].get("seconds") or 0)
        elif hook:
            try:
                failure = await check(self._target(record, container), hook)
            except (OSError, ValueError) as error:
                failure = str(error)
            if failure:
                self._seat.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}")

    # --- health -----------------------------------------------------------------------------

    def _target(self, record: Record, container: Container) -> Target:
        return Target(self.home, self._seat.node, container, record.spec)

    def _vitals(self, record: Record, container: Container) -> Vitals:
        def dead() -> None:
            if not self._ending.is_set() and record.container is container:
                why = "failed its probe, will be restarted"
                self._stop(record, self._usual_grace, f"Container {record.name} {why}")

        return Vitals(self._target(record, container), self._seat.changed, self._unhealthy, dead)

    def _unhealthy(self, which: str, why: str) -> None:
        self._seat.event("Warning", "Unhealthy", f"{which} probe failed: {why}")


def _loop_time() -> float:
    return asyncio.get_running_loop().time()

"""One pod from its binding to its end: its containers, their probes, its status, its last seconds.

Everything that a kubelet decides for one pod is in here; what it needs of the node comes in as a
Seat.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ..client import Object
from .container import Container, Home, Unavailable, run
from .environment import Unresolved, commanded, environment
from .health import Target, Vitals, check
from .netns import Namespace
from .podstatus import Picture, Record, now, stamp, terminated, waiting
from .process import PATH

_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 300.0
_STABLE_SECONDS = 600.0
_RESTARTS: Mapping[str, Callable[[int], bool]] = {
    "Always": lambda code: True,
    "OnFailure": lambda code: code != 0,
}


@dataclass(frozen=True, slots=True)
class Seat:
    """What a pod needs of its node.

    changed: to be called whenever `PodRun.status` may say something new. event: (type, reason,
    message), for `kubectl describe`. config_map: data by name, in the pod's namespace.
    """

    node: Namespace
    host_ip: str
    changed: Callable[[], None]
    event: Callable[[str, str, str], None]
    config_map: Callable[[str], Awaitable[Mapping[str, str] | None]]


class PodRun:
    """A pod that runs on this node."""

    def __init__(self, pod: Object, home: Home, seat: Seat) -> None:
        self.pod, self.home, self._seat = pod, home, seat
        spec = pod["spec"]
        self.records = [Record(c, init=True) for c in spec.get("initContainers") or []]
        self.records += [Record(c) for c in spec.get("containers") or []]
        self._ending = asyncio.Event()
        self._started = now()
        self._initialized = False
        self._over = False
        self._tasks = asyncio.TaskGroup()

    async def live(self) -> None:
        """Run the containers until they have ended for good, by themselves or because of `end`."""
        try:
            async with self._tasks as group:
                await self._live(group)
        finally:
            self._over = True
            for record in self.records:
                if record.container is not None:
                    record.container.signal(signal.SIGKILL)
            self._seat.changed()

    def status(self) -> Object:
        """The status that the API is to know."""
        host, home = self._seat.host_ip, self.home
        return Picture(
            home.pod,
            home.address,
            host,
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

    async def end(self, grace: float) -> None:
        """Ask the containers to end: preStop, SIGTERM, and after `grace` seconds SIGKILL. Returns
        when the last one has."""
        self._ending.set()
        running = [r for r in self.records if r.container is not None]
        if running:
            self._seat.event("Normal", "Killing", f"Stopping container {running[0].name}")
        await asyncio.gather(*(self._stop(record, grace) for record in running))

    def record(self, container: str | None) -> Record | None:
        """A container's record by name; without a name, the first that is no init container."""
        if container is None:
            return next(r for r in self.records if not r.init)
        return next((r for r in self.records if r.name == container), None)

    # --- containers -------------------------------------------------------------------------

    async def _live(self, group: asyncio.TaskGroup) -> None:
        for record in self.records:
            if record.sidecar:
                group.create_task(self._keep(record))
                while not record.started and not self._ending.is_set():
                    await asyncio.sleep(0.05)
            elif record.init:
                await self._keep(record)
                if record.exit_code != 0:
                    return
        self._initialized = True
        keeping = [
            group.create_task(self._keep(record)) for record in self.records if not record.init
        ]
        await asyncio.wait(keeping)
        for record in self.records:
            if record.sidecar and record.container is not None:
                self._ending.set()
                record.container.signal(signal.SIGTERM)

    async def _keep(self, record: Record) -> None:
        """One container: start it, and again after each end as the restart policy says."""
        pause = _FIRST_PAUSE
        while not self._ending.is_set():
            begun = asyncio.get_running_loop().time()
            code = await self._once(record)
            if code is None or self._ending.is_set() or not self._again(record, code):
                return
            if asyncio.get_running_loop().time() - begun > _STABLE_SECONDS:
                pause = _FIRST_PAUSE
            record.last_state = record.state
            said = f"back-off {pause:.0f}s restarting failed container={record.name}"
            record.state = waiting("CrashLoopBackOff", f"{said} pod={self.home.pod}")
            self._seat.event("Warning", "BackOff", "Back-off restarting failed container")
            self._seat.changed()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            record.restarts += 1
        if "waiting" in record.state and record.last_state:
            record.state = record.last_state

    def _again(self, record: Record, code: int) -> bool:
        if record.sidecar:
            return True
        policy = self.pod["spec"].get("restartPolicy") or "Always"
        if record.init and policy == "Always":
            policy = "OnFailure"
        return policy in _RESTARTS and _RESTARTS[policy](code)

    async def _once(self, record: Record) -> int | None:
        """One life of a container: its exit status; None if there is nothing to be run."""
        begun = now()
        try:
            container = await self._start(record)
        except Unavailable as unavailable:
            await self._hopeless(record, "ErrImagePull", str(unavailable))
            return None
        except Unresolved as unresolved:
            await self._hopeless(record, "CreateContainerConfigError", str(unresolved))
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
        try:
            code = await container.wait()
        finally:
            probing.cancel()
            record.container = record.vitals = None
        told = ""
        if code and record.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            told = container.log.last_line()
        record.state = terminated(code, "Completed" if code == 0 else "Error", begun, told)
        self._seat.changed()
        return code

    async def _start(self, record: Record) -> Container:
        addresses = {"pod": self.home.address, "host": self._seat.host_ip}
        spec = record.spec
        own = await environment(self.pod, spec, addresses, self._seat.config_map)
        words = {name: commanded(spec.get(name) or [], own) for name in ("command", "args")}
        usual = {"PATH": PATH, "HOME": "/root", "HOSTNAME": self.home.pod}
        return await run(self.home, {**spec, **words}, usual | own)

    async def _hopeless(self, record: Record, reason: str, message: str) -> None:
        """What cannot be started now will not be later: it waits for its pod's end."""
        record.state = waiting(reason, message)
        self._seat.event("Warning", "Failed", f"Error: {reason}: {message}")
        self._seat.changed()
        await self._ending.wait()

    async def _stop(self, record: Record, grace: float) -> None:
        """A container's last seconds; preStop counts."""
        container = record.container
        if container is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._pre_stop(record, container)
                container.signal(signal.SIGTERM)
                await container.wait()
        container.signal(signal.SIGKILL)
        await container.wait()

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
            if not self._ending.is_set():
                self._tasks.create_task(self._restart(record, container))

        return Vitals(self._target(record, container), self._seat.changed, self._unhealthy, dead)

    def _unhealthy(self, which: str, why: str) -> None:
        self._seat.event("Warning", "Unhealthy", f"{which} probe failed: {why}")

    async def _restart(self, record: Record, container: Container) -> None:
        """End a container that is not alive; its restart policy brings it back."""
        said = f"Container {record.name} failed its probe, will be restarted"
        self._seat.event("Normal", "Killing", said)
        grace = self.pod["spec"].get("terminationGracePeriodSeconds")
        await self._stop(record, 30 if grace is None else grace)

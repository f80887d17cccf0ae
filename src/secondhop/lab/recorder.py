"""One connection on a lab, recorded at every interface and with every rule that it met."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from ..client import meta
from ..errors import LabError
from ..model.flow import Flow
from ..model.trace import Addresses, Met, Recording, pod_place
from .capture import Packet
from .embedded import Embedded
from .netns import Namespace
from .probe import Prober
from .rulelist import texts
from .ruletrace import RuleTrace
from .tap import Tap, stamped

T = TypeVar("T")

_MOST_FRAMES = 20_000
_AFTER_SECONDS = 0.003
"""For what is still under way when the connection is over: the last acknowledgement, a FIN."""


async def _places(lab: Embedded) -> dict[str, Namespace]:
    """The namespaces of a lab: `client`, `router`, `node/NAME`, and `pod/NAME` of the namespace
    default, `pod/NAMESPACE/NAME` of others, but for hostNetwork pods."""
    pods, named = (await lab.api.list("Pod")).items, lab.wiring.namespaces()
    found = {name: one for name, one in named.items() if not name.startswith("pod/")}
    for pod in pods:
        kubelet = lab.kubelets.get(pod["spec"].get("nodeName") or "")
        inside = kubelet and kubelet.inside(*meta(pod))
        if inside and inside[0].startswith("pod/"):
            found[pod_place(*meta(pod))] = named[inside[0]]
    return found


async def record(lab: Embedded, place: str, flow: Flow) -> Recording:
    """Make one connection from a place (see `_places`), and record it. Leaves nothing behind on the
    nodes. Raises LabError, EnvironmentUnable."""
    places = await _places(lab)
    if place not in places:
        raise LabError(f"{place} is not running in the lab", "See `kubectl get pods -A -o wide`.")
    source, to = flow.source.ip, flow.destination
    if place != "client":  # the kernel chooses by its routes
        source = places[place].source_towards(to.address) or source
    prober = _Noting(
        places[place],
        source,
        lab.refusals,
        lab.arrivals,
        hops=lambda arrival: None,
        wait_timeouts=False,
    )
    taps: list[Tap] = []
    traces: dict[str, RuleTrace] = {}
    try:
        for name, namespace in places.items():
            taps.append(Tap(name, namespace))
            if name.startswith("node/"):
                traces[name] = RuleTrace(namespace, to.protocol)
        await stamped(places["client"])
        attempt = await prober.attempt(to)
        await asyncio.sleep(_AFTER_SECONDS)
        frames, dropped = _all(tap.read() for tap in taps)
        events, missed = _all(trace.read() for trace in traces.values())
        met: dict[str, set[Met]] = {}
        for event in events:
            met.setdefault(f"node/{event.met.rule.node}", set()).add(event.met)
        looking = (asyncio.to_thread(texts, places[name], rules) for name, rules in met.items())
        found = await asyncio.gather(*looking)
    finally:
        # The kernel takes 10 to 15 ms for each.
        closing = [tap.close for tap in taps] + [trace.close for trace in traces.values()]
        await asyncio.gather(*map(asyncio.to_thread, closing))
    notes = ["the lab is too busy: some packets or rules were lost"] if dropped or missed else []
    if len(frames) > _MOST_FRAMES:
        notes.append(f"of {len(frames)} packets the first {_MOST_FRAMES} were kept")
    frames.sort(key=lambda frame: frame.nanoseconds)
    return Recording(
        place,
        Addresses(*prober.sent, str(to.address), to.port, to.protocol),
        attempt.fate,
        attempt.evidence,
        attempt.seen,
        tuple(frames[:_MOST_FRAMES]),
        tuple(events),
        {one: text for part in found for one, text in part.items()},
        tuple(notes),
    )


def _all(parts: Iterable[tuple[list[T], bool]]) -> tuple[list[T], bool]:
    """What several listeners heard, and whether one of them lost some."""
    everything: list[T] = []
    lost = False
    for part, some in parts:
        everything += part
        lost |= some
    return everything, lost


class _Noting(Prober):
    """Notes the address and port that it sends from."""

    sent: tuple[str, int]

    async def _answered(
        self, sock: socket.socket, trying: Coroutine[Any, Any, T], packet: Packet
    ) -> T:
        self.sent = sock.getsockname()[:2]
        return await super()._answered(sock, trying, packet)

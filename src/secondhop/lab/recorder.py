"""One connection on a lab, recorded at every interface and with every rule that it met."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, ip_address
from typing import TypeVar

from ..client import meta
from ..errors import LabError
from ..model.flow import Flow
from ..model.trace import Addresses, Met, Recording, pod_place
from .capture import Packet, Refusal
from .embedded import Embedded
from .netns import Namespace
from .probe import Prober, Refusals
from .rulelist import texts
from .ruletrace import RuleTrace
from .tap import Tap, close_all, stamped

T = TypeVar("T")

_MOST_FRAMES = 20_000
_AFTER_SECONDS = 0.003
"""For what is still under way when the connection is over: the last acknowledgement, a FIN."""


async def _places(lab: Embedded) -> dict[str, Namespace]:
    """The namespaces of a lab: `client`, `router`, `node/NAME`, and `pod/NAME` of the namespace
    default, `pod/NAMESPACE/NAME` of others, but for hostNetwork pods."""
    wiring = lab.wiring
    found = {"client": wiring.client.namespace, "router": wiring.router.namespace}
    found |= {f"node/{name}": netlink.namespace for name, netlink in wiring.nodes.items()}
    for pod in (await lab.api.list("Pod")).items:
        kubelet = lab.kubelets.get(pod["spec"].get("nodeName") or "")
        inside = kubelet and kubelet.inside(*meta(pod))
        if inside and inside[0].startswith("pod/"):
            found[pod_place(*meta(pod))] = wiring.namespace(inside[0])
    return found


async def record(lab: Embedded, place: str, flow: Flow) -> Recording:
    """Make one connection from a place (see `_places`), and record it. Leaves nothing behind on the
    nodes. Raises LabError, EnvironmentUnable."""
    places = await _places(lab)
    if place not in places:
        raise LabError(f"{place} is not running in the lab", "See `kubectl get pods -A -o wide`.")
    noting = _Noting(lab.refusals)
    prober = Prober(
        places[place],
        _source(places[place], place, flow),
        noting,
        lab.arrivals,
        hops=lambda arrival: 0,
        wait_timeouts=False,
    )
    taps: list[Tap] = []
    traces: dict[str, RuleTrace] = {}
    try:
        for name, namespace in places.items():
            taps.append(Tap(name, namespace))
            if name.startswith("node/"):
                traces[name] = RuleTrace(namespace, flow.destination.protocol)
        await stamped(places["client"])
        attempt = await prober.attempt(flow.destination)
        await asyncio.sleep(_AFTER_SECONDS)
        frames, dropped = _all(tap.read() for tap in taps)
        events, missed = _all(trace.read() for trace in traces.values())
        rules: dict[Met, str] = {}
        for name in traces:
            if met := {e.met for e in events if f"node/{e.met.rule.node}" == name}:
                rules |= await asyncio.to_thread(texts, places[name], met)
    finally:
        for trace in traces.values():
            trace.close()
        await close_all(taps)
    notes = ["the lab is too busy: some packets or rules were lost"] if dropped or missed else []
    if len(frames) > _MOST_FRAMES:
        notes.append(f"of {len(frames)} packets the first {_MOST_FRAMES} were kept")
    frames.sort(key=lambda frame: frame.nanoseconds)
    return Recording(
        place,
        noting.sent,
        attempt.fate,
        attempt.evidence,
        attempt.seen,
        tuple(frames[:_MOST_FRAMES]),
        tuple(events),
        rules,
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


def _source(namespace: Namespace, place: str, flow: Flow) -> IPv4Address:
    """The address to send from: a node's kernel chooses by its routes."""
    source, to = flow.source.ip, flow.destination
    if place.startswith("node/"):
        with (
            namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
            contextlib.suppress(OSError),
        ):
            asking.connect((str(to.address), to.port))
            source = ip_address(asking.getsockname()[0])
    assert isinstance(source, IPv4Address)
    return source


class _Noting(Refusals):
    """Notes which packet the probe sends."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    @contextlib.contextmanager
    def expect(self, packet: Packet) -> Iterator[asyncio.Future[Refusal]]:
        """See Refusals."""
        self.sent = Addresses(*packet, "TCP")
        with self._refusals.expect(packet) as future:
            yield future

"""One connection on a lab, followed hop by hop, beside the way that was predicted for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import groupby
from typing import NamedTuple

from ..evidence import flow_frames, ways
from ..lab.client import Lab
from ..manifests import World, with_readiness
from ..model.cluster import Address, Cluster, Service
from ..model.fate import Fate
from ..model.flow import Flow
from ..model.trace import Addresses, Recording, Station, Trace, Way, pod_place
from ..predict import predict
from ..predict.path import ROUTER, Paths
from ..predict.trail import Delivery, Hop, Trail
from .fit import refuse_unfit, stock_proxy

_ENDS = "ends"


class _Event(NamedTuple):
    """What happens at a place, as one side tells it."""

    place: str
    what: str
    how: str


def on_new_lab(lab: Lab, world: World, service: Service | None, flow: Flow, place: str) -> Trace:
    """Build a world on a new lab, and trace one flow from a place of it. service: as which the flow
    dials it, if as any. Raises UsageError, EnvironmentUnable, LabError."""
    for one in world.cluster.services if service is None else (service,):
        refuse_unfit(world, one)
    world = replace(world, cluster=replace(world.cluster, workloads=()))
    cluster = with_readiness(world, lab.start(world.cluster, stock_proxy(world))).cluster
    lab.program(cluster)
    return compare(cluster, service, flow, lab.trace(place, flow))


def compare(cluster: Cluster, service: Service | None, flow: Flow, recording: Recording) -> Trace:
    """What was recorded, understood, and beside it what was predicted. cluster: as it stood then.
    Raises UsageError for a flow that cannot start."""
    found = ways(recording, cluster)
    expected = _Expected(cluster, recording, found)
    return Trace(
        cluster,
        service,
        flow,
        predict(cluster, flow),
        recording,
        found,
        flow_frames(recording),
        tuple(_side_by_side([*expected.events(flow)], [*_observed(recording, found)])),
    )


def start(cluster: Cluster, flow: Flow, namespace: str) -> str:
    """The place where a flow starts, as a Recording names it: a hostNetwork pod sends from its
    node. namespace: of the pod."""
    source = flow.source
    if source.kind == "pod":
        for pod in cluster.pods:
            if (pod.namespace, pod.name) == (namespace, source.name) and not pod.host_network:
                return pod_place(namespace, source.name)
    return f"node/{source.node}" if source.node else "client"


class _Expected:
    """The predicted way, told in a recording's terms."""

    def __init__(self, cluster: Cluster, recording: Recording, found: Sequence[Way]) -> None:
        self._paths = Paths(cluster)
        self._pods = {ip: pod for pod in cluster.pods for ip in pod.addresses}
        self._start = recording.place
        sightings = found[0].sightings if found else ()
        self._arrived = sightings[-1].addresses if sightings else None

    def events(self, flow: Flow) -> Iterator[_Event]:
        """What happens to the request."""
        trail = self._paths.walk(flow)
        if flow.source.kind != "client" and not trail.hops and trail.where != flow.source.node:
            yield _ending(trail.fate, self._start)  # a pod that dials itself
            return
        for number, hop in enumerate(trail.hops):
            place = f"node/{hop.node.name}"
            if number or place != self._start:
                packet = hop.packet
                how = _between(packet.source, packet.destination, packet.port)
                yield _Event(place, "receives", how)
            if hop.sent:
                packet = hop.sent.packet
                how = _between(packet.source, packet.destination, packet.port)
                yield _Event(place, "sends", f"by {_device(hop.sent.exit.device)}: {how}")
        if trail.deliveries:
            yield from self._delivered(trail.hops[-1], self._chosen(trail.deliveries))
        else:
            if trail.hops and (sent := trail.hops[-1].sent) and trail.where != ROUTER:
                how = _between(sent.packet.source, sent.packet.destination, sent.packet.port)
                yield _Event(f"node/{trail.where}", "receives", how)
            yield _ending(trail.fate, _place(trail))

    def _chosen(self, deliveries: Sequence[Delivery]) -> Delivery:
        """Of several backends the one that the packet was seen to go to, if it is one of them."""
        if self._arrived is not None:
            to = self._arrived.destination, self._arrived.destination_port
            for delivery in deliveries:
                if (str(delivery.endpoint.address), delivery.endpoint.port) == to:
                    return delivery
        return deliveries[0]

    def _delivered(self, hop: Hop, delivery: Delivery) -> Iterator[_Event]:
        here, to = delivery.place.node, delivery.endpoint
        how = _between(delivery.source, to.address, to.port)
        fate = Fate.DELIVERED if delivery.answered else Fate.DROPPED
        if here is not hop.node or not delivery.place.on_host:
            device = _device(delivery.exit.device)
            yield _Event(f"node/{hop.node.name}", "sends", f"by {device}: {how}")
        if here is not None and here is not hop.node:
            yield _Event(f"node/{here.name}", "receives", how)
            if not delivery.place.on_host:
                yield _Event(f"node/{here.name}", "sends", f"by cni0: {how}")
        if here is not None and delivery.place.on_host:
            yield _ending(fate, f"node/{here.name}")
            return
        pod = self._pods.get(to.address)
        match = hop.verdict.match
        namespace = match.target.service.namespace if match else "default"
        name = pod_place(pod.namespace, pod.name) if pod else pod_place(namespace, str(to.address))
        yield _ending(fate, name)


def _observed(recording: Recording, found: Sequence[Way]) -> Iterator[_Event]:
    """What was seen to happen to the request: at each node how it comes in and how it goes out.
    What loops is told once."""
    if not found:
        yield _ending(recording.fate, recording.place)
        return
    way = found[0]
    told: dict[_Event, None] = {}
    inner = (s for s in way.sightings if s.device != "lo")
    for number, (place, group) in enumerate(groupby(inner, lambda sighting: sighting.place)):
        if not place.startswith("node/"):
            continue
        plain = [sighting for sighting in group if sighting.outer is None]
        received = next((s for s in plain if not s.outgoing), None)
        # A bridge translates at its port, after it has sent by itself.
        sent = next((s for s in reversed(plain) if s.outgoing), None)
        if received and (number or place != recording.place):
            told[_Event(place, "receives", _seen(received.addresses))] = None
        if sent:
            how = f"by {_device(sent.device)}: {_seen(sent.addresses)}"
            told[_Event(place, "sends", how)] = None
    yield from told
    answers = [way for way in found if not way.request]
    dropped = next((w.dropped_by for w in (way, *answers[:1]) if w.dropped_by), None)
    last = way.sightings[-1].place if way.sightings else recording.place
    if recording.fate in (Fate.DROPPED, Fate.REJECTED) and dropped:
        last = f"node/{dropped.node}"
    elif recording.fate is Fate.LOOP:
        last = next((e.place for e in reversed([*told])), last)
    yield _ending(recording.fate, last)


def _side_by_side(predicted: Sequence[_Event], observed: Sequence[_Event]) -> Iterator[Station]:
    """The two in one order: what happens on one side only stands where it happens there."""
    predicted = [*dict.fromkeys(predicted)]
    keys = [(e.place, e.what) for e in predicted], [(e.place, e.what) for e in observed]
    for kind, i, j, k, m in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if kind == "equal":
            for one, other in zip(predicted[i:j], observed[k:m], strict=True):
                yield Station(one.place, one.what, one.how, other.how)
            continue
        yield from (Station(e.place, e.what, e.how, "") for e in predicted[i:j])
        yield from (Station(e.place, e.what, "", e.how) for e in observed[k:m])


def _ending(fate: Fate, place: str) -> _Event:
    return _Event("", _ENDS, f"{fate}: {place}")


def _place(trail: Trail) -> str:
    return "router" if trail.where == ROUTER else f"node/{trail.where}"


def _device(name: str) -> str:
    """A device as both sides call it: of a bridge's ports only the bridge counts."""
    if name.startswith("veth"):
        return "cni0"
    return "eth0" if name == "its NIC" else name


def _seen(addresses: Addresses) -> str:
    return _between(addresses.source, addresses.destination, addresses.destination_port)


def _between(source: Address | str, destination: Address | str, port: int) -> str:
    """Without the source's port, which masquerading draws by chance."""
    host = f"[{destination}]" if ":" in str(destination) else str(destination)
    return f"{source} -> {host}:{port}"

"""The way of a packet, put together from frames and rule events that are written by hand."""

from dataclasses import replace

import pytest

from secondhop.evidence import flow_frames, ways
from secondhop.model.fate import Fate
from secondhop.model.trace import Frame, Way

from .frames import error, ethernet, ip
from .writer import CLIENT, DIALLED, EMPTY, INNER, NODE, POD, Writer, second_hop

BOTH = pytest.mark.parametrize("six", [False, True])
PROTOCOLS = pytest.mark.parametrize("protocol", ["TCP", "UDP"])


def rules(way: Way) -> list[tuple[str, str]]:
    """Each rule with the interface before which it was met."""
    found = [(f"{s.place}/{s.device}", r.text) for s in way.sightings for r in s.rules]
    return found + [("the end", rule.text) for rule in way.last]


@BOTH
@PROTOCOLS
def test_a_packet_is_recognised_behind_nat_and_inside_vxlan(six: bool, protocol: str) -> None:
    writer = Writer(six=six, protocol=protocol)
    second_hop(writer)
    request, answer = ways(writer.recording(), EMPTY)
    assert [s.place for s in request.sightings] == [
        "client", *["node/gz1"] * 3, *["node/xjp1"] * 2, "pod/web",
    ]  # fmt: skip
    assert [s.change for s in request.sightings] == ["", "", "DNAT and SNAT", "", "", "", ""]
    assert [s.outer is not None for s in request.sightings] == [
        False, False, False, True, True, False, False,
    ]  # fmt: skip
    assert (request.request, answer.request) == (True, False)
    assert [s.place for s in answer.sightings] == ["pod/web", "client"]
    assert answer.sightings[-1].change == "DNAT and SNAT"
    assert request.sightings[1].seconds == pytest.approx(1e-6)


@BOTH
@PROTOCOLS
def test_others_packets_are_left_out(six: bool, protocol: str) -> None:
    writer = Writer(six=six, protocol=protocol)
    writer.seen("client", "eth0", "out", CLIENT, 40001, NODE, 22)
    second_hop(writer)
    writer.seen("node/gz1", "eth0", "in", POD, 99, NODE, 30316, ttl=9)
    recording = writer.recording()
    assert flow_frames(recording) == recording.frames[1:-1]


@BOTH
def test_an_error_belongs_to_what_it_is_about(six: bool) -> None:
    writer = Writer(six=six)
    second_hop(writer)
    quoted = writer.packet(*DIALLED, 63)
    hosts = writer.host(NODE), writer.host(CLIENT)
    packet = ip(*hosts, 58 if six else 1, error(*((1, 4) if six else (3, 3)), quoted))
    writer.frames.append(Frame(next(writer.clock), "client", "eth0", False, ethernet(packet)))
    error_way = ways(writer.recording(Fate.REJECTED), EMPTY)[-1]
    assert error_way.packet.startswith("ICMP")
    assert not error_way.request


@BOTH
@PROTOCOLS
def test_rules_stand_between_the_interfaces_where_they_were_met(six: bool, protocol: str) -> None:
    writer = Writer(six=six, protocol=protocol)
    second_hop(writer)
    writer.met(1, "jump", *DIALLED, iif="eth0")
    writer.met(2, "accept", CLIENT, 40000, POD, 80, iif="eth0", oif="flannel.1", ttl=62)
    writer.met(3, "accept", CLIENT, 40000, POD, 80, oif="flannel.1", ttl=62)
    writer.met(4, "jump", *INNER, iif="flannel.1", ttl=62, node="xjp1")
    writer.met(5, "drop", *INNER, oif="cni0", ttl=61, node="xjp1")
    [request, _] = ways(writer.recording(), EMPTY)
    assert rules(request) == [
        *(("node/gz1/flannel.1", f"rule {number}") for number in (1, 2, 3)),
        *(("pod/web/eth0", f"rule {number}") for number in (4, 5)),
    ]
    assert request.dropped_by is not None


def test_a_packet_that_is_sent_again_is_told_once() -> None:
    writer = Writer()
    second_hop(writer)
    once = len(writer.frames)
    writer.met(1, "jump", *DIALLED, iif="eth0")
    second_hop(writer)
    writer.met(1, "jump", *DIALLED, iif="eth0")
    request, answer = ways(writer.recording(), EMPTY)
    assert len(request.sightings) + len(answer.sightings) == once
    assert len(request.rules) == 1


def test_a_loop_is_told_by_its_ttl() -> None:
    writer = Writer()
    for ttl in range(64, 60, -1):
        writer.seen("router", "lan0", "in", *DIALLED, ttl=ttl)
    recording = replace(writer.recording(Fate.LOOP), place="router")
    assert [s.ttl for s in ways(recording, EMPTY)[0].sightings] == [64, 63, 62, 61]


def test_what_a_node_sends_is_found_by_the_rules_it_met() -> None:
    """Translated before any interface saw it: the rules tell what it became."""
    writer = Writer()
    writer.met(1, "accept", *DIALLED, oif="lo", ttl=64)
    writer.met(2, "accept", CLIENT, 40000, POD, 80, oif="flannel.1", ttl=64)
    writer.seen("node/gz1", "flannel.1", "out", *INNER)
    writer.seen("pod/web", "eth0", "in", *INNER, ttl=62)
    [request] = ways(writer.recording(place="node/gz1"), EMPTY)
    assert request.origin == writer.recording().dialled
    assert [s.change for s in request.sightings] == ["DNAT and SNAT", ""]
    assert rules(request) == [("node/gz1/flannel.1", "rule 1"), ("node/gz1/flannel.1", "rule 2")]


def test_a_packet_that_no_interface_saw_has_no_way() -> None:
    assert ways(Writer().recording(Fate.DROPPED), EMPTY) == ()

"""A trace as text and as a capture file, from recordings that are written by hand."""

import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from secondhop.evidence import flow_frames, ways
from secondhop.model.fate import Fate, Outcome
from secondhop.model.flow import Destination, Flow, Source
from secondhop.model.trace import Station, Trace
from secondhop.report.pcapng import capture
from secondhop.report.trace import trace as told

from .writer import CLIENT, DIALLED, EMPTY, INNER, NODE, Writer, second_hop

FLOW = Flow(
    Source("client", "client", ip_address(CLIENT)),
    Destination("nodePort", ip_address(NODE), 30316, "TCP", "gz1"),
)
SAME = Station("node/gz1", "receives", "as it was", "as it was")


def made(writer: Writer, fate: Fate = Fate.DELIVERED, *stations: Station) -> Trace:
    recording = writer.recording(fate)
    return Trace(
        EMPTY,
        None,
        FLOW,
        Outcome(fate, "because"),
        recording,
        ways(recording, EMPTY),
        flow_frames(recording),
        stations or (SAME,),
    )


def text(trace: Trace, *, verbose: bool = False) -> str:
    lines = [*told(trace, 0.2, verbose=verbose)]
    assert max(map(len, lines)) <= 100
    assert lines[-1] != ""
    return "\n".join(lines)


@pytest.mark.parametrize("six", [False, True])
def test_translations_and_the_second_hop_are_told_and_explained(six: bool) -> None:
    writer = Writer(six=six)
    second_hop(writer)
    shown = text(made(writer))
    for words in (
        "The packets went as predicted (0.20 s).",
        "DNAT: to ",
        "SNAT: from ",
        "translated back: to ",
        "inside VXLAN from 192.168.8.1 to 172.17.26.70",
        "\nDNAT: the node replaced the destination",
        "\nVXLAN: the second hop",
    ):
        assert words in shown
    assert "\ndropped: " not in shown


def test_the_drop_is_told_with_its_rule() -> None:
    writer = Writer()
    writer.seen("client", "eth0", "out", *DIALLED)
    writer.seen("node/gz1", "eth0", "in", *DIALLED, ttl=63)
    writer.met(7, "drop", *DIALLED, iif="eth0")
    shown = text(made(writer, Fate.DROPPED))
    assert "The SYN was dropped on gz1, by rule 7" in shown
    assert "drop: a rule that is neither kube-proxy's nor flannel's" in shown
    assert "conntrack: NEW" in shown
    assert "dropped: nobody tells the sender" in shown


@pytest.mark.parametrize(
    ("station", "predicted", "seen"),
    [
        (Station("node/a", "sends", "x", "y"), "sends x", "DIFFERENT: sends y"),
        (Station("node/a", "sends", "x", ""), "sends x", "DIFFERENT: not seen"),
        (Station("node/a", "sends", "", "y"), "(not predicted)", "DIFFERENT: sends y"),
    ],
)
def test_a_difference_is_marked(station: Station, predicted: str, seen: str) -> None:
    writer = Writer()
    second_hop(writer)
    shown = text(made(writer, Fate.DELIVERED, SAME, station))
    assert "The packets went OTHERWISE than predicted" in shown
    [row] = [line for line in shown.splitlines() if line.startswith("a ")]
    assert row.removeprefix("a ").lstrip().startswith(f"{predicted}  ")
    assert row.endswith(seen)


def test_of_what_circles_not_all_is_told() -> None:
    writer = Writer()
    for ttl in range(64, 0, -1):
        writer.seen("client" if ttl == 64 else "router", "eth0", "out", *DIALLED, ttl=ttl)
    assert "and 40 more: it circles" in text(made(writer, Fate.LOOP))


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The blocks of a pcapng file; each tells its length at both ends."""
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, size - 4) == (size,)
        yield kind, data[8 : size - 4]
        data = data[size:]


def test_the_file_has_a_block_for_each_interface_and_packet() -> None:
    writer = Writer()
    second_hop(writer)
    trace = made(writer)
    found = [*blocks(capture(trace))]
    assert [kind for kind, _ in found[:1]] == [0x0A0D0D0A]
    names = [body[8 : 8 + 40] for kind, body in found if kind == 1]
    assert len(names) == len({(f.place, f.device) for f in trace.frames})
    for name, wanted in zip(names, (b"client/eth0", b"gz1/eth0", b"gz1/flannel.1"), strict=False):
        assert struct.unpack_from("<HH", name) == (2, len(wanted))
        assert name[4 : 4 + len(wanted)] == wanted
    packets = [body for kind, body in found if kind == 6]
    assert len(packets) == len(trace.frames)
    for body, frame in zip(packets, trace.frames, strict=True):
        _, high, low, captured, size = struct.unpack_from("<IIIII", body)
        assert (high << 32) + low == frame.nanoseconds
        assert captured == size == len(frame.data)
        assert body[20 : 20 + size] == frame.data
    [comment] = [b for b in packets[:3] if b"DNAT: to" in b]
    assert b"SNAT: from 192.168.22.2:40000 became 10.42.0.0:5000" in comment


def test_a_packet_that_was_dropped_has_a_comment() -> None:
    writer = Writer()
    writer.seen("client", "eth0", "out", *DIALLED)
    writer.met(7, "drop", *INNER, iif="eth0")
    assert b"dropped after this, by rule 7" in capture(made(writer, Fate.DROPPED))

"""A trace as a capture file that Wireshark and tshark open (pcapng, draft-ietf-opsawg-pcapng): an
interface block for each interface, and a comment on each packet that was translated on its way
there."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..model.trace import Frame, Trace
from .trace import translation

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_COMMENT, _FLAGS = 1, 2
_HARDWARE_OR_NAME, _APPLICATION, _RESOLUTION = 2, 4, 9
_NANOSECONDS = b"\x09"
_IN, _OUT = 1, 2


def capture(trace: Trace) -> bytes:
    """The file's bytes."""
    return b"".join(_blocks(trace))


def name(place: str, device: str) -> str:
    """An interface as it is called in the file: `gz1/eth0`, `client/eth0`, `pod/NAME/eth0`."""
    return f"{place.removeprefix('node/')}/{device}"


def _blocks(trace: Trace) -> Iterator[bytes]:
    section = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
    yield _block(_SECTION, section + _option(_APPLICATION, b"secondhop") + _option(0))
    numbers: dict[tuple[str, str], int] = {}
    for frame in trace.frames:
        key = frame.place, frame.device
        if key not in numbers:
            numbers[key] = len(numbers)
            options = _option(_HARDWARE_OR_NAME, name(*key).encode())
            options += _option(_RESOLUTION, _NANOSECONDS) + _option(0)
            yield _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + options)
    comments = _comments(trace)
    for number, frame in enumerate(trace.frames):
        interface = numbers[frame.place, frame.device]
        yield _packet(frame, interface, comments.get(number, ""))


def _packet(frame: Frame, interface: int, comment: str) -> bytes:
    size = len(frame.data)
    high, low = divmod(frame.nanoseconds, 1 << 32)
    head = struct.pack("<IIIII", interface, high, low, size, size)
    options = _option(_COMMENT, comment.encode()) if comment else b""
    options += _option(_FLAGS, struct.pack("<I", _OUT if frame.outgoing else _IN)) + _option(0)
    return _block(_PACKET, head + _padded(frame.data) + options)


def _comments(trace: Trace) -> dict[int, str]:
    """By the number of a frame: what became of the packet since it was seen before."""
    found = {}
    for way in trace.ways:
        before = way.origin
        for sighting in way.sightings:
            if sighting.change:
                told = "; ".join(translation(before, sighting.addresses, request=way.request))
                by = [r.text for r in sighting.rules if r.translates]
                found[sighting.frame] = told + (f", by {'; '.join(by)}" if by else "")
            before = sighting.addresses
        if way.dropped_by and way.sightings:
            found[way.sightings[-1].frame] = f"dropped after this, by {way.dropped_by.text}"
    return found


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _option(kind: int, value: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)

"""Recordings of one flow, written by hand."""

import itertools

from secondhop.model.cluster import Cluster
from secondhop.model.fate import Fate
from secondhop.model.trace import Addresses, Frame, Met, Recording, RuleEvent, RuleKey

from .frames import ethernet, ip, tcp, udp, vxlan

CLIENT, NODE, POD, OVERLAY = "192.168.22.2", "192.168.8.1", "10.42.1.2", "10.42.0.0"
SIX = {CLIENT: "fd00:22::2", NODE: "fd00:8::1", POD: "fd00:10:42:1::2", OVERLAY: "fd00:10:42::"}
EMPTY = Cluster(nodes=())
PORTS = 40000, 5000


class Writer:
    """Writes a recording of one flow in one family and protocol. Time goes by itself."""

    def __init__(self, *, six: bool = False, protocol: str = "TCP") -> None:
        self.six, self.protocol = six, protocol
        self.clock = itertools.count(1_000_000, 1000)
        self.frames: list[Frame] = []
        self.events: list[RuleEvent] = []

    def host(self, name: str) -> str:
        return SIX[name] if self.six else name

    def packet(
        self, source: str, sport: int, to: str, dport: int, ttl: int, *, answer: bool = False
    ) -> bytes:
        """Two flows of one source port are one; others have another content."""
        if self.protocol == "UDP":
            body = udp(sport, dport, b"answer" if answer else b"%d" % (sport in PORTS))
            return ip(self.host(source), self.host(to), 17, body, ttl=ttl)
        sequence = 9 if answer else 5 if sport in PORTS else 7
        body = tcp(sport, dport, 18 if answer else 2, sequence, 6 if answer else 0)
        return ip(self.host(source), self.host(to), 6, body, ttl=ttl)

    def seen(
        self,
        place: str,
        device: str,
        way: str,
        *ends: str | int,
        ttl: int = 64,
        answer: bool = False,
        inside: bool = False,
    ) -> None:
        source, sport, to, dport = ends
        packet = self.packet(str(source), int(sport), str(to), int(dport), ttl, answer=answer)
        frame = ethernet(packet)
        if inside:
            frame = ethernet(vxlan("192.168.8.1", "172.17.26.70", frame))
        self.frames.append(Frame(next(self.clock), place, device, way == "out", frame))

    def met(
        self,
        handle: int,
        verdict: str,
        *ends: str | int,
        iif: str = "",
        oif: str = "",
        ttl: int = 63,
        node: str = "gz1",
    ) -> None:
        source, sport, to, dport = ends
        packet = self.packet(str(source), int(sport), str(to), int(dport), ttl)
        size = 40 if self.six else 20
        rule = RuleKey(node, "ip", "filter", "odd", handle)
        self.events.append(
            RuleEvent(
                Met(rule, ""), 77, verdict, iif, oif, "NEW", packet[:size], packet[size : size + 20]
            )
        )

    def recording(self, fate: Fate = Fate.DELIVERED, place: str = "client") -> Recording:
        dialled = Addresses(self.host(CLIENT), 40000, self.host(NODE), 30316, self.protocol)
        rules = {event.met: f"rule {event.met.rule.handle}" for event in self.events}
        return Recording(
            place, dialled, fate, "", None, tuple(self.frames), tuple(self.events), rules
        )


DIALLED = (CLIENT, 40000, NODE, 30316)
INNER = (OVERLAY, 5000, POD, 80)


def second_hop(writer: Writer) -> None:
    """The client through gz1 to a pod elsewhere, and back."""
    writer.seen("client", "eth0", "out", *DIALLED)
    writer.seen("node/gz1", "eth0", "in", *DIALLED, ttl=63)
    writer.seen("node/gz1", "flannel.1", "out", *INNER, ttl=62)
    writer.seen("node/gz1", "eth0", "out", *INNER, ttl=62, inside=True)
    writer.seen("node/xjp1", "eth0", "in", *INNER, ttl=62, inside=True)
    writer.seen("node/xjp1", "flannel.1", "in", *INNER, ttl=62)
    writer.seen("pod/web", "eth0", "in", *INNER, ttl=61)
    writer.seen("pod/web", "eth0", "out", POD, 80, OVERLAY, 5000, answer=True)
    writer.seen("client", "eth0", "in", NODE, 30316, CLIENT, 40000, answer=True)

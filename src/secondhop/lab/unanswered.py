"""What became of a packet that was not answered: told by the sender's own kernel, or by a rule.

The kernel tells of an ICMP error, which the socket's error queue holds with its type and sender, or
of a RST. Numbers are those of <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

from ..model.fate import Fate
from .capture import Refusal

CONNECT_SECONDS = 1.0
"""How long to wait for a packet that nobody claims: `curl --connect-timeout 1`."""

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""Level and option that keep ICMP errors for the asking."""
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_FROM_ICMP = {2: "ICMP", 3: "ICMPv6"}
_OFFENDER = {2: struct.Struct("=HH4s"), 3: struct.Struct("=HHI16s")}
_PORT_UNREACHABLE = (("ICMP", 3, 3), ("ICMPv6", 1, 4))
_TIME_EXCEEDED = (("ICMP", 11), ("ICMPv6", 3))


class Unanswered(Exception):
    """No answer came: the packet's fate, and how it is known."""

    def __init__(self, fate: Fate, evidence: str) -> None:
        super().__init__(fate, evidence)
        self.fate, self.evidence = fate, evidence


def report_errors(sock: socket.socket) -> None:
    """Let the kernel keep what ICMP says of this socket's packets."""
    level, option = _RECVERR[socket.AddressFamily(sock.family)]
    sock.setsockopt(level, option, 1)


def silence(sock: socket.socket, claim: Refusal | None, *, waited: bool) -> Unanswered:
    """Nothing was heard; claim: the rule that says it refused the packet."""
    heard = f"no answer in {CONNECT_SECONDS:.0f} s" if waited else ""
    if claim is None:
        return Unanswered(Fate.DROPPED, f"{heard}, and no rule reported a drop")
    packet = "SYN" if sock.type == socket.SOCK_STREAM else "datagram"
    proof = f"the {packet} reached {claim.node} and hit {claim.rule}"
    if not claim.drops:
        return Unanswered(Fate.REJECTED, f"{proof}, but its ICMP did not arrive ({heard})")
    return Unanswered(Fate.DROPPED, f"{proof} ({heard})" if heard else proof)


def not_sent(claim: Refusal | None) -> Unanswered:
    """The sender's node refused to let a datagram out (semantics §13.2): by which rule, tells the
    fate."""
    if claim is None:
        return Unanswered(Fate.DROPPED, "not sent (EPERM), and no rule reported why")
    fate = Fate.DROPPED if claim.drops else Fate.REJECTED
    return Unanswered(fate, f"not sent (EPERM): on {claim.node} it hit {claim.rule}")


def refused(sock: socket.socket, error: OSError, claim: Refusal | None) -> Unanswered:
    """The sender's kernel heard of a refusal: by whom, and how."""
    rule = f", by {claim.rule}" if claim else ""
    icmp = _icmp_error(sock)
    if icmp is None:
        if isinstance(error, ConnectionRefusedError):
            return Unanswered(
                Fate.CLOSED,
                "RST: nobody listens there, neither the node nor the pod that a rule chose",
            )
        return Unanswered(Fate.UNROUTABLE, f"the client's own kernel: {error.strerror}")
    protocol, kind, code, sender = icmp
    said = f"{protocol} {kind}/{code} from {sender}{rule}"
    if (protocol, kind, code) in _PORT_UNREACHABLE:
        return Unanswered(Fate.REJECTED, said)
    return Unanswered(Fate.LOOP if (protocol, kind) in _TIME_EXCEEDED else Fate.UNROUTABLE, said)


def _icmp_error(sock: socket.socket) -> tuple[str, int, int, str] | None:
    """Protocol, type, code and sender of the ICMP error in the socket's error queue, if any."""
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, option, data in ancillary:
        if (level, option) in _RECVERR.values():
            _, origin, kind, code, _, _ = _EXTENDED_ERROR.unpack_from(data)
            if origin in _FROM_ICMP:
                *_, sender = _OFFENDER[origin].unpack_from(data, _EXTENDED_ERROR.size)
                return _FROM_ICMP[origin], kind, code, str(ip_address(sender))
    return None

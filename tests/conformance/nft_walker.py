"""Sends the first packet of a connection through a rendered nftables table, as the kernel would.

It knows the hooks, selectors and statements that kube-proxy uses, and refuses all others. Where
chance decides it goes every way, so a walk has several ends. Nothing of Kubernetes is known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from secondhop.dataplane.nftables.ruleset import Table
from secondhop.model.cluster import Address

from .walker import End, Packet, Walker

WORD = re.compile(r'"[^"]*"|\{[^}]*\}|\S+')
SELECTORS = (
    *("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "meta l4proto", "th dport"),
    *("meta mark & 0x00004000", "ct state", "ct status", "fib saddr type", "fib daddr type"),
)
MARKING = "meta mark set meta mark"

Ways: TypeAlias = Iterator[tuple[Packet, str]]
"""A packet and the verdict on it at every way out; an empty verdict goes on in the caller."""


class Words:
    """A rule's text, word by word; what is in quotes or braces is one word."""

    def __init__(self, text: str) -> None:
        self._left = WORD.findall(text)

    def __bool__(self) -> bool:
        return bool(self._left)

    def next(self) -> str:
        return str(self._left.pop(0))

    def has(self, text: str) -> bool:
        """Take these words if they are the next."""
        wanted = text.split()
        if self._left[: len(wanted)] != wanted:
            return False
        del self._left[: len(wanted)]
        return True

    def key(self) -> list[str]:
        """Selectors joined by dots; none if no match begins here."""
        found = [one for one in SELECTORS if self.has(one)]
        while found and self.has("."):
            found += next([one] for one in SELECTORS if self.has(one))
        return found


class NftWalker:
    """One node. overlay: the rules of iptables in the same kernel, and whose addresses are the
    node's own. remembered: names of the sets that hold every source."""

    def __init__(self, table: Table, overlay: Walker, remembered: Iterable[str] = ()) -> None:
        self._table = table
        self._overlay = overlay
        self._remembered = set(remembered)

    def owns(self, address: Address) -> bool:
        return self._overlay.owns(address)

    def walk(self, packet: Packet, *, made_here: bool) -> list[End]:
        """Every end of a packet that starts here, or else arrives."""
        hook = "output" if made_here else "prerouting"
        [(_, said)] = self._chain(f"filter-{hook}-pre-dnat", packet)
        if said:
            return [End(packet, said, False)]
        return [self._filtered(went, made_here) for went, _ in self._chain(f"nat-{hook}", packet)]

    def _filtered(self, packet: Packet, made_here: bool) -> End:
        """Through the filters; then, if it leaves or started here, the last translation."""
        arrives = self.owns(packet.destination)
        hooks = ["output"] if made_here else []
        hooks += ["input"] if arrives else [] if made_here else ["forward"]
        for hook in hooks:
            [(_, said)] = self._chain(f"filter-{hook}", packet)
            if said:
                return End(packet, said, False)
        if arrives and not made_here:
            return End(packet, "", False)
        [(went, said)] = self._chain("nat-postrouting", packet)
        return End(packet, "", said == "MASQUERADE" or self._overlay.masquerades(went))

    def _chain(self, name: str, packet: Packet, at: int = 0) -> Ways:
        rules = self._table.chains[name].rules
        if at == len(rules):
            yield packet, ""
            return
        for went, said in self._rule(Words(rules[at]), packet):
            if said == "NEXT":
                yield from self._chain(name, went, at + 1)
            else:
                yield went, said

    def _rule(self, words: Words, packet: Packet) -> Ways:
        """The ways out of the chain; NEXT goes on with its next rule."""
        while words:
            if words.has(MARKING):
                operator, bits = words.next(), int(words.next(), 16)
                mark = packet.mark | bits if operator == "|" else packet.mark ^ bits
                packet = replace(packet, mark=mark)
            elif words.has("numgen random mod"):
                for verdict in _chances(words, "vmap"):
                    yield from self._verdict(Words(verdict), packet)
                return
            elif key := words.key():
                if words.has("vmap"):
                    yield from self._looked_up(key, words.next(), packet)
                    return
                if not self._matches(key, words, packet):
                    break
            elif words.has("comment"):
                words.next()
            elif words.has("update"):
                assert words.next().startswith("@affinity-")
                assert _listed(words.next()) in (["ip saddr"], ["ip6 saddr"])
            else:
                yield from self._verdict(words, packet)
                return
        yield packet, "NEXT"

    def _looked_up(self, key: list[str], name: str, packet: Packet) -> Ways:
        """By a map of the table."""
        elements = self._table.sets[name.removeprefix("@")].elements
        rest = elements.get(" . ".join(self._value(one, packet) for one in key))
        if rest is None:
            yield packet, "NEXT"
        else:
            yield from self._verdict(Words(rest.rpartition(" : ")[2]), packet)

    def _verdict(self, words: Words, packet: Packet) -> Ways:
        verb = words.next()
        if verb == "goto":
            yield from self._chain(words.next(), packet)
        elif verb == "jump":
            for went, said in self._chain(words.next(), packet):
                yield went, said or "NEXT"
        elif verb == "masquerade":
            assert words.has("fully-random")
            yield packet, "MASQUERADE"
        elif verb == "dnat":
            yield from self._translated(words, packet)
        else:
            assert verb in ("drop", "reject"), verb
            yield packet, verb.upper()

    def _translated(self, words: Words, packet: Packet) -> Ways:
        if words.has("to"):
            targets = [words.next().rpartition(":")]
        else:
            assert words.next() in ("ip", "ip6")
            assert words.has("to numgen random mod")
            targets = [to.partition(" . ") for to in _chances(words, "map")]
        for ip, _, port in targets:
            to = ip_address(ip.strip("[]"))
            yield replace(packet, destination=to, port=int(port), translated=True), "DNAT"

    def _matches(self, key: list[str], words: Words, packet: Packet) -> bool:
        negated, wanted = words.has("!="), words.next()
        values = [self._value(one, packet) for one in key]
        if wanted.startswith("@affinity-"):
            found = wanted[1:] in self._remembered
        elif wanted.startswith("@"):
            found = " . ".join(values) in self._table.sets[wanted[1:]].elements
        else:
            found = any(_equal(values[0], one) for one in _listed(wanted))
        return found is not negated

    def _value(self, selector: str, packet: Packet) -> str:
        match selector.split():
            case "ip" | "ip6", "saddr":
                return str(packet.source)
            case "ip" | "ip6", "daddr":
                return str(packet.destination)
            case "meta", "l4proto":
                return packet.protocol.lower()
            case "th", "dport":
                return str(packet.port)
            case "meta", "mark", "&", bits:
                return f"0x{packet.mark & int(bits, 16):08x}"
            case "ct", "state":
                return "new"
            case "ct", "status":
                return "dnat" if packet.translated else "none"
            case "fib", end, "type":
                address = packet.source if end == "saddr" else packet.destination
                return "local" if self.owns(address) else "unicast"
        raise AssertionError(selector)


def _listed(braces: str) -> list[str]:
    return [one.strip() for one in braces.strip("{}").split(",")]


def _chances(words: Words, kind: str) -> Iterator[str]:
    """The values of a map over every number that chance may give."""
    count = int(words.next())
    assert words.has(kind)
    pairs = [one.split(" : ") for one in _listed(words.next())]
    assert [number for number, _ in pairs] == [str(i) for i in range(count)]
    return (value for _, value in pairs)


def _equal(value: str, wanted: str) -> bool:
    if "." in wanted or ":" in wanted:
        return ip_address(value) in ip_network(wanted)
    return value == wanted

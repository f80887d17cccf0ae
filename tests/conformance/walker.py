"""Sends the first packet of a connection through rendered iptables rules, as the kernel would.

It knows the hooks and the matches that kube-proxy and flannel use, and refuses all others. Where
chance decides it goes both ways, so a walk has several ends. Nothing of Kubernetes is known here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from secondhop.dataplane.iptables.ruleset import Ruleset
from secondhop.model.cluster import Address, Protocol

KNOWN_MATCHES = {
    *("comment", "conntrack", "nfacct", "mark", "addrtype", "statistic", "recent"),
    *("tcp", "udp", "sctp"),
}
FLAGS = {"--rcheck", "--set", "--reap", "--rsource", "--random-fully"}
WITHOUT_EFFECT = {"--comment", "--nfacct-name", "--mode", "--seconds", "--mask", "--reject-with"}
FINAL = {"ACCEPT", "DROP", "REJECT", "MASQUERADE"}


@dataclass(frozen=True)
class Packet:
    """translated: the destination was rewritten on this node."""

    source: Address
    destination: Address
    port: int
    protocol: Protocol = "TCP"
    mark: int = 0
    translated: bool = False


@dataclass(frozen=True)
class End:
    """One way a packet may end. verdict: DROP, REJECT, ACCEPT if a rule said so, else empty."""

    packet: Packet
    verdict: str
    masqueraded: bool

    @property
    def refused(self) -> bool:
        return self.verdict in ("DROP", "REJECT")


@dataclass
class Rule:
    """tests: option and wanted value, and whether `!` stood before it."""

    target: str = ""
    tests: list[tuple[str, str, bool]] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Rule:
        rule = cls()
        words = iter(shlex.split(text))
        for word in words:
            negated = word == "!"
            option = next(words) if negated else word
            value = "" if option in FLAGS else next(words)
            if option == "-m":
                assert value in KNOWN_MATCHES, text
            elif option == "-j":
                rule.target = value
            elif option in TESTS:
                rule.tests.append((option, value, negated))
            else:
                assert option in FLAGS | WITHOUT_EFFECT | OPTIONS, (option, text)
                assert not negated, text
                rule.options[option] = value
        return rule


OPTIONS = {"--probability", "--set-xmark", "--to-destination", "--name"}
TESTS = {"-s", "-d", "-p", "--dport", "--ctstate", "--src-type", "--dst-type", "--mark"}


class Walker:
    """One node. own: its addresses. remembered: names of the lists that hold every source."""

    def __init__(
        self, rules: Ruleset, own: Iterable[Address], remembered: Iterable[str] = ()
    ) -> None:
        self._own = {*own, ip_address("127.0.0.1"), ip_address("::1")}
        self._remembered = set(remembered)
        self._tables = {
            table: {chain: [Rule.read(text) for text in texts] for chain, texts in chains.items()}
            for table, chains in rules.items()
        }

    def walk(self, packet: Packet, *, made_here: bool) -> list[End]:
        """Every end of a packet that starts here, or else arrives."""
        start = "OUTPUT" if made_here else "PREROUTING"
        return [
            self._filtered(routed, made_here) for routed, _ in self._chain("nat", start, packet)
        ]

    def owns(self, address: Address) -> bool:
        return address in self._own or (address.version == 4 and address.is_loopback)

    def _filtered(self, packet: Packet, made_here: bool) -> End:
        """Through the filters; then, if it leaves or started here, the last translation."""
        arrives = self.owns(packet.destination)
        hooks = ["OUTPUT"] if made_here else []
        hooks += ["INPUT"] if arrives else [] if made_here else ["FORWARD"]
        said = ""
        for hook in hooks:
            [(_, verdict)] = self._chain("filter", hook, packet)
            said = verdict or said
            if verdict in ("DROP", "REJECT"):
                return End(packet, verdict, False)
        if arrives and not made_here:
            return End(packet, said, False)
        return End(packet, said, self.masquerades(packet))

    def masquerades(self, packet: Packet) -> bool:
        """Whether the last translation gives a leaving packet the node's address."""
        [(_, last)] = self._chain("nat", "POSTROUTING", packet)
        return last == "MASQUERADE"

    def _chain(
        self, table: str, chain: str, packet: Packet, at: int = 0
    ) -> Iterator[tuple[Packet, str]]:
        """The packet and the verdict at every way out; an empty verdict goes on in the caller."""
        rules = self._tables.get(table, {}).get(chain, [])
        for index in range(at, len(rules)):
            rule = rules[index]
            if not self._matches(rule, packet):
                continue
            if rule.target == "MARK":
                value, mask = (int(n, 16) for n in rule.options["--set-xmark"].split("/"))
                packet = replace(packet, mark=packet.mark & ~mask ^ value)
            elif rule.target:
                for went, verdict in self._jump(table, rule, packet):
                    if verdict or rule.target == "RETURN":
                        yield went, verdict
                    else:
                        yield from self._chain(table, chain, went, index + 1)
                if "--probability" in rule.options:
                    yield from self._chain(table, chain, packet, index + 1)
                return
        yield packet, ""

    def _jump(self, table: str, rule: Rule, packet: Packet) -> Iterator[tuple[Packet, str]]:
        if rule.target in FINAL:
            yield packet, rule.target
        elif rule.target == "RETURN":
            yield packet, ""
        elif rule.target == "DNAT":
            host, _, port = rule.options["--to-destination"].rpartition(":")
            to = ip_address(host.strip("[]"))
            yield replace(packet, destination=to, port=int(port), translated=True), "DNAT"
        else:
            assert rule.target in self._tables[table], rule
            yield from self._chain(table, rule.target, packet)

    def _matches(self, rule: Rule, packet: Packet) -> bool:
        if "--rcheck" in rule.options and rule.options["--name"] not in self._remembered:
            return False
        return all(self._test(*test, packet) for test in rule.tests)

    def _test(self, option: str, value: str, negated: bool, packet: Packet) -> bool:
        states = {"NEW", "DNAT"} if packet.translated else {"NEW"}
        mark, _, mask = value.partition("/")
        found = {
            "-s": lambda: packet.source in ip_network(value),
            "-d": lambda: packet.destination in ip_network(value),
            "-p": lambda: packet.protocol.lower() == value,
            "--dport": lambda: packet.port == int(value),
            "--ctstate": lambda: bool(states & {*value.split(",")}),
            "--src-type": lambda: value == "LOCAL" and self.owns(packet.source),
            "--dst-type": lambda: value == "LOCAL" and self.owns(packet.destination),
            "--mark": lambda: packet.mark & int(mask, 16) == int(mark, 16),
        }[option]()
        return found is not negated


def told(ends: Iterable[End]) -> str:
    """In the words of Kubernetes' tracer: endpoints in the order of the rules, DROP, REJECT,
    ACCEPT, or nothing."""
    return ", ".join(dict.fromkeys(_told(end) for end in ends))


def _told(end: End) -> str:
    if end.refused or not end.packet.translated:
        return end.verdict
    ip, port = end.packet.destination, end.packet.port
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"

"""The text of rules that the kernel names by their handles: the line that `iptables-save` prints,
or what `nft list` does."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from ..errors import EnvironmentUnable
from ..model.trace import Met
from .netlink import DONE, DUMP, ERROR, HEADER, NETLINK_NETFILTER, REQUEST, attributes, messages
from .netns import Namespace
from .program import find_program

_SAVES = {"ip": "iptables", "ip6": "ip6tables"}
_IPTABLES = frozenset({"raw", "mangle", "nat", "filter", "security"})
_FAMILIES = {"inet": 1, "ip": 2, "ip6": 10}
_GET_RULE = 10 << 8 | 7
_SECONDS = 20.0
_REFUSED = "refused-"
"""What the loader of nftables mode calls the chains in which it logs before it refuses."""

_Chains: TypeAlias = Mapping[tuple[str, str], list[str]]
"""Rules by table and chain."""

_CHAIN = re.compile(r"\s*chain (\S+) \{")
_RULE = re.compile(r"\s*(.+?) # handle (\d+)$")
_MAP = re.compile(r"\s*map (\S+) \{")
_ELEMENT = re.compile(r"([^,{}]+?) : (drop|(?:goto|jump) \S+?)(?=,| \}|$)")
_LOOKUP = re.compile(r"vmap @(\S+)")


def texts(namespace: Namespace, met: Iterable[Met]) -> dict[Met, str]:
    """The text of each of these rules of a node, as far as there still is such a rule. Blocks for
    some milliseconds; enters the namespace with this thread."""
    found: dict[Met, str] = {}
    tables: dict[tuple[str, str], set[Met]] = {}
    for one in met:
        if one.rule.handle:
            tables.setdefault((one.rule.family, one.rule.table), set()).add(one)
    saved: dict[str, _Chains] = {}
    for (family, table), wanted in tables.items():
        if family in _SAVES and table in _IPTABLES:
            if family not in saved:
                saved[family] = _saved(namespace, family)
            handles = _handles(namespace, family, table)
            lines = saved[family]
            if all(len(lines.get((table, c), ())) == len(h) for c, h in handles.items()):
                for one in wanted:
                    place = handles.get(one.rule.chain, [])
                    if one.rule.handle in place:
                        line = lines[table, one.rule.chain][place.index(one.rule.handle)]
                        found[one] = line
                continue
        found |= _listed(namespace, family, table, wanted)
    return found


def _saved(namespace: Namespace, family: str) -> _Chains:
    """What iptables-save prints, by table and chain."""
    name = _SAVES[family]
    program = find_program(f"{name}-nft-save", f"{name}-save", package="iptables")
    chains: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in _printed(namespace, [program]).splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            chains.setdefault((table, line.split(" ", 2)[1]), []).append(line)
    return chains


def _handles(namespace: Namespace, family: str, table: str) -> dict[str, list[int]]:
    """The handles of a table's rules by chain, in the kernel's order."""
    found: dict[str, list[int]] = {}
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(_SECONDS)
        head = struct.pack("!BBH", _FAMILIES[family], 0, 0)
        size = HEADER.size + len(head)
        sock.send(HEADER.pack(size, _GET_RULE, REQUEST | DUMP, 1, 0) + head)
        while True:
            for kind, _, payload in messages(sock.recv(1 << 17)):
                if kind in (DONE, ERROR):
                    return found
                rule = attributes(payload[4:])
                if rule[1].rstrip(b"\0").decode() == table:
                    chain = rule[2].rstrip(b"\0").decode()
                    found.setdefault(chain, []).append(int.from_bytes(rule[3]))


def _listed(
    namespace: Namespace, family: str, table: str, wanted: Iterable[Met]
) -> Iterator[tuple[Met, str]]:
    """What nft prints of a table. Of a rule that looks up a map, the element that led on."""
    try:
        nft = find_program("nft", package="nftables")
    except EnvironmentUnable:
        return
    chain = in_map = ""
    rules: dict[tuple[str, int], str] = {}
    elements: list[tuple[str, str, str]] = []
    for line in _printed(namespace, [nft, "-a", "list", "table", family, table]).splitlines():
        if opened := _CHAIN.match(line):
            chain, in_map = opened[1], ""
        elif opened := _MAP.match(line):
            chain, in_map = "", opened[1]
        elif chain and (rule := _RULE.match(line)):
            rules[chain, int(rule[2])] = rule[1]
        elif in_map:
            text = line.replace("elements = {", "")
            elements += [(in_map, e[1].strip(), e[2]) for e in _ELEMENT.finditer(text)]
    for one in wanted:
        if rule_text := rules.get((one.rule.chain, one.rule.handle)):
            yield one, _told(f"{family} {table}", one, rule_text, elements)


def _told(where: str, met: Met, rule: str, elements: Sequence[tuple[str, str, str]]) -> str:
    """A rule, or the elements of a map by which it may have led to where it did: those with that
    verdict. elements: map, key and verdict of each."""
    looked_up = _LOOKUP.search(rule)
    if met.rule.chain.startswith(_REFUSED):
        name, keys = _leading_to(elements, met.rule.chain)
        verdict = rule
    elif looked_up and met.target:
        name, keys = _leading_to([e for e in elements if e[0] == looked_up[1]], met.target)
        verdict = f"goto {met.target}"
    else:
        return f"rule {where} {met.rule.chain} {rule}"
    each = ", ".join(f"{key} : {verdict}" for key in keys)
    return f"element {where} {name} {{ {each} }}"


def _leading_to(elements: Sequence[tuple[str, str, str]], chain: str) -> tuple[str, list[str]]:
    """The map that leads to a chain, and by which keys."""
    found = [(name, key) for name, key, verdict in elements if verdict.endswith(f" {chain}")]
    return found[0][0] if found else "", [key for _, key in found]


def _printed(namespace: Namespace, command: list[str]) -> str:
    """What a program prints in a namespace; nothing if it does not end."""
    with namespace, contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
        return done.stdout
    return ""

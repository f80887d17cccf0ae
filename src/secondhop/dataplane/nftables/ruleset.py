"""Rules as data, and the way from one state to the next as text for nft."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

LIMIT = 200_000
"""Bytes of netlink messages that fit one transaction, by `_size`. In a user namespace it must fit a
socket buffer that nobody may raise, 212,992 bytes by default."""


@dataclass(frozen=True, slots=True)
class Set:
    """A set, or a map of verdicts. spec: what stands between its braces but elements.

    elements: each key with what follows it (comment, verdict). Those of a set that rules fill
    are the kernel's and never mentioned.
    """

    kind: Literal["set", "map"]
    spec: str
    elements: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain's rules as `nft list` prints them. spec: what stands between its braces before them,
    a hook or a comment."""

    rules: tuple[str, ...] = ()
    spec: str = ""

    @property
    def hooked(self) -> bool:
        """Packets come here by themselves."""
        return self.spec.startswith("type ")


@dataclass(frozen=True, slots=True)
class Table:
    """kube-proxy's table of one family. family: ip or ip6."""

    family: str
    sets: Mapping[str, Set]
    chains: Mapping[str, Chain]

    @property
    def name(self) -> str:
        """As commands name it."""
        return f"{self.family} kube-proxy"


class Draft:
    """A table being written: rules join the end of their chain, which comes to be by that."""

    def __init__(self, table: Table) -> None:
        self._family = table.family
        self._specs = {name: (one.kind, one.spec) for name, one in table.sets.items()}
        self._elements = {name: {**one.elements} for name, one in table.sets.items()}
        self._chains = {name: (one.spec, [*one.rules]) for name, one in table.chains.items()}

    def add(self, chain: str, *rules: str) -> None:
        """Append rules to a chain."""
        self._chains.setdefault(chain, ("", []))[1].extend(rules)

    def add_set(self, name: str, spec: str) -> None:
        """A set of its own, which rules fill."""
        self._specs[name] = "set", spec
        self._elements[name] = {}

    def add_element(self, name: str, key: str, rest: str = "") -> None:
        """An element of a set or map; of several with one key the last counts (semantics §3.2)."""
        self._elements[name][key] = rest

    def finished(self) -> Table:
        """What was written."""
        sets = {n: Set(kind, spec, self._elements[n]) for n, (kind, spec) in self._specs.items()}
        chains = {n: Chain(tuple(rules), spec) for n, (spec, rules) in self._chains.items()}
        return Table(self._family, sets, chains)


def joined(tables: Sequence[Table]) -> Table:
    """Several parts of a table as one: of elements with one key the last counts."""
    sets: dict[str, Set] = {}
    elements: dict[str, dict[str, str]] = {}
    chains: dict[str, Chain] = {}
    for table in tables:
        for name, one in table.sets.items():
            if name not in sets:
                sets[name] = one
            if one.elements:
                elements.setdefault(name, {}).update(one.elements)
        chains.update(table.chains)
    sets |= {name: replace(sets[name], elements=found) for name, found in elements.items()}
    return Table(tables[0].family, sets, chains)


class Steps(NamedTuple):
    """The way to the next state. load: texts to run in nft one after the other, each atomic; empty
    if nothing differs. gone: chains to delete after that, which are empty by then.

    Up to Linux 6.1 a chain counts as in use for a moment after the element that led to it was
    deleted, which is why kube-proxy too deletes chains later (semantics §3.3 j).
    """

    load: list[str]
    gone: list[str]


def transactions(old: Table | None, new: Table, limit: int = LIMIT) -> Steps:
    """How to get from old to new. old None: whatever may be there is deleted first.

    What no packet meets yet comes first, then the switch, and both are one transaction unless that
    would exceed the limit. A switch that itself exceeds it is made in parts, each chain and each
    element whole. Only what differs is mentioned: a set that rules fill keeps what it holds.
    """
    known = old or Table(new.family, {}, {})
    early, late = _sized(_prepared(known, new)), _sized(_switched(known, new))
    if old is None:
        fresh = f"add table {new.name}", f"delete table {new.name}", _create(new)
        early = [*_sized(fresh), *early]
    if sum(size for _, size in early + late) <= limit:
        early, late = [], early + late
    load = [text for commands in (early, late) for text in _texts(commands, limit)]
    return Steps(load, _gone(known.chains, new.chains))


def deletion(table: Table, chains: Iterable[str]) -> str:
    """The text that deletes empty chains."""
    return "".join(f"delete chain {table.name} {name}\n" for name in chains)


def with_empty(table: Table, chains: Iterable[str]) -> Table:
    """A table that has these empty chains too."""
    return replace(table, chains={**table.chains, **dict.fromkeys(chains, Chain())})


def _create(table: Table) -> str:
    return f'add table {table.name} {{ comment "rules for kube-proxy"; }}'


def _gone(old: Iterable[str], new: Container[str]) -> list[str]:
    return [name for name in old if name not in new]


def _prepared(old: Table, new: Table) -> Iterator[str]:
    """Sets and chains that are new, which no packet meets yet."""
    chains = {n: c for n, c in new.chains.items() if n not in old.chains and not c.hooked}
    sets = {n: s for n, s in new.sets.items() if n not in old.sets}
    for name, one in sets.items():
        yield f"add {one.kind} {new.name} {name} {{ {one.spec}; }}"
    for name, chain in chains.items():
        yield f"add chain {new.name} {name}" + (f" {{ {chain.spec}; }}" if chain.spec else "")
    for name, chain in chains.items():
        yield from _rules(new, name, chain)
    for name, one in sets.items():
        yield from _elements(new, name, {}, one.elements)


def _switched(old: Table, new: Table) -> Iterator[str]:
    """What packets notice, then what they no longer meet, and at last new hooks."""
    for name, known in old.sets.items():
        if one := new.sets.get(name):
            if known.spec != one.spec:  # another timeout (semantics §5.3)
                yield f"add {one.kind} {new.name} {name} {{ {one.spec}; }}"
            yield from _elements(new, name, known.elements, one.elements)
    for name, before in old.chains.items():
        chain = new.chains.get(name)
        if chain and chain is not before and chain != before:
            yield "\n".join([f"flush chain {new.name} {name}", *_rules(new, name, chain)])
    for name in _gone(old.chains, new.chains):
        yield f"flush chain {new.name} {name}"
    for name in _gone(old.sets, new.sets):
        yield f"delete {old.sets[name].kind} {new.name} {name}"
    for name, chain in new.chains.items():
        if name not in old.chains and chain.hooked:
            hook = f"add chain {new.name} {name} {{ {chain.spec}; }}"
            yield "\n".join([hook, *_rules(new, name, chain)])


def _rules(table: Table, name: str, chain: Chain) -> Iterator[str]:
    for rule in chain.rules:
        yield f"add rule {table.name} {name} {rule}"


def _elements(
    table: Table, name: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[str]:
    of = f"element {table.name} {name}"
    for key in _gone(old, new):
        yield f"delete {of} {{ {key} }}"
    for key, rest in new.items():
        if old.get(key) != rest:
            add = f"add {of} {{ {key}{rest} }}"
            yield f"delete {of} {{ {key} }}\n{add}" if key in old else add


def _texts(commands: Iterable[tuple[str, int]], limit: int) -> Iterator[str]:
    """Commands with their sizes packed into transactions, in their order."""
    lines: list[str] = []
    total = 0
    for command, size in commands:
        if lines and total + size > limit:
            yield "\n".join([*lines, ""])
            lines, total = [], 0
        lines.append(command)
        total += size
    if lines:
        yield "\n".join([*lines, ""])


def _sized(commands: Iterable[str]) -> list[tuple[str, int]]:
    return [(command, _size(command)) for command in commands]


def _size(command: str) -> int:
    """The most bytes that a command takes as netlink messages, measured with every kind of them."""
    return sum(
        (4 if line.startswith("add rule") else 2) * len(line) for line in command.split("\n")
    )

"""Rules as data, and the way from one state to the next as text for iptables-restore."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

BUILT_IN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})

Chains: TypeAlias = Mapping[str, tuple[str, ...]]
"""Chain name to its rules, each as iptables-save prints it after `-A CHAIN `."""
Ruleset: TypeAlias = Mapping[str, Chains]
"""Table name (`filter`, `nat`, `mangle`) to its chains."""

LIMIT = 250
"""Lines that fit one restore. In a user namespace a transaction must fit a socket buffer that
nobody may raise, 212,992 bytes by default; a rule with its matches takes up to 670 of them,
if affinity is among them."""

_JUMP = re.compile(r"-[jg] (\S+)")


class Draft:
    """A ruleset being written: rules join the end of their chain, which comes to be by that."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._tables = {table: {c: [*r] for c, r in has.items()} for table, has in ruleset.items()}

    def add(self, table: str, chain: str, *rules: str) -> None:
        """Append rules to a chain."""
        self._tables.setdefault(table, {}).setdefault(chain, []).extend(rules)

    def finished(self) -> Ruleset:
        """What was written."""
        return {t: {c: tuple(r) for c, r in has.items()} for t, has in self._tables.items()}


def transactions(old: Ruleset, new: Ruleset, limit: int = LIMIT) -> list[str]:
    """Texts to feed `iptables-restore --noflush` one after the other, to get from old to new.

    The last is the switch: as kube-proxy does it, a chain that differs is flushed and written anew,
    one that is gone is flushed and deleted, the others are not mentioned. It is alone unless it
    would exceed the limit; then new chains, which nothing refers to yet, are loaded before it, the
    innermost first. An empty list means that nothing differs.
    """
    switch = _switch(old, new)
    if switch.count("\n") <= limit:
        return [switch] if switch else []
    early: dict[str, dict[str, tuple[str, ...]]] = {}
    texts = []
    for table, chains in new.items():
        known = old.get(table, {})
        fresh = {name: rules for name, rules in chains.items() if _loadable(name, known)}
        texts += list(_chunks(table, fresh, limit))
        early[table] = {**known, **fresh}
    return texts + [text for text in [_switch(early, new)] if text]


def _loadable(chain: str, known: Chains) -> bool:
    return chain not in known and chain not in BUILT_IN


def _switch(old: Ruleset, new: Ruleset) -> str:
    return "".join(_table(name, old.get(name, {}), new.get(name, {})) for name in {**old, **new})


def _table(name: str, old: Chains, new: Chains) -> str:
    changed = [chain for chain in new if old.get(chain) != new[chain]]
    gone = [chain for chain in old if chain not in new]
    if not changed and not gone:
        return ""
    lines = [f":{chain} - [0:0]" for chain in (*changed, *gone) if chain not in BUILT_IN]
    for chain in changed:
        if chain in BUILT_IN:  # never flushed: others may have rules there
            lines += [f"-D {chain} {rule}" for rule in old.get(chain, ())]
        lines += [f"-A {chain} {rule}" for rule in new[chain]]
    lines += [f"-X {chain}" for chain in gone]
    return _text(name, lines)


def _chunks(table: str, chains: Chains, limit: int) -> Iterator[str]:
    lines: list[str] = []
    for chain in _innermost_first(chains):
        lines.append(f":{chain} - [0:0]")
        lines += [f"-A {chain} {rule}" for rule in chains[chain]]
    for start in range(0, len(lines), limit):
        yield _text(table, lines[start : start + limit])


def _innermost_first(chains: Chains) -> list[str]:
    """Every chain after those of them that it jumps to."""
    done: dict[str, None] = {}

    def visit(chain: str) -> None:
        if chain in done or chain not in chains:
            return
        for rule in chains[chain]:
            if jump := _JUMP.search(rule):
                visit(jump[1])
        done[chain] = None

    for chain in chains:
        visit(chain)
    return list(done)


def _text(table: str, lines: list[str]) -> str:
    return "\n".join([f"*{table}", *lines, "COMMIT"]) + "\n"

"""Rules as data, and the way from one state to the next as text for iptables-restore."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias
from zlib import crc32

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

    As kube-proxy does it, a chain that differs is flushed and written anew, one that is gone is
    flushed and deleted, the others are not mentioned; all of it in one switch, if that fits. If
    not, new chains, which nothing refers to yet, are loaded before it, the innermost first; and if
    it still does not fit, each chain is switched by itself. An empty list means that nothing
    differs.
    """
    switch = _switch(old, new)
    if switch.count("\n") <= limit:
        return [switch] if switch else []
    early: dict[str, Chains] = {}
    texts = []
    for table, chains in new.items():
        known = old.get(table, {})
        fresh = {name: rules for name, rules in chains.items() if _loadable(name, known)}
        texts += list(_chunks(table, _lines(fresh), limit))
        early[table] = {**known, **fresh}
    switch = _switch(early, new)
    if switch.count("\n") <= limit:
        return texts + ([switch] if switch else [])
    for table in new:
        texts += _one_by_one(table, early[table], new[table], limit)
    return texts


def _one_by_one(table: str, old: Chains, new: Chains, limit: int) -> Iterator[str]:
    """Each chain that differs in a switch of its own, then those that are gone, the outermost
    first."""
    for chain, rules in new.items():
        had = old.get(chain, ())
        if had == rules:
            continue
        if chain in BUILT_IN:
            yield _text(table, _rewritten(chain, had, rules))
        elif len(rules) < limit:
            yield _text(table, [_flushed(chain), *_appended(chain, rules)])
        else:
            yield from _aside(table, chain, rules, limit)
    gone = {chain: rules for chain, rules in old.items() if _loadable(chain, new)}
    for chain in reversed(_innermost_first(gone)):
        yield _text(table, [_flushed(chain), f"-X {chain}"])


def _aside(table: str, chain: str, rules: tuple[str, ...], limit: int) -> Iterator[str]:
    """A chain that fits no transaction: its rules are loaded aside, where it goes while they are
    loaded into itself. At every moment it is the old one or the new one."""
    scratch = f"SECONDHOP-{crc32(chain.encode()):08x}"
    yield from _chunks(table, [_flushed(scratch), *_appended(scratch, rules)], limit)
    yield _text(table, [_flushed(chain), f"-A {chain} -g {scratch}"])
    yield from _chunks(table, _appended(chain, rules), limit)
    yield _text(table, [_flushed(scratch), f"-D {chain} -g {scratch}", f"-X {scratch}"])


def _loadable(chain: str, known: Chains) -> bool:
    return chain not in known and chain not in BUILT_IN


def _switch(old: Ruleset, new: Ruleset) -> str:
    return "".join(_table(name, old.get(name, {}), new.get(name, {})) for name in {**old, **new})


def _table(name: str, old: Chains, new: Chains) -> str:
    new = {**{chain: () for chain in old if chain in BUILT_IN}, **new}
    changed = [chain for chain in new if old.get(chain) != new[chain]]
    gone = [chain for chain in old if chain not in new]
    if not changed and not gone:
        return ""
    lines = [_flushed(chain) for chain in (*changed, *gone) if chain not in BUILT_IN]
    for chain in changed:
        had = old.get(chain, ()) if chain in BUILT_IN else ()
        lines += _rewritten(chain, had, new[chain])
    lines += [f"-X {chain}" for chain in gone]
    return _text(name, lines)


def _flushed(chain: str) -> str:
    """The line that empties a chain, or makes it."""
    return f":{chain} - [0:0]"


def _appended(chain: str, rules: Iterable[str]) -> list[str]:
    return [f"-A {chain} {rule}" for rule in rules]


def _rewritten(chain: str, had: Iterable[str], rules: Iterable[str]) -> list[str]:
    """Rule by rule: a built-in chain is never flushed, since others may have rules there."""
    return [*(f"-D {chain} {rule}" for rule in had), *_appended(chain, rules)]


def _lines(chains: Chains) -> list[str]:
    """Whole chains, the innermost first."""
    lines: list[str] = []
    for chain in _innermost_first(chains):
        lines += [_flushed(chain), *_appended(chain, chains[chain])]
    return lines


def _chunks(table: str, lines: list[str], limit: int) -> Iterator[str]:
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

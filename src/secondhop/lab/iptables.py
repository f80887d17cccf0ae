"""Rules into a node's kernel by iptables-restore."""

from __future__ import annotations

import asyncio
import re
import socket
import zlib
from typing import Any

from ..dataplane.iptables.ruleset import Ruleset, transactions
from ..model.cluster import Family
from .capture import GROUP, Verdict
from .netlink import NETLINK_NETFILTER, messages
from .netns import Namespace
from .program import Program, find_program

_NFTABLES_GROUP = 7
_SOL_NETLINK, _JOIN, _LEAVE = 270, 1, 2
_NEW_GENERATION = 10 << 8 | 15

_REFUSES = re.compile(r"-j (DROP|REJECT)\b.*$")
_COUNTS = re.compile(r"-m nfacct --nfacct-name \S+ ")
_OURS = ("KUBE-", "FLANNEL-", "SECONDHOP-")
_JUMPS_TO_OURS = re.compile(rf"-[jg] ({'|'.join(_OURS)})")


def instrument(rules: Ruleset) -> tuple[Ruleset, dict[str, Verdict]]:
    """The rules with an NFLOG sibling before each that refuses, and what each log prefix means.

    The sibling matches the same, except that it does not count: a packet counts once.
    """
    meaning: dict[str, Verdict] = {}

    def chain_with_logs(chain: str, lines: tuple[str, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for line in lines:
            if refuses := _REFUSES.search(line):
                rule = f"-A {chain} {line}"
                prefix = f"{zlib.crc32(rule.encode()):08x}"
                meaning[prefix] = Verdict(rule, refuses[1] == "DROP")
                log = f"-j NFLOG --nflog-prefix {prefix} --nflog-group {GROUP}"
                sibling = _COUNTS.sub("", line)
                found.append(_REFUSES.sub(f"{log} --nflog-threshold 1", sibling))
            found.append(line)
        return tuple(found)

    logged = {
        table: {chain: chain_with_logs(chain, lines) for chain, lines in chains.items()}
        for table, chains in rules.items()
    }
    return logged, meaning


class Loader:
    """One node's rules of one family: what is loaded, and the way to the next state."""

    def __init__(self, namespace: Namespace, family: Family = 4) -> None:
        self._namespace, self._family = namespace, family
        self._loaded: Ruleset | None = {}
        self._switches = _Switches(namespace)
        self._leaving: set[asyncio.Task[str]] = set()

    async def sync(self, rules: Ruleset) -> None:
        """Make the kernel's rules these. Raises LabError, EnvironmentUnable: then a part may have
        been loaded, and the next sync begins by reading what there is."""
        known = await self._saved() if self._loaded is None else self._loaded
        self._loaded = None
        for text in transactions(known, rules):
            await self._restore(text)
        self._loaded = rules

    async def touched(self) -> bool:
        """Somebody has changed rules, perhaps ours: the next sync reads what there is."""
        had, self._loaded = self._loaded, None
        return bool(had)

    def close(self) -> None:
        """Leave the rules as they are; no more are loaded."""
        self._switches.close()

    async def _saved(self) -> Ruleset:
        """What of ours the kernel has."""
        program = restore_program(self._family).replace("-restore", "-save")
        return owned(await Program(self._namespace, [program], "").ended())

    async def _restore(self, text: str) -> None:
        """One iptables-restore, until the kernel has switched. The program then takes several times
        as long to end, because the kernel makes it wait for the old rules' grace period."""
        switched = self._switches.next(text.count("\nCOMMIT\n"))
        leaving = asyncio.create_task(Restore(self._namespace, text, self._family).ended())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._left)
        either: set[asyncio.Future[Any]] = {switched, leaving}
        await asyncio.wait(either, return_when="FIRST_COMPLETED")
        self._switches.rest()
        if not switched.done():
            await leaving

    def _left(self, restore: asyncio.Task[str]) -> None:
        self._leaving.discard(restore)
        if restore.cancelled() or restore.exception():
            self._loaded = None  # what was heard may have been somebody else's switch


class _Switches:
    """Hears of every generation of rules that a node's kernel switches to: one for each COMMIT."""

    def __init__(self, namespace: Namespace) -> None:
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._left = 0
        self._switched: asyncio.Future[None] | None = None
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def next(self, count: int) -> asyncio.Future[None]:
        """A future that completes with the `count`th switch from now on; then call `rest`."""
        while self._heard() is not None:
            pass  # what an earlier restore was not waited for to say
        self._socket.setsockopt(_SOL_NETLINK, _JOIN, _NFTABLES_GROUP)
        self._left = count
        self._switched = asyncio.get_running_loop().create_future()
        return self._switched

    def rest(self) -> None:
        """Hear nothing: of every rule that nftables mode loads the kernel would tell."""
        self._socket.setsockopt(_SOL_NETLINK, _LEAVE, _NFTABLES_GROUP)

    def close(self) -> None:
        """Hear nothing any more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _heard(self) -> int | None:
        """How many switches the next message tells of; None if there is no message."""
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return None
        except OSError:  # overrun, some are lost: then the program's end tells
            return 0
        return sum(kind == _NEW_GENERATION for kind, _, _ in messages(data))

    def _read(self) -> None:
        self._left -= self._heard() or 0
        if self._left <= 0 and self._switched and not self._switched.done():
            self._switched.set_result(None)


def owned(text: str) -> Ruleset:
    """What iptables-save says of kube-proxy's and flannel's chains and of the jumps to them: of
    others' chains and rules nothing."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    chains: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = found.setdefault(line[1:], {})
        elif line.startswith(":"):
            chain = line[1:].split()[0]
            if chain.startswith(_OURS):
                chains[chain] = ()
        elif line.startswith("-A "):
            _, chain, rule = line.rstrip().replace("-name  ", "-name ").split(" ", 2)
            if chain.startswith(_OURS) or _JUMPS_TO_OURS.search(rule):
                chains[chain] = (*chains.get(chain, ()), rule)
    return found


def restore_program(family: Family = 4) -> str:
    """Path of a family's iptables-restore, the nft flavour where both exist.

    Raises EnvironmentUnable if there is none.
    """
    name = "iptables" if family == 4 else "ip6tables"
    return find_program(f"{name}-nft-restore", f"{name}-restore", package="iptables")


class Restore(Program):
    """`iptables-restore --noflush -w` at work in a namespace."""

    def __init__(self, namespace: Namespace, text: str, family: Family = 4) -> None:
        super().__init__(namespace, [restore_program(family), "--noflush", "-w"], text)

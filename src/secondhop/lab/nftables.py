"""Rules into a node's kernel by libnftables, or by the program nft where the library is missing.

Each transaction must fit the socket's default buffer: libnftables would raise it only with
privileges that no user namespace gives.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..dataplane.nftables.ruleset import LIMIT, Chain, Table, deletion, transactions, with_empty
from ..errors import EnvironmentUnable, LabError
from .capture import GROUP, Verdict
from .netns import Namespace
from .program import Program, find_program, refused

LIBRARY = "libnftables.so.1"
_SECONDS = 60.0
_MANY_CHAINS = 1000
_JSON = 1 << 4
"""NFT_CTX_OUTPUT_JSON"""

_WORKER = ThreadPoolExecutor(1, "nftables")
"""One for all nodes: libnftables does not promise that its contexts share nothing."""

# reject-chain's own rule is no match: what leads there is logged where it leaves the map.
_RULE = re.compile(r' (?P<verdict>drop|reject)(?: comment ".*")?$')
_REFUSING = ("drop", "reject", "reject-chain")
_ELEMENT = re.compile(r" : (?P<verdict>drop|goto reject-chain)$")


def instrument(table: Table) -> tuple[Table, dict[str, Verdict]]:
    """The table with a log before everything that refuses, and what each log prefix means.

    A rule gets a sibling that matches the same. An element, which can only have a verdict, leads to
    a chain of its own that logs and then does what the element said.
    """
    meaning: dict[str, Verdict] = {}

    def log(refusing: str, *, drops: bool) -> tuple[str, str]:
        """The prefix for something that refuses, and the statement that logs with it."""
        prefix = f"{zlib.crc32(refusing.encode()):08x}"
        meaning[prefix] = Verdict(refusing, drops)
        return prefix, f'log prefix "{prefix}" group {GROUP}'

    chains = dict(table.chains)
    for name, chain in table.chains.items():
        if not any(verdict in rule for rule in chain.rules for verdict in _REFUSING):
            continue  # most of many thousands
        rules: list[str] = []
        for rule in chain.rules:
            if found := _RULE.search(rule):
                refusing = f"rule {table.name} {name} {rule}"
                _, statement = log(refusing, drops=found["verdict"] == "drop")
                rules.append(f"{rule[: found.start()]} {statement}")
            rules.append(rule)
        chains[name] = replace(chain, rules=tuple(rules))
    sets = {}
    for name, one in table.sets.items():
        elements = dict(one.elements)
        for key, rest in one.elements.items():
            if rest.endswith(_REFUSING) and (found := _ELEMENT.search(rest)):
                refusing = f"element {table.name} {name} {{ {key}{rest} }}"
                prefix, statement = log(refusing, drops=found["verdict"] == "drop")
                elements[key] = f"{rest[: found.start()]} : goto refused-{prefix}"
                chains[f"refused-{prefix}"] = Chain((statement, found["verdict"]))
        sets[name] = replace(one, elements=elements)
    return Table(table.family, sets, chains), meaning


class Loader:
    """One node's table: what is loaded, and the way to the next state. limit: of a transaction."""

    def __init__(self, namespace: Namespace, limit: int = LIMIT) -> None:
        self._namespace = namespace
        self._limit = limit
        self._loaded: Table | None = None
        self._unsure = False
        """Whether what went wrong may have changed the table all the same."""
        self._context: Context | None = None

    async def sync(self, table: Table) -> None:
        """Make the kernel's table this one. Raises LabError if nft refuses: then the table stays as
        it was, or, if a part had been loaded, is made anew by the next sync. Raises
        EnvironmentUnable where there is no nft, or none that answers."""
        if self._unsure:
            await self.touched()
        steps = transactions(self._loaded, table, self._limit)
        known, self._loaded = self._loaded, None  # unknown, until all of it is there
        for done, text in enumerate(steps.load):
            try:
                await self._run(text)
            except LabError:
                self._loaded, self._unsure = None if done else known, True
                raise
        self._loaded = with_empty(table, await self._kept(table, steps.gone))

    async def touched(self) -> bool:
        """Whether the kernel's table is not what was loaded, as one tells that loads it afresh; the
        next sync then makes it anew. Raises LabError if it cannot be told."""
        if self._loaded is not None:
            fresh = Loader(namespace := Namespace.create("fresh"), self._limit)
            try:
                await fresh.sync(self._loaded)
                if await fresh._listed(self._loaded) != await self._listed(self._loaded):
                    self._loaded = None
            finally:
                fresh.close()
                namespace.close()
        self._unsure = False
        return self._loaded is None

    def close(self) -> None:
        """Leave the table as it is; no more is loaded."""
        if self._context is not None:
            _WORKER.submit(self._context.close)  # after what may still be at work

    async def _listed(self, table: Table) -> list[str]:
        """What the kernel has of a table, comparable: without handles and what rules fill. Nothing
        if there is no such table."""
        try:
            said = await self._run(f"list table {table.name}", answer=True)
        except LabError:
            return []
        return sorted(_comparable(json.loads(said)["nftables"]))

    async def _kept(self, table: Table, gone: Sequence[str]) -> Sequence[str]:
        """Delete empty chains; those that the kernel does not let go of yet are the next sync's."""
        while gone:
            try:
                await self._run(deletion(table, gone[:_MANY_CHAINS]))
            except LabError:
                break
            gone = gone[_MANY_CHAINS:]
        return gone

    async def _run(self, text: str, *, answer: bool = False) -> str:
        try:
            self._context = self._context or Context(self._namespace)
        except OSError:
            nft = find_program("nft", package="nftables")
            form = ["-j"] if answer else []
            return await Program(self._namespace, [nft, *form, "-f", "-"], text).ended()
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        run = self._context.ask if answer else self._context.run

        def work() -> str:
            loop.call_soon_threadsafe(begun.set)
            return run(text)

        running = loop.run_in_executor(_WORKER, work)
        await begun.wait()  # its turn: the nodes before it have their own time
        try:
            return await asyncio.wait_for(running, _SECONDS)
        except TimeoutError:
            raise EnvironmentUnable(
                f"{LIBRARY} did not answer in {_SECONDS:.0f} s on {self._namespace.name}",
                "Try a smaller cluster, or this one on a machine with less to do.",
            ) from None


def _comparable(objects: list[dict[str, Any]]) -> Iterator[str]:
    """What nft tells of: rules in their chain's order, elements in any."""
    counts: Counter[str] = Counter()
    for one in objects:
        [(kind, fields)] = one.items()
        if kind == "metainfo":
            continue
        fields.pop("handle", None)
        if kind == "rule":
            counts[fields["chain"]] += 1
            fields["number"] = counts[fields["chain"]]
        elements = fields.pop("elem", [])
        yield f"{kind} {fields}"
        if "timeout" not in fields:
            yield from (f"{fields['name']} {element}" for element in elements)


class Context:
    """libnftables with a socket in a namespace, where it stays whoever uses it.

    Raises OSError if the library is missing.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._name = namespace.name
        self._library = ctypes.CDLL(LIBRARY)
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._library.nft_ctx_free.restype = None
        for name in ("nft_ctx_get_error_buffer", "nft_ctx_get_output_buffer"):
            getattr(self._library, name).restype = ctypes.c_char_p
        with namespace:
            self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_buffer_output(self._context)

    def close(self) -> None:
        """Free it, and its socket."""
        self._library.nft_ctx_free(self._context)

    def run(self, text: str) -> str:
        """Run commands as one transaction; what they print. Raises LabError with nft's
        complaint."""
        failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        said: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        complaint: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise refused(self._name, complaint)
        return said.decode()

    def ask(self, text: str) -> str:
        """As `run`, with what is printed as JSON."""
        self._library.nft_ctx_output_set_flags(self._context, _JSON)
        try:
            return self.run(text)
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)

"""One write of a Service on its way through the allocator (semantics §1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ...model.cluster import Address
from ..problems import Path
from .choose import choose_families
from .field import FieldError, Gates, Object, invalid
from .pools import Addresses, Stock
from .syntax import addresses, parse_address
from .view import EXTERNAL, View, copied

_IPS: Path = ("spec", "clusterIPs")
_HEALTH: Path = ("spec", "healthCheckNodePort")
_AFTER_LAST = 32768  # a dry run's first automatic node port is one more


class Allocated(NamedTuple):
    """What became of one write.

    service: with everything it needs; as it came when there are errors, of which there is then at
    least one. ports, ips: newly taken, until `revert`. freed_*: to be given back by `commit`, once
    the Service is stored. A dry run takes and frees nothing.
    """

    service: Object
    errors: tuple[FieldError, ...] = ()
    ports: tuple[int, ...] = ()
    ips: tuple[Address, ...] = ()
    freed_ports: tuple[int, ...] = ()
    freed_ips: tuple[Address, ...] = ()


class _Stop(Exception):
    """Ends a write at its first failure, as the server does."""


class Write:
    """One write on its way through the allocator; see Allocator.create for what it may be."""

    stored = False
    thorough = False

    def __init__(
        self, stock: Stock, gates: Gates, new: Object, old: View | None = None, *, dry_run: bool
    ) -> None:
        self.stock, self.gates, self.dry_run = stock, gates, dry_run
        self.original, self.old = new, old
        self.service = copied(new)
        self.errors: list[FieldError] = []
        self.ports: list[int] = []
        self.ips: list[Address] = []
        self.freed_ports: list[int] = []
        self.freed_ips: list[Address] = []
        self.view = View(self.service)
        self.asked = (*self.view.node_ports(), self.view.health_port)

    def done(self) -> Allocated:
        """Carry it out; what was taken is given back after a failure."""
        with suppress(_Stop):
            self._cluster_ips()
            if self.old is None:
                self._new_node_ports()
            else:
                self._changed_node_ports(self.old)
            self._health_port()
        taken = () if self.dry_run else tuple(self.ports), () if self.dry_run else tuple(self.ips)
        if self.errors:
            self.stock.release(*taken)
            return Allocated(self.original, tuple(self.errors))
        if self.dry_run:
            return Allocated(self.service)
        freed = tuple(self.freed_ports), tuple(self.freed_ips)
        return Allocated(self.service, (), *taken, *freed)

    def _refuse(self, *errors: FieldError) -> None:
        self.errors += errors
        if not self.thorough:
            raise _Stop

    # Addresses.

    def _cluster_ips(self) -> None:
        view = self.view
        if self.stored and (view.ips or not view.has_cluster_ip):
            for text in view.ips if not view.headless else []:
                self._claim_ip(text, view.ips)
            return
        choice = choose_families(self.service, self.old, self.stock.families, self.gates)
        if choice.errors:
            self._refuse(*choice.errors)
        if choice.errors or choice.settled:
            return
        self.service["spec"] |= choice.fields
        old, view = self.old, View(self.service)
        if old is None or not old.has_cluster_ip:
            if view.has_cluster_ip and not view.headless:
                self._fill_ips(view, 0)
        elif not view.has_cluster_ip and not old.headless:
            self.freed_ips += addresses(old.ips)
        elif not old.headless and len(view.families) > len(old.families) == 1:
            self._fill_ips(view, 1)
        elif not old.headless and len(old.families) > len(view.families) == 1:
            self.freed_ips += addresses(old.ips[1:])

    def _fill_ips(self, view: View, first: int) -> None:
        """An address of each family from `first` on: the one asked for, or a free one."""
        missing = len(view.families) - len(view.ips)
        ips = [*view.ips, *[""] * missing]
        for n in range(first, len(view.families)):
            if ips[n]:
                self._claim_ip(ips[n], ips)
            else:
                ips[n] = self._free_ip(view.families[n])
        self.service["spec"] |= {"clusterIP": ips[0], "clusterIPs": ips}

    def _claim_ip(self, text: str, ips: Sequence[str]) -> None:
        ip = parse_address(text)
        pool = self.stock.pool_of(ip) if ip else None
        if ip is None or pool is None:  # stored in a cluster of other families
            return
        why = pool.conflict(ip) if self.stored or self.stock.guessed else pool.refusal(ip)
        if why:
            self._refuse(invalid(_IPS, ips, f"failed to allocate IP {text}: {why}"))
        else:
            self._take_ip(pool, ip)

    def _free_ip(self, wanted: str) -> str:
        for pool in self.stock.pools:
            if pool.family == wanted and (ip := pool.free(self.stock.spared_ips)) is not None:
                self._take_ip(pool, ip)
                return str(ip)
        why = "failed to allocate a serviceIP: range is full"
        self._refuse(FieldError("InternalError", _IPS, None, why))
        return ""

    def _take_ip(self, pool: Addresses, ip: Address) -> None:
        self.ips.append(ip)
        if not self.dry_run:
            pool.take(ip)

    # Node ports.

    def _new_node_ports(self) -> None:
        """Ports of one number share a node port; a second explicit one is had besides."""
        view = self.view
        shared: dict[int, int] = {}
        asked: dict[int, int] = {}
        for port in view.ports:
            if port.get("nodePort"):
                asked.setdefault(port.get("port") or 0, port["nodePort"])
        for n, port in enumerate(view.ports if view.type in EXTERNAL else []):
            own, number = port.get("nodePort"), port.get("port") or 0
            if not own and not view.allocates:
                continue
            if number not in shared:
                wanted = asked.get(number)
                path: Path = ("spec", "ports", n, "nodePort")
                shared[number] = self._claim(wanted, path) if wanted else self._free(path)
                port["nodePort"] = shared[number]
            elif not own:
                port["nodePort"] = shared[number]
            elif own != shared[number]:
                self._claim(own, ("spec", "ports", n, "nodePort"))

    def _changed_node_ports(self, old: View) -> None:
        """Each port by itself: those it had are its own, the missing are new ones."""
        view = self.view
        had = old.own_node_ports()
        pairs: list[tuple[str, int]] = []
        for n, port in enumerate(view.ports if view.type in EXTERNAL else []):
            path: Path = ("spec", "ports", n, "nodePort")
            number = port.get("nodePort") or 0
            if not number and not view.allocates:
                continue
            if not number:
                port["nodePort"] = number = self._free(path)
            elif number not in had and number not in self.ports:
                self._claim(number, path)
            pair = (port.get("protocol") or "", number)
            if pair in pairs:
                why = f"duplicate nodePort: {{{pair[0]} {number}}}"
                self._refuse(FieldError("InternalError", path, None, why))
            pairs.append(pair)
        left = view.own_node_ports()
        self.freed_ports += [number for number in had if number not in left]

    def _health_port(self) -> None:
        view, old = self.view, self.old
        needed = old is not None and old.needs_health_port
        if needed and old is not None and not view.needs_health_port:
            self.freed_ports.append(old.health_port)
        if needed or not view.needs_health_port:
            return
        if not view.health_port:
            why = "failed to allocate a HealthCheck NodePort 0"
            self.service["spec"]["healthCheckNodePort"] = self._free(_HEALTH, why)
        elif refusal := self._refusal(view.health_port):
            why = f"failed to allocate requested HealthCheck NodePort {view.health_port}: {refusal}"
            self._refuse(FieldError("InternalError", _HEALTH, None, why))
        else:
            self._take(view.health_port)

    def _refusal(self, number: int) -> str:
        """A dry run looks at what is taken only, not at the range."""
        if number in self.ports:
            return "provided port is already allocated"
        ports = self.stock.ports
        lenient = self.dry_run or self.stored
        return ports.conflict(number) if lenient else ports.refusal(number)

    def _claim(self, number: int, path: Path) -> int:
        if refusal := self._refusal(number):
            self._refuse(invalid(path, number, refusal))
            return number
        return self._take(number)

    def _free(self, path: Path, why: str = "failed to allocate a nodePort") -> int:
        if self.dry_run:
            return self._take(max(self.ports, default=_AFTER_LAST) + 1)
        number = self.stock.ports.free(self.stock.spared_ports, self.asked)
        if number is None:
            self._refuse(FieldError("InternalError", path, None, f"{why}: range is full"))
            return 0
        return self._take(number)

    def _take(self, number: int) -> int:
        self.ports.append(number)
        if not self.dry_run:
            self.stock.ports.take(number)
        return number

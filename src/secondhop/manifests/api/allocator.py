"""What the API server allocates to a Service: clusterIPs, node ports, a healthCheckNodePort
(semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...model.cluster import Address, Network
from ..problems import Path
from .choose import choose_families
from .field import GATES, FieldError, Gates, Object, invalid
from .pools import NODE_PORTS, Addresses, NodePorts
from .syntax import family, parse_address
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


class Allocator:
    """The numbers and addresses of one cluster, and who may have which.

    cidrs: the Service CIDRs, the default family's first. Automatic choices leave alone what
    `spare` names, so that it goes to those that will ask for it.
    """

    def __init__(
        self, cidrs: Sequence[Network], node_ports: range = NODE_PORTS, gates: Gates = GATES
    ) -> None:
        self.pools = [Addresses(cidr) for cidr in cidrs]
        self.ports = NodePorts(node_ports)
        self.gates = gates
        self.spared_ports: set[int] = set()
        self.spared_ips: set[Address] = set()

    @property
    def families(self) -> list[str]:
        """The IP families of the cluster, the default first."""
        return list(dict.fromkeys(pool.family for pool in self.pools))

    def spare(self, services: Iterable[Object]) -> None:
        """Keep what these Services ask for out of every automatic choice."""
        for view in map(View, services):
            self.spared_ports |= {*view.node_ports(), view.health_port}
            self.spared_ips |= {ip for text in view.ips if (ip := parse_address(text))}

    def create(self, service: Object, *, dry_run: bool = False, stored: bool = False) -> Allocated:
        """Everything for a new Service. stored: an API server has it already, so that its numbers
        and addresses need not be in this cluster's ranges."""
        return _Write(self, service, None, dry_run, stored).done()

    def update(self, new: Object, old: Object, *, dry_run: bool = False) -> Allocated:
        """What a stored Service needs more, and no longer, after a change. The old one must have
        come from this allocator."""
        return _Write(self, new, old, dry_run, False).done()

    def revert(self, write: Allocated) -> None:
        """Take a write back that was not stored."""
        self._release(write.ports, write.ips)

    def commit(self, write: Allocated) -> None:
        """Give back what a stored write no longer needs."""
        self._release(write.freed_ports, write.freed_ips)

    def delete(self, service: Object) -> None:
        """Give back everything that a Service has."""
        view = View(service)
        health = [view.health_port] if view.needs_health_port else []
        self._release([*view.node_ports(), *health], _addresses(view.ips))

    def pool_of(self, ip: Address) -> Addresses:
        """The pool that an address is of, or would be if the ranges were wider."""
        same = [pool for pool in self.pools if pool.family == f"IPv{ip.version}"]
        return next((pool for pool in same if ip in pool.cidr), same[0])

    def _release(self, ports: Iterable[int], ips: Iterable[Address]) -> None:
        for number in ports:
            self.ports.release(number)
        for ip in ips:
            if f"IPv{ip.version}" in self.families:
                self.pool_of(ip).release(ip)


class _Refused(Exception):
    """Ends a write at its first failure, as the server does."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors


class _Write:
    """One write on its way through the allocator."""

    def __init__(
        self, owner: Allocator, new: Object, old: Object | None, dry_run: bool, stored: bool
    ) -> None:
        self.owner, self.dry_run, self.stored = owner, dry_run, stored
        self.original = new
        self.service = copied(new)
        self.old = View(old) if old is not None else None
        self.ports: list[int] = []
        self.ips: list[Address] = []
        self.freed_ports: list[int] = []
        self.freed_ips: list[Address] = []
        view = View(new)
        self.asked = (*view.node_ports(), view.health_port)

    def done(self) -> Allocated:
        try:
            self._cluster_ips()
            if self.old is None:
                self._new_node_ports()
            else:
                self._changed_node_ports(self.old)
            self._health_port()
        except _Refused as refused:
            if not self.dry_run:
                self.owner.revert(Allocated({}, (), tuple(self.ports), tuple(self.ips)))
            return Allocated(self.original, refused.errors)
        if self.dry_run:
            return Allocated(self.service)
        return Allocated(
            self.service,
            (),
            tuple(self.ports),
            tuple(self.ips),
            tuple(self.freed_ports),
            tuple(self.freed_ips),
        )

    # Addresses.

    def _cluster_ips(self) -> None:
        view = View(self.service)
        if self.stored and (view.ips or not view.has_cluster_ip):
            for text in view.ips if not view.headless else []:
                self._claim_ip(text, view.ips)
            return
        choice = choose_families(self.service, self.old, self.owner.families, self.owner.gates)
        if choice.errors:
            raise _Refused(*choice.errors)
        self.service["spec"] |= choice.fields
        if choice.settled:
            return
        old, view = self.old, View(self.service)
        if old is None or not old.has_cluster_ip:
            if view.has_cluster_ip and not view.headless:
                self._fill_ips(view, 0)
        elif not view.has_cluster_ip and not old.headless:
            self.freed_ips += _addresses(old.ips)
        elif not old.headless and len(view.families) > len(old.families) == 1:
            self._fill_ips(view, 1)
        elif not old.headless and len(old.families) > len(view.families) == 1:
            self.freed_ips += _addresses(old.ips[1:])

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
        if ip is None or family(text) not in self.owner.families:
            return
        pool = self.owner.pool_of(ip)
        why = pool.conflict(ip) if self.stored else pool.refusal(ip)
        if why:
            raise _Refused(invalid(_IPS, ips, f"failed to allocate IP {text}: {why}"))
        self._take_ip(pool, ip)

    def _free_ip(self, wanted: str) -> str:
        for pool in self.owner.pools:
            if pool.family == wanted and (ip := pool.free(self.owner.spared_ips)) is not None:
                self._take_ip(pool, ip)
                return str(ip)
        why = "failed to allocate a serviceIP: range is full"
        raise _Refused(FieldError("InternalError", _IPS, None, why))

    def _take_ip(self, pool: Addresses, ip: Address) -> None:
        self.ips.append(ip)
        if not self.dry_run:
            pool.take(ip)

    # Node ports.

    def _new_node_ports(self) -> None:
        """Ports of one number share a node port; a second explicit one is had besides."""
        view = View(self.service)
        shared: dict[int, int] = {}
        asked: dict[int, int] = {}
        for port in view.ports:
            if port.get("nodePort"):
                asked.setdefault(port["port"], port["nodePort"])
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
        view = View(self.service)
        had = old.node_ports() if old.type in EXTERNAL else []
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
                raise _Refused(FieldError("InternalError", path, None, why))
            pairs.append(pair)
        left = view.node_ports() if view.type in EXTERNAL else []
        self.freed_ports += [number for number in had if number not in left]

    def _health_port(self) -> None:
        view, old = View(self.service), self.old
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
            raise _Refused(FieldError("InternalError", _HEALTH, None, why))
        else:
            self._take(view.health_port)

    def _refusal(self, number: int) -> str:
        """A dry run looks at what is taken only, not at the range."""
        if number in self.ports:
            return "provided port is already allocated"
        ports = self.owner.ports
        lenient = self.dry_run or self.stored
        return ports.conflict(number) if lenient else ports.refusal(number)

    def _claim(self, number: int, path: Path) -> int:
        if refusal := self._refusal(number):
            raise _Refused(invalid(path, number, refusal))
        return self._take(number)

    def _free(self, path: Path, why: str = "failed to allocate a nodePort") -> int:
        if self.dry_run:
            return self._take(max(self.ports, default=_AFTER_LAST) + 1)
        spared = self.owner.spared_ports.union(self.asked)
        number = self.owner.ports.free(spared)
        if number is None:
            raise _Refused(FieldError("InternalError", path, None, f"{why}: range is full"))
        return self._take(number)

    def _take(self, number: int) -> int:
        self.ports.append(number)
        if not self.dry_run:
            self.owner.ports.take(number)
        return number


def _addresses(texts: Iterable[str]) -> list[Address]:
    return [ip for text in texts if (ip := parse_address(text))]

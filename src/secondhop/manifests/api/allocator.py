"""What the API server allocates to a Service: clusterIPs, node ports, a healthCheckNodePort
(semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...model.cluster import Network
from .field import GATES, Gates, Object
from .pools import NODE_PORTS, Stock
from .syntax import addresses, parse_address
from .view import View
from .write import Allocated, Write


class Allocator:
    """The numbers and addresses of one cluster, and who may have which.

    cidrs: the Service CIDRs, the default family's first. guessed: they are not known for sure, so
    that an address outside of them is had as well. Automatic choices leave alone what `spare`
    names, so that it goes to those that will ask for it.
    """

    def __init__(
        self,
        cidrs: Sequence[Network],
        node_ports: range = NODE_PORTS,
        *,
        guessed: bool = False,
        gates: Gates = GATES,
    ) -> None:
        self._stock = Stock(cidrs, node_ports, guessed)
        self._gates = gates

    def spare(self, services: Iterable[Object]) -> None:
        """Keep what these Services ask for out of every automatic choice."""
        stock = self._stock
        for view in map(View, services):
            stock.spared_ports |= {*view.own_node_ports(), view.health_port}
            stock.spared_ips |= {ip for text in view.ips if (ip := parse_address(text))}

    def create(
        self,
        service: Object,
        *,
        dry_run: bool = False,
        stored: bool = False,
        thorough: bool = False,
    ) -> Allocated:
        """Everything for a new Service. stored: an API server has it already, so that its numbers
        and addresses need not be in this cluster's ranges. thorough: go on after a failure, for
        all there are; the server stops at the first."""
        write = Write(self._stock, self._gates, service, dry_run=dry_run)
        write.stored, write.thorough = stored, thorough
        return write.done()

    def update(self, new: Object, old: Object, *, dry_run: bool = False) -> Allocated:
        """What a stored Service needs more, and no longer, after a change. The old one must have
        come from this allocator."""
        return Write(self._stock, self._gates, new, View(old), dry_run=dry_run).done()

    def revert(self, write: Allocated) -> None:
        """Take a write back that was not stored."""
        self._stock.release(write.ports, write.ips)

    def commit(self, write: Allocated) -> None:
        """Give back what a stored write no longer needs."""
        self._stock.release(write.freed_ports, write.freed_ips)

    def delete(self, service: Object) -> None:
        """Give back everything that a Service has."""
        view = View(service)
        health = [view.health_port] if view.needs_health_port else []
        self._stock.release([*view.own_node_ports(), *health], addresses(view.ips))

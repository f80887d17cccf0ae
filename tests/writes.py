"""The API server's order of steps for a Service, over one allocator, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from secondhop.manifests.api.allocator import Allocator
from secondhop.manifests.api.field import FieldError, Object
from secondhop.manifests.api.pools import NODE_PORTS
from secondhop.manifests.api.service import validate_service
from secondhop.manifests.api.update import cleared, kept, synced
from secondhop.manifests.api.write import Allocated

Answer = tuple[Object | None, Sequence[FieldError]]
"""The Service as stored, or why it was refused."""


class Server:
    """A cluster with these Service CIDRs."""

    def __init__(self, *cidrs: str, node_ports: range = NODE_PORTS, guessed: bool = False) -> None:
        self.allocator = Allocator(
            [ip_network(cidr) for cidr in cidrs or ("10.0.0.0/16", "2000::/108")],
            node_ports,
            guessed=guessed,
        )

    def create(self, new: Object, *, dry_run: bool = False) -> Answer:
        write = self.allocator.create(synced(new), dry_run=dry_run)
        return self._stored(write, write.service, None)

    def update(self, new: Object, old: Object, *, dry_run: bool = False) -> Answer:
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": "1"}}
        write = self.allocator.update(kept(synced(new, old), old), old, dry_run=dry_run)
        return self._stored(write, cleared(write.service, old), old)

    def _stored(self, write: Allocated, service: Object, old: Object | None) -> Answer:
        if errors := write.errors or validate_service(service, old):
            self.allocator.revert(write)
            return None, errors
        self.allocator.commit(write)
        return service, ()

    def in_use(self) -> tuple[set[int], set[str]]:
        """Node ports and addresses that are taken."""
        stock = self.allocator._stock
        ips = {str(ip) for pool in stock.pools for ip in pool._taken}
        return set(stock.ports._taken), ips

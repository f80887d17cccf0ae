"""What only Services need of the server: clusterIPs and node ports, held while a write is stored
(semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..client.api import Object
from ..manifests.api.allocator import Allocator
from ..manifests.api.update import cleared, kept, synced
from ..model.cluster import Network
from .refusals import invalid


class Services:
    """The numbers and addresses of a cluster's Services."""

    def __init__(self, cidrs: Sequence[Network]) -> None:
        self._allocator = Allocator(cidrs)

    @contextmanager
    def held(self, new: Object, old: Object | None, *, dry_run: bool) -> Iterator[Object]:
        """The Service with all it needs; given back if the block raises. Raises ApiError for an
        allocation that fails, and for that alone."""
        if old is None:
            write = self._allocator.create(synced(new), dry_run=dry_run)
        else:
            write = self._allocator.update(kept(synced(new, old), old), old, dry_run=dry_run)
        if write.errors:
            raise invalid("Service", new["metadata"]["name"], write.errors)
        try:
            yield write.service if old is None else cleared(write.service, old)
        except BaseException:
            self._allocator.revert(write)
            raise
        self._allocator.commit(write)

    def released(self, service: Object) -> None:
        """Give back what a deleted Service had."""
        self._allocator.delete(service)

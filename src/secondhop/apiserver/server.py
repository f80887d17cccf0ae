"""The API: what a request does to the store. No transport and no waiting in here; one event loop
calls it, from the same process or over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ..client.api import USUAL, Deletion, Object, PatchForm, meta
from ..model.cluster import Network
from . import binding, deletion, forms, scale
from .defaults import default
from .kinds import BINDING, EVICTION, KINDS, SCALE, Kind, Subresource
from .metadata import Clock, born, carried, counted, timestamp, unchanged
from .parts import begun, confined
from .patch import patched
from .reading import Reader
from .refusals import already_exists, conflict, invalid
from .request import (
    PLAIN,
    Options,
    Validation,
    configuration,
    decoded,
    expect_name,
    expect_namespace,
    expect_new,
    expect_room,
    expect_same,
)
from .store import Key, Store
from .validation import refusals
from .warn import warnings

if TYPE_CHECKING:
    from .ownership import Owners
    from .services import Services

__all__ = ["PLAIN", "Answer", "Options", "Server", "Validation"]

_ATTEMPTS = 8  # to find a free name
_LAB = "secondhop"  # who writes, where somebody must be named


class Answer(NamedTuple):
    """What came of a write. gone: the object is no longer stored; made: it was not before."""

    object: Object
    warnings: Sequence[str] = ()
    gone: bool = False
    made: bool = False


class Server(Reader):
    """The whole server, over a store.

    service_cidrs: where clusterIPs come from, the default family's first. Every method raises
    ApiError in the words of a real server.
    """

    def __init__(
        self, store: Store, service_cidrs: Sequence[Network], clock: Clock = time.time
    ) -> None:
        super().__init__(store)
        self.service_cidrs = service_cidrs
        self._clock = clock
        self._kept: dict[Key, Object] = {}

    @cached_property
    def _services(self) -> Services:
        """Loaded when the first Service is written: in an experiment none is."""
        from .services import Services

        return Services(self.service_cidrs)

    def create(
        self, kind: Kind, value: object, namespace: str = "", options: Options = PLAIN
    ) -> Answer:
        """Store a new object."""
        new, told = decoded(kind, value, options)
        return self._made(kind.stored, forms.stored(kind, new), told, namespace, options)

    def keep(self, kind: Kind, value: Object, namespace: str) -> None:
        """Store a new object that is made again whenever it is deleted."""
        self._kept[_key(kind, self.create(kind, value, namespace).object)] = value

    def apply(
        self,
        kind: Kind,
        name: str,
        value: object,
        namespace: str = "",
        options: Options = PLAIN,
        subresource: str = "",
    ) -> Answer:
        """Make an object be as the options' manager says, as far as they say it (KEP-555)."""
        from .apply import applied, applied_first

        said = forms.stored(kind, configuration(kind, name, value, options))
        kind, now = kind.stored, timestamp(self._clock())
        old = self._store.get(Key(kind.resource, namespace, name))
        if old is None and not subresource:
            if said["metadata"].get("resourceVersion"):
                raise conflict(kind, name)
            owners = applied_first(kind, said, options.manager, now)
            return self._made(kind, said, [], namespace, options, owners)
        old = self.get(kind, name, namespace)
        who = options.manager
        done = applied(kind, old, said, who, subresource, now, force=options.force)
        new, _ = decoded(kind, done.object, options)
        return self._changed(kind, old, new, [], options, subresource, done.owners)

    def update(
        self,
        kind: Kind,
        name: str,
        value: object,
        namespace: str = "",
        options: Options = PLAIN,
        subresource: str = "",
    ) -> Answer:
        """Replace an object, or the part of it that a subresource (status, scale, finalize) is."""
        old = self.get(kind, name, namespace)
        new, told = decoded(_what(kind, subresource), value, options)
        new = forms.stored(kind, new)
        return self._changed(kind.stored, old, new, told, options, subresource)

    def patch(
        self,
        kind: Kind,
        name: str,
        patch: object,
        namespace: str = "",
        form: PatchForm = "strategic",
        options: Options = PLAIN,
        subresource: str = "",
    ) -> Answer:
        """Change an object, or a subresource of it, by a patch."""
        old = self.get(kind, name, namespace)
        what = _what(kind, subresource)
        shown = scale.of(old) if subresource == "scale" else forms.shown(kind, old)
        new, told = decoded(what, patched(what.definition, shown, patch, form), options, patch)
        new = forms.stored(kind, new)
        return self._changed(kind.stored, old, new, told, options, subresource)

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        how: Deletion = USUAL,
        options: Options = PLAIN,
    ) -> Answer:
        """Delete an object, or mark it as going: pods with grace, whatever has finalizers."""
        old = self.get(kind, name, namespace)
        deletion.check(kind, old, how)
        left = deletion.ended(kind, old, how, self._clock())
        if left is None:
            return Answer(self._removed(kind, old, old, options), gone=True)
        if left is not old and not options.dry_run:
            left = self._store.put(_key(kind, old), left, old)
        return Answer(left)

    def delete_collection(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        how: Deletion = USUAL,
        options: Options = PLAIN,
    ) -> list[Object]:
        """Delete all selected objects."""
        found = map(meta, self.list(kind, namespace, labels=labels, fields=fields).items)
        return [self.delete(kind, name, home, how, options).object for home, name in found]

    def get_scale(self, kind: Kind, name: str, namespace: str) -> Object:
        """The Scale of a workload."""
        return scale.of(self.get(kind, name, namespace))

    def bind(self, name: str, value: object, namespace: str, options: Options = PLAIN) -> Answer:
        """Give a pod its node: what the scheduler does."""
        kind = KINDS["Pod"]
        told, warned = decoded(BINDING, value, options)
        expect_name(BINDING, told, name)
        old = self.get(kind, name, namespace)
        new = binding.bound(old, told, self._clock())
        return Answer(self._put(kind, new, old, options), warned)

    def evict(self, name: str, value: object, namespace: str, options: Options = PLAIN) -> Answer:
        """Delete a pod as an Eviction says."""
        told, warned = decoded(EVICTION, value, options)
        expect_name(EVICTION, told, name)
        wished = told.get("deleteOptions") or {}
        how, dry = deletion.wish(wished), options.dry_run or bool(wished.get("dryRun"))
        options = replace(options, dry_run=dry)
        answer = self.delete(KINDS["Pod"], name, namespace, how, options)
        return answer._replace(warnings=warned)

    # How writes are carried out.

    def _made(
        self,
        kind: Kind,
        new: Object,
        told: Sequence[str],
        namespace: str,
        options: Options,
        owners: Owners | None = None,
    ) -> Answer:
        """owners: of what somebody applied."""
        expect_namespace(new, namespace)
        if not options.dry_run:
            expect_new(new)
        expect_room(self._store, kind, new, namespace)
        new = default(kind, new)
        attempts = 1 if (new.get("metadata") or {}).get("name") else _ATTEMPTS
        now = self._clock()
        for _ in range(attempts):
            made = begun(kind, born(kind, new, namespace, now))
            key = _key(kind, made)
            if self._store.get(key) is None:
                break
        if owners is not None or options.manager:
            from .ownership import created, written

            owners = owners or created(kind, new, options.manager, timestamp(now))
            made = written(kind, made, owners)
        with self._held(kind, made, None, options) as made:
            _expect_valid(kind, made, None)
            if self._store.get(key) is not None:
                raise already_exists(kind, key.name)
            if not options.dry_run:
                made = self._store.put(key, made, None)
        return Answer(made, [*told, *warnings(kind, made)], made=True)

    def _changed(
        self,
        kind: Kind,
        old: Object,
        new: Object,
        told: Sequence[str],
        options: Options,
        subresource: str,
        owners: Owners | None = None,
    ) -> Answer:
        """owners: after an apply."""
        expect_same(kind, new, old, by_revision=not kind.unconditional)
        new = scale.applied(new, old) if subresource == "scale" else default(kind, new)
        sent = new["metadata"]
        new = confined(kind, carried(new, old), old, subresource)
        if owners is not None or "managedFields" in sent or "managedFields" in old["metadata"]:
            from .ownership import after_update, written

            who, now = options.manager or _LAB, timestamp(self._clock())
            if owners is None:
                owners = after_update(kind, new, old, sent, who, subresource, now)
            new = written(kind, new, owners)
        with self._held(kind, new, old, options, subresource) as new:
            _expect_valid(kind, new, old, subresource)
            stored = self._put(kind, counted(kind, new, old), old, options)
        shown = scale.of(stored) if subresource == "scale" else stored
        warned = [] if subresource else warnings(kind, stored)
        return Answer(shown, [*told, *warned])

    def _put(self, kind: Kind, new: Object, old: Object, options: Options) -> Object:
        """Store a changed object, unless nothing has changed or nothing keeps it."""
        if unchanged(new, old):
            return old
        if deletion.finished(new):
            return self._removed(kind, new, old, options)
        return new if options.dry_run else self._store.put(_key(kind, old), new, old)

    def _removed(self, kind: Kind, last: Object, old: Object, options: Options) -> Object:
        if options.dry_run:
            return last
        if kind.kind == "Service":
            self._services.released(last)
        key = _key(kind, old)
        last = self._store.delete(key, old, last)
        if key in self._kept:
            self.create(kind, self._kept[key], key.namespace)
        return last

    def _held(
        self,
        kind: Kind,
        new: Object,
        old: Object | None,
        options: Options,
        subresource: str = "",
    ) -> AbstractContextManager[Object]:
        if kind.kind != "Service" or subresource or not new["metadata"].get("name"):
            return nullcontext(new)
        return self._services.held(new, old, dry_run=options.dry_run)


def _key(kind: Kind, value: Object) -> Key:
    return Key(kind.stored.resource, *meta(value))


def _what(kind: Kind, subresource: str) -> Kind | Subresource:
    return SCALE if subresource == "scale" else kind


def _expect_valid(kind: Kind, new: Object, old: Object | None, subresource: str = "") -> None:
    if errors := refusals(kind, new, old, subresource):
        raise invalid(kind.qualified, new["metadata"].get("name") or "", errors)

"""The end of a namespace: its contents first, then itself."""

from __future__ import annotations

from ..client import Object, meta
from ..client.api import Deletion
from ..client.informer import Key
from ..errors import ApiError
from .kinds import NAMESPACED
from .loop import Context, Controller
from .owners import by_namespace, deleting

_NOT_FOUND = 404


class Namespaces(Controller):
    """Namespaces on their way out -> nothing left in them, and their finalizer gone."""

    name = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._namespaces = context.cache("Namespace")
        self._contents = {kind: context.cache(kind) for kind in NAMESPACED}
        self._inside = {kind: c.index(by_namespace) for kind, c in self._contents.items()}
        self._namespaces.listen(lambda key, *_: self.queue.add(key))
        for cache in self._contents.values():
            cache.listen(self._content_changed)

    async def reconcile(self, key: Key) -> float | None:
        """Delete what is left in a namespace that is going; let go of it when nothing is."""
        namespace = self._namespaces.get(key)
        if namespace is None or not deleting(namespace):
            return None
        for kind, inside in self._inside.items():
            for value in [one for one in inside(key[1]) if not deleting(one)]:
                await self._end(kind, value)
        if not any(inside(key[1]) for inside in self._inside.values()):
            spec = {**(namespace.get("spec") or {}), "finalizers": []}
            await self._namespaces.update({**namespace, "spec": spec}, "finalize")
        return None

    async def _end(self, kind: str, value: Object) -> None:
        try:
            await self._contents[kind].delete(value, Deletion(propagation="Background"))
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise

    def _content_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        namespace = self._namespaces.get(("", key[0]))
        if namespace is not None and deleting(namespace):
            self.queue.add(meta(namespace))

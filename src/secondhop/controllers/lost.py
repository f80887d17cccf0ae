"""Pods on nodes that no longer exist: nobody is left to end them."""

from __future__ import annotations

from ..client import Object
from ..client.api import Deletion
from ..client.informer import Key
from ..errors import ApiError
from .loop import Context, Controller
from .pods import by_node, node_of

_NOT_FOUND = 404


class LostPods(Controller):
    """Pods and nodes -> pods removed at once. Keys are the nodes' names."""

    name = "pod-garbage-collector"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods, self._nodes = context.cache("Pod"), context.cache("Node")
        self._by_node = self._pods.index(by_node)
        self._pods.listen(self._pod_changed)
        self._nodes.listen(self._node_changed)

    async def reconcile(self, node: str) -> float | None:
        """Remove the pods of a node, if the API says that there is none of that name."""
        if not self._by_node(node) or self._nodes.get(("", node)) is not None:
            return None
        try:
            await self.context.api.get("Node", node)
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            for pod in list(self._by_node(node)):
                await self._pods.delete(pod, Deletion(grace=0))
        return None

    def _pod_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        node = node_of(after) if after is not None else ""
        if node and self._nodes.get(("", node)) is None:
            self.queue.add(node)

    def _node_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is None:
            self.queue.add(key[1])

"""What stands behind each Service: read once for each change, for slices and Endpoints alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..client import Object, meta
from ..client.informer import Key
from ..manifests.cluster import selection_of
from ..manifests.endpoints import Member, Selection, members
from ..manifests.nodes import read_node
from ..manifests.pods import read_pods
from ..manifests.resource import stored
from ..manifests.services import Declared, read_service
from ..model.cluster import Family, Node, Pod
from .loop import Context

VERSIONS: dict[str, Family] = {"IPv4": 4, "IPv6": 6}


class Backend(NamedTuple):
    """An address behind a Service, the pod whose it is, and the zone of its node."""

    member: Member
    pod: Object
    zone: str | None


class Backends:
    """The pods behind the Services whose endpoints the control plane writes."""

    def __init__(self, context: Context) -> None:
        self._version = context.settings.kube_version
        self._objects = context.cache("Pod")
        self.services = context.cache("Service")
        self._pods: dict[str, dict[str, Pod]] = {}
        self._selections: dict[str, dict[str, Selection]] = {}
        self._nodes: dict[str, Node] = {}
        self._heard: list[Callable[[Key], None]] = []
        self._objects.listen(self._pod_changed)
        self.services.listen(self._service_changed)
        context.cache("Node").listen(self._node_changed)

    def listen(self, heard: Callable[[Key], None]) -> None:
        """Be told of Services whose backends have changed, or that have changed themselves."""
        self._heard.append(heard)

    def selection(self, key: Key) -> Selection | None:
        """How a Service chooses its pods; None if that is somebody else's business."""
        return self._selections.get(key[0], {}).get(key[1])

    def of(self, key: Key, families: set[Family]) -> Iterator[Backend]:
        """Everything behind a Service that has a selection, in the order of the pods' names."""
        selection = self.selection(key)
        pods = self._pods.get(key[0], {})
        if selection is None:
            return
        for one in members(selection, (pods[n] for n in sorted(pods)), self._nodes, families):
            pod = self._objects.get((key[0], one.endpoint.pod))
            if pod is not None:
                node = self._nodes.get(one.endpoint.node or "")
                yield Backend(one, pod, node.zone if node else None)

    def _pod_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        here = self._pods.setdefault(key[0], {})
        was = here.pop(key[1], None)
        found = [] if after is None else [one.pod for one in read_pods([stored(after)])]
        here.update({pod.name: pod for pod in found})
        uids = {value["metadata"]["uid"] for value in (before, after) if value is not None}
        if found == [was] and len(uids) == 1:
            return
        labels = [pod.labels for pod in (was, *found) if pod is not None]
        for name, selection in self._selections.get(key[0], {}).items():
            if any(selection.selector.items() <= own.items() for own in labels):
                self._tell((key[0], name))

    def _service_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        here = self._selections.setdefault(key[0], {})
        here.pop(key[1], None)
        declared = read_service(stored(after)) if after is not None else None
        if isinstance(declared, Declared) and declared.selector:
            here[key[1]] = selection_of(declared, self._version)
        self._tell(key)

    def _node_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        was = self._nodes.pop(key[1], None)
        now = read_node(stored(after)) if after is not None else None
        if now is not None:
            self._nodes[key[1]] = now
        if was is None or now is None or was.zone != now.zone:
            for service in self.services:
                self._tell(meta(service))

    def _tell(self, key: Key) -> None:
        for heard in self._heard:
            heard(key)

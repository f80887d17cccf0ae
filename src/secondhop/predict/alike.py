"""Nodes that treat the outside client alike, so that one of them speaks for all.

Clusters have thousands of nodes and Services. What becomes of a connection hangs on what the entry
node is to the Service: how many of its pods are there, which zone it is of. Nodes of which that is
the same are alike, and only those that the endpoints name have to be looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..model.cluster import Endpoint, Family, Node, ServicePortName
from .path import Paths
from .services import Target

_Group: TypeAlias = Mapping[str, Node]
"""Nodes by name."""


class Alike:
    """Nodes that treat a flow alike: a group, without some of its own."""

    def __init__(self, group: _Group, without: Collection[str] = ()) -> None:
        self._group = group
        self._without = frozenset(name for name in without if name in group)

    def __iter__(self) -> Iterator[Node]:
        return (node for name, node in self._group.items() if name not in self._without)

    def __len__(self) -> int:
        return len(self._group) - len(self._without)

    def has(self, name: str) -> bool:
        """Whether the node of this name is one of them."""
        return name in self._group and name not in self._without

    @property
    def names(self) -> Names:
        """The same, by name."""
        return Names(self)

    @property
    def first(self) -> Node:
        """The first of them in the cluster's order."""
        return next(iter(self))


class Names:
    """The names of nodes that are alike."""

    def __init__(self, nodes: Alike) -> None:
        self._nodes = nodes

    def __iter__(self) -> Iterator[str]:
        return (node.name for node in self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


class Kinds(NamedTuple):
    """The kind of each node, by name, and the nodes of each kind."""

    of: Mapping[str, object]
    groups: Mapping[object, _Group]


class Roles:
    """What the nodes of a cluster are to each service port.

    by_hops: tell nodes apart that add a hop or none.
    """

    def __init__(self, paths: Paths, *, by_hops: bool = False) -> None:
        self.paths = paths
        self.by_hops = by_hops
        self.order = {node.name: n for n, node in enumerate(paths.cluster.nodes)}
        self._kinds: dict[tuple[Family, bool], Kinds] = {}
        client = (paths.routes.host(i.ip) for i in paths.cluster.client)
        self._clients = {host.name for host in client if host is not None}

    def own(self, target: Target) -> bool:
        """Whether each node hands the client's connections to pods of its own only."""
        client = next(i.ip for i in self.paths.cluster.client if i.version == target.family)
        return target.external_local and not self.paths.proxy.from_pod(client)

    def groups(self, target: Target) -> list[Alike]:
        """All nodes, in groups that treat the client's connections to a service port alike."""
        own = self.own(target)
        role = self._own_role if own else self._role
        roles = {
            name: role(target, node, held)
            for name, held in self._named(target, own=own).items()
            if (node := self.paths.routes.node(name)) is not None
        }
        by_zone = not own and any(e.zone_hints for e in target.endpoints)
        return self.grouped(self.by_doubt([target.name], roles), target.family, by_zone=by_zone)

    def by_doubt(
        self, names: Sequence[ServicePortName], roles: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The roles; of all nodes where some pods are not placed, for nodes differ in what may yet
        come to them."""
        fate = self.paths.placements.same_fate
        if fate(names, None) is None:
            return roles
        return {n.name: (roles.get(n.name), fate(names, n)) for n in self.paths.cluster.nodes}

    def grouped(
        self, roles: Mapping[str, object], family: Family, *, by_zone: bool = False
    ) -> list[Alike]:
        """All nodes, by their kinds and by these roles of some, by name."""
        kinds = self.kinds(family, by_zone=by_zone)
        special: dict[object, dict[str, Node]] = {}
        for name in sorted(roles.keys() & self.order.keys(), key=self.order.__getitem__):
            special.setdefault((roles[name], kinds.of[name]), {})[name] = self.paths.node(name)
        rest = (Alike(group, roles) for group in kinds.groups.values())
        return [*map(Alike, special.values()), *(nodes for nodes in rest if len(nodes))]

    def _named(self, target: Target, *, own: bool) -> dict[str, list[Endpoint]]:
        """The nodes that may be others to this Service than the rest of their kind, by name. With
        the endpoints that name them or, if they serve all pods, those there that matter."""
        names: dict[str, list[Endpoint]] = {name: [] for name in self._clients}
        for endpoint in target.endpoints:
            if own:
                names.setdefault(endpoint.node or "", []).append(endpoint)
                continue
            routes = self.paths.routes
            home = routes.place(endpoint).node if self.by_hops else routes.host(endpoint.address)
            if home is not None:
                names.setdefault(home.name, []).append(endpoint)
            for name in endpoint.node_hints:
                names.setdefault(name, [])
        return names

    def _own_role(self, target: Target, node: Node, held: Iterable[Endpoint]) -> object:
        """What a node is to a Service of which it serves its own pods: how many there are. Whose
        pods are really elsewhere is like no other."""
        usable = target.usable(node)
        if any(self.paths.routes.place(e).node is not node for e in usable.local):
            return node.name
        return len(usable.local), usable.ready_here, any(e.ready or e.serving for e in held)

    def _role(self, target: Target, node: Node, held: Iterable[Endpoint]) -> object:
        """What a node is to a Service of which it serves all pods: it hides no client from what is
        on its own host network. Whom a hint names is like no other."""
        if node.name in target.listed.for_node:
            return node.name
        place = self.paths.routes.place
        traits = ((e.ready, e.serving, e.terminating, e.zone_hints, place(e).on_host) for e in held)
        return tuple(traits)

    def _kind(self, node: Node, family: Family, *, by_zone: bool) -> object:
        """What tells a node from others, whatever the Service."""
        address = node.address(family)
        return (
            by_zone and node.zone,
            node.excluded,
            node.deleting,
            node.pod_cidr(family) is None,
            address is not None,
            address is not None and self.paths.proxy.answers_node_ports(node, address),
        )

    def kinds(self, family: Family, *, by_zone: bool) -> Kinds:
        """All nodes by their kind."""
        key = family, by_zone
        if key not in self._kinds:
            of = {n.name: self._kind(n, family, by_zone=by_zone) for n in self.paths.cluster.nodes}
            groups: dict[object, dict[str, Node]] = {}
            for node in self.paths.cluster.nodes:
                groups.setdefault(of[node.name], {})[node.name] = node
            self._kinds[key] = Kinds(of, groups)
        return self._kinds[key]

"""Random clusters with Services, as the documents that `secondhop run --all -f` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from hypothesis import strategies as st
from support import world

from secondhop.manifests import World

Document = dict[str, Any]

FAMILIES = ((4,), (4,), (4, 6), (4, 6), (6,))
PORTS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("http", "TCP"),),
    (("http", "TCP"),),
    (("dns", "UDP"),),
    (("http", "TCP"), ("dns", "UDP")),
)
CONDITIONS: tuple[dict[str, bool], ...] = (
    {},
    {},
    {},
    {"ready": False, "serving": False},
    {"ready": False, "serving": True, "terminating": True},
    {"ready": False, "serving": False, "terminating": True},
    {"ready": False},
)
ZONES = (None, "zone-a", "zone-a", "zone-b")
POLICIES = ("Cluster", "Local")
TYPES = ("ClusterIP", "NodePort", "NodePort", "LoadBalancer", "LoadBalancer")
OUTSIDE = {4: ("203.0.113.10", "203.0.113.20"), 6: ("2001:db8::10", "2001:db8::20")}
RANGES = (
    ("192.168.22.0/24",),
    ("10.1.0.0/16", "fd00:1::/32"),
    ("198.51.100.0/24",),
    ("10.42.0.0/16", "fd00:42::/48"),
    ("fd00:192:168:22::/64",),
    ("0.0.0.0/0",),
)
NODE_PORT_ADDRESSES = (
    None,
    None,
    None,
    ["primary"],
    ["0.0.0.0/0", "::/0"],
    ["10.1.0.0/24", "fd00:1::/64"],
    ["100.64.0.0/24"],
)


@dataclass(frozen=True)
class Drawn:
    """Documents, and what no document of ours can say: settings of kube-proxy and flannel."""

    documents: list[Document]
    proxy: dict[str, Any] = field(default_factory=dict)
    cni: dict[str, Any] = field(default_factory=dict)

    def world(self) -> World:
        """What the command would build of it."""
        built = world(*self.documents)
        cluster = replace(
            built.cluster,
            proxy=replace(built.cluster.proxy, **self.proxy),
            cni=replace(built.cluster.cni, **self.cni),
        )
        return replace(built, cluster=cluster)

    def __str__(self) -> str:
        """A file that shows the same again."""
        said = "".join(f"# not to be said here: {self.proxy | self.cni}\n" * self.is_odd)
        return said + yaml.safe_dump_all(self.documents, sort_keys=False)

    @property
    def is_odd(self) -> bool:
        """Whether the documents do not say all."""
        return bool(self.proxy or self.cni)


@dataclass(frozen=True)
class Machine:
    """A node as drawn; its number makes its addresses."""

    name: str
    number: int
    addresses: tuple[str, ...]
    families: tuple[int, ...]

    def pod(self, family: int, number: int) -> str:
        return (
            f"10.42.{self.number}.{number}"
            if family == 4
            else f"fd00:42:0:{self.number}::{number:x}"
        )

    def nic(self, family: int) -> str:
        return next(one for one in self.addresses if (":" in one) == (family == 6))


@st.composite
def drawn(draw: st.DrawFn, mode: str) -> Drawn:
    """A cluster of one to four nodes and up to three Services, in one mode of kube-proxy."""
    families = draw(st.sampled_from(FAMILIES))
    backend = draw(st.sampled_from(("vxlan", "vxlan", "host-gw")))
    count = draw(st.sampled_from((2, 2, 3, 1, 4)))
    machines = [draw(_machine(number, families, backend)) for number in range(count)]
    services = draw(st.sampled_from((1, 1, 2, 3)))
    documents = [draw(_lab(machines, families, backend, mode))]
    for number in range(services):
        documents += draw(_service(number, machines, families))
    proxy: dict[str, Any] = {}
    cni: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 3:
        proxy["masquerade_all"] = draw(st.booleans())
        if draw(st.booleans()):
            proxy["detect_local"] = ()
        cni["masquerade"] = draw(st.booleans())
    return Drawn(documents, proxy, cni)


@st.composite
def _machine(
    draw: st.DrawFn, number: int, families: Sequence[int], backend: str
) -> tuple[Machine, str | None]:
    segment = draw(st.integers(0, 2)) if backend == "vxlan" else 0
    at = {4: f"10.1.{segment}.{10 + number}", 6: f"fd00:1:0:{segment}::{10 + number}"}
    addresses = [at[family] for family in families]
    if 4 in families and draw(st.integers(0, 3)) == 3:
        addresses.append(f"10.1.{segment}.{110 + number}")
    if 4 in families and draw(st.integers(0, 3)) == 3:
        addresses.append(f"100.64.0.{10 + number}")
    if 6 in families and draw(st.integers(0, 3)) == 3:
        addresses += [f"fd00:1:0:{segment}::{110 + number}", f"fd00:64::{10 + number}"]
    made = Machine(f"node-{number}", number, tuple(addresses), tuple(families))
    return made, draw(st.sampled_from(ZONES))


@st.composite
def _lab(
    draw: st.DrawFn,
    machines: Sequence[tuple[Machine, str | None]],
    families: Sequence[int],
    backend: str,
    mode: str,
) -> Document:
    pods = {4: "10.42.0.0/16", 6: "fd00:42::/48"}
    services = {4: "10.43.0.0/16", 6: "fd00:43::/112"}
    beside = draw(st.booleans())
    clients = (
        {4: "10.1.0.200", 6: "fd00:1::200"}
        if beside
        else {
            4: "192.168.22.2",
            6: "fd00:192:168:22::2",
        }
    )
    nodes = []
    for machine, zone in machines:
        node: Document = {
            "name": machine.name,
            "addresses": list(machine.addresses),
            "podCIDRs": [machine.pod(f, 0) + ("/24" if f == 4 else "/64") for f in families],
        }
        nodes.append(node | ({"zone": zone} if zone else {}))
    accepted = draw(st.sampled_from(NODE_PORT_ADDRESSES))
    return {
        "apiVersion": "secondhop/v1",
        "kind": "Lab",
        "client": {"addresses": [clients[family] for family in families]},
        "nodes": nodes,
        "network": {
            "backend": backend,
            "podCIDRs": [pods[family] for family in families],
            "serviceCIDRs": [services[family] for family in families],
        },
        "proxy": {"mode": mode} | ({"nodePortAddresses": accepted} if accepted else {}),
    }


@st.composite
def _service(
    draw: st.DrawFn,
    number: int,
    machines: Sequence[tuple[Machine, str | None]],
    families: tuple[int, ...],
) -> list[Document]:
    """A Service without a selector, and its EndpointSlices. Its ports are its own: who wins, where
    two Services claim one address and port, nobody knows (semantics §3.2)."""
    kind = draw(st.sampled_from(TYPES))
    own = draw(st.sampled_from([families, families, families[:1], families[::-1]]))
    ports = draw(st.sampled_from(PORTS))
    nodes = [machine for machine, _ in machines]
    outside = [ip for family in own for ip in (*OUTSIDE[family], nodes[0].nic(family))]
    addresses = st.lists(st.sampled_from(outside), min_size=1, max_size=2, unique=True)
    numbered = kind == "NodePort" or (kind == "LoadBalancer" and draw(st.integers(0, 4)) < 4)
    spec: Document = {
        "type": kind,
        "clusterIPs": [
            f"10.43.0.{10 + number}" if f == 4 else f"fd00:43::{10 + number}" for f in own
        ],
        "ipFamilies": [f"IPv{family}" for family in own],
        "ipFamilyPolicy": "RequireDualStack" if len(own) == 2 else "SingleStack",
        "internalTrafficPolicy": draw(st.sampled_from(("Cluster", *POLICIES))),
        "ports": [
            {"name": name, "protocol": protocol, "port": 80 + number, "targetPort": 8000}
            | ({"nodePort": 30000 + number} if numbered else {})
            for name, protocol in ports
        ],
    }
    spec["clusterIP"] = spec["clusterIPs"][0]
    if draw(st.integers(0, 2)) == 2:
        spec["externalIPs"] = draw(addresses)
    if kind != "ClusterIP" or spec.get("externalIPs"):
        spec["externalTrafficPolicy"] = draw(st.sampled_from(POLICIES))
    ingress = []
    if kind == "LoadBalancer":
        spec["allocateLoadBalancerNodePorts"] = numbered
        if spec["externalTrafficPolicy"] == "Local":
            spec["healthCheckNodePort"] = 32000 + number
        if draw(st.integers(0, 2)) == 2:
            spec["loadBalancerSourceRanges"] = list(draw(st.sampled_from(RANGES)))
        modes = st.sampled_from(("VIP", "VIP", "Proxy"))
        ingress = [{"ip": ip, "ipMode": draw(modes)} for ip in draw(addresses)]
    if draw(st.integers(0, 4)) == 4:
        spec["sessionAffinity"] = "ClientIP"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"web-{number}"},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    endpoints = draw(_endpoints(number, machines))
    return [service, *(_slice(number, family, ports, endpoints) for family in own)]


@dataclass(frozen=True)
class Backend:
    """A pod as drawn, without its address of a family."""

    machine: Machine
    number: int
    on_host: bool
    named_node: bool
    fields: Document


@st.composite
def _endpoints(
    draw: st.DrawFn, service: int, machines: Sequence[tuple[Machine, str | None]]
) -> list[Backend]:
    hints = draw(st.sampled_from(("none", "none", "zones", "nodes", "some")))
    found: list[Backend] = []
    for number in range(draw(st.sampled_from((2, 1, 3, 0, 4)))):
        machine, zone = draw(st.sampled_from(machines))
        on_host = draw(st.integers(0, 6)) == 6
        if on_host and any(one.on_host and one.machine is machine for one in found):
            continue
        fields: Document = {"conditions": draw(st.sampled_from(CONDITIONS))}
        if hints != "none" and (hints != "some" or draw(st.booleans())):
            fields["hints"] = {
                "forZones": [{"name": zone or draw(st.sampled_from(("zone-a", "x")))}]
            }
            if hints == "nodes":
                fields["hints"]["forNodes"] = [{"name": machine.name}]
        named = draw(st.integers(0, 15)) < 15
        found.append(Backend(machine, 2 + 10 * service + number, on_host, named, fields))
    return found


def _slice(
    service: int, family: int, ports: Sequence[tuple[str, str]], endpoints: Sequence[Backend]
) -> Document:
    listed = []
    for one in endpoints:
        address = one.machine.nic(family) if one.on_host else one.machine.pod(family, one.number)
        name = f"host-{one.machine.number}" if one.on_host else f"web-{service}-{one.number}"
        entry = {"addresses": [address], "targetRef": {"kind": "Pod", "name": name}, **one.fields}
        listed.append(entry | ({"nodeName": one.machine.name} if one.named_node else {}))
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"web-{service}-{family}",
            "labels": {"kubernetes.io/service-name": f"web-{service}"},
        },
        "addressType": f"IPv{family}",
        "ports": [{"name": name, "protocol": protocol, "port": 8000} for name, protocol in ports],
        "endpoints": listed,
    }

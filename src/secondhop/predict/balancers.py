"""The balancers that stand in front of clusters: what each watches, and how it sends.

docs/balancers.md says where each of these rows comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..model.cluster import Service

Watch: TypeAlias = Literal["nothing", "health checks", "serving endpoints", "ready endpoints"]


@dataclass(frozen=True, slots=True)
class Balancer:
    """A way to spread connections over nodes.

    watches: what keeps a node out. one_node: a single node holds the address. weighted: by the
    X-Load-Balancing-Endpoint-Weight header of health checks. proxies: it opens connections of its
    own to node ports, so that nodes see its address. node_addresses: the nodes' own addresses are
    the load balancer IPs. heeds_exclusion: never sends to excluded nodes (`Node.excluded`).
    typed: it serves Services of type LoadBalancer only. detection: seconds until it leaves out a
    node that is gone; None: never.
    """

    watches: Watch = "nothing"
    one_node: bool = False
    weighted: bool = False
    proxies: bool = False
    node_addresses: bool = False
    heeds_exclusion: bool = False
    typed: bool = False
    detection: float | None = None


BALANCERS: Mapping[str, Balancer] = {
    "every-node": Balancer(),
    "healthy-nodes": Balancer("health checks", detection=3),
    "weighted": Balancer("health checks", weighted=True, detection=3),
    "single-node": Balancer(one_node=True),
    "snat-proxy": Balancer("health checks", proxies=True, detection=3),
    "metallb-l2": Balancer(
        "serving endpoints", one_node=True, heeds_exclusion=True, typed=True, detection=3
    ),
    "metallb-bgp": Balancer("serving endpoints", heeds_exclusion=True, typed=True, detection=90),
    "k3s-servicelb": Balancer("ready endpoints", node_addresses=True, typed=True, detection=50),
    "cloud-passthrough": Balancer("health checks", heeds_exclusion=True, typed=True, detection=24),
    "cloud-proxy": Balancer("health checks", proxies=True, heeds_exclusion=True, detection=30),
}
"""Five models, and presets named for what people run."""


def in_front_of(service: Service, name: str) -> str:
    """The balancer of that name; every-node for a Service of a type that it does not serve."""
    return "every-node" if BALANCERS[name].typed and service.type != "LoadBalancer" else name

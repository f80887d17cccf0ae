"""Checks of objects, and of clusters of the model as if they were the input."""

from __future__ import annotations

import json
from typing import Any

from secondhop.check import check, read_requirements
from secondhop.manifests import Declared, Document, Examined, Resource, World, examine, read_text
from secondhop.manifests.lab import Lab
from secondhop.manifests.problems import Problems
from secondhop.manifests.read import Source
from secondhop.model.cluster import Cluster
from secondhop.model.finding import Check

NODES = [
    {"name": f"n{k}", "address": f"10.1.0.{k}", "podCIDR": f"10.42.{k}.0/24"} for k in range(1, 4)
]


PLACES = {"web": [node["name"] for node in NODES]}
"""Where a Lab puts the replicas of Deployment web."""


def checked(*objects: dict[str, Any], require: str = "", **options: Any) -> Check:
    """The check of these objects, each a document of one file."""
    text = "\n---\n".join(json.dumps(one) for one in objects)
    return text_checked(text, require=require, **options)


def text_checked(
    text: str, *, require: str = "", balancer: str = "every-node", **how: Any
) -> Check:
    examined = examine(read_text(text, "web.yaml"), **how)
    asked = read_requirements([require]) if require else ()
    return check(examined, balancer=balancer, asked=asked)


def cluster_checked(cluster: Cluster, *, balancer: str = "every-node", require: str = "") -> Check:
    """The check of a cluster's Services, as if its nodes had been given."""
    lab = Lab(cluster.client, cluster.nodes, cluster.cni, cluster.proxy)
    services = tuple(
        Declared(
            Resource(
                Document({"spec": {}}, Source("-", ""), start=0),
                "Service",
                service.namespace,
                service.name,
                Problems(),
            ),
            {"spec": {"clusterIP": str(service.cluster_ips[0])}},
            service,
            {"app": "web"},
            tuple(port.port for port in service.ports),
            False,
            "",
        )
        for service in cluster.services
    )
    examined = Examined(World(cluster, lab, {}, (), ()), (), (), services)
    asked = read_requirements([require]) if require else ()
    return check(examined, balancer=balancer, asked=asked)


def ids(found: Check) -> list[str]:
    return [finding.id for finding in found.findings]


def holds(found: Check) -> dict[str, str]:
    return {requirement.name: requirement.holds for requirement in found.requirements}

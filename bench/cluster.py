#!/usr/bin/env python3
"""Writes a large cluster as `kubectl get -o json` does, or as YAML: bench/cluster.py FILE PARTS

of 1/PARTS of 5,000 nodes, 10,000 Services and 50,000 endpoints. Drawn from a seed, everything for
each Service: types, ports, policies, ranges, addresses, affinity, hints, conditions, placement;
with EndpointSlices or, if FILE has `pods` in its name, with Pods to derive them from.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

NODES, SERVICES, ENDPOINTS = 5_000, 10_000, 50_000
ZONES = 3
POD_RANGE, SERVICE_RANGE, NODE_RANGE, OUTSIDE = (
    int(IPv4Address(text)) for text in ("10.64.0.0", "10.0.0.0", "172.16.0.0", "198.18.0.0")
)
NODE_PORTS = range(10_000, 60_000)
Object = dict[str, Any]


class Drawn:
    """One cluster of a size, as API objects."""

    def __init__(self, parts: int) -> None:
        self.draw = random.Random(parts)
        self.nodes = NODES // parts
        self.services = SERVICES // parts
        self.each = ENDPOINTS / SERVICES
        self.ports = iter(self.draw.sample(NODE_PORTS, min(len(NODE_PORTS), 5 * self.services)))
        self.namespaces = [f"team-{n}" for n in range(1 + self.services // 100)]
        self.number = 0
        self.used = [2] * self.nodes

    def objects(self, *, slices: bool) -> Iterator[Object]:
        """Nodes, then each Service with its EndpointSlice, or with its Pods instead."""
        for n in range(self.nodes):
            yield self.node(n)
        for n in range(self.services):
            service, ready = self.service(n)
            yield service
            pods = [self.pod(service, k) for k in range(ready)]
            yield from [self.slice(service, pods)] if slices and pods else pods

    def meta(self, name: str, namespace: str = "", **more: Any) -> Object:
        self.number += 1
        found: Object = {
            "creationTimestamp": "2025-03-01T12:00:00Z",
            **more,
            "name": name,
            "resourceVersion": f"{100_000 + self.number}",
            "uid": f"{self.draw.getrandbits(128):032x}",
        }
        return found | ({"namespace": namespace} if namespace else {})

    def node(self, n: int) -> Object:
        labels = {
            "kubernetes.io/hostname": f"node-{n}",
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": "eu-1",
            "topology.kubernetes.io/zone": f"eu-1{'abc'[n % ZONES]}",
        }
        cidr = f"{IPv4Address(POD_RANGE + 256 * n)}/24"
        condition = {"lastHeartbeatTime": "2025-03-01T12:00:00Z", "status": "False"}
        kinds = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
        host = str(IPv4Address(NODE_RANGE + n // 200 * 256 + n % 200 + 10))
        addresses = [("InternalIP", host), ("Hostname", f"node-{n}")]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": self.meta(f"node-{n}", labels=labels),
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "providerID": f"cloud://eu-1/i-{n:08x}"},
            "status": {
                "addresses": [{"type": kind, "address": text} for kind, text in addresses],
                "capacity": {"cpu": "16", "memory": "65536Mi", "pods": "250"},
                "conditions": [
                    {"type": kind, **condition, "reason": f"Kubelet{kind}"} for kind in kinds
                ],
                "nodeInfo": {"kubeletVersion": "v1.36.2", "architecture": "amd64"},
            },
        }

    def service(self, n: int) -> tuple[Object, int]:
        """A Service and how many pods it has: few have many, some have none."""
        draw = self.draw
        kinds = "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"
        kind = draw.choices(kinds, (49, 25, 25, 1))[0]
        name, namespace = f"app-{n}", draw.choice(self.namespaces)
        count = min(int(draw.expovariate(1 / self.each) + 0.5), 4 * self.nodes)
        spec: Object = {"type": kind, "sessionAffinity": "None"}
        status: Object = {"loadBalancer": {}}
        if kind == "ExternalName":
            spec |= {"externalName": f"{name}.example.com"}
            return self._service(name, namespace, spec, status), 0
        spec |= {"selector": {"app": name}, "ports": [], "ipFamilyPolicy": "SingleStack"}
        spec |= {"ipFamilies": ["IPv4"]}
        spec |= {"internalTrafficPolicy": draw.choice(("Cluster", "Cluster", "Local"))}
        headless = kind == "ClusterIP" and draw.random() < 0.1
        spec["clusterIP"] = "None" if headless else str(IPv4Address(SERVICE_RANGE + 10 + n))
        spec["clusterIPs"] = [spec["clusterIP"]]
        for k in range(draw.randint(1, 3)):
            protocol = draw.choice(("TCP", "TCP", "TCP", "UDP"))
            port = {"name": f"p{k}", "port": 80 + k, "protocol": protocol, "targetPort": 8080 + k}
            if kind != "ClusterIP":
                port["nodePort"] = next(self.ports)
            spec["ports"].append(port)
        if draw.random() < 0.2:
            seconds = draw.choice((600, 10_800))
            spec |= {"sessionAffinity": "ClientIP"}
            spec |= {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}}
        if draw.random() < 0.2:
            wanted = draw.choice(("Close", "SameZone", "SameNode"))
            spec["trafficDistribution"] = f"Prefer{wanted}"
        if not headless and draw.random() < 0.05:
            spec["externalIPs"] = [str(IPv4Address(OUTSIDE + 100_000 + n))]
        if kind != "ClusterIP" or "externalIPs" in spec:
            spec["externalTrafficPolicy"] = draw.choice(("Cluster", "Local"))
        if kind == "LoadBalancer":
            mode = draw.choice(("VIP", "VIP", "Proxy"))
            entry = {"ip": str(IPv4Address(OUTSIDE + n)), "ipMode": mode}
            status = {"loadBalancer": {"ingress": [entry]}}
            spec["allocateLoadBalancerNodePorts"] = True
            if spec["externalTrafficPolicy"] == "Local":
                spec["healthCheckNodePort"] = next(self.ports)
            if draw.random() < 0.2:
                spec["loadBalancerSourceRanges"] = draw.sample(
                    ("192.168.0.0/16", "203.0.113.0/24", "10.64.0.0/10", "198.51.100.0/24"), 2
                )
        return self._service(name, namespace, spec, status), count

    def _service(self, name: str, namespace: str, spec: Object, status: Object) -> Object:
        labels = {"app": name, "tier": self.draw.choice(("web", "api", "data"))}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.meta(name, namespace, labels=labels),
            "spec": spec,
            "status": status,
        }

    def pod(self, service: Object, k: int) -> Object:
        """A pod of the Service: ready, not ready, or on its way out."""
        draw, n = self.draw, self.draw.randrange(self.nodes)
        host = draw.random() < 0.02
        number, self.used[n] = self.used[n], self.used[n] + 1
        node_ip = str(IPv4Address(NODE_RANGE + n // 200 * 256 + n % 200 + 10))
        ip = node_ip if host else str(IPv4Address(POD_RANGE + 256 * n + number))
        name, leaving = f"{service['metadata']['name']}-{k}", draw.random() < 0.05
        ready = draw.random() < 0.9
        metadata = self.meta(
            name, service["metadata"]["namespace"], labels=service["spec"]["selector"]
        ) | ({"deletionTimestamp": "2025-03-02T12:00:00Z"} if leaving else {})
        ports = [
            {"containerPort": p["targetPort"], "name": p["name"], "protocol": p["protocol"]}
            for p in service["spec"]["ports"]
        ]
        container = {"name": "app", "image": "example.com/app:1", "ports": ports, "resources": {}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container], "nodeName": f"node-{n}", "hostNetwork": host},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "hostIP": node_ip,
                "podIP": ip,
                "podIPs": [{"ip": ip}],
            },
        }

    def slice(self, service: Object, pods: list[Object]) -> Object:
        metadata, spec = service["metadata"], service["spec"]
        labels = {
            "kubernetes.io/service-name": metadata["name"],
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        if spec["clusterIP"] == "None":
            labels["service.kubernetes.io/headless"] = ""
        suffix = f"{metadata['name']}-{self.draw.getrandbits(20):05x}"
        return {
            "addressType": "IPv4",
            "apiVersion": "discovery.k8s.io/v1",
            "endpoints": [_endpoint(pod, spec.get("trafficDistribution", "")) for pod in pods],
            "kind": "EndpointSlice",
            "metadata": self.meta(suffix, metadata["namespace"], labels=labels),
            "ports": [
                {"name": p["name"], "port": p["targetPort"], "protocol": p["protocol"]}
                for p in spec["ports"]
            ],
        }


def _endpoint(pod: Object, distribution: str) -> Object:
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    zone = f"eu-1{'abc'[int(node.removeprefix('node-')) % ZONES]}"
    serving = pod["status"]["conditions"][0]["status"] == "True"
    leaving = "deletionTimestamp" in pod["metadata"]
    ready = serving and not leaving
    hints: Object = {"forZones": [{"name": zone}]} if distribution and ready else {}
    if hints and distribution == "PreferSameNode":
        hints["forNodes"] = [{"name": node}]
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": leaving},
        **({"hints": hints} if hints else {}),
        "nodeName": node,
        "targetRef": {"kind": "Pod", "name": name, "namespace": pod["metadata"]["namespace"]},
        "zone": zone,
    }


def main() -> None:
    path, parts = Path(sys.argv[1]), int(sys.argv[2])
    items = list(Drawn(parts).objects(slices="pods" not in path.name))
    whole = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}}
    if path.suffix == ".json":
        path.write_text(json.dumps(whole, indent=4))
        return
    import yaml

    plain = json.loads(json.dumps(whole))  # no object twice, so no anchors
    with path.open("w") as file:
        yaml.dump(plain, file, Dumper=yaml.CSafeDumper)


if __name__ == "__main__":
    main()

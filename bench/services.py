"""Services and their endpoints on an API over HTTPS, and how they change."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import Iterable
from http.client import HTTPSConnection
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from machines import NODE, OLD, PODS, SERVICES

from secondhop.client.kubeconfig import read_kubeconfig
from secondhop.lab.netns import Namespace
from secondhop.lab.rtnetlink import Netlink

FIRST_POD, FIRST_SERVICE = IPv4Address("10.42.0.10"), IPv4Address("10.96.0.10")
NODE_PORTS = 2500
API_PORT = 6443
IDLE = 2.0
"""Seconds after which a connection to the API is not used again: it hangs up after five."""
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def serve(nodes: Iterable[Netlink], access: Path, ready: int) -> None:
    """An API that every node finds on its own 127.0.0.1; a kubeconfig for it. ready: a descriptor
    that is told when it answers."""
    from served import served

    from secondhop.apiserver.http.kubeconfig import kubeconfig
    from secondhop.lab.nodeapi import listeners

    async def main() -> None:
        async with served(listeners(nodes, API_PORT), SERVICES) as (_, credentials):
            access.write_text(kubeconfig("bench", f"https://127.0.0.1:{API_PORT}", credentials))
            os.write(ready, b".")
            await asyncio.Event().wait()

    asyncio.run(main())


class Api:
    """One connection to it, from a namespace."""

    def __init__(self, namespace: Namespace, access: Path) -> None:
        found = read_kubeconfig(access)
        tls = ssl.create_default_context(cadata=found.authority)
        self._http = HTTPSConnection("127.0.0.1", API_PORT, context=tls)
        self._headers = {"Authorization": f"Bearer {found.token}"}
        self._namespace, self._used = namespace, 0.0

    def ask(self, method: str, path: str, value: Any, media: str = "application/json") -> None:
        """Raises AssertionError if it is refused."""
        if time.monotonic() - self._used > IDLE:
            self._http.close()
            with self._namespace:
                self._http.connect()
        headers = {**self._headers, "Content-Type": media}
        self._http.request(method, path, json.dumps(value), headers)
        answer = self._http.getresponse()
        said = answer.read()
        self._used = time.monotonic()
        assert answer.status < 300, said


def pods_of(number: int, endpoints: int) -> list[str]:
    """Addresses, others for each Service as long as there are some."""
    many = PODS.num_addresses - 100
    return [str(FIRST_POD + (number * endpoints + k) % many) for k in range(endpoints)]


def furnish(api: Api, services: int, endpoints: int) -> None:
    """NodePort Services while there are node ports, then cluster IPs alone."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}}
    api.ask("POST", "/api/v1/nodes", node)
    addresses = [{"type": "InternalIP", "address": str(NODE.ip)}]
    status = {"status": {"addresses": addresses}}
    api.ask("PATCH", "/api/v1/nodes/node/status", status, "application/merge-patch+json")
    for number in range(services):
        name = f"web-{number}"
        ports: dict[str, Any] = {"name": "p", "port": 80, "targetPort": OLD}
        if number < NODE_PORTS:
            ports["nodePort"] = 30000 + number
        spec: dict[str, Any] = {
            "type": "NodePort" if number < NODE_PORTS else "ClusterIP",
            "clusterIP": str(FIRST_SERVICE + number),
            "ports": [ports],
        }
        metadata = {"name": name}
        value: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
        value["spec"] = spec
        api.ask("POST", "/api/v1/namespaces/default/services", value)
        labels = {"kubernetes.io/service-name": name}
        value = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "p", "port": OLD, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [address], "nodeName": "node", "conditions": {"ready": True}}
                for address in pods_of(number, endpoints)
            ],
        }
        api.ask("POST", SLICES, value)


def moved(api: Api, number: int, port: int) -> None:
    """The endpoints of a Service listen on another port."""
    ports = {"ports": [{"name": "p", "port": port, "protocol": "TCP"}]}
    api.ask("PATCH", f"{SLICES}/web-{number}", ports, "application/merge-patch+json")

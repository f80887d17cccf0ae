"""The objects of a model cluster, as an API server would have stored them: how an experiment puts
its world before kubelets and proxies, who know nothing but the API.

Pods are placed and addressed already. What the lab cannot run is stood in for by whoami on the
ports that count: where traffic lands does not depend on what answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ..apiserver.kinds import KINDS
from ..apiserver.store import Key, Store
from ..client import Api, Object
from ..client.informer import Informer
from ..manifests.service_model import PROXY_NAME
from ..model.cluster import Cluster, Container, Endpoint, Pod, Probe, Service, ServicePortName
from .addresses import WISH
from .kubelet import LEASES
from .workloads import IMAGE, Settings, datagram_ports, listeners, workloads

_LONGEST_PROBE = 10
_FOR_EVER = 1 << 30
_NEVER = {"conditionType": "secondhop/never"}
_FAMILY = {4: "IPv4", 6: "IPv6"}


def pods(cluster: Cluster) -> Iterator[Object]:
    """The pods that are placed, and one for each endpoint that no pod stands behind."""
    names = {node.name for node in cluster.nodes}
    return (_pod(cluster, pod) for pod in workloads(cluster) if pod.node in names)


def name_of(pod: Pod) -> str:
    """The name of a pod's object: its own, or its address where nobody says one."""
    return pod.name or str(pod.addresses[0])


def _pod(cluster: Cluster, pod: Pod) -> Object:
    probes = [container.readiness for container in pod.containers if container.readiness]
    containers = [_container(one) for one in listeners(cluster, pod)]
    named = [_named_ports(container) for container in pod.containers]
    for container, probe in zip(containers, probes, strict=False):
        container["readinessProbe"] = _probe(probe)
    if containers:
        containers[0]["ports"] = [port for ports in named for port in ports]
        containers[0]["ports"] += [
            {"containerPort": port, "protocol": "UDP"} for port in datagram_ports(cluster, pod)
        ]
    wish = {} if pod.host_network else {WISH: ",".join(map(str, pod.addresses))}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": pod.namespace,
            "name": name_of(pod),
            "uid": f"{pod.namespace}/{name_of(pod)}",
            "labels": dict(pod.labels),
            "annotations": wish,
        },
        "spec": {
            "nodeName": pod.node,
            "hostNetwork": pod.host_network,
            "hostname": pod.name,
            "containers": containers,
            "readinessGates": [] if pod.ready else [_NEVER],
        },
    }


def _container(one: Settings) -> dict[str, Any]:
    args = ["-port", str(one.port), *(["-name", one.name] if one.name else [])]
    return {
        "name": f"port-{one.port}",
        "image": IMAGE,
        "args": [*args, *(["-verbose"] if one.verbose else [])],
        "env": [{"name": name, "value": value} for name, value in one.environ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _named_ports(container: Container) -> list[dict[str, Any]]:
    return [
        {"containerPort": p.port, "name": p.name, "protocol": p.protocol} for p in container.ports
    ]


def _probe(probe: Probe) -> dict[str, Any]:
    """It is asked once; a second time would come after the experiment."""
    how: dict[str, Any] = {"tcpSocket": {"port": probe.port}}
    if probe.path is not None:
        how = {"httpGet": {"port": probe.port, "path": probe.path}}
    timeout = min(math.ceil(probe.timeout), _LONGEST_PROBE)
    return {**how, "timeoutSeconds": timeout, "periodSeconds": _FOR_EVER, "failureThreshold": 1}


def service(one: Service) -> Object:
    """A Service."""
    spec: dict[str, Any] = {
        "type": one.type,
        "clusterIP": str(one.cluster_ips[0]) if one.cluster_ips else "None",
        "clusterIPs": [str(ip) for ip in one.cluster_ips] or ["None"],
        "ipFamilies": [_FAMILY[ip.version] for ip in one.cluster_ips],
        "ports": [
            {
                "name": port.name,
                "protocol": port.protocol,
                "port": port.port,
                "targetPort": port.port,
                **({"nodePort": port.node_port} if port.node_port else {}),
            }
            for port in one.ports
        ],
        "externalIPs": [str(ip) for ip in one.external_ips],
        "loadBalancerSourceRanges": [str(network) for network in one.source_ranges],
        "externalTrafficPolicy": one.external_traffic_policy,
        "internalTrafficPolicy": one.internal_traffic_policy,
        "sessionAffinity": "None",
        "healthCheckNodePort": one.health_check_node_port,
    }
    if one.affinity_timeout is not None:
        spec["sessionAffinity"] = "ClientIP"
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": one.affinity_timeout}}
    ingress = [{"ip": str(entry.ip), "ipMode": entry.mode} for entry in one.ingress]
    proxy = {} if one.proxy_name is None else {PROXY_NAME: one.proxy_name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": one.namespace,
            "name": one.name,
            "labels": {**one.labels, **proxy},
        },
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress}},
    }


def slices(cluster: Cluster) -> Iterator[Object]:
    """An EndpointSlice for each family and port number of each service port."""
    for name, endpoints in cluster.endpoints.items():
        ordered = sorted(endpoints, key=_family_and_port)
        for (version, port), group in groupby(ordered, _family_and_port):
            yield _slice(name, version, port, list(group))


def _family_and_port(endpoint: Endpoint) -> tuple[int, int]:
    return endpoint.address.version, endpoint.port


def _slice(name: ServicePortName, version: int, port: int, endpoints: list[Endpoint]) -> Object:
    own = f"{name.service}.{name.port}.{name.protocol}.{version}.{port}"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": name.namespace,
            "name": own.lower(),
            "labels": {"kubernetes.io/service-name": name.service},
        },
        "addressType": _FAMILY[version],
        "ports": [{"name": name.port, "port": port, "protocol": name.protocol}],
        "endpoints": [_endpoint(endpoint) for endpoint in endpoints],
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {
        "addresses": [str(endpoint.address)],
        "conditions": {
            "ready": endpoint.ready,
            "serving": endpoint.serving,
            "terminating": endpoint.terminating,
        },
        "hints": {
            "forZones": [{"name": zone} for zone in sorted(endpoint.zone_hints)],
            "forNodes": [{"name": node} for node in sorted(endpoint.node_hints)],
        },
    }
    if endpoint.pod:
        found["targetRef"] = {"kind": "Pod", "name": endpoint.pod}
    return found | ({"nodeName": endpoint.node} if endpoint.node else {})


class Stage:
    """Puts objects into a store as a backup would: no request is checked, nothing is allocated."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shown: dict[Key, Object] = {}

    def furnish(self, cluster: Cluster) -> None:
        """The namespaces and the pods of a cluster."""
        staged = list(pods(cluster))
        for name in dict.fromkeys([LEASES, *(pod["metadata"]["namespace"] for pod in staged)]):
            self._put(_namespace(name))
        for pod in staged:
            self._put(pod)

    def show(self, cluster: Cluster) -> None:
        """The Services and EndpointSlices of a cluster, in place of those shown before."""
        wanted = {
            _key(value): value for value in (*map(service, cluster.services), *slices(cluster))
        }
        for key in self._shown.keys() - wanted.keys():
            stored = self._store.get(key)
            assert stored is not None
            self._store.delete(key, stored, stored)
        for key, value in wanted.items():
            if self._shown.get(key) != value:
                self._store.put(key, value, self._store.get(key))
        self._shown = wanted

    def _put(self, value: Object) -> None:
        self._store.put(_key(value), value, None)


def _namespace(name: str) -> Object:
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return {**own, "status": {"phase": "Active"}}


def _key(value: Object) -> Key:
    metadata = value["metadata"]
    return Key(KINDS[value["kind"]].resource, metadata.get("namespace", ""), metadata["name"])


async def verdicts(api: Api, cluster: Cluster) -> tuple[dict[str, bool], list[str]]:
    """Wait until every placed pod is ready, or is known not to become so; which are, by
    `namespace/name`, and why others are not."""
    names = {node.name for node in cluster.nodes}
    placed = {(p.namespace, name_of(p)): p for p in workloads(cluster) if p.node in names}
    found: dict[tuple[str, str], str] = {}
    done = asyncio.Event()

    def judge(key: tuple[str, str], why: str | None) -> None:
        if why is not None and key in placed:
            found.setdefault(key, why)
        if len(found) == len(placed):
            done.set()

    def pod(key: tuple[str, str], before: Object | None, after: Object | None) -> None:
        judge(key, _why_not_ready(after or {}))

    def event(key: tuple[str, str], before: Object | None, after: Object | None) -> None:
        if after is not None and after["reason"] == "Unhealthy":
            about = after["involvedObject"]
            judge((about["namespace"], about["name"]), after["message"])

    informers = Informer(api, "Pod", pod), Informer(api, "Event", event)
    following = [asyncio.create_task(informer.run()) for informer in informers]
    try:
        if placed:
            await done.wait()
    finally:
        for task in following:
            task.cancel()
    notes = [
        f"pod {placed[key]} on {placed[key].node} is not ready: {why}"
        for key, why in found.items()
        if why and placed[key].ready
    ]
    return {str(placed[key]): not why for key, why in found.items()}, notes


def _why_not_ready(pod: Object) -> str | None:
    """Empty if it is ready, the reason if it is known not to become so, None if neither."""
    status = pod.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    if conditions.get("Ready") == "True":
        return ""
    if conditions.get("ContainersReady") == "True":
        return "a readiness gate is closed"
    for container in status.get("containerStatuses") or ():
        ended = container["state"].get("terminated") or container["lastState"].get("terminated")
        if ended:
            return f"its container ended: {ended.get('message') or ended['reason']}"
    return None

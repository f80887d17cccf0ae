"""The experiment as the hand would type it, with the replies as they came (`run -v`)."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence

from ..model.cluster import Cluster, Pod, Policy, Service
from ..model.fate import Fate, Trial
from . import everything


def applied(files: Sequence[str], cluster: Cluster, service: Service) -> Iterator[str]:
    """`kubectl apply`, and what there is afterwards."""
    for file in files:
        yield f"$ kubectl apply -f {file}"
    yield f"$ kubectl get pods{_namespace(service)} -o wide"
    pods = [pod for pod in cluster.pods if pod.namespace == service.namespace]
    yield from _columns([("NAME", "READY", "STATUS", "IP", "NODE"), *(_pod(p) for p in pods)])
    yield f"$ kubectl get svc {service.name}{_namespace(service)}"
    ports = ",".join(
        f"{p.port}:{p.node_port}/{p.protocol}" if p.node_port else f"{p.port}/{p.protocol}"
        for p in service.ports
    )
    cluster_ip = str(service.cluster_ips[0]) if service.cluster_ips else "None"
    yield from _columns(
        [
            ("NAME", "TYPE", "CLUSTER-IP", "PORT(S)", "EXTERNAL-TRAFFIC-POLICY"),
            (service.name, service.type, cluster_ip, ports, service.external_traffic_policy),
        ]
    )


def patched(service: Service, policy: Policy) -> str:
    """`kubectl patch` to the other policy."""
    patch = json.dumps({"spec": {"externalTrafficPolicy": policy}})
    return f"$ kubectl patch svc {service.name}{_namespace(service)} -p '{patch}'"


def held(alive: int, total: int) -> str:
    """What became of the connections from before the patch."""
    if not total:
        return "# there is no connection from before the patch"
    return f"# of {total} connections opened before the patch {alive} still answer"


def probed(trial: Trial, reply: str) -> Iterator[str]:
    """`curl` and the first reply of the row, or what became of it."""
    observed, flow = trial.observed, trial.flow
    if flow.source.kind != "client" or flow.via:
        yield f"# {everything.flow(flow)}"
    to = flow.destination
    if to.protocol == "UDP":
        command = f"echo who are you | nc -u -w1 {to.address} {to.port}"
    else:
        command = f"curl -s --connect-timeout 1 {to}"
    if observed.fate is Fate.DROPPED and to.protocol == "TCP":
        yield f"$ {command} || echo timeout"
        yield "timeout"
    else:
        yield f"$ {command}"
        yield from reply.rstrip().splitlines()
    yield from textwrap.wrap(observed.evidence, 98, initial_indent="# ", subsequent_indent="# ")


def _namespace(service: Service) -> str:
    return "" if service.namespace == "default" else f" -n {service.namespace}"


def _pod(pod: Pod) -> tuple[str, ...]:
    address = str(pod.addresses[0]) if pod.addresses else "<none>"
    containers = max(len(pod.containers), 1)
    ready = f"{containers if pod.ready else 0}/{containers}"
    status = "Terminating" if pod.terminating else "Running" if pod.node else "Pending"
    return pod.name, ready, status, address, pod.node or "<none>"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "   ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()

"""A cluster after one Service's policy was patched."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ManifestError, Problem
from ..model.cluster import Cluster, Policy, Service
from .api.pools import NodePorts
from .api.view import accessible, needs_health_port


def with_policy(cluster: Cluster, service: Service, policy: Policy) -> Cluster:
    """The Cluster after `kubectl patch svc NAME -p '{"spec":{"externalTrafficPolicy":…}}'`.

    A LoadBalancer's healthCheckNodePort is allocated under Local, released under Cluster.
    ManifestError if the Service takes no traffic from outside; KeyError if it is not there.
    """
    if not accessible(service.type, bool(service.external_ips)):
        raise ManifestError([_inaccessible(service, policy)])
    services = {str(one): one for one in cluster.services}
    patched = replace(services[str(service)], external_traffic_policy=policy)
    number = patched.health_check_node_port
    if not needs_health_port(patched.type, policy):
        number = 0
    elif not number:
        number = NodePorts(taken=_ports_in_use(cluster)).free() or 0
    services[str(service)] = replace(patched, health_check_node_port=number)
    return replace(cluster, services=tuple(services.values()))


def _inaccessible(service: Service, policy: Policy) -> Problem:
    from .api.service import validate_external_traffic

    spec = {"type": service.type, "externalTrafficPolicy": policy}
    error = validate_external_traffic({"spec": spec})[0]
    remedy = "Set spec.type to NodePort or LoadBalancer first."
    return Problem("patch", 0, f"Service {service}", error.field, error.message, remedy)


def _ports_in_use(cluster: Cluster) -> set[int]:
    own = {port.node_port for service in cluster.services for port in service.ports}
    return own | {service.health_check_node_port for service in cluster.services}

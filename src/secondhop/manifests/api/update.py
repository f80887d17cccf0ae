"""What the API server infers when a Service is written (semantics §1.5): each function gives a
changed copy of the new object and leaves both arguments alone."""

from __future__ import annotations

from .field import Object
from .view import EXTERNAL, View, copied


def synced(new: Object, old: Object | None = None) -> Object:
    """`clusterIP` and `clusterIPs` brought together where the user wrote only the first.

    A new Service that has only the second is left as it is: the server refuses it.
    """
    after, before = View(new), View(old or {})
    done = copied(new)
    if old is None:
        if after.ip and not after.ips:
            done["spec"]["clusterIPs"] = [after.ip]
    elif after.ip != before.ip and after.ips == before.ips:
        _set(done["spec"], "clusterIPs", [after.ip] if after.ip else [])
    return done


def kept(new: Object, old: Object) -> Object:
    """The Service with what was allocated to it before and it leaves out now."""
    after, before = View(new), View(old)
    done = copied(new)
    spec: Object = done["spec"]
    if after.has_cluster_ip and before.has_cluster_ip:
        _set(spec, "clusterIP", after.ip or before.ip)
        _set(spec, "clusterIPs", after.ips or before.ips)
    if after.allocates and before.allocates:
        _keep_node_ports(spec, after, before)
    if after.needs_health_port and before.needs_health_port:
        _set(spec, "healthCheckNodePort", after.health_port or before.health_port)
    return done


def _keep_node_ports(spec: Object, after: View, before: View) -> None:
    """By the name of the port; a number that another port claims now is not given back."""
    claimed = set(after.node_ports())
    by_name = {port.get("name") or "": port.get("nodePort") for port in before.ports}
    for port in spec.get("ports") or []:
        number = by_name.get(port.get("name") or "")
        if not port.get("nodePort") and number not in claimed:
            _set(port, "nodePort", number)


def cleared(new: Object, old: Object) -> Object:
    """The Service without what its type no longer has, as far as this write did not touch it."""
    after, before = View(new), View(old)
    done = copied(new)
    spec: Object = done["spec"]
    _clear_addresses(spec, after, before)
    hidden = before.type in EXTERNAL and after.type not in EXTERNAL
    if hidden and set(after.node_ports()) <= set(before.node_ports()):
        for port in spec.get("ports") or []:
            _drop(port, "nodePort")
    gone = []
    if before.needs_health_port and not after.needs_health_port:
        gone += ["healthCheckNodePort"]
    if before.type == "LoadBalancer" and after.type != "LoadBalancer":
        gone += ["allocateLoadBalancerNodePorts", "loadBalancerClass"]
    if before.accessible and not after.accessible:
        gone += ["externalTrafficPolicy"]
    _drop(spec, *(name for name in gone if after.spec.get(name) == before.spec.get(name)))
    if after.type != "LoadBalancer" and "loadBalancer" in (done.get("status") or {}):
        done["status"]["loadBalancer"] = {}
    return done


def _clear_addresses(spec: Object, after: View, before: View) -> None:
    if after.has_cluster_ip or not before.has_cluster_ip:
        return
    if (after.ip, after.ips) == (before.ip, before.ips):
        _drop(spec, "clusterIP", "clusterIPs")
    if after.families == before.families:
        _drop(spec, "ipFamilies")
    if after.policy == before.policy:
        _drop(spec, "ipFamilyPolicy")


def _set(part: Object, name: str, value: object) -> None:
    """Set a field, or remove it when the value is empty."""
    if value:
        part[name] = value
    else:
        part.pop(name, None)


def _drop(part: Object, *names: str) -> None:
    for name in names:
        part.pop(name, None)

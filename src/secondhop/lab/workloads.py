"""What runs in the lab's pods: the built-in whoami as it is told to, or a stand-in for the rest.

Pure, so that what cannot run is refused before there is a lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename

from ..errors import UsageError
from ..model.cluster import Cluster, Container, Pod

IMAGE = "traefik/whoami"
_WHOAMI = re.compile(r"(.*/)?whoami(:[^/]*)?(@.*)?")
_REMEDY = "The built-in whoami knows -port PORT, -name NAME and -verbose."
_UNBUILT_FLAGS = {"cert", "key", "cacert"}
_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one whoami is started. environ: what it shows of its environment (`?env=true`)."""

    hostname: str
    port: int = 80
    name: str = ""
    verbose: bool = False
    environ: tuple[tuple[str, str], ...] = ()


def settings(hostname: str, args: Sequence[str], env: Sequence[tuple[str, str]]) -> Settings:
    """What a container's arguments and environment ask for. Raises UsageError for a flag or a
    value that whoami would not start with, and for the TLS flags."""
    environ = dict(env)
    flags = {
        "port": environ.get("WHOAMI_PORT_NUMBER") or "80",
        "name": environ.get("WHOAMI_NAME", ""),
        "verbose": "false",
    }
    for flag, value in _flags(args, flags.keys()):
        flags[flag] = value
    port, verbose = flags["port"], flags["verbose"]
    if not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 1 << 16):
        raise UsageError(f'whoami: port "{port}" is not a number from 1 to 65535', _REMEDY)
    if verbose not in _TRUE | _FALSE:
        raise UsageError(f'whoami: invalid boolean value "{verbose}" for -verbose', _REMEDY)
    return Settings(hostname, int(port), flags["name"], verbose in _TRUE, tuple(environ.items()))


def _flags(args: Sequence[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The flags in a command line as Go reads it: up to the first word that is not one."""
    words = iter(args)
    for word in words:
        if len(word) < 2 or word[0] != "-" or word == "--":
            return
        flag, equals, value = word[2 if word[1] == "-" else 1 :].partition("=")
        if not flag or flag[0] == "-":
            raise UsageError(f"whoami: bad flag syntax: {word}", _REMEDY)
        if flag in _UNBUILT_FLAGS:
            raise UsageError(f"whoami: flag -{flag} (TLS) is not built in", _REMEDY)
        if flag not in known:
            raise UsageError(f"whoami: flag provided but not defined: -{flag}", _REMEDY)
        if equals:
            yield flag, value
        elif flag == "verbose":
            yield flag, "true"
        elif (following := next(words, None)) is not None:
            yield flag, following
        else:
            raise UsageError(f"whoami: flag needs an argument: -{flag}", _REMEDY)


def is_whoami(container: Container) -> bool:
    """Whether a container runs traefik/whoami: its image, from whichever registry and of whichever
    version, and no other program of it."""
    return runs_whoami(container.image, [container.program] if container.program else [])


def runs_whoami(image: str, command: Sequence[str]) -> bool:
    """Whether that image with that command is whoami."""
    program = basename(command[0]) if command else "whoami"
    return _WHOAMI.fullmatch(image) is not None and program == "whoami"


def listeners(cluster: Cluster, pod: Pod) -> list[Settings]:
    """What listens in a pod: each whoami container as it is configured, and for all others a
    stand-in on every port that they or their probes name; without any whoami also on every port
    that the pod's endpoints name; at least one, if the pod has datagrams to answer. Raises
    UsageError for what whoami would not start with."""
    own = [
        settings(pod.name, container.args, container.env)
        for container in pod.containers
        if is_whoami(container)
    ]
    others = [container for container in pod.containers if not is_whoami(container)]
    named = {p.port for c in others for p in c.ports if p.protocol == "TCP"}
    named |= {c.readiness.port for c in others if c.readiness}
    if not own:
        named |= {
            endpoint.port
            for name, endpoints in cluster.endpoints.items()
            for endpoint in endpoints
            if name.protocol == "TCP" and endpoint.address in pod.addresses
        }
        named = named or set(datagram_ports(cluster, pod)[:1])
    named -= {one.port for one in own}
    return own + [Settings(hostname=pod.name, port=port) for port in sorted(named)]


def datagram_ports(cluster: Cluster, pod: Pod) -> list[int]:
    """The UDP ports that a pod's containers name, or its endpoints: there is a stand-in on each."""
    named = {p.port for c in pod.containers for p in c.ports if p.protocol == "UDP"}
    for name, endpoints in cluster.endpoints.items():
        if name.protocol == "UDP":
            named |= {e.port for e in endpoints if e.address in pod.addresses}
    return sorted(named)


def workloads(cluster: Cluster) -> Iterator[Pod]:
    """The pods, and one for each endpoint that no pod stands behind (slices without pods); the
    slices of both families may name the same."""
    yield from cluster.pods
    known = {address for pod in cluster.pods for address in pod.addresses}
    found: dict[tuple[str, str], Pod] = {}
    for name, endpoints in cluster.endpoints.items():
        for endpoint in endpoints:
            if endpoint.address in known:
                continue
            known.add(endpoint.address)
            key = name.namespace, endpoint.pod or str(endpoint.address)
            others = found[key].addresses if key in found else ()
            on_nic = any(i.ip == endpoint.address for n in cluster.nodes for i in n.addresses)
            found[key] = Pod(
                name.namespace,
                endpoint.pod,
                _node_of(cluster, endpoint.address) or endpoint.node,
                (*others, endpoint.address),
                host_network=on_nic,
            )
    yield from found.values()


def _node_of(cluster: Cluster, address: object) -> str | None:
    for node in cluster.nodes:
        if any(i.ip == address for i in node.addresses) or any(
            address in c for c in node.pod_cidrs
        ):
            return node.name
    return None

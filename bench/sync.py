#!/usr/bin/env python3
"""A node's proxy on the lab's API: its first sync, one change of an endpoint, its memory, and what
a connection through its rules costs.

`bench/sync.py --services K --endpoints N -o json`; `--external PATH` measures a stock kube-proxy on
the same API in the same run. API, proxy and pods are processes of their own, API and proxy speak
HTTPS, all in a user namespace with the socket buffer of every user:

    client ── node (the proxy's rules) ── pods, all of them one process

firstSyncSeconds: from the proxy's start, its interpreter's included, until a connection to the last
Service is answered; all objects are in the API before. changeSeconds, changeP99Seconds: from the
API's answer to the write of an EndpointSlice until a connection reaches the new backend. rssMiB:
the most the proxy's process held. path: connections to a Service's cluster IP against connections
to the pod itself, over the same cables. Writes nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import select
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import click

from secondhop.lab.netns import Namespace
from secondhop.lab.rtnetlink import Devconf, Netlink
from secondhop.lab.sandbox import Sandbox
from secondhop.model.cluster import Cluster, Cni, Node, Proxy, ProxyMode

CHANGES, ROUNDS, CONNECTIONS = 50, 9, 300
PAUSE = 0.25
"""Seconds between two changes, so that each is one and not many."""
SECONDS = 60.0
PODS, SERVICES = ip_network("10.42.0.0/16"), ip_network("10.96.0.0/12")
FIRST_POD, FIRST_SERVICE = IPv4Address("10.42.0.10"), IPv4Address("10.96.0.10")
NODE, CLIENT = ip_interface("192.168.8.1/24"), ip_interface("192.168.8.2/24")
CABLE, POD = ip_interface("10.99.0.1/30"), ip_interface("10.99.0.2/30")
API_PORT, OLD, NEW = 6443, 8080, 8081
NODE_PORTS = 2500
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close at once, so that no port is left waiting."""
IDLE = 2.0
"""Seconds after which a connection to the API is not used again: it hangs up after five."""
LOG = 5000
"""Characters of what a proxy said that are worth showing."""
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


class Result(NamedTuple):
    """What was measured of one proxy."""

    firstSyncSeconds: float
    changeSeconds: float
    changeP99Seconds: float
    rssMiB: float
    connectP50Ratio: float
    connectionsRatio: float

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        fields = {name: round(value, 4) for name, value in self._asdict().items()}
        path = {name: fields.pop(name) for name in ("connectP50Ratio", "connectionsRatio")}
        return {**fields, "path": path}


def base(mode: ProxyMode) -> Cluster:
    return Cluster(
        (Node("node", (NODE,)),),
        cni=Cni(service_cidrs=(SERVICES,)),
        proxy=Proxy(mode, detect_local=(PODS,)),
    )


# --- the machines ---------------------------------------------------------------------------------


@dataclass
class World:
    """A client, a node, and one machine that is all pods."""

    client: Namespace
    node: Namespace


def built() -> World:
    """Cables, addresses and routes, and a pod process that answers on every address with the port
    that was reached."""
    client, node, pod = (Netlink(Namespace.create(n)) for n in ("client", "node", "pod"))
    for each in (client, node, pod):
        each.link_up(1, "lo")
    forward = {Devconf.FORWARDING: 1, Devconf.RP_FILTER: 0}
    for index, peer, own, theirs in ((2, client, NODE, CLIENT), (3, pod, CABLE, POD)):
        mac = f"02000000{index:04x}"
        node.veth(
            f"eth{index}", index, "eth0", 2, peer.namespace, mac=mac, peer_mac=mac[:-4] + "ffff"
        )
        node.link_up(index, f"eth{index}", conf=forward)
        node.address(index, own)
        node.commit()
        peer.link_up(2, "eth0", conf={Devconf.RP_FILTER: 0})
        peer.address(2, theirs)
        peer.route(None, own.ip, 2)
    pod.address(1, ip_interface(f"{PODS[1]}/{PODS.prefixlen}"))
    node.route(PODS, POD.ip, 3)
    for each in (client, node, pod):
        each.commit()
    forked(lambda: answer(pod.namespace))
    return World(client.namespace, node.namespace)


def answer(namespace: Namespace) -> None:
    """Accept, say which port it was, hang up; for ever."""
    poll, listeners = select.poll(), {}
    for port, said in ((OLD, b"o"), (NEW, b"n")):
        listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("0.0.0.0", port))
        listener.listen(1024)
        listeners[listener.fileno()] = listener, said
        poll.register(listener, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            listener, said = listeners[descriptor]
            try:
                with listener.accept()[0] as connection:
                    connection.send(said)
            except OSError:
                continue  # the client has gone


def forked(work: Callable[[], None]) -> None:
    """Work for a process of its own, which ends with the sandbox."""
    if os.fork() == 0:
        try:
            work()
        finally:
            os._exit(1)


# --- the API --------------------------------------------------------------------------------------


def serve(nodes: list[Namespace], access: Path, ready: int) -> None:
    """An API that every node finds on its own 127.0.0.1; kubeconfigs for it."""
    from secondhop.apiserver.agent import Agent
    from secondhop.apiserver.bootstrap import bootstrap
    from secondhop.apiserver.http.app import App
    from secondhop.apiserver.http.credentials import make_credentials, server_context
    from secondhop.apiserver.http.kubeconfig import kubeconfig
    from secondhop.apiserver.http.serve import serving
    from secondhop.apiserver.server import Server
    from secondhop.apiserver.store import Store

    async def main() -> None:
        listeners = []
        for node in nodes:
            listener = node.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.bind(("127.0.0.1", API_PORT))
            listener.listen(128)
            listeners.append(listener)
        server, credentials = Server(Store(), [SERVICES]), make_credentials(["127.0.0.1"])
        bootstrap(server, SERVICES)
        agent: Agent = None  # type: ignore[assignment] # nobody asks for logs
        app = App(server, agent, credentials, [f"127.0.0.1:{API_PORT}"])
        url = f"https://127.0.0.1:{API_PORT}"
        access.write_text(kubeconfig("bench", url, credentials))
        async with serving(app, listeners, server_context(credentials)):
            os.write(ready, b".")
            await asyncio.Event().wait()

    asyncio.run(main())


class Api:
    """One connection to it, with as little of a client as there can be."""

    def __init__(self, namespace: Namespace, access: Path) -> None:
        from secondhop.client.kubeconfig import read_kubeconfig

        self._access, self._namespace, self._used = read_kubeconfig(access), namespace, 0.0
        self._tls = tls = ssl.create_default_context(cadata=self._access.authority)
        if self._access.certificate:
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(self._access.certificate + (self._access.key or ""))
                file.flush()
                tls.load_cert_chain(file.name)

    def _connect(self) -> None:
        plain = self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        plain.setblocking(True)
        plain.connect(("127.0.0.1", API_PORT))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = self._tls.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, method: str, path: str, value: Any, media: str = "application/json") -> None:
        """Raises AssertionError if it is refused."""
        if time.monotonic() - self._used > IDLE:
            self._connect()
        body = json.dumps(value)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{API_PORT}\r\nContent-Type: {media}\r\n"
        )
        if self._access.token:
            head += f"Authorization: Bearer {self._access.token}\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._received()
        answer, _, rest = data.partition(b"\r\n\r\n")
        size = int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(rest) < size:
            rest += self._received()
        self._used = time.monotonic()
        assert answer.startswith(b"HTTP/1.1 2"), rest

    def _received(self) -> bytes:
        part = self._socket.recv(65536)
        assert part, "the API hung up"
        return part


SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


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


# --- what is measured -----------------------------------------------------------------------------


def reached(
    client: Namespace, address: str, port: int, seconds: float = 1.0
) -> tuple[bytes, float]:
    """What a new connection is answered with, and the seconds that connecting took. Raises
    OSError."""
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        begun = time.perf_counter()
        sock.connect((address, port))
        took = time.perf_counter() - begun
        return sock.recv(1), took


def until(client: Namespace, number: int, wanted: bytes) -> None:
    """Try until a Service answers so."""
    deadline = time.monotonic() + SECONDS
    address = str(FIRST_SERVICE + number)
    while time.monotonic() < deadline:
        try:
            if reached(client, address, 80, 0.02)[0] == wanted:
                return
        except OSError:
            pass
    raise TimeoutError(f"web-{number} did not answer {wanted!r} in {SECONDS:.0f} s")


def changes(api: Api, client: Namespace, services: int) -> list[float]:
    """Seconds that each took."""
    found = []
    for turn in range(CHANGES):
        number = turn * 7919 % services
        for port, wanted in ((NEW, b"n"), (OLD, b"o")):
            moved(api, number, port)
            begun = time.perf_counter()
            until(client, number, wanted)
            found.append(time.perf_counter() - begun)
            time.sleep(PAUSE)
    return found


def path(client: Namespace, number: int, endpoints: int) -> tuple[float, float]:
    """Connect p50 and connections a second, each as a ratio to the direct way."""
    targets = (pods_of(number, endpoints)[0], OLD), (str(FIRST_SERVICE + number), 80)
    p50s: list[list[float]] = [[], []]
    rates: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for way, (address, port) in enumerate(targets):
            begun = time.perf_counter()
            times = [reached(client, address, port)[1] for _ in range(CONNECTIONS)]
            rates[way].append(CONNECTIONS / (time.perf_counter() - begun))
            p50s[way].append(statistics.median(times))
    direct, service = map(statistics.median, p50s)
    fewer, many = map(statistics.median, rates)
    return service / direct, many / fewer


def measured(world: World, api: Api, command: list[str], services: int, endpoints: int) -> Result:
    """One proxy, from its start to its end. Raises TimeoutError with what it said."""
    environ = {**os.environ, "PATH": os.environ.get("PATH", "") + SBIN}
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        with world.node:
            proxy = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            until(world.client, services - 1, b"o")
            first = time.perf_counter() - begun
            until(world.client, 0, b"o")
            time.sleep(1.0)
            times = changes(api, world.client, services)
            ratios = path(world.client, min(services, NODE_PORTS) - 1, endpoints)
        except TimeoutError as error:
            log.seek(0)
            raise TimeoutError(f"{error}; the proxy said: {log.read()[-LOG:]}") from None
        finally:
            proxy.send_signal(signal.SIGKILL)
            _, _, usage = os.wait4(proxy.pid, 0)
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return Result(first, statistics.median(times), p99, usage.ru_maxrss / 1024, *ratios)


def follow(mode: ProxyMode, access: Path) -> None:
    """Be our proxy, for ever."""
    from secondhop.client.kubeconfig import read_kubeconfig
    from secondhop.client.url import UrlApi
    from secondhop.lab.proxy import NodeProxy
    from secondhop.lab.proxyloop import ProxyLoop
    from secondhop.lab.view import View

    async def main() -> None:
        proxy = NodeProxy(Namespace.current("node"), lambda *_: None)
        loop = ProxyLoop("node", proxy, lambda *_: None)
        async with UrlApi(read_kubeconfig(access)) as api, asyncio.TaskGroup() as group:
            view = View(api, base(mode))
            group.create_task(view.run())
            group.create_task(loop.run(view))

    asyncio.run(main())


def external_command(program: Path, mode: ProxyMode, folder: Path) -> list[str]:
    """A stock kube-proxy with the same settings, which waits as little as it can be told."""
    quickly = {"minSyncPeriod": "10ms", "syncPeriod": "30s"}
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode,
        "hostnameOverride": "node",
        "clientConnection": {
            "kubeconfig": str(folder / "kubeconfig"),
            "contentType": "application/json",
        },
        "clusterCIDR": str(PODS),
        "detectLocalMode": "ClusterCIDR",
        "iptables": quickly,
        "nftables": quickly,
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return [str(program), f"--config={folder / 'config.json'}"]


def run(services: int, endpoints: int, mode: ProxyMode, external: Path | None) -> dict[str, Any]:
    """Everything, inside the sandbox."""
    worlds = [built() for _ in range(2 if external else 1)]
    with tempfile.TemporaryDirectory(prefix="secondhop-bench-") as name:
        folder = Path(name)
        ready, told = os.pipe()
        forked(lambda: serve([world.node for world in worlds], folder / "kubeconfig", told))
        os.read(ready, 1)
        api = Api(worlds[0].node, folder / "kubeconfig")
        furnish(api, services, endpoints)
        own = [sys.executable, __file__, "--follow", str(folder / "kubeconfig"), "--mode", mode]
        found: dict[str, Any] = {"services": services, "endpoints": endpoints, "mode": mode}
        found |= measured(worlds[0], api, own, services, endpoints).told()
        if external:
            version = subprocess.run([str(external), "--version"], capture_output=True, text=True)
            command = external_command(external, mode, folder)
            theirs: dict[str, Any] = {"version": version.stdout.strip()}
            try:
                theirs |= measured(worlds[1], api, command, services, endpoints).told()
            except TimeoutError as error:  # its one transaction may not fit an unprivileged socket
                theirs["failed"] = str(error)
            found["external"] = theirs
    return found


def sandboxed(work: Callable[[], Any]) -> Any:
    """What comes of work in a user namespace of its own. Raises what it raised."""

    def main(channel: socket.socket) -> None:
        try:
            answer: object = work()
        except Exception as error:
            answer = error
        channel.sendall(pickle.dumps(answer))
        channel.shutdown(socket.SHUT_WR)

    sandbox = Sandbox(main)
    try:
        sandbox.born()
        said = b""
        while part := sandbox.channel.recv(65536):
            said += part
    finally:
        sandbox.close()
    answer = pickle.loads(said)
    if isinstance(answer, Exception):
        raise answer
    return answer


@click.command(help=__doc__)
@click.option("--services", default=1000, show_default=True)
@click.option("--endpoints", default=5, show_default=True)
@click.option("--mode", type=click.Choice(["nftables", "iptables"]), default="nftables")
@click.option("--external", type=click.Path(path_type=Path, exists=True), help="A kube-proxy.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
@click.option("--follow", "access", type=click.Path(path_type=Path), hidden=True)
def main(
    services: int,
    endpoints: int,
    mode: ProxyMode,
    external: Path | None,
    output: str,
    access: Path | None,
) -> None:
    if access:
        follow(mode, access)
        return
    found = sandboxed(lambda: run(services, endpoints, mode, external and external.resolve()))
    if output == "json":
        print(json.dumps(found))
        return
    theirs = found.pop("external", None)
    for name, value in found.items():
        print(
            f"{name:18} {value}"
            + (f"   kube-proxy: {theirs[name]}" if theirs and name in theirs else "")
        )


if __name__ == "__main__":
    main()

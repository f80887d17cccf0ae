"""A cluster of both families, through its API: what pods and nodes say, and whom they answer."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

from embedding import Life, is_true, living, shell, whoami
from families import NODES, dual, only

DNS = {"containerPort": 53, "protocol": "UDP", "name": "dns"}


async def ask(life: Life, source: str, address: str, port: int) -> str:
    """The answer to a datagram."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with life.lab.wiring.namespace(source).socket(family, socket.SOCK_DGRAM) as sock:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (address, port))
        await loop.sock_sendall(sock, b"?")
        async with asyncio.timeout(2):
            return (await loop.sock_recv(sock, 4096)).decode()


def test_a_pod_has_an_address_of_each_family_and_answers_on_both() -> None:
    async def body(life: Life) -> None:
        await life.pod("web", whoami("main", ports=[DNS]))
        status = (await life.until("web", is_true))["status"]
        assert status["podIPs"] == [{"ip": "10.42.1.2"}, {"ip": "fd00:10:42:1::2"}]
        assert status["podIP"] == "10.42.1.2"
        assert status["hostIPs"] == [{"ip": "172.17.26.70"}, {"ip": "fd00:172:17:26::70"}]
        heard = await life.fetch("fd00:10:42:1::2", source="node/xjp1")
        assert "RemoteAddr: [fd00:10:42:1::1]:" in heard
        assert "IP: 10.42.1.2\nIP: fd00:10:42:1::2\n" in heard
        assert "RemoteAddr: 10.42.1.1:" in await life.fetch("10.42.1.2", source="node/xjp1")
        for address, sees, ttl in (
            ("10.42.1.2", "10.42.0.0:", 63),
            ("fd00:10:42:1::2", "[fd00:10:42::]:", 63),
        ):
            answer = await ask(life, "node/gz1", address, 53)
            assert answer.startswith(f"Hostname: web\nRemoteAddr: {sees}")
            assert answer.endswith(f"TTL: {ttl}\n")

    living(body, nodes=NODES)


def test_a_pod_of_the_nodes_network_answers_from_the_address_that_was_asked() -> None:
    async def body(life: Life) -> None:
        await life.pod("web", whoami("main", ports=[DNS]), hostNetwork=True)
        status = (await life.until("web", is_true))["status"]
        assert status["podIPs"] == [{"ip": "172.17.26.70"}, {"ip": "fd00:172:17:26::70"}]
        for address in ("172.17.26.70", "fd00:172:17:26::70", "10.42.1.1", "fd00:10:42:1::1"):
            assert (await ask(life, "node/gz1", address, 53)).startswith("Hostname: xjp1\n")

    living(body, nodes=NODES)


def test_a_service_of_both_families_is_served_in_both() -> None:
    async def body(life: Life) -> None:
        await life.pod("web", whoami("main", ports=[DNS]))
        await life.until("web", is_true)
        wanted = dual("web", 30080)
        wanted["metadata"]["namespace"] = "default"
        created = await life.api.create(wanted)
        assert [ip_address(ip).version for ip in created["spec"]["clusterIPs"]] == [4, 6]
        for address in ("192.168.8.1", "fd00:192:168:8::1", *created["spec"]["clusterIPs"]):
            port = 80 if address in created["spec"]["clusterIPs"] else 30080
            async with asyncio.timeout(10):
                while True:
                    try:
                        heard = await life.fetch(address, port, source="node/gz1")
                        break
                    except OSError:
                        await asyncio.sleep(0.02)
            assert "RemoteAddr: 10.42.0.0:" in heard or "RemoteAddr: [fd00:10:42::]:" in heard

    living(body, nodes=NODES)


def test_what_programs_are_told_of_their_addresses() -> None:
    async def body(life: Life) -> None:
        field: dict[str, Any] = {"valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}
        script = "echo $IPS; grep web /etc/hosts; sleep 60"
        await life.pod("web", shell(script, env=[{"name": "IPS", **field}]))
        await life.until("web", is_true)
        async with asyncio.timeout(10):
            while "fd00:10:42:1::2\tweb" not in (said := await life.logs("web")):
                await asyncio.sleep(0.02)
        assert said == "10.42.1.2,fd00:10:42:1::2\n10.42.1.2\tweb\nfd00:10:42:1::2\tweb\n"
        node = await life.get("xjp1", "Node")
        assert node["spec"]["podCIDRs"] == ["10.42.1.0/24", "fd00:10:42:1::/64"]
        assert [a["address"] for a in node["status"]["addresses"]] == [
            "172.17.26.70",
            "fd00:172:17:26::70",
            "xjp1",
        ]

    living(body, nodes=NODES)


def test_probes_go_to_the_pods_first_family() -> None:
    """Whatever it is: here the cluster has IPv6 alone."""

    async def body(life: Life) -> None:
        probe = {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1}
        await life.pod("web", whoami("main", readinessProbe=probe))
        status = (await life.until("web", is_true))["status"]
        assert status["podIPs"] == [{"ip": "fd00:10:42:1::2"}]

    living(body, nodes=only(6))

"""What the lab plays in the place of programs that it does not have."""

from typing import Any

from support import deployment

from secondhop.experiment.standin import played


def containers(**container: Any) -> list[dict[str, Any]]:
    found = played(deployment(**{"image": "nginx", **container}), 8080, 0)
    return list(found["spec"]["template"]["spec"]["containers"])


def test_whoami_stays_as_it_is() -> None:
    whoami = deployment(args=["-port", "8080"])
    assert played(whoami, 80, 7) == whoami


def test_a_program_is_played_on_its_ports() -> None:
    ports = [{"containerPort": 81, "name": "http"}, {"containerPort": 82}]
    ports.append({"containerPort": 53, "protocol": "UDP"})
    first, second = containers(ports=ports, command=["serve"], envFrom=[{"secretRef": {}}])
    image = {"image": "traefik/whoami"}
    assert first == {"name": "whoami", **image, "args": ["-port", "81"], "ports": ports}
    assert second == {"name": "whoami-82", **image, "args": ["-port", "82"]}


def test_one_that_names_no_port_is_played_where_the_service_looks() -> None:
    [one] = containers()
    assert one["args"] == ["-port", "8080"]


def test_probes_over_the_network_stay() -> None:
    ports = [{"containerPort": 81}]
    probe = {"httpGet": {"port": 81, "path": "/ready"}}
    assert containers(ports=ports, readinessProbe=probe)[0]["readinessProbe"] == probe
    assert "readinessProbe" not in containers(ports=ports, readinessProbe={"exec": {}})[0]


def test_a_pause_before_the_end_stays() -> None:
    ended = {"preStop": {"exec": {"command": ["sleep", "7"]}}}
    found = played(deployment(image="nginx", lifecycle=ended), 80, 7.0)
    [one] = found["spec"]["template"]["spec"]["containers"]
    assert one["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}

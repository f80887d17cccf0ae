"""Node ports, clusterIPs and families on create, update and dry run (semantics §1.5, §8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from writes import Server

from secondhop.manifests.api.field import Object
from secondhop.manifests.api.view import View

from .objects import port, service

DYNAMIC = 30086
TAKEN = "provided port is already allocated"
OUTSIDE = "provided port is not in the valid range. The range of valid ports is 30000-32767"
REQUESTED = "Internal error occurred: failed to allocate requested HealthCheck NodePort"


def created(server: Server, **spec: Any) -> Object:
    stored, errors = server.create(service(**spec))
    assert stored is not None, [str(error) for error in errors]
    return stored


def changed(server: Server, old: Object, **spec: Any) -> Object:
    stored, errors = server.update(service(**spec), old)
    assert stored is not None, [str(error) for error in errors]
    return stored


def refused(server: Server, old: Object | None = None, **spec: Any) -> list[str]:
    value = service(**spec)
    before = server.in_use()
    stored, errors = server.create(value) if old is None else server.update(value, old)
    assert stored is None
    assert server.in_use() == before
    return [str(error) for error in errors]


def node(*ports: Object, **spec: Any) -> Object:
    return {"type": "NodePort", "ports": list(ports)} | spec


def numbers(value: Object) -> list[int]:
    return [one.get("nodePort", 0) for one in value["spec"]["ports"]]


LOCAL: Object = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}


class TestNodePorts:
    def test_the_dynamic_band_first_and_then_the_static_one(self) -> None:
        server = Server(node_ports=range(30000, 30040))
        found = [numbers(created(server, **node(port(1))))[0] for _ in range(40)]
        assert found == [*range(30016, 30040), *range(30000, 30016)]
        assert refused(server, **node(port(1))) == [
            "spec.ports[0].nodePort: Internal error occurred: failed to allocate a nodePort: "
            "range is full"
        ]

    def test_one_number_is_had_once_whatever_the_protocol(self) -> None:
        server = Server()
        created(server, **node(port(53, 30053)))
        assert refused(server, **node(port(53, 30053, "UDP"))) == [
            f"spec.ports[0].nodePort: Invalid value: 30053: {TAKEN}"
        ]

    def test_twins_share_a_number_on_create(self) -> None:
        server = Server()
        tcp, udp = port(53), port(53, protocol="UDP")
        assert numbers(created(server, **node(tcp, udp))) == [DYNAMIC, DYNAMIC]
        assert numbers(created(server, **node(tcp, port(53, 31000, "UDP")))) == [31000, 31000]
        both = port(53, 31001), port(53, 31002, "UDP")
        assert numbers(created(server, **node(*both))) == [31001, 31002]
        assert refused(server, **node(port(1, 31003), port(2, 31003, "UDP"))) == [
            f"spec.ports[1].nodePort: Invalid value: 31003: {TAKEN}"
        ]

    def test_a_twin_that_comes_later_gets_a_number_of_its_own(self) -> None:
        server = Server()
        old = created(server, **node(port(53)))
        new = changed(server, old, **node(port(53), port(53, protocol="UDP")))
        assert numbers(new) == [DYNAMIC, DYNAMIC + 1]

    def test_out_of_range(self) -> None:
        for number in (29999, 32768, 80):
            assert refused(Server(), **node(port(1, number))) == [
                f"spec.ports[0].nodePort: Invalid value: {number}: {OUTSIDE}"
            ]

    def test_an_automatic_number_leaves_alone_what_others_ask_for(self) -> None:
        server = Server()
        server.allocator.spare([service(**node(port(1, DYNAMIC)))])
        assert numbers(created(server, **node(port(1), port(2, DYNAMIC + 1)))) == [
            DYNAMIC + 2,
            DYNAMIC + 1,
        ]
        created(server, **node(port(1, DYNAMIC)))

    def test_a_balancer_may_go_without(self) -> None:
        server = Server()
        spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}
        old = created(server, **spec, ports=[port(1), port(2, 30002)])
        assert numbers(old) == [0, 30002]
        new = changed(server, old, type="LoadBalancer", ports=[port(1), port(2, 30002)])
        assert numbers(new) == [DYNAMIC, 30002]
        kept = new | {"spec": new["spec"] | {"allocateLoadBalancerNodePorts": False}}
        patched, _ = server.update(kept, new)
        assert patched is not None
        assert numbers(patched) == [DYNAMIC, 30002]
        put = changed(server, patched, **spec, ports=[port(1), port(2)])
        assert numbers(put) == [0, 0]
        assert server.in_use()[0] == set()

    def test_a_number_goes_back_only_when_the_change_is_stored(self) -> None:
        server = Server()
        old = created(server, **node(port(1, 30001)))
        assert refused(server, old, **node(port(1, 30002), externalIPs=["::1"]))
        assert server.in_use()[0] == {30001}
        new = changed(server, old, **node(port(1, 30002)))
        assert server.in_use()[0] == {30002}
        plain = changed(server, new, ports=[port(1)])
        assert server.in_use()[0] == set()
        assert numbers(plain) == [0]

    def test_on_update_one_number_serves_two_protocols_and_no_protocol_twice(self) -> None:
        server = Server()
        old = created(server, **node(port(1), port(2, protocol="UDP")))
        new = changed(server, old, **node(port(1, 30001), port(2, 30001, "UDP")))
        assert numbers(new) == [30001, 30001]
        (why,) = refused(server, new, **node(port(1, 30001), port(2, 30001)))
        assert why.endswith("Internal error occurred: duplicate nodePort: {TCP 30001}")

    def test_an_external_name_may_say_a_number_but_has_none(self) -> None:
        server = Server()
        created(server, **node(port(1, 30001)))
        idle = {"type": "ExternalName", "externalName": "x.y", "ports": [port(1, 30001)]}
        old = created(server, **idle)
        assert refused(server, old, **node(port(1, 30001))) == [
            f"spec.ports[0].nodePort: Invalid value: 30001: {TAKEN}"
        ]
        server.allocator.delete(old)
        assert server.in_use()[0] == {30001}


class TestHealthCheckNodePort:
    def test_it_comes_and_goes_with_the_policy(self) -> None:
        server = Server()
        old = created(server, type="LoadBalancer")
        local = changed(server, old, **LOCAL)
        assert local["spec"]["healthCheckNodePort"] == DYNAMIC + 1
        assert changed(server, local, **LOCAL)["spec"]["healthCheckNodePort"] == DYNAMIC + 1
        again = changed(server, local, type="LoadBalancer")
        assert "healthCheckNodePort" not in again["spec"]
        assert server.in_use()[0] == {DYNAMIC}

    def test_it_is_of_the_same_numbers(self) -> None:
        server = Server()
        created(server, **node(port(1, 30001)))
        assert refused(server, **LOCAL, healthCheckNodePort=30001) == [
            f"spec.healthCheckNodePort: {REQUESTED} 30001: {TAKEN}"
        ]
        assert refused(server, **LOCAL, healthCheckNodePort=80) == [
            f"spec.healthCheckNodePort: {REQUESTED} 80: {OUTSIDE}"
        ]
        both = LOCAL | {"ports": [port(1, 30002)], "healthCheckNodePort": 30002}
        assert refused(server, **both) == [f"spec.healthCheckNodePort: {REQUESTED} 30002: {TAKEN}"]


class TestDryRun:
    def test_numbers_are_invented_and_nothing_is_taken(self) -> None:
        server = Server()
        created(server, **node(port(1, 30001)))
        before = server.in_use()
        for spec, expected in (
            (node(port(1)), [32769]),
            (node(port(1), port(2)), [32769, 32770]),
            (node(port(1, 31000), port(2)), [31000, 31001]),
            (node(port(1), port(2, 31000)), [32769, 31000]),
            (node(port(1, 80)), [80]),
        ):
            answer, _ = server.create(service(**spec), dry_run=True)
            assert answer is not None
            assert numbers(answer) == expected
        answer, _ = server.create(service(**LOCAL), dry_run=True)
        assert answer is not None
        assert answer["spec"]["healthCheckNodePort"] == 32770
        _, errors = server.create(service(**node(port(1, 30001))), dry_run=True)
        assert [str(error) for error in errors] == [
            f"spec.ports[0].nodePort: Invalid value: 30001: {TAKEN}"
        ]
        assert server.in_use() == before


class TestClusterIps:
    def test_lowest_of_the_dynamic_band_then_the_static_one(self) -> None:
        server = Server("10.0.0.0/27")
        found = [created(server)["spec"]["clusterIP"] for _ in range(29)]
        offsets = [*range(17, 31), *range(2, 17)]
        assert found == [f"10.0.0.{n}" for n in offsets]
        assert refused(server) == [
            "spec.clusterIPs: Internal error occurred: failed to allocate a serviceIP: range is "
            "full"
        ]

    @pytest.mark.parametrize(
        ("ip", "why"),
        [
            ("10.1.0.1", "the provided network does not match the current range"),
            ("10.0.0.9", "provided IP is already allocated"),
            (
                "10.0.255.255",
                "the provided IP (10.0.255.255) is not in the valid range. The range of valid IPs "
                "is 10.0.0.0/16",
            ),
        ],
    )
    def test_refused(self, ip: str, why: str) -> None:
        server = Server()
        created(server, clusterIP="10.0.0.9")
        assert refused(server, clusterIP=ip) == [
            f'spec.clusterIPs: Invalid value: ["{ip}"]: failed to allocate IP {ip}: {why}'
        ]

    def test_guessed_ranges_bind_nobody(self) -> None:
        server = Server(guessed=True)
        assert created(server, clusterIP="10.1.0.1")["spec"]["clusterIPs"] == ["10.1.0.1"]

    def test_an_address_goes_back_with_the_type(self) -> None:
        server = Server()
        old = created(server)
        gone = changed(server, old, type="ExternalName", externalName="x.y")
        assert server.in_use()[1] == set()
        assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(gone["spec"])
        assert changed(server, gone)["spec"]["clusterIP"] == old["spec"]["clusterIP"]


POLICY = "spec.ipFamilyPolicy: Invalid value:"
UNCONFIGURED = "this cluster is not configured for dual-stack services"


class TestFamilies:
    @pytest.mark.parametrize(
        ("spec", "policy", "families"),
        [
            ({}, "SingleStack", ["IPv4"]),
            ({"ipFamilies": ["IPv6"]}, "SingleStack", ["IPv6"]),
            ({"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4", "IPv6"]),
            (
                {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]},
                "RequireDualStack",
                ["IPv6", "IPv4"],
            ),
            ({"clusterIP": "2000::9"}, "SingleStack", ["IPv6"]),
            (
                {"clusterIP": "2000::9", "ipFamilyPolicy": "PreferDualStack"},
                "PreferDualStack",
                ["IPv6", "IPv4"],
            ),
            ({"clusterIP": "None"}, "RequireDualStack", ["IPv4", "IPv6"]),
            ({"clusterIP": "None", "selector": {"a": "b"}}, "SingleStack", ["IPv4"]),
        ],
    )
    def test_chosen_in_a_dual_stack_cluster(
        self, spec: Object, policy: str, families: list[str]
    ) -> None:
        view = View(created(Server(), **spec))
        assert (view.policy, view.families) == (policy, families)
        assert view.headless or [6 if ":" in ip else 4 for ip in view.ips] == [
            int(name[-1]) for name in families
        ]

    @pytest.mark.parametrize(
        ("spec", "families"),
        [
            ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv6"]),
            ({"clusterIP": "None"}, ["IPv6", "IPv4"]),
            ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, ["IPv6"]),
        ],
    )
    def test_chosen_in_a_single_stack_cluster(self, spec: Object, families: list[str]) -> None:
        assert View(created(Server("2000::/108"), **spec)).families == families

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            (
                {"ipFamilyPolicy": "RequireDualStack"},
                f'{POLICY} "RequireDualStack": {UNCONFIGURED}',
            ),
            (
                {"ipFamilies": ["IPv6"]},
                'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
            ),
            (
                {"clusterIP": "2000::9"},
                'spec.clusterIPs[0]: Invalid value: ["2000::9"]: IPv6 is not configured on this '
                "cluster",
            ),
            (
                {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9", "2000::9"]},
                f"{POLICY} \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when "
                "multiple cluster IPs are specified",
            ),
            (
                {"ipFamilies": ["IPv4", "IPv6"]},
                f"{POLICY} \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when "
                "multiple IP families are specified",
            ),
        ],
    )
    def test_refused_in_a_single_stack_cluster(self, spec: Object, expected: str) -> None:
        assert refused(Server("10.0.0.0/16"), **spec)[0] == expected

    def test_a_second_family_comes_and_goes(self) -> None:
        server = Server()
        old = created(server)
        dual = changed(server, old, ipFamilyPolicy="RequireDualStack")
        assert View(dual).families == ["IPv4", "IPv6"]
        assert len(server.in_use()[1]) == 2
        assert refused(server, dual, ipFamilies=["IPv4"]) == [
            f"{POLICY} \"RequireDualStack\": must be 'SingleStack' to release the secondary IP "
            "family"
        ]
        single = changed(server, dual, ipFamilyPolicy="SingleStack")
        assert View(single).ips == View(old).ips
        assert server.in_use()[1] == set(View(old).ips)

    def test_prefer_dual_stack_is_not_upgraded_by_a_change_of_something_else(self) -> None:
        old = created(Server("10.0.0.0/16"), ipFamilyPolicy="PreferDualStack")
        same = {"spec": old["spec"] | {"selector": {"a": "b"}}, "metadata": old["metadata"]}
        new, _ = Server().update(same, old)
        assert new is not None
        assert View(new).families == ["IPv4"]


def test_from_a_server_everything_is_taken_as_it_is() -> None:
    server = Server("10.0.0.0/16")
    live = service(**node(port(1, 80)), clusterIP="192.168.1.1", ipFamilies=["IPv4"])
    write = server.allocator.create(live, stored=True)
    assert (write.errors, write.service) == ((), live)
    assert server.in_use() == ({80}, {"192.168.1.1"})
    again = server.allocator.create(live, stored=True, thorough=True)
    assert [error.path[1] for error in again.errors] == ["clusterIPs", "ports"]
    assert server.in_use() == ({80}, {"192.168.1.1"})


SPECS = st.fixed_dictionaries(
    {"type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])},
    optional={
        "ports": st.lists(
            st.builds(
                port,
                st.integers(1, 3),
                st.sampled_from([0, 0, 30000, 30001, 30002, 30016, 1]),
                st.sampled_from(["TCP", "UDP"]),
            ),
            max_size=3,
        ),
        "externalName": st.just("x.y"),
        "externalIPs": st.just(["192.0.2.1"]),
        "externalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
        "healthCheckNodePort": st.sampled_from([0, 30000, 30001]),
        "allocateLoadBalancerNodePorts": st.booleans(),
        "ipFamilyPolicy": st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack"]),
        "ipFamilies": st.sampled_from([["IPv4"], ["IPv6"], ["IPv6", "IPv4"]]),
        "clusterIP": st.sampled_from(["None", "10.0.0.5", "2000::5"]),
    },
)


@given(st.lists(st.tuples(st.integers(0, 2), SPECS), max_size=12), st.booleans())
def test_what_is_taken_is_what_is_stored(writes: list[tuple[int, Object]], dual: bool) -> None:
    """After any sequence of creates and updates, stored or refused."""
    server = Server(*["10.0.0.0/28", "2000::/120"][: 1 + dual], node_ports=range(30000, 30020))
    stored: dict[int, Object] = {}
    for slot, spec in writes:
        value = service(**spec)
        old = stored.get(slot)
        answer, errors = server.update(value, old) if old else server.create(value)
        assert (answer is None) == bool(errors)
        if answer is not None:
            stored[slot] = answer
        views = [View(one) for one in stored.values()]
        ports = [{*view.own_node_ports(), view.health_port} - {0} for view in views]
        ips = [ip for view in views if not view.headless for ip in view.ips]
        assert server.in_use() == (set().union(*ports), set(ips))
        assert sum(map(len, ports)) == len(set().union(*ports))
        assert len(set(ips)) == len(ips)
    for one in stored.values():
        server.allocator.delete(one)
    assert server.in_use() == (set(), set())

"""Endpoint selection: the decision table and the hints of semantics §2."""

from __future__ import annotations

import pytest

from secondhop.model.cluster import Endpoint, Node, ProxyMode
from secondhop.predict.endpoints import Listed, usable

from .build import GZ1, SHA1, XJP1, client, cluster, endpoint, fates, flow, leaving, pod, unready

HERE_READY, HERE_LEAVING = endpoint(GZ1, 2), leaving(GZ1, 3)
AWAY_READY, AWAY_LEAVING = endpoint(XJP1, 4), leaving(XJP1, 5)

TABLE = [
    # endpoints; then what an outside client gets under Cluster, under Local, and a pod under Local
    ((), "rejected", "rejected", "rejected"),
    ((AWAY_LEAVING,), "away", "dropped", "away"),
    ((AWAY_READY,), "away", "dropped", "away"),
    ((AWAY_READY, AWAY_LEAVING), "away", "dropped", "away"),
    ((HERE_LEAVING,), "here", "here", "here"),
    ((HERE_LEAVING, AWAY_LEAVING), "away here", "here", "away here"),
    ((HERE_LEAVING, AWAY_READY), "away", "here", "away"),
    ((HERE_READY,), "here", "here", "here"),
    ((HERE_READY, HERE_LEAVING, AWAY_LEAVING), "here", "here", "here"),
    ((HERE_READY, AWAY_READY), "away here", "here", "away here"),
    ((HERE_READY, HERE_LEAVING, AWAY_READY, AWAY_LEAVING), "away here", "here", "away here"),
    ((unready(GZ1), unready(XJP1)), "rejected", "rejected", "rejected"),
]
"""Semantics §2.3; nobody ready nor serving-terminating counts as nobody."""


def whereabouts(chosen: tuple[Endpoint, ...]) -> str:
    return " ".join(sorted({"here" if e.node == "gz1" else "away" for e in chosen}))


@pytest.mark.parametrize(("endpoints", "everywhere", "local", "short_circuit"), TABLE)
def test_the_decision_table(
    endpoints: tuple[Endpoint, ...], everywhere: str, local: str, short_circuit: str
) -> None:
    found = usable(Listed(endpoints), GZ1, uses_cluster=True, uses_local=True)
    assert found.anywhere == (everywhere != "rejected")
    assert whereabouts(found.cluster) == everywhere.replace("rejected", "")
    assert whereabouts(found.local) == (local if "here" in local else "")
    assert whereabouts(found.cluster) == short_circuit.replace("rejected", "")


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(("endpoints", "everywhere", "local", "short_circuit"), TABLE)
def test_the_decision_table_end_to_end(
    mode: ProxyMode,
    endpoints: tuple[Endpoint, ...],
    everywhere: str,
    local: str,
    short_circuit: str,
) -> None:
    address = {"here": "10.42.0.1", "away": "10.42.0.0", "away here": "10.42.0.0 10.42.0.1"}
    by_cluster = cluster(*endpoints, mode=mode)
    by_local = cluster(*endpoints, mode=mode, external_traffic_policy="Local")
    to_gz1 = flow(client(), GZ1)
    assert fates(by_cluster, to_gz1) == address.get(everywhere, everywhere)
    assert fates(by_local, to_gz1) == {"here": "192.168.22.2"}.get(local, local)
    from_pod = fates(by_local, flow(pod(GZ1), GZ1))
    assert from_pod == ("rejected" if short_circuit == "rejected" else "10.42.0.250")


def test_serving_without_terminating_is_not_used() -> None:
    lone = endpoint(GZ1, ready=False, serving=True)
    found = usable(Listed([lone]), GZ1, uses_cluster=True, uses_local=True)
    assert (found.cluster, found.local, found.anywhere) == ((), (), False)


def test_ready_and_terminating_is_an_ordinary_ready_endpoint() -> None:
    """publishNotReadyAddresses (§13.3)."""
    published = endpoint(GZ1, ready=True, serving=False, terminating=True)
    found = usable(Listed([published, AWAY_READY]), GZ1, uses_cluster=True, uses_local=True)
    assert found.cluster == (published, AWAY_READY)
    assert found.local == (published,)


def test_counts_are_of_ready_endpoints() -> None:
    mixed = (HERE_READY, HERE_LEAVING, AWAY_READY, unready(SHA1))
    found = usable(Listed(mixed), GZ1, uses_cluster=True, uses_local=True)
    assert (found.ready_here, found.ready, found.total) == (1, 2, 4)


def zoned(on: Node, number: int, *zones: str, nodes: tuple[str, ...] = ()) -> Endpoint:
    return endpoint(on, number, zone_hints=frozenset(zones), node_hints=frozenset(nodes))


IN_A, IN_B = zoned(GZ1, 2, "zone-a"), zoned(XJP1, 3, "zone-b")
ON_GZ1, ON_XJP1 = (
    zoned(GZ1, 2, "zone-a", nodes=("gz1",)),
    zoned(XJP1, 3, "zone-b", nodes=("xjp1",)),
)
NO_ZONE = Node("lost", (), (), None)


@pytest.mark.parametrize(
    ("endpoints", "at", "chosen"),
    [
        ((IN_A, IN_B), SHA1, (IN_A,)),
        ((IN_A, IN_B), XJP1, (IN_B,)),
        ((IN_A, IN_B), NO_ZONE, (IN_A, IN_B)),
        ((IN_B,), GZ1, (IN_B,)),
        ((IN_A, IN_B, zoned(SHA1, 9)), SHA1, (IN_A, IN_B, zoned(SHA1, 9))),
        ((IN_A, IN_B, unready(SHA1)), SHA1, (IN_A,)),
        ((ON_GZ1, ON_XJP1), GZ1, (ON_GZ1,)),
        ((ON_GZ1, ON_XJP1), SHA1, (ON_GZ1,)),
        ((ON_GZ1, ON_XJP1), NO_ZONE, (ON_GZ1, ON_XJP1)),
        ((ON_GZ1, IN_B), GZ1, (ON_GZ1,)),
        ((leaving(GZ1), leaving(XJP1)), SHA1, (leaving(GZ1), leaving(XJP1))),
    ],
    ids=[
        "own zone",
        "other zone",
        "node without zone takes all",
        "no endpoint in the zone takes all",
        "one unhinted switches hints off",
        "hints of the unready are irrelevant",
        "own node before own zone",
        "no pod here falls back to the zone",
        "then to all",
        "one without node hint leaves zones",
        "fallback ignores topology",
    ],
)
def test_hints(endpoints: tuple[Endpoint, ...], at: Node, chosen: tuple[Endpoint, ...]) -> None:
    assert usable(Listed(endpoints), at, uses_cluster=True, uses_local=False).cluster == chosen


def test_hints_never_restrict_the_local_list() -> None:
    ours, theirs = zoned(GZ1, 2, "zone-b"), zoned(SHA1, 3, "zone-a")
    found = usable(Listed([ours, theirs]), GZ1, uses_cluster=True, uses_local=True)
    assert (found.cluster, found.local) == ((theirs,), (ours,))


def test_lists_that_nobody_asks_for_stay_empty() -> None:
    found = usable(Listed([HERE_READY]), GZ1, uses_cluster=False, uses_local=True)
    assert (found.cluster, found.local, found.anywhere) == ((), (HERE_READY,), True)
    assert usable(Listed([AWAY_READY]), GZ1, uses_cluster=False, uses_local=True).anywhere

"""Verdicts, folding and columns of predictions."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from secondhop.model.fate import Fate, HealthAnswer, Outcome
from secondhop.model.flow import Source
from secondhop.report import explain
from secondhop.report.fold import Folder, entry, lands
from secondhop.report.layout import WIDTH, basis, columns, few
from secondhop.report.reach import verdict

from .build import CLIENT, SERVICE, FakeRow, cluster, outcome, row

KEPT = outcome("192.168.22.2", client_ip="kept")
HIDDEN = outcome("10.50.0.1")
DROPPED = outcome(fate=Fate.DROPPED)
REJECTED = outcome(fate=Fate.REJECTED)
SICK = outcome(health=HealthAnswer(503, 0))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(0, HIDDEN), row(1, HIDDEN)], "serves through every node and hides the client's"),
        ([row(0, KEPT), row(1, KEPT)], "serves through every node and keeps the client's address"),
        ([row(0, KEPT), row(1, HIDDEN)], "keeps the client's address only through n0"),
        ([row(0, KEPT)], "serves through the only node (n0) and keeps"),
        (
            [row(0, KEPT), row(1, DROPPED)],
            "loses what enters through n1: timeout (dropped); elsewhere it keeps",
        ),
        ([row(0, REJECTED), row(1, REJECTED)], "serves through no node: refused (rejected)"),
        (
            [row(0, DROPPED), row(1, REJECTED)],
            "serves through no node: timeout (dropped) or refused (rejected)",
        ),
        (
            [row(0, KEPT), *(row(k, DROPPED) for k in range(1, 6))],
            "loses what enters through 5 of 6 nodes",
        ),
        ([row(0, KEPT), row(0, SICK, kind="healthCheckNodePort")], "through the only node (n0)"),
        (
            [row(0, KEPT), row(0, DROPPED, kind="loadBalancerIP")],
            "node port 30080/TCP: Cluster serves through the only node (n0) and keeps the client's"
            " address; 203.0.113.10:80/TCP: Cluster serves through no node: timeout (dropped)",
        ),
        ([], "the client has no address of a family by which this Service can be entered"),
    ],
)
def test_the_verdict_names_who_is_lost_and_what_becomes_of_the_client_ip(
    rows: list[FakeRow], says: str
) -> None:
    assert says in verdict(SERVICE, rows)


def test_a_service_for_the_inside_only() -> None:
    inner = replace(SERVICE, type="ClusterIP", ports=(replace(SERVICE.ports[0], node_port=0),))
    assert verdict(inner, []) == "default/web: no way in from outside (type ClusterIP)"


def test_nodes_that_answer_alike_become_one_row() -> None:
    there = cluster(100)
    rows = [row(k, outcome(f"10.50.{k}.0", on=["n0"])) for k in range(1, 100)]
    ((words, alike),) = Folder(there).fold(rows)
    assert (words.sees, words.lands) == ("flannel.1", "n0")
    assert entry(alike) == "port 30080 of 99 nodes"
    out = list(explain.overview(there, [SERVICE], rows))
    assert len(out) == 5
    assert out[-1] == "  for example n1: because of delivered"


@pytest.mark.parametrize("change", [outcome("10.50.9.1"), outcome("10.50.9.0", on=["n2"]), DROPPED])
def test_what_differs_is_not_folded(change: Outcome) -> None:
    rows = [row(1, outcome("10.50.1.0")), replace(row(3, DROPPED), outcome=change)]
    assert len(list(Folder(cluster(10)).fold(rows))) == 2


def test_few_equal_rows_keep_their_addresses_in_the_overview() -> None:
    rows = [row(k, outcome(f"10.50.{k}.0")) for k in range(1, 4)]
    out = "\n".join(explain.overview(cluster(4), [SERVICE], rows))
    assert all(f"n{k} 10.1.0.{k + 1}:30080" in out for k in range(1, 4))


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ("client n0 n1 n2 @n0 @n1 @n2", "everyone"),
        ("client n1 n2 @n1 @n2", "everyone else"),
        ("n0", "that node"),
        ("@n0", "pod there"),
        ("@n1", "pod of n1"),
        ("n1 @n1 @n2", "pods elsewhere, node n1"),
    ],
)
def test_senders_are_named_from_the_entry_node(sources: str, says: str) -> None:
    senders = [
        CLIENT
        if name == "client"
        else Source("pod" if "@" in name else "node", name, ip_address("::"), name.lstrip("@"))
        for name in sources.split()
    ]
    ((words, _),) = Folder(cluster(3)).fold([row(0, DROPPED, sources=tuple(senders))])
    assert words.senders == says


def test_shares_are_told_by_node() -> None:
    seen = ["10.50.0.1"] * 4
    assert lands(outcome(*seen[:3], on=["n0", "n0", "n1"])) == "n0 67%, n1 33%"
    assert lands(outcome(*seen, on=["n0", "n1", "n2", "n3"])) == "4 nodes"
    assert lands(outcome(*seen[:2], on=["n0"])) == "n0 50%"  # the other one's answers are lost
    assert lands(outcome("10.50.0.1"), "that node", "n0") == "that node"


def test_the_table_of_everything_has_a_legend_of_the_words_that_it_uses() -> None:
    rows = [row(k, DROPPED) for k in range(2)] + [row(2, KEPT)]
    out = list(explain.everything(cluster(3), [SERVICE], rows))
    assert out[-2:] == ["", "dropped: silence, the client times out"]
    assert [line.split()[-1] for line in out[3:6]] == ["HOPS", "-", "1"]


def test_a_dual_stack_client_is_shown_with_both_addresses() -> None:
    both = (ip_interface("192.168.22.2/24"), ip_interface("fd00::2/64"))
    told = basis("Predicted", replace(cluster(5), client=both), [], {})
    assert " ".join(told).endswith("on 5 nodes; pod network vxlan; client 192.168.22.2, fd00::2.")


def test_columns_give_way_where_they_do_not_fit() -> None:
    table = [["word " * 30, "x" * 60, "short"], ["a", "b", "c"]]
    (first, second) = columns(table)
    assert max(map(len, first)) <= WIDTH
    assert sum(line.count("word") for line in first) == 30
    assert sum(line.count("x") for line in first) == 60
    assert len(second) == 1


def test_a_few_names_are_named() -> None:
    assert few(["a", "b", "a", "c"], "nodes") == "a, b, c"
    assert few("abcd", "nodes") == "4 nodes"

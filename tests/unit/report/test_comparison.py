"""What `compare` prints: the verdict first, every figure with its prediction, honest of itself."""

import json
from dataclasses import replace

from comparisons import PODS, comparison, rest

from secondhop.model.comparison import Comparison, Disturbance, Judged
from secondhop.model.fate import Fate, Observation
from secondhop.report.comparison import as_json, text
from secondhop.report.tradeoff import loss, nicknames, rows, second_hop

FOUND = comparison()


def printed(found: Comparison = FOUND) -> str:
    return " ".join("\n".join(text(found)).split())


def changed(of: Comparison, **fields: object) -> Comparison:
    """With its first disturbance so."""
    first, *others = of.disturbances
    return replace(of, disturbances=(replace(first, **fields), *others))  # type: ignore[arg-type]


def test_the_first_line_is_the_verdict() -> None:
    assert printed().startswith(
        "default/web: Cluster hides the client's address, gives its busiest pod 1.00 of an even"
        " share, loses most when a node dies: "
    )
    assert "; Local keeps the client's address, gives its busiest pod 1.50 of an even share" in (
        printed()
    )


def test_no_line_is_wider_than_a_terminal() -> None:
    assert max(map(len, text(FOUND))) <= 100


def test_all_that_was_predicted_is_counted() -> None:
    assert (
        "agree in 8 of 8 (shares by a chi-square test, losses by an exact binomial test"
        in printed()
    )


def test_each_kind_of_disagreement_is_told() -> None:
    shares = replace(FOUND, rest=(replace(FOUND.rest[0], p_value=1e-9), FOUND.rest[1]))
    assert "DISAGREE in 1 of 8" in printed(shares)
    assert "DISAGREE: Cluster, share of each pod" in printed(shares)
    losses = changed(FOUND, judged=(Judged(0, 3, 0.5, 100, 90, 1e-9),))
    assert "DISAGREE: Cluster, node dies (gz1)" in printed(losses)
    assert "predicted 50.0% lost, seen 90 of 100 (p = 1e-09)" in printed(losses)
    dropped = Observation(Fate.DROPPED, 12, {}, {Fate.DROPPED: 12})
    trials = replace(FOUND, trials=(replace(FOUND.trials[0], observed=dropped),))
    assert "DISAGREE: Cluster, client to 172.17.26.70:30316" in printed(trials)
    for found in (shares, losses, trials):
        assert not found.agree
        assert json.loads(as_json(found))["agree"] is False
    assert FOUND.agree


def test_the_window_is_scaled_to_the_grace_that_clusters_have() -> None:
    [window] = [o.window for o in FOUND.disturbances[:1]]
    assert window is not None
    assert FOUND.usual_window(FOUND.disturbances[0]) == window[1] + 45
    assert FOUND.usual_window(FOUND.disturbances[1]) is None  # Local: the grace has no part in it
    row = next(row for row in rows(FOUND) if row.measure == "lost, node dies")
    assert row.values["Cluster"].endswith(f"with a node grace of 50 s: to {window[1] + 45:.1f} s")


def test_the_better_one_is_marked_only_where_they_differ() -> None:
    best = {row.measure: row.best for row in rows(FOUND)}
    assert best["client's address"] == "Local"
    assert best["busiest pod, in even shares"] == "Cluster"
    assert best["nodes crossed, mean"] == "Local"
    assert best["lost, rollout"] is None
    alone = replace(FOUND, rest=FOUND.rest[:1], disturbances=FOUND.disturbances[:1])
    assert {row.best for row in rows(alone)} == {None}


def test_who_answered_instead() -> None:
    row = next(row for row in rows(FOUND) if row.measure == "  answered meanwhile")
    assert row.values["Cluster"].startswith("ccccc ")


def test_words_stand_where_no_figure_is_predicted() -> None:
    row = next(row for row in rows(FOUND) if row.measure == "lost, rollout")
    assert row.predicted.startswith("some: pods that end serve 0 s more")


def test_the_second_hop_is_told_as_what_it_is() -> None:
    assert "add a round trip between two of your nodes" in second_hop(FOUND)
    assert second_hop(FOUND) in printed()
    local = replace(FOUND, rest=FOUND.rest[1:])
    one_hop = replace(FOUND, rest=(replace(FOUND.rest[0], hops={1: 9}),))
    assert second_hop(local) == second_hop(one_hop) == ""


def test_nothing_lost_and_nothing_answered() -> None:
    silent = changed(
        FOUND, samples=tuple(s._replace(pod="") for s in FOUND.disturbances[0].samples)
    )
    assert loss(silent.disturbances[0]) == "400 of 400 (100.0%), 0.0 to the end"
    assert "400 of 400 connections to the end" in printed(silent)
    nobody = replace(FOUND, rest=(replace(rest("Local", (0, 0, 0), ("x",)), seen={}),))
    assert "gives its busiest pod 0.00" in printed(nobody)


def test_names_of_pods_are_short_only_where_controllers_made_them() -> None:
    assert list(nicknames(PODS["gz1"]).values()) == ["aaaaa", "bbbbb"]
    assert list(nicknames(["web-0", "web-1"]).values()) == ["web-0", "web-1"]
    assert list(nicknames(["a-xxxxx", "b-xxxxx"]).values()) == ["a-xxxxx", "b-xxxxx"]


def test_speed_does_not_hang_on_the_slowest() -> None:
    once = replace(FOUND.direct, connect_ms=(*[1.0] * 99, 10_000.0))
    assert once.per_second == 1000
    assert (once.quantile(0.5), once.quantile(0.999)) == (1.0, 10_000.0)
    assert replace(once, connect_ms=()).per_second == 0


def test_json_is_all_of_it() -> None:
    told = json.loads(as_json(FOUND))
    assert (told["kind"], told["service"], told["agree"]) == ("Comparison", "default/web", True)
    one: Disturbance = FOUND.disturbances[0]
    first = told["disturbances"][0]
    assert (first["sent"], first["lost"]) == (len(one.after), len(one.lost))
    assert len(first["samples"]) == len(one.samples)
    assert [claim["id"] for claim in told["claims"]] == ["survives"]

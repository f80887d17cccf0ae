"""`compare --html`: one page that needs nothing besides itself: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..model.comparison import Comparison, Disturbance
from . import charts, comparison, numbers, tradeoff
from .layout import of_version
from .numbers import tabled

_BIN_SECONDS = 0.25
_DRAWN, _LONGEST = 12, 20
_CSS = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5c6675; --paper: #fff; --rule: #dde2ea;
  --cluster: #2f6fb7; --local: #c2691b; --direct: #7a8494; --good: #9fb8d3; --lost: #c0272d;
  --fine: #1b7f4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b5; --paper: #14181f;
  --rule: #2c343f; --cluster: #6aa5e8; --local: #eb9a4f; --direct: #8c97a8; --good: #3d556f;
  --lost: #f0626a; --fine: #5cc48d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 60rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .4rem 0; overflow-wrap: anywhere; }
.soft, figcaption, ol, td.at, caption { color: var(--soft); font-size: .9rem; }
caption { text-align: left; padding: .8rem 0 .2rem; }
ol { margin: .2rem 0; padding-left: 1.6rem; columns: 18rem; overflow-wrap: anywhere; }
.key { display: inline-block; width: .8em; height: .8em; } .lost-key { background: var(--lost); }
.scroll { overflow-x: auto; } .scroll table { min-width: 40rem; }
.told { padding-left: .7rem; border-left: .3rem solid; font-weight: 600; }
.cluster-told { border-color: var(--cluster); } .local-told { border-color: var(--local); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--rule); font-variant-numeric: tabular-nums; }
th { font-weight: 600; } td.best { font-weight: 600; color: var(--fine); }
.no { color: var(--lost); font-weight: 600; }
figure { margin: .6rem 0 1rem; break-inside: avoid; }
.pair { display: grid; gap: 0 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); }
svg { width: 100%; height: auto; display: block; max-width: 46rem; }
.scroll svg { min-width: 34rem; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg text.name { fill: var(--ink); font-weight: 600; }
.cluster { fill: var(--cluster); stroke: none; } .local { fill: var(--local); }
.direct { fill: var(--direct); } .good { fill: var(--good); } .lost { fill: var(--lost); }
.line { fill: none; stroke-width: 2; } .cluster.line { stroke: var(--cluster); }
.local.line { stroke: var(--local); } .direct.line { stroke: var(--direct); }
.tick { stroke: var(--ink); stroke-width: 2; } .tick.line { fill: none; stroke-dasharray: 5 3; }
.grid, .wire { stroke: var(--rule); } .mark { stroke: var(--soft); stroke-dasharray: 2 3; }
.event { stroke: var(--ink); } .box { fill: none; stroke: var(--soft); }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --rule: #ccc;
    --cluster: #2f6fb7; --local: #c2691b; --direct: #7a8494; --good: #9fb8d3; --lost: #c0272d;
    --fine: #14633c; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10pt; } h2, h3, caption { break-after: avoid; }
  tr, figure { break-inside: avoid; } .scroll { overflow: visible; } .scroll table { min-width: 0; }
  .pair { grid-template-columns: 1fr 1fr; } }
"""


def page(found: Comparison) -> str:
    """The whole document."""
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
            " style-src 'unsafe-inline'\">"
            f"<title>{escape(found.setup.service)}: Cluster or Local</title>"
            f"<style>{_CSS}</style></head><body><main>",
            *_sections(found),
            "</main></body></html>\n",
        )
    )


def _sections(found: Comparison) -> Iterator[str]:
    good = "" if found.agree else ' class="no"'
    version = of_version(found.version)
    yield f"<h1>{escape(found.setup.service)}: Cluster or Local? {escape(version)}</h1>"
    for rest, told in zip(found.rest, comparison.costs(found), strict=True):
        yield f'<p class="told {rest.policy.lower()}-told">{escape(told)}.</p>'
    yield f"<p{good}>{escape(comparison.agreement(found))}</p>"
    yield f'<p class="soft">{escape(comparison.basis(found))}</p>'
    yield _topology(found)
    yield "<h2>Pros and cons, as numbers</h2>" + _table(found)
    if found.claims:
        yield "<h2>What people say</h2>" + _claims(found)
    yield "<h2>Who answers</h2>" + _shares(found)
    yield "<h2>How fast</h2>" + _latency(found)
    if found.disturbances:
        yield "<h2>What is lost while something breaks</h2>"
        yield (
            '<p class="soft">Connections by the time at which they were begun, in bins of'
            f" {_BIN_SECONDS:g} s, the event at 0."
            ' <span class="key lost-key"></span> nobody answered within a second; dashed: the'
            " predicted loss; numbered: what changed meanwhile.</p>"
        )
        for event in dict.fromkeys(one.event for one in found.disturbances):
            yield _event([one for one in found.disturbances if one.event == event])
    yield "<h2>All numbers</h2>" + numbers.tables(found)
    if found.notes:
        yield "<h2>Notes</h2>" + "".join(f"<p>{escape(note)}</p>" for note in found.notes)


def _topology(found: Comparison) -> str:
    setup = found.setup
    pods = [(pod, name) for name, here in setup.nodes.items() for pod in here]
    short = tradeoff.nicknames([pod for pod, _ in pods])
    if len(pods) > _DRAWN or len(setup.nodes) > _DRAWN:
        return ""
    drawn = charts.layers(
        [
            [("client", setup.client, "")],
            [("balancer", setup.balancer, "")],
            [(name, comparison.counted(len(here)), "") for name, here in setup.nodes.items()],
            [(short[pod], f"pod on {name}", f"on-{name}") for pod, name in pods],
        ],
        "client, balancer, nodes and pods",
    )
    return f'<figure class="scroll">{drawn}</figure>'


def _table(found: Comparison) -> str:
    policies = [one.policy for one in found.rest]
    lines = []
    for row in tradeoff.rows(found):
        cells = "".join(
            f"<td{' class=best' if row.best == policy else ''}>{escape(row.values[policy])}</td>"
            for policy in policies
        )
        judged = ("yes" if row.agree else '<b class="no">no</b>') if row.predicted else ""
        measure = f'<th scope="row">{escape(row.measure)}</th>'
        lines.append(f"<tr>{measure}{cells}<td>{escape(row.predicted)}</td><td>{judged}</td></tr>")
    return tabled(["", *policies, "predicted", "as predicted"], lines)


def _claims(found: Comparison) -> str:
    lines = []
    for claim in found.claims:
        condition = f" (provided that {escape(claim.condition)})" if claim.condition else ""
        lines.append(
            f'<tr><th scope="row">{escape(claim.verdict)}</th>'
            f"<td>{escape(claim.says)}{condition}</td><td>{escape(claim.because)}</td></tr>"
        )
    return tabled(["", "claim", "measured"], lines)


def _shares(found: Comparison) -> str:
    fractions = [
        part
        for one in found.rest
        for part in (
            *one.predicted.values(),
            *(n / sum(one.pods.values()) for n in one.pods.values()),
        )
    ]
    figures = []
    for one in found.rest:
        total = sum(one.pods.values()) or 1
        pods = sorted({*one.predicted, *one.pods})
        short = tradeoff.nicknames(pods)
        drawn = charts.bars(
            [
                charts.Bar(
                    short[pod][-_LONGEST:],
                    one.pods.get(pod, 0) / total,
                    one.predicted.get(pod),
                    one.policy.lower(),
                )
                for pod in pods
            ],
            max(fractions, default=1),
            f"share of each pod under {one.policy}",
        )
        figures.append(
            f"<figure><figcaption>{one.policy}: {total} connections; the tick is the prediction;"
            f" chi-square p = {one.p_value:.2g}</figcaption>{drawn}</figure>"
        )
    return f'<div class="pair">{"".join(figures)}</div>'


def _latency(found: Comparison) -> str:
    speeds = numbers.speeds(found)
    if not all(speed.connect_ms for speed in speeds.values()):
        return ""
    styles = {name: name.lower() for name in speeds} | {numbers.DIRECT: "direct"}
    drawn = charts.distribution(
        {name: (speed.connect_ms, styles[name]) for name, speed in speeds.items()},
        "connect latency, cumulative",
    )
    return (
        "<figure><figcaption>TCP handshakes through the balancer, and to the pods without a"
        f' Service</figcaption><div class="scroll">{drawn}</div></figure>'
        f"<p>{escape(tradeoff.second_hop(found))}</p>"
    )


def _event(of: Sequence[Disturbance]) -> str:
    parts = [f"<h3>{escape(of[0].event)}: {escape(of[0].subject)}</h3>", '<div class="pair">']
    for one in of:
        drawn = charts.timeline(one, _BIN_SECONDS, f"{one.event} under {one.policy}")
        marks = "".join(f"<li>{mark.at:.2f} s: {escape(mark.what)}</li>" for mark in one.marks)
        parts.append(
            f"<figure><figcaption>{one.policy}: lost {escape(tradeoff.loss(one))}</figcaption>"
            f"{drawn}<ol>{marks}</ol></figure>"
        )
    return "".join((*parts, "</div>"))

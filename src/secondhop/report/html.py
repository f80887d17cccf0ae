"""`compare --html`: one page that needs nothing besides itself: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..model.comparison import Comparison, Disturbance
from . import charts, comparison, tradeoff

_BIN_SECONDS = 0.25
_STYLES = {"Cluster": "cluster", "Local": "local"}
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
p { margin: .4rem 0; } .soft, figcaption, summary { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--rule); font-variant-numeric: tabular-nums; }
th { font-weight: 600; } td.best { font-weight: 600; color: var(--fine); }
.no { color: var(--lost); font-weight: 600; }
figure { margin: .6rem 0 1rem; break-inside: avoid; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 0 1.5rem; }
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
.box { fill: none; stroke: var(--soft); }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 11pt; }
  h2 { break-after: avoid; } table, figure { break-inside: avoid; } details { display: none; } }
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
    yield f"<h1>{escape(comparison.verdict(found))}</h1>"
    yield f"<p>{escape(comparison.agreement(found))}</p>"
    yield f'<p class="soft">{escape(comparison.basis(found))}</p>'
    yield _topology(found)
    yield "<h2>Pros and cons, as numbers</h2>" + _table(found)
    yield "<h2>Who answers</h2>" + _shares(found)
    yield "<h2>How fast</h2>" + _latency(found)
    if found.disturbances:
        yield "<h2>What is lost while something breaks</h2>"
        yield (
            '<p class="soft">Connections by the time at which they were begun, in bins of'
            f" {_BIN_SECONDS:g} s. Red: nobody answered within a second. Dashed: the predicted"
            " loss.</p>"
        )
        for event in dict.fromkeys(one.event for one in found.disturbances):
            yield _event([one for one in found.disturbances if one.event == event])
    if found.claims:
        yield "<h2>What people say</h2>" + _claims(found)
    if found.notes:
        yield "<h2>Notes</h2>" + "".join(f"<p>{escape(note)}</p>" for note in found.notes)


def _topology(found: Comparison) -> str:
    setup = found.setup
    drawn = charts.layers(
        [
            [("client", setup.client, "")],
            [("balancer", setup.balancer, "")],
            [(name, _count(len(pods), "pod"), "") for name, pods in setup.nodes.items()],
            [(pod[-18:], name, f"on-{name}") for name, pods in setup.nodes.items() for pod in pods],
        ],
        "client, balancer, nodes and pods",
    )
    return f'<figure class="scroll">{drawn}</figure>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _table(found: Comparison) -> str:
    policies = [one.policy for one in found.rest]
    head = ["", *policies, "predicted", "as predicted"]
    lines = []
    for row in tradeoff.rows(found):
        cells = "".join(
            f"<td{' class=best' if row.best == policy else ''}>{escape(row.values[policy])}</td>"
            for policy in policies
        )
        judged = "" if row.predicted == "-" else "yes" if row.agree else '<b class="no">no</b>'
        predicted = "" if row.predicted == "-" else escape(row.predicted)
        measure = f'<th scope="row">{escape(row.measure)}</th>'
        lines.append(f"<tr>{measure}{cells}<td>{predicted}</td><td>{judged}</td></tr>")
    return _tabled(head, lines)


def _shares(found: Comparison) -> str:
    figures = []
    for one in found.rest:
        total = sum(one.pods.values()) or 1
        drawn = charts.bars(
            [
                charts.Bar(pod[-18:], one.pods.get(pod, 0) / total, share, _STYLES[one.policy])
                for pod, share in sorted(one.predicted.items())
            ],
            f"share of each pod under {one.policy}",
        )
        figures.append(
            f"<figure><figcaption>{one.policy}: {total} connections; the tick is the prediction;"
            f" chi-square p = {one.p_value:.2g}</figcaption>{drawn}</figure>"
        )
    return f'<div class="pair">{"".join(figures)}</div>'


def _latency(found: Comparison) -> str:
    speeds = {"direct to the pod": (found.direct, "direct")}
    speeds |= {one.policy: (one.speed, _STYLES[one.policy]) for one in found.rest}
    drawn = charts.distribution(
        {name: (speed.connect_ms, style) for name, (speed, style) in speeds.items()},
        "connect latency, cumulative",
    )
    lines = [
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{tradeoff.quantile(speed, q):.3f}</td>" for q in _QUANTILES)
        + f"<td>{speed.per_second:.0f}</td></tr>"
        for name, (speed, _) in speeds.items()
    ]
    head = ["ms", *(f"p{100 * q:g}" for q in _QUANTILES), "connections/s"]
    return (
        "<figure><figcaption>TCP handshakes through the balancer, and to the pods without a"
        f" Service</figcaption>{drawn}</figure>{_tabled(head, lines)}"
    )


_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def _event(of: Sequence[Disturbance]) -> str:
    parts = [f"<h3>{escape(of[0].event)}: {escape(of[0].subject)}</h3>", '<div class="pair">']
    for one in of:
        drawn = charts.timeline(one, _BIN_SECONDS, f"{one.event} under {one.policy}")
        parts.append(
            f"<figure><figcaption>{one.policy}: lost {escape(tradeoff.loss(one))}</figcaption>"
            f"{drawn}{_numbers(one)}</figure>"
        )
    return "".join((*parts, "</div>"))


def _numbers(one: Disturbance) -> str:
    """The chart's data, for a reader who cannot see it."""
    seconds: dict[int, list[int]] = {}
    for sample in one.samples:
        counts = seconds.setdefault(int(sample.at // 1), [0, 0])
        counts[0 if sample.pod else 1] += 1
    lines = [
        f"<tr><td>{second}</td><td>{good}</td><td>{bad}</td></tr>"
        for second, (good, bad) in sorted(seconds.items())
    ]
    lines += [
        f"<tr><td>{mark.at:.1f}</td><td colspan=2>{escape(mark.what)}</td></tr>"
        for mark in one.marks
    ]
    lines += [
        f"<tr><td>{pod}</td><td>{count}</td><td></td></tr>"
        for pod, count in sorted(one.answered.items())
    ]
    table = _tabled(["second", "answered", "lost"], lines)
    return f"<details><summary>its numbers</summary>{table}</details>"


def _claims(found: Comparison) -> str:
    lines = []
    for claim in found.claims:
        condition = f" (provided that {escape(claim.condition)})" if claim.condition else ""
        lines.append(
            f'<tr><th scope="row">{escape(claim.verdict)}</th>'
            f"<td>{escape(claim.says)}{condition}</td><td>{escape(claim.because)}</td></tr>"
        )
    return _tabled(["", "claim", "measured"], lines)


def _tabled(head: Sequence[str], lines: Sequence[str]) -> str:
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )

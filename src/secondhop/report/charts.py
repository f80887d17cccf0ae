"""Charts as inline SVG, drawn with the page's own colours; the numbers behind each are beside it.

Lengths are in user units, a chart is as wide as its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from ..model.comparison import Disturbance

_WIDTH, _NARROW = 640, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 34
_BAR, _GAP = 20, 8
_ROW, _LETTER = 14, 8.4
_LONGEST, _LABEL = 15, 62


class Bar(NamedTuple):
    """value, predicted: fractions."""

    name: str
    value: float
    predicted: float | None
    style: str


def bars(of: Sequence[Bar], most: float, title: str) -> str:
    """Horizontal bars with their fractions; a tick where the prediction is. most: the fraction that
    is as wide as the chart, so that several have one scale."""
    label = 12 + _LETTER * max(len(bar.name) for bar in of)
    span = _NARROW - label - 64
    parts = []
    for number, bar in enumerate(of):
        y = 4 + number * (_BAR + _GAP)
        middle = y + _BAR / 2 + 4
        width = span * bar.value / most
        parts.append(_text(label - 8, middle, bar.name, "end"))
        parts.append(
            f'<rect class="{bar.style}" x="{label:.1f}" y="{y}" width="{width:.1f}"'
            f' height="{_BAR}" rx="2"/>'
        )
        reach = label + span * max(bar.value, bar.predicted or 0) / most
        parts.append(_text(reach + 6, middle, f"{100 * bar.value:.1f}%"))
        if bar.predicted is not None:
            x = label + span * bar.predicted / most
            parts.append(_line(x, y - 3, x, y + _BAR + 3, "tick"))
    return _svg("".join(parts), len(of) * (_BAR + _GAP) + 4, title, _NARROW)


def distribution(of: Mapping[str, tuple[Sequence[float], str]], title: str) -> str:
    """Cumulative distributions on a logarithmic axis. of: values, ascending and above 0, and style
    by name."""
    values = [value for ordered, _ in of.values() for value in ordered]
    low, high = math.log10(min(values)), math.log10(max(values))
    low, high = math.floor(low * 4) / 4, max(math.ceil(high * 4) / 4, low + 0.5)
    height = 240

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log10(value) - low) / (high - low)

    def y(part: float) -> float:
        return _TOP + (height - _TOP - _BOTTOM) * (1 - part)

    parts = [
        _line(_LEFT, y(part), _WIDTH - _RIGHT, y(part), "grid")
        + _text(_LEFT - 6, y(part) + 4, f"{100 * part:.0f}%", "end")
        for part in (0, 0.25, 0.5, 0.75, 0.99)
    ]
    end = 0.0
    for value in _decades(low, high):
        parts.append(_line(x(value), _TOP, x(value), height - _BOTTOM, "grid"))
        if x(value) - end > _LABEL:
            parts.append(_text(x(value), height - _BOTTOM + 16, f"{value:g} ms", "middle"))
            end = x(value)
    for ordered, style in of.values():
        points = (
            f"{x(value):.1f},{y((n + 1) / len(ordered)):.1f}" for n, value in _thinned(ordered, 300)
        )
        parts.append(f'<polyline class="{style} line" points="{" ".join(points)}"/>')
    parts.append(_legend([(name, style) for name, (_, style) in of.items()], height))
    return _svg("".join(parts), height + 18, title)


def timeline(one: Disturbance, step: float, title: str) -> str:
    """What was answered and what was lost, in bins of so many seconds; the prediction as a line;
    what was noticed as lines with the marks' numbers, from 1."""
    first = math.floor(one.samples[0].at / step) if one.samples else 0
    last = math.floor(one.samples[-1].at / step) + 1 if one.samples else 1
    bins = {number: [0, 0] for number in range(first, last)}
    for sample in one.samples:
        bins[math.floor(sample.at / step)][0 if sample.pod else 1] += 1

    def x(at: float) -> float:
        return _LEFT + (_NARROW - _LEFT - _RIGHT) * (at / step - first) / (last - first)

    levels = _levels([x(mark.at) for mark in one.marks])
    top = 8 + _ROW * (max(levels, default=-1) + 1)
    height = top + 150 + _BOTTOM

    def y(part: float) -> float:
        return top + 150 * (1 - part)

    parts = [
        _line(_LEFT, y(part), _NARROW - _RIGHT, y(part), "grid")
        + _text(_LEFT - 6, y(part) + 4, f"{100 * part:.0f}%", "end")
        for part in (0, 0.5, 1)
    ]
    for number, (good, bad) in bins.items():
        left, right = x(number * step) + 0.5, x((number + 1) * step) - 0.5
        for style, count, under in (("lost", bad, 0), ("good", good, bad)):
            if count:
                upper, lower = y((under + count) / (good + bad)), y(under / (good + bad))
                parts.append(
                    f'<rect class="{style}" x="{left:.1f}" y="{upper:.1f}"'
                    f' width="{right - left:.1f}" height="{lower - upper:.1f}"/>'
                )
    parts.append(_line(x(0), top - 4, x(0), y(0), "event"))
    parts += _predicted(one, last * step, x, y)
    for number, (mark, level) in enumerate(zip(one.marks, levels, strict=True), 1):
        under = 12 + _ROW * level
        parts.append(_line(x(mark.at), under + 3, x(mark.at), y(0), "mark"))
        parts.append(_text(x(mark.at), under, str(number), "middle", "name"))
    every = max(1, math.ceil((last - first) * step / 8))
    for second in range(math.ceil(first * step), math.floor(last * step) + 1):
        if second % every == 0:
            parts.append(_text(x(second), height - _BOTTOM + 16, f"{second} s", "middle"))
    return _svg("".join(parts), height, title, _NARROW)


def _levels(places: Sequence[float]) -> list[int]:
    """The lowest row for each label on which it does not touch the one before."""
    ends: list[float] = []
    found = []
    for place in places:
        level = next((n for n, end in enumerate(ends) if place - end >= _ROW), len(ends))
        ends[level:] = [place, *ends[level + 1 :]]
        found.append(level)
    return found


def layers(columns: Sequence[Sequence[tuple[str, str, str]]], title: str) -> str:
    """A topology: columns of boxes (name, second line, style), each box tied to all of the next
    column, but a pod only to the node that its style names as `on-NAME`."""
    width = _WIDTH / len(columns)
    rows = max(map(len, columns))
    height = rows * 56
    places: list[list[tuple[float, float]]] = []
    for number, column in enumerate(columns):
        pitch = height / len(column)
        places.append([(width * (number + 0.5), pitch * (n + 0.5)) for n in range(len(column))])
    parts = []
    for number in range(len(columns) - 1):
        for n, (name, _, _) in enumerate(columns[number]):
            for m, (_, _, style) in enumerate(columns[number + 1]):
                if style.startswith("on-") and style != f"on-{name}":
                    continue
                (x1, y1), (x2, y2) = places[number][n], places[number + 1][m]
                parts.append(_line(x1 + width * 0.42, y1, x2 - width * 0.42, y2, "wire"))
    for number, column in enumerate(columns):
        for n, (name, below, _) in enumerate(column):
            x, y = places[number][n]
            parts.append(
                f'<rect class="box" x="{x - width * 0.42:.1f}" y="{y - 20:.1f}"'
                f' width="{width * 0.84:.1f}" height="40" rx="4"/>'
                + _text(x, y - 3, _cut(name), "middle", "name")
                + _text(x, y + 12, _cut(below), "middle")
            )
    return _svg("".join(parts), height, title)


def _predicted(
    one: Disturbance, end: float, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    """The phases as a line of steps."""
    since, points = 0.0, []
    for phase in one.expected:
        until = end if phase.until is None else min(phase.until, end)
        points += [f"{x(since):.1f},{y(phase.lost):.1f}", f"{x(until):.1f},{y(phase.lost):.1f}"]
        since = until
    if points:
        yield f'<polyline class="tick line" points="{" ".join(points)}"/>'


def _decades(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 times the powers of ten between two logarithms."""
    for power in range(math.floor(low), math.ceil(high) + 1):
        for digit in (1, 2, 5):
            if low <= math.log10(digit) + power <= high:
                yield digit * 10.0**power


def _thinned(ordered: Sequence[float], most: int) -> Iterator[tuple[int, float]]:
    """At most so many of the values with their places, the first and the last among them."""
    last = len(ordered) - 1
    places = {round(n * last / most) for n in range(most + 1)} if last > most else range(last + 1)
    yield from ((n, ordered[n]) for n in sorted(places))


def _legend(entries: Sequence[tuple[str, str]], y: float) -> str:
    x, parts = float(_LEFT), []
    for name, style in entries:
        parts.append(f'<rect class="{style}" x="{x:.1f}" y="{y}" width="12" height="12" rx="2"/>')
        parts.append(_text(x + 18, y + 10, name))
        x += 34 + 7 * len(name)
    return "".join(parts)


def _cut(name: str) -> str:
    """The end of a name that is too long for its box."""
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]


def _text(x: float, y: float, text: str, anchor: str = "start", style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(body: str, height: float, title: str, width: float = _WIDTH) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height:.0f}" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )

"""The page of `compare --html`: well-formed, complete in itself, and nothing is lost in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from comparisons import comparison
from hypothesis import given, settings
from hypothesis import strategies as st

from secondhop.model.comparison import Comparison, Mark
from secondhop.report.charts import timeline
from secondhop.report.comparison import as_json
from secondhop.report.html import page

FOUND = comparison()
PAGE = page(FOUND)
VOID = {"meta", "br"}
SVG = re.compile(r"<svg.*?</svg>", re.S)


class Reading(HTMLParser):
    """Fails on a tag that is not closed, or closed in vain; keeps tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def read(html: str = PAGE) -> Reading:
    reading = Reading()
    reading.feed(html)
    reading.close()
    assert reading.open == []
    return reading


def test_it_is_well_formed() -> None:
    read()
    drawn = SVG.findall(PAGE)
    assert len(drawn) == 1 + 2 + 1 + len(FOUND.disturbances)  # topology, shares, speed
    for one in drawn:
        root = ElementTree.fromstring(one)
        assert root.findtext("title")
        assert float(root.attrib["viewBox"].split()[3]) > 0


def test_it_needs_nothing_else() -> None:
    for tag, attributes in read().tags:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not {"src", "href", "style"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in PAGE
    assert "@import" not in PAGE
    assert "http://" not in PAGE
    assert "https://" not in PAGE
    assert "default-src 'none'" in PAGE


def test_both_colour_schemes_and_print_are_provided_for() -> None:
    assert "prefers-color-scheme: dark" in PAGE
    assert "@media print" in PAGE
    assert "<details" not in PAGE  # a printer would leave out what is folded


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a document, but of single connections: the page has them by the second."""
    if path.endswith((".samples", ".significance")):
        return
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield path, float(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, path)


def test_every_number_of_the_json_is_in_it() -> None:
    shown = {float(one) for one in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", " ".join(read().text))}
    told = json.loads(as_json(FOUND))
    told.pop("trials")  # of these the page has what happened, not the latency of each
    missing = {
        (path, number)
        for path, number in numbers(told)
        if not any(abs(number - one) <= 5e-7 * max(1, abs(number)) for one in shown)
        and not any(f"{number:.1f}" == f"{one:.1f}" for one in shown if path.endswith("Seconds"))
    }
    assert missing == set()


def test_every_second_is_counted() -> None:
    text = " ".join(read().text)
    one = FOUND.disturbances[0]
    lost = [sum(1 for s in one.samples if s.at // 1 == n and not s.pod) for n in range(-1, 8)]
    assert sum(lost) == len(one.lost)
    for second, count in enumerate(lost, -1):
        assert re.search(rf"(?<!\d){second} s {50 - count} {count}\b", text)


def test_every_claim_and_note_is_in_it() -> None:
    text = "".join(read().text)
    for claim in FOUND.claims:
        assert claim.says in text
        assert claim.because in text
    assert FOUND.notes[0] in text


def test_shares_of_both_policies_have_one_scale() -> None:
    """Equal shares are bars of equal width."""
    widths = {}
    for drawn in SVG.findall(PAGE)[1:3]:
        root = ElementTree.fromstring(drawn)
        bars = [e.attrib for e in root if e.tag == "rect"]
        texts = [str(e.text) for e in root if e.tag == "text" and str(e.text).endswith("%")]
        for bar, text in zip(bars, texts, strict=True):
            widths[text] = float(bar["width"])
    assert widths["50.0%"] / widths["33.3%"] == pytest.approx(1.5, rel=0.01)


@given(st.lists(st.floats(-1, 7.9), max_size=12))
@settings(max_examples=50)
def test_labels_of_marks_never_touch(places: list[float]) -> None:
    marks = tuple(Mark(at, "x") for at in sorted(places))
    drawn = timeline(replace(FOUND.disturbances[0], marks=marks), 0.25, "t")
    labels = [
        (float(e.attrib["x"]), float(e.attrib["y"]))
        for e in ElementTree.fromstring(drawn)
        if e.attrib.get("class") == "name"
    ]
    assert len(labels) == len(marks)
    for n, (x, y) in enumerate(labels):
        assert y > 0
        for other_x, other_y in labels[n + 1 :]:
            assert abs(x - other_x) >= 13.9 or abs(y - other_y) >= 13.9


def hostile(found: Comparison) -> Comparison:
    setup = replace(found.setup, service="<script>alert(1)</script>&")
    first, *others = found.disturbances
    first = replace(first, subject='"><img src=x>')
    return replace(found, setup=setup, disturbances=(first, *others), notes=("</main>",))


def test_names_are_no_markup() -> None:
    reading = read(page(hostile(FOUND)))
    assert {tag for tag, _ in reading.tags} & {"script", "img"} == set()


def test_a_comparison_without_most_of_it() -> None:
    read(page(replace(FOUND, rest=FOUND.rest[:1], disturbances=(), trials=(), claims=())))
    silent = replace(FOUND.direct, connect_ms=())
    read(page(replace(FOUND, direct=silent)))

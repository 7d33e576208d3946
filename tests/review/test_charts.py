"""Charts: standalone SVG documents that load and run nothing, and show the right values."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from report.test_html import ATTACKS

from archprep.interview.reports.statistics import CriterionStatistics
from archprep.review import charts

SVG = "{http://www.w3.org/2000/svg}"


def criterion(
    title: str, share: float | None, discrimination: float | None = None
) -> CriterionStatistics:
    return CriterionStatistics(title[:8], title, 1, 10, 20, 10, share, discrimination, 0.1)


CRITERIA = [
    criterion("Exact names route", 1.0, 0.5),
    criterion("A dead letter holds everything", 0.0, -0.25),
    criterion("Never scored", None),
    criterion("The journal", 0.335, 0.0),
]
CHARTS = {
    "distribution": charts.distribution([0.0, 9.99, 10.0, 55.0, 99.99, 100.0]),
    "shares": charts.shares(CRITERIA),
    "discrimination": charts.discrimination(CRITERIA),
    "nothing": charts.shares([]),
}


def texts(svg: str, css: str) -> list[str]:
    """The texts of a class, from top to bottom and left to right."""
    found = [
        (float(text.get("y", "0")), float(text.get("x", "0")), text.text or "")
        for text in ET.fromstring(svg).iter(f"{SVG}text")
        if text.get("class") == css
    ]
    return [text for *_, text in sorted(found)]


def bars(svg: str) -> list[ET.Element]:
    rects = ET.fromstring(svg).iter(f"{SVG}rect")
    return [rect for rect in rects if rect.get("class", "").startswith("bar")]


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, ""))


def size(svg: str) -> list[float]:
    return [float(n) for n in ET.fromstring(svg).get("viewBox", "").split()]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_runs_and_loads_nothing(name: str) -> None:
    """No scripts, links or comments, and no URL except the namespace of SVG itself."""
    svg = CHARTS[name]
    root = ET.fromstring(svg)
    allowed = {"svg", "style", "title", "desc", "rect", "text"}
    assert {str(element.tag).removeprefix(SVG) for element in root.iter()} <= allowed
    keys = {key for element in root.iter() for key in element.attrib}
    assert not [key for key in keys if key.startswith("on") or "href" in key or key == "style"]
    assert re.findall(r"\w+://[^\"']*|xlink|url\(|@import|<!--|<\?", svg) == [
        "http://www.w3.org/2000/svg"
    ]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_light_and_dark_colours(name: str) -> None:
    """The image follows the browser's color scheme, as the page does."""
    style = CHARTS[name].partition("<style")[2].partition("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    colours = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in (light, dark)]
    assert colours[0].keys() == colours[1].keys() >= {"ink", "fill", "line"}
    assert colours[0]["ink"] != colours[1]["ink"]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_an_accessible_name_and_description(name: str) -> None:
    """A screen reader gets the title, and every value as text."""
    root = ET.fromstring(CHARTS[name])
    assert root.get("role") == "img"
    ids = {element.get("id"): element.text or "" for element in root if element.get("id")}
    title, description = (ids[key] for key in root.get("aria-labelledby", "").split())
    assert re.fullmatch(r"[A-Z].{10,}", title)
    assert description
    assert all(value in description for value in texts(CHARTS[name], "value"))


@pytest.mark.parametrize(
    "chart", [charts.shares, charts.discrimination, charts.distribution], ids=lambda f: f.__name__
)
def test_an_empty_chart_says_so(chart: Callable[..., str]) -> None:
    """Without data there is a sentence instead of axes."""
    assert "Nothing was scored." in chart([])
    assert not bars(chart([]))


def test_a_chart_without_any_verdict_is_empty() -> None:
    """Criteria that were never scored have no bars."""
    assert "Nothing was scored." in charts.shares([criterion("a", None)])
    assert "Nothing was scored." in charts.discrimination([criterion("a", 0.5, None)])


def test_a_candidate_is_counted_once_and_at_a_border_in_the_upper_bin() -> None:
    """The last bin includes both borders, otherwise 100 % would be missing."""
    svg = charts.distribution([0.0, 9.99, 10.0, 55.0, 99.99, 100.0])
    assert texts(svg, "value") == ["2", "2", "1", "1"]
    starts = [number(bar, "x") for bar in bars(svg)]
    step = (size(svg)[2] - 40) / 10
    assert [round((x - starts[0]) / step) for x in starts] == [0, 1, 5, 9]
    assert texts(svg, "tick") == [str(percent) for percent in range(0, 101, 10)]


@pytest.mark.parametrize("percents", [[50.0], [100.0], [0.0] * 1000])
def test_a_single_bin_is_a_chart(percents: list[float]) -> None:
    """All candidates may have the same score."""
    assert texts(charts.distribution(percents), "value") == [str(len(percents))]


def test_shares_are_in_the_order_of_the_criteria() -> None:
    """A criterion without a verdict keeps its label and has no value."""
    assert texts(CHARTS["shares"], "label") == [c.title for c in CRITERIA]
    assert texts(CHARTS["shares"], "value") == ["100 %", "0 %", "34 %"]


def test_bars_are_proportional_to_shares() -> None:
    """A share of 1 is three times as long as one of a third."""
    lengths = sorted(number(bar, "width") for bar in bars(CHARTS["shares"]))
    assert lengths[0] == 0
    assert lengths[2] / lengths[1] == pytest.approx(1 / 0.335, rel=0.01)


def test_criteria_without_a_discrimination_are_left_out() -> None:
    """They were scored for too few candidates."""
    titles = [c.title for c in CRITERIA if c.discrimination is not None]
    assert texts(CHARTS["discrimination"], "label") == titles
    assert texts(CHARTS["discrimination"], "value") == ["+0.50", "-0.25", "+0.00"]


def test_a_value_below_zero_has_another_direction_and_colour() -> None:
    """Its bar ends where the others begin."""
    above, below, zero = bars(CHARTS["discrimination"])
    assert [bar.get("class") for bar in (above, below, zero)] == ["bar", "bar below", "bar"]
    assert number(below, "x") + number(below, "width") == pytest.approx(number(zero, "x"))
    assert number(above, "x") == pytest.approx(number(zero, "x"))
    assert number(above, "width") == pytest.approx(2 * number(below, "width"))


@pytest.mark.parametrize(
    "title",
    ["Handlers of an event run by priority: the higher first, equals together", "word " * 59],
)
def test_a_long_title_is_wrapped_and_shown_whole(title: str) -> None:
    """Nothing is cut, and lines break between words."""
    lines = texts(charts.shares([criterion(title, 0.5)]), "label")
    assert len(lines) > 1
    assert " ".join(lines) == title.strip()
    assert max(map(len, lines)) <= 56


def test_a_long_word_is_broken() -> None:
    """A title without spaces stays inside the image."""
    lines = texts(charts.shares([criterion("x" * 300, 0.5)]), "label")
    assert "".join(lines) == "x" * 300
    assert max(map(len, lines)) <= 56


@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_criterion_has_room(count: int) -> None:
    """No texts or bars overlap, and all of them are inside the image."""
    svg = charts.shares([criterion(f"It does {n}", 1.0) for n in range(count)])
    _, _, width, height = size(svg)
    rows = [number(bar, "y") for bar in bars(svg)]
    assert all(b - a > 30 for a, b in pairwise(rows))
    labels = [e for e in ET.fromstring(svg).iter(f"{SVG}text") if e.get("class") == "label"]
    assert all(number(label, "y") < y for label, y in zip(labels, rows, strict=True))
    assert max(number(e, "y") for e in ET.fromstring(svg).iter(f"{SVG}text")) < height
    right = max(number(bar, "x") + number(bar, "width") for bar in bars(svg))
    values = [e for e in ET.fromstring(svg).iter(f"{SVG}text") if e.get("class") == "value"]
    assert all(right < number(value, "x") - 45 < width - 45 for value in values)  # "100 %"


@pytest.mark.parametrize("text", [*ATTACKS, "\ufffe\uffff", "]]><x/>", "", "\n \t", "&amp;"])
def test_a_title_is_text(text: str) -> None:
    """Any title gives the elements of a plain one, apart from wrapped lines, and valid XML."""
    plain = {element.tag for element in ET.fromstring(charts.shares([criterion("a", 0.5)])).iter()}
    svg = charts.shares([criterion(text, 0.5)])
    root = ET.fromstring(svg)
    assert {element.tag for element in root.iter()} == plain
    assert not any(len(element) for element in root)
    assert {key for element in root.iter() for key in element.attrib} <= set(
        "viewBox role aria-labelledby id class x y width height text-anchor".split()
    )
    assert all(char == "\n" or char.isprintable() for char in svg)


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_data_gives_the_same_bytes(name: str) -> None:
    """No dates and no random names, so a browser may cache it."""
    again = {
        "distribution": charts.distribution([0.0, 9.99, 10.0, 55.0, 99.99, 100.0]),
        "shares": charts.shares(CRITERIA),
        "discrimination": charts.discrimination(CRITERIA),
        "nothing": charts.shares([]),
    }
    assert again[name] == CHARTS[name]

"""Plots: whole documents that run nothing and ask for nothing, and say the right figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from report.test_html import ATTACKS

from archprep.interview.statistics import CriterionStatistics
from archprep.review import charts

SVG = "{http://www.w3.org/2000/svg}"


def criterion(title: str, share: float | None, tells: float | None = None) -> CriterionStatistics:
    return CriterionStatistics(title[:8], title, 1, 10, 20, 10, share, tells, 0.1)


SOME = [
    criterion("Exact names route", 1.0, 0.5),
    criterion("A dead letter holds everything", 0.0, -0.25),
    criterion("Nobody knows", None),
    criterion("The journal", 0.335, 0.0),
]
PLOTS = {
    "distribution": charts.distribution([0.0, 9.99, 10.0, 55.0, 99.99, 100.0]),
    "shares": charts.shares(SOME),
    "discrimination": charts.discrimination(SOME),
    "nothing": charts.shares([]),
}


def texts(svg: str, where: str) -> list[str]:
    """What is written at the places of a class, from the top."""
    found = [
        (float(text.get("y", "0")), text.text or "")
        for group in ET.fromstring(svg).iter(f"{SVG}g")
        if group.get("class", "").startswith(where)
        for text in group.iter(f"{SVG}text")
    ]
    return [text for _, text in sorted(found)]


def bars(svg: str) -> list[ET.Element]:
    rects = ET.fromstring(svg).iter(f"{SVG}rect")
    return [rect for rect in rects if rect.get("class", "").startswith("rect")]


def size(svg: str) -> list[float]:
    return [float(n) for n in ET.fromstring(svg).get("viewBox", "").split()]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_runs_nothing_and_asks_for_nothing(name: str) -> None:
    """No script, no link, no address but the name of SVG itself, not even in a comment."""
    svg = PLOTS[name]
    root = ET.fromstring(svg)
    allowed = {"svg", "defs", "style", "title", "g", "rect", "path", "text"}
    assert {str(element.tag).removeprefix(SVG) for element in root.iter()} <= allowed
    keys = {key for element in root.iter() for key in element.attrib}
    assert not [key for key in keys if key.startswith("on") or "href" in key or key == "style"]
    assert re.findall(r"\w+://[^\"']*|xlink|url\(|@import|<!--|<\?", svg) == [
        "http://www.w3.org/2000/svg"
    ]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_knows_light_and_dark(name: str) -> None:
    style = PLOTS[name].partition("<style")[2].partition("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    colours = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in (light, dark)]
    assert colours[0].keys() == colours[1].keys() >= {"ink", "fill", "line"}
    assert colours[0]["ink"] != colours[1]["ink"]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_has_a_name(name: str) -> None:
    """For whoever does not see it."""
    assert re.search(r"<title>[A-Z][^<]{10,}</title>", PLOTS[name])


@pytest.mark.parametrize(
    "plot", [charts.shares, charts.discrimination, charts.distribution], ids=lambda f: f.__name__
)
def test_nothing_to_plot_is_said(plot: Callable[..., str]) -> None:
    assert "Nothing was scored." in plot([])
    assert not bars(plot([]))


def test_no_verdict_at_all_is_nothing_to_plot() -> None:
    assert "Nothing was scored." in charts.shares([criterion("a", None)])
    assert "Nothing was scored." in charts.discrimination([criterion("a", 0.5, None)])


def test_each_candidate_is_counted_once_and_at_the_border_in_the_upper_bin() -> None:
    """The last bin has both its borders, or the best would fall out."""
    svg = charts.distribution([0.0, 9.99, 10.0, 55.0, 99.99, 100.0])
    assert texts(svg, "plot text-overlay") == sorted(["2", "1", "1", "2"], key=lambda n: -int(n))
    places = [float(bar.get("x", "")) for bar in bars(svg)]
    step = float(bars(svg)[0].get("width", ""))
    assert [round((x - places[0]) / step) for x in places] == [0, 1, 5, 9]


@pytest.mark.parametrize("percents", [[50.0], [100.0], [0.0] * 1000])
def test_one_bin_is_a_plot(percents: list[float]) -> None:
    assert texts(charts.distribution(percents), "plot text-overlay") == [str(len(percents))]


def test_shares_stand_in_the_order_of_the_criteria() -> None:
    assert texts(PLOTS["shares"], "axis y") == [c.title for c in SOME]
    assert texts(PLOTS["shares"], "plot text-overlay") == ["100 %", "0 %", "34 %"]


def test_a_share_of_all_is_three_times_as_long_as_one_of_a_third() -> None:
    lengths = [float(bar.get("width", "0")) for bar in bars(PLOTS["shares"])]
    assert sorted(lengths)[2] / sorted(lengths)[1] == pytest.approx(1 / 0.335, rel=0.01)


def test_criteria_that_tell_nothing_are_left_out() -> None:
    titles = [c.title for c in SOME if c.discrimination is not None]
    assert texts(PLOTS["discrimination"], "axis y") == titles
    assert texts(PLOTS["discrimination"], "plot text-overlay") == ["+0.50", "-0.25", "+0.00"]


def test_below_zero_is_told_by_direction_and_colour() -> None:
    """The bar ends where the others begin, and its figure stands on the other side."""
    below, above = (
        next(bar for bar in bars(PLOTS["discrimination"]) if (bar.get("class") == kind))
        for kind in ("rect below", "rect reactive tooltip-trigger")
    )
    zero = max(float(bar.get("x", "")) for bar in bars(PLOTS["discrimination"]))
    assert float(below.get("x", "")) + float(below.get("width", "")) == pytest.approx(zero)
    assert float(below.get("x", "")) < float(above.get("x", ""))
    anchors = re.findall(r'text-anchor="(\w+)"[^>]*>-0.25', PLOTS["discrimination"])
    assert anchors == ["end"]


def test_a_long_title_is_cut_between_words() -> None:
    long = "Handlers of an event run by priority: the higher first, equals together"
    (shown,) = texts(charts.shares([criterion(long, 0.5)]), "axis y")
    assert shown == "Handlers of an event run by…"
    (shown,) = texts(charts.shares([criterion("x" * 300, 0.5)]), "axis y")
    assert shown == "x" * 32 + "…"


@pytest.mark.parametrize("count", [1, 3, 40])
def test_each_criterion_has_room(count: int) -> None:
    """However many there are, a line of text fits, and all is inside the picture."""
    svg = charts.shares([criterion(f"It does {n}", 1.0) for n in range(count)])
    _, _, width, height = size(svg)
    rows = [float(bar.get("y", "")) for bar in bars(svg)]
    assert all(a - b > 20 for a, b in pairwise(rows))
    assert max(rows) < height
    place = next(g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == "plot")
    left = float(re.findall(r"\d+", place.get("transform", ""))[0])
    ends = [float(x) for x in re.findall(r'text-anchor="start" x="([\d.]+)', svg)]
    assert left + max(ends) + 45 < width  # which "100 %" takes


@pytest.mark.parametrize("text", [*ATTACKS, "\ufffe\uffff", "]]><x/>", "", "\n \t", "&amp;"])
def test_a_title_is_text(text: str) -> None:
    """Whatever stands in it: the elements are those of a plain one, and it is XML."""
    plain = [element.tag for element in ET.fromstring(charts.shares([criterion("a", 0.5)])).iter()]
    svg = charts.shares([criterion(text, 0.5)])
    assert [element.tag for element in ET.fromstring(svg).iter()] == plain
    assert all(char == "\n" or char.isprintable() for char in svg)


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_figures_give_the_same_bytes(name: str) -> None:
    """No date and no random name: a browser may keep it."""
    again = {
        "distribution": charts.distribution([0.0, 9.99, 10.0, 55.0, 99.99, 100.0]),
        "shares": charts.shares(SOME),
        "discrimination": charts.discrimination(SOME),
        "nothing": charts.shares([]),
    }
    assert again[name] == PLOTS[name]

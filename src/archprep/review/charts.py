"""Bar charts as standalone SVG images without scripts or links.

Python computes the coordinates; `chart.svg.j2` draws them. An image does not see the styles of the
page around it, so the template has its own.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archprep.core.sanitize import sanitize
from archprep.interview.reports.statistics import CriterionStatistics
from archprep.report import html

_WIDTH = 480  # a phone scales this to three quarters
_MARGIN = 8
_TOP = 34  # below the title
_LINE_HEIGHT = 18

_BIN = 10  # percent
_HISTOGRAM_HEIGHT = 150
_HISTOGRAM_MARGIN = 20  # half a tick label fits

_LABEL_LENGTH = 56  # characters of a line
_TRACK_WIDTH = 408  # leaves 56 pixels for a value such as "100 %" or "+0.50"
_BAR_HEIGHT = 12
_BAR_GAP = 12

_INVALID_XML = re.compile("[\ufffe\uffff]")  # sanitize() keeps these, XML forbids them


@dataclass(frozen=True, slots=True)
class _Rect:
    css: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Text:
    css: str
    x: float
    y: float
    text: str
    anchor: str = "start"


def distribution(percents: Sequence[float]) -> str:
    """A histogram of the candidates' total scores in ten bins."""
    title = "Candidates by total score in percent"
    if not percents:
        return _empty(title)
    last = 100 // _BIN - 1  # this bin includes 100 %
    bins = sorted(Counter(min(max(int(p // _BIN), 0), last) for p in percents).items())
    base = _TOP + _LINE_HEIGHT + _HISTOGRAM_HEIGHT
    highest = max(count for _, count in bins)
    bars = [_histogram_bar(number, count / highest, base) for number, count in bins]
    axis = _Rect("axis", _HISTOGRAM_MARGIN, base, _WIDTH - 2 * _HISTOGRAM_MARGIN, 1)
    counts = [
        _Text("value", bar.x + bar.width / 2, bar.y - 5, str(count), "middle")
        for bar, (_, count) in zip(bars, bins, strict=True)
    ]
    ticks = [
        _Text("tick", _histogram_x(percent), base + _LINE_HEIGHT, str(percent), "middle")
        for percent in range(0, 101, _BIN)
    ]
    described = [f"{_BIN * number} to {_BIN * (number + 1)} %: {count}" for number, count in bins]
    return _render(title, described, base + 30, [*bars, axis], [*counts, *ticks])


def _histogram_x(percent: float) -> float:
    return _HISTOGRAM_MARGIN + percent / 100 * (_WIDTH - 2 * _HISTOGRAM_MARGIN)


def _histogram_bar(number: int, fraction: float, base: float) -> _Rect:
    left, right = _histogram_x(_BIN * number), _histogram_x(_BIN * (number + 1))
    height = fraction * _HISTOGRAM_HEIGHT
    return _Rect("bar", left + 1, base - height, right - left - 2, height)


def shares(criteria: Sequence[CriterionStatistics]) -> str:
    """The share of candidates who pass each criterion."""
    chart = _BarChart("Share of candidates who passed", 0.0, lambda share: f"{100 * share:.0f} %")
    return chart.render([(c.title, c.share) for c in criteria])


def discrimination(criteria: Sequence[CriterionStatistics]) -> str:
    """How well each criterion separates the best candidates from the worst, where it is known."""
    title = "Pass rate of the best minus that of the worst"
    chart = _BarChart(title, -1.0, lambda difference: f"{difference:+.2f}")
    return chart.render(
        [(c.title, c.discrimination) for c in criteria if c.discrimination is not None]
    )


class _BarChart:
    """Horizontal bars from zero, each below its label. Values range from `low` (0 or -1) to 1."""

    def __init__(self, title: str, low: float, formatted: Callable[[float], str]) -> None:
        self._title = title
        self._low = low
        self._formatted = formatted
        self._rects: list[_Rect] = []
        self._texts: list[_Text] = []

    def render(self, rows: Sequence[tuple[str, float | None]]) -> str:
        """The chart; a row without a value has a label and no bar."""
        if all(value is None for _, value in rows):
            return _empty(self._title)
        bottom: float = _TOP
        for label, value in rows:
            bottom = self._add_row(_plain(label), value, bottom)
        self._add_ticks(bottom)
        described = [
            f"{_plain(label)}: {'no verdict' if value is None else self._formatted(value)}"
            for label, value in rows
        ]
        height = bottom + _LINE_HEIGHT
        return _render(self._title, described, height, self._rects, self._texts)

    def _add_row(self, label: str, value: float | None, y: float) -> float:
        """Draw a row with its top at `y`, and return the y of the next one."""
        for line in textwrap.wrap(label, _LABEL_LENGTH) or [""]:
            y += _LINE_HEIGHT
            self._texts.append(_Text("label", _MARGIN, y - 6, line))
        self._rects.append(_Rect("track", _MARGIN, y, _TRACK_WIDTH, _BAR_HEIGHT))
        if value is not None:
            self._add_bar(value, y)
        self._rects.append(_Rect("axis", self._x(0), y - 2, 1, _BAR_HEIGHT + 4))
        return y + _BAR_HEIGHT + _BAR_GAP

    def _add_bar(self, value: float, y: float) -> None:
        start, end = sorted((self._x(0), self._x(value)))
        css = "bar below" if value < 0 else "bar"
        self._rects.append(_Rect(css, start, y, end - start, _BAR_HEIGHT))
        x, text = _WIDTH - _MARGIN, self._formatted(value)
        self._texts.append(_Text("value", x, y + _BAR_HEIGHT, text, "end"))

    def _add_ticks(self, y: float) -> None:
        anchors = ("start", "middle", "end")
        for value, anchor in zip((self._low, (self._low + 1) / 2, 1.0), anchors, strict=True):
            tick = _Text("tick", self._x(value), y + 6, self._formatted(value), anchor)
            self._texts.append(tick)

    def _x(self, value: float) -> float:
        return _MARGIN + (value - self._low) / (1 - self._low) * _TRACK_WIDTH


def _plain(label: str) -> str:
    return " ".join(_INVALID_XML.sub("", sanitize(label, 300)).split())


def _empty(title: str) -> str:
    nothing = "Nothing was scored."
    return _render(title, [nothing], 60, [], [_Text("label", _MARGIN, 48, nothing)])


def _render(
    title: str,
    description: Sequence[str],
    height: float,
    rects: Sequence[_Rect],
    texts: Sequence[_Text],
) -> str:
    template = html.environment().get_template("review/chart.svg.j2")
    return template.render(
        title=title,
        description="; ".join(description),
        width=_WIDTH,
        height=round(height),
        rects=rects,
        texts=texts,
    )

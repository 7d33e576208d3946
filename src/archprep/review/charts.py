"""Plots as whole SVG documents that run nothing, ask for nothing and know light and dark.

They are shown as pictures, so what styles them stands in them.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pygal
from pygal.etree import etree
from pygal.style import Style

from archprep.core.sanitize import sanitize
from archprep.interview.statistics import CriterionStatistics

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# pygal hooks into every later import of this process, in a way that Python 3.12 has given up; its
# maps, for which it does so, are not used here.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

_STEP = 10  # percent of a bin
_TITLE = 32  # characters of a criterion's title
_WIDTH, _FONT = 480, 15  # on a phone the picture is three quarters of that
_ROW = 27  # pixels for a criterion
_ENDS = 52  # room for the figure of the longest bar
_BELOW = "rect below"  # the class of a bar below zero
_TOOLTIPS = "plot tooltip-overlay"
_NOTHING = "Nothing was scored."

_NOT_XML = re.compile("[\ufffe\uffff]")  # what sanitize() leaves and XML forbids

# The colours of report.css. A picture does not see the page that it stands in.
_CSS = f"""
:root {{ color-scheme: light dark; --ink: #1b1d21; --quiet: #565d67; --line: #d9dde2;
  --axis: #8b939d; --fill: #0b57a4; --bad: #b0241c; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e5e7ea; --quiet: #a4acb6; --line: #353a41; --axis: #6d7681;
    --fill: #8cbcf2; --bad: #ff938a; }}
}}
text {{ font: {_FONT}px system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif;
  fill: var(--ink); }}
.background {{ fill: none; }}
.line {{ fill: none; stroke: var(--line); }}
.axis.line, .line:not(.guide) {{ stroke: var(--axis); }}
.rect {{ fill: var(--fill); }}
.rect.below {{ fill: var(--bad); }}
.axis.x text, .title {{ fill: var(--quiet); text-anchor: middle; }}
.title {{ fill: var(--ink); font-weight: 600; }}
.axis.y text {{ text-anchor: end; }}
.vertical .axis.x .line, .horizontal .axis.y .line, .vertical .axis.y text {{ display: none; }}
"""


def distribution(percents: Sequence[float]) -> str:
    """How many candidates have which share of all points, in ten bins."""
    if not percents:
        return _nothing()
    bins = Counter(min(max(int(percent // _STEP), 0), 100 // _STEP - 1) for percent in percents)
    chart = pygal.Histogram(
        **_look("Candidates by their points, in percent", 260),
        x_labels=list(range(0, 101, _STEP)),
        x_value_formatter=lambda value: f"{value:.0f}",
        formatter=lambda value: f"{value[0]:.0f}",
        y_labels=[0],  # the line on which the bars stand
    )
    chart.add("", [(count, _STEP * at, _STEP * (at + 1)) for at, count in sorted(bins.items())])
    return _document(chart)


def shares(criteria: Sequence[CriterionStatistics]) -> str:
    """The share of candidates who pass each criterion."""
    bars = [(c.title, c.share) for c in criteria]
    return _bars("Share that passed", bars, (0.0, 1.0), lambda share: f"{100 * share:.0f} %")


def discrimination(criteria: Sequence[CriterionStatistics]) -> str:
    """How much better the best candidates do than the worst, for each criterion that tells."""
    bars = [(c.title, c.discrimination) for c in criteria if c.discrimination is not None]
    name = "Share among the best, minus that among the worst"
    return _bars(name, bars, (-1.0, 1.0), lambda difference: f"{difference:+.2f}")


Formatter = Callable[[float], str]


def _bars(
    name: str,
    bars: Sequence[tuple[str, float | None]],
    ends: tuple[float, float],
    formatter: Formatter,
) -> str:
    if all(figure is None for _, figure in bars):
        return _nothing()
    upwards = [*reversed(bars)]  # the library draws the first at the bottom
    low, high = ends
    chart = pygal.HorizontalBar(
        **_look(name, len(bars) * _ROW + 62),
        x_labels=[_shortened(title) for title, _ in upwards],
        y_labels=[low, (low + high) / 2, high],
        range=(low, high),
        value_formatter=formatter,
        margin_right=_ENDS,
    )
    chart.add("", [_value(figure) for _, figure in upwards])
    chart.add_xml_filter(_beside)
    return _document(chart)


def _value(figure: float | None) -> dict[str, Any] | None:
    below = {"class": _BELOW} if (figure or 0.0) < 0 else {}
    return None if figure is None else {"value": figure, "node": below}


def _beside(root: Element) -> Element:
    """Put each figure beside the end of its bar: the library centres it there."""
    kinds = [rect.get("class", "") for rect in root.iter("rect")]
    bars = [kind for kind in kinds if kind.startswith("rect")]
    for kind, text in zip(bars, root.iterfind(".//text[@class='value']"), strict=True):
        text.set("text-anchor", "end" if kind == _BELOW else "start")
    return root


def _shortened(title: str) -> str:
    """One line, cut between words."""
    text = " ".join(_NOT_XML.sub("", sanitize(title, 300)).split())
    if len(text) <= _TITLE:
        return text
    head = text[:_TITLE]
    words = head.rpartition(" ")[0].rstrip(" ,;:.")
    return f"{words if len(words) > _TITLE // 2 else head}…"


# ------------------------------------------------------------------ the document


def _look(name: str, height: int) -> dict[str, Any]:
    """What is the same for all of them. Sizes of text serve the layout, styles are our own."""
    kinds = ("label", "major_label", "value", "title")
    return {
        "title": name,
        "width": _WIDTH,
        "height": height,
        "style": Style(font_family="sans-serif", **{f"{kind}_font_size": _FONT for kind in kinds}),
        "js": [],
        "no_prefix": True,
        "disable_xml_declaration": True,
        "show_legend": False,
        "print_values": True,
        "print_values_position": "top",
        "margin": 8,
        "spacing": 6,
        "truncate_label": 100,
    }


def _document(chart: Any) -> str:
    """The chart without what the library adds for its own script: nothing but what is seen."""
    etree.to_etree()  # or the document depends on whether lxml is installed

    def bare(root: Element) -> Element:
        _prune(root)
        next(root.iter("style")).text = _CSS
        return root

    return str(chart.add_xml_filter(bare).render(is_unicode=True))


def _prune(parent: Element) -> None:
    for child in [*parent]:
        drawn = isinstance(child.tag, str)  # a comment's tag is a function
        if not drawn or child.tag in {"script", "desc"} or child.get("class") == _TOOLTIPS:
            parent.remove(child)
        else:
            _prune(child)


def _nothing() -> str:
    """A picture without any figures."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} 60">'
        f"<title>{_NOTHING}</title><style>{_CSS}</style>"
        f'<text x="8" y="36">{_NOTHING}</text></svg>'
    )

"""What interviewers look at: one page for each candidate, and one for the whole batch.

Both are self-contained and run nothing; candidates' text is escaped by the templates and cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from archprep.core.sanitize import sanitize
from archprep.interview import exports, sections
from archprep.interview.model import Batch, Received, Result
from archprep.interview.statistics import FEWEST, Spread, Statistics, share
from archprep.report import html, wording

if TYPE_CHECKING:
    from archprep.core.model import Scorecard

_STYLES = ("report/report.css", "interview/interview.css")
_REPORTED = 200  # figures from the candidate's machine
_DEPTH = 3
_ZIP_EPOCH = "1980-01-01T00:00:00"  # of every file in a kit: where the times of zips begin
_SLUG = re.compile(r"[\w-]+")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:?00)")


def report(result: Result, batch: Batch) -> str:
    """Everything about one candidate, for the interviewer's eyes only."""
    received = result.received
    return html.render(
        "interview/report.html.j2",
        _STYLES,
        **about(batch),
        name=sanitize(received.name, 200),
        result=result,
        received=received,
        received_at=when(received.received_at),
        kit=kit(received),
        reported=reported(received),
        sections=sections.of(result, batch),
    )


def index(results: Sequence[Result], batch: Batch, statistics: Statistics) -> str:
    """The table of candidates, the best first, and what the batch says about the exercises."""
    names = [exercise.exercise for exercise in statistics.exercises]
    return html.render(
        "interview/index.html.j2",
        _STYLES,
        **about(batch),
        names=names,
        rows=sorted((row(one, names) for one in results), key=lambda found: found.order),
        statistics=statistics,
        fewest=FEWEST,
        spread=spread,
    )


def when(text: str) -> str:
    """A time in UTC, readable: 2026-03-01 10:15 UTC; any other text as it is."""
    text = sanitize(text, 40)
    match = _TIME.fullmatch(text)
    return f"{match[1]} {match[2]} UTC" if match else text


def about(batch: Batch) -> dict[str, Any]:
    """What the pages need to know of a batch."""
    results = list(batch.isolation.selftest.values())
    return {
        "batch": batch,
        "created_at": when(batch.created_at),
        "weak": wording.is_weak(batch.isolation),
        "attempts": len(results),
        "withstood": results.count("blocked"),
    }


# ------------------------------------------------------------------ the table of candidates


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate in the table; `link` is empty where the name of the folder is odd."""

    name: str
    link: str
    received_at: str
    scores: tuple[str, ...]
    result: Result
    flags: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def scored(self) -> bool:
        """Whether anything of this candidate was graded."""
        return bool(exports.scorecards(self.result))

    @property
    def order(self) -> tuple[float, str]:
        """The best first, by what each was asked for; who has no score at all comes last."""
        earned = share(self.result)
        return (1.0 if earned is None else -earned, self.name.casefold())


def row(result: Result, names: Sequence[str]) -> Row:
    """A candidate's row in a table with these exercises."""
    received = result.received
    cards = {sanitize(card.exercise, 40): card for card in exports.scorecards(result)}
    known = bool(_SLUG.fullmatch(received.slug))
    return Row(
        name=sanitize(received.name, 200),
        link=f"candidates/{received.slug}/report.html" if known else "",
        received_at=when(received.received_at),
        scores=tuple(_score(cards.get(name)) for name in names),
        result=result,
        flags=sentences(received),
        problems=tuple(exports.problems(result)),
    )


def _score(card: Scorecard | None) -> str:
    if card is None:
        return ""
    score = str(card.score) if card.max_score == 100 else f"{card.score}/{card.max_score}"
    return score if card.scored else f"{score}?"


def sentences(received: Received) -> tuple[str, ...]:
    """The flags, and what else the interviewer should know at once."""
    earlier = [sanitize(source, 200) for source in received.superseded]
    also = [f"handed in before: {', '.join(earlier)}"] if earlier else []
    return (*(sanitize(flag) for flag in received.flags), *also)


def spread(spread: Spread, unit: str) -> str:
    """How scores are distributed, as a sentence."""
    if not spread.count:
        return "nothing was scored"
    figures = (spread.mean, spread.median, spread.lower_quartile, spread.upper_quartile)
    mean, median, lower, upper = (f"{figure or 0:.0f}" for figure in figures)
    ends = f"from {spread.lowest or 0:.0f} to {spread.highest or 0:.0f}"
    return f"mean {mean}{unit}, median {median}, middle half {lower} to {upper}, {ends}"


# ------------------------------------------------------------------ one candidate


def kit(received: Received) -> str:
    """What was handed out, in words; empty without a kit."""
    if (kit := received.kit) is None:
        return ""
    names = ", ".join(f"{sanitize(e.id, 40)} version {e.version}" for e in kit.exercises)
    version = sanitize(kit.archprep_version, 40)
    told = f"{names}; {kit.minutes} minutes; made {when(kit.made_at)} by archprep {version}"
    doubt = any("signature" in flag or "manifest" in flag for flag in received.flags)
    return f"{told} (not verified: see the remarks above)" if doubt else told


def reported(received: Received) -> list[tuple[str, str]]:
    """What the candidate's machine says, each figure with its place."""
    return list(islice(_leaves(received.reported), _REPORTED))


def _leaves(values: object, label: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The leaves of whatever the candidate's machine has sent, each with its place."""
    if isinstance(values, Mapping) and depth < _DEPTH:
        for key, value in values.items():
            yield from _leaves(value, f"{label} {sanitize(str(key), 200)}".strip(), depth + 1)
    else:
        yield label, _figure(values)


def _figure(value: object) -> str:
    if isinstance(value, str):
        return "as it was handed out" if value.startswith(_ZIP_EPOCH) else when(value)
    return sanitize(_shown(value), 300)


def _shown(value: object) -> str:
    try:
        return str(value)
    except (RecursionError, ValueError):  # nested too deep, or an integer of 5,000 digits
        return "(unreadable)"

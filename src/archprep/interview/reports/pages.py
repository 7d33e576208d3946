"""The pages for interviewers: one for each candidate, and one for the batch.

They are self-contained and run nothing. Candidates' text is sanitized here and escaped by the
templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from archprep.content.selection import in_words
from archprep.core.sanitize import sanitize
from archprep.interview.model import Batch, KitExercise, Received, Result
from archprep.interview.reports import evidence, exercise_section
from archprep.interview.reports.statistics import MIN_CANDIDATES, Spread, Statistics, share
from archprep.report import html, wording

if TYPE_CHECKING:
    from archprep.core.model import Scorecard

_STYLES = ("report/report.css", "interview/interview.css")
_MAX_REPORTED = 200  # values from the candidate's machine
_MAX_DEPTH = 3
_ZIP_EPOCH = "1980-01-01T00:00:00"  # the time of every file in a kit: the first that zip knows
_SLUG = re.compile(r"[\w-]+")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:?00)")


def report(result: Result, batch: Batch) -> str:
    """Return the page about one candidate, for the interviewer only."""
    received = result.received
    return html.render(
        "interview/report.html.j2",
        _STYLES,
        **batch_context(batch),
        name=sanitize(received.name, 200),
        result=result,
        received=received,
        received_at=readable_time(received.received_at),
        kit=kit_summary(received),
        reported=reported_values(received),
        sections=exercise_section.sections(result, batch),
    )


def index(results: Sequence[Result], batch: Batch, statistics: Statistics) -> str:
    """Return the page about the batch: its candidates, best first, and its statistics."""
    names = list(dict.fromkeys(exercise.exercise for exercise in statistics.exercises))
    rows = sorted((candidate_row(one, names) for one in results), key=lambda row: row.order)
    return html.render(
        "interview/index.html.j2",
        _STYLES,
        **batch_context(batch),
        names=names,
        rows=rows,
        statistics=statistics,
        min_candidates=MIN_CANDIDATES,
        spread=spread_text,
    )


def readable_time(text: str) -> str:
    """Return a time in UTC like 2026-03-01 10:15 UTC; any other text unchanged."""
    text = sanitize(text, 40)
    match = _TIME.fullmatch(text)
    return f"{match[1]} {match[2]} UTC" if match else text


def batch_context(batch: Batch) -> dict[str, Any]:
    """Return what the templates need to know about a batch."""
    results = list(batch.isolation.selftest.values())
    return {
        "batch": batch,
        "created_at": readable_time(batch.created_at),
        "weak": wording.is_weak(batch.isolation),
        "attempts": len(results),
        "withstood": results.count("blocked"),
    }


def spread_text(spread: Spread, unit: str) -> str:
    """Return how scores are distributed, as a sentence."""
    if not spread.count:
        return "nothing was scored"
    figures = (spread.mean, spread.median, spread.lower_quartile, spread.upper_quartile)
    mean, median, lower, upper = (f"{figure or 0:.0f}" for figure in figures)
    ends = f"from {spread.lowest or 0:.0f} to {spread.highest or 0:.0f}"
    return f"mean {mean}{unit}, median {median}, middle half {lower} to {upper}, {ends}"


# ------------------------------------------------------------------ the table of candidates


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One candidate in the table; `link` is empty if the folder has an unexpected name."""

    name: str
    link: str
    received_at: str
    scores: tuple[str, ...]
    result: Result
    flags: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def scored(self) -> bool:
        """Whether anything from this candidate was graded."""
        return bool(evidence.scorecards(self.result))

    @property
    def order(self) -> tuple[float, str]:
        """The sort key: the highest share of points first, no score last."""
        earned = share(self.result)
        return (1.0 if earned is None else -earned, self.name.casefold())


def candidate_row(result: Result, names: Sequence[str]) -> CandidateRow:
    """Return a candidate's row in a table with these exercises."""
    received = result.received
    cards = {sanitize(card.exercise, 40): card for card in evidence.scorecards(result)}
    is_plain = bool(_SLUG.fullmatch(received.slug))
    return CandidateRow(
        name=sanitize(received.name, 200),
        link=f"candidates/{received.slug}/report.html" if is_plain else "",
        received_at=readable_time(received.received_at),
        scores=tuple(_score(cards.get(name)) for name in names),
        result=result,
        flags=remarks(received),
        problems=tuple(evidence.problems(result)),
    )


def _score(card: Scorecard | None) -> str:
    if card is None:
        return ""
    return card.short_score if card.scored else f"{card.short_score}?"


def remarks(received: Received) -> tuple[str, ...]:
    """Return the flags, and which earlier submissions this one replaces."""
    earlier = [sanitize(source, 200) for source in received.superseded]
    replaced = [f"replaces {', '.join(earlier)}"] if earlier else []
    return (*(sanitize(flag) for flag in received.flags), *replaced)


# ------------------------------------------------------------------ one candidate


def kit_summary(received: Received) -> str:
    """Return what was handed out, in words; empty without a kit."""
    if (kit := received.kit) is None:
        return ""
    names = ", ".join(_handed_out(e) for e in kit.exercises)
    made = f"made {readable_time(kit.made_at)} by archprep {sanitize(kit.archprep_version, 40)}"
    summary = f"{names}; {kit.minutes} minutes; {made}"
    is_doubtful = any("signature" in flag or "manifest" in flag for flag in received.flags)
    return f"{summary} (not verified: see the flags above)" if is_doubtful else summary


def _handed_out(exercise: KitExercise) -> str:
    tasks = f" {in_words(exercise.tasks)}," if exercise.tasks else ""
    return f"{sanitize(exercise.id, 40)}{tasks} version {exercise.version}"


def reported_values(received: Received) -> list[tuple[str, str]]:
    """Return what the candidate's machine reports: the path to each value, and the value."""
    return list(islice(_leaves(received.reported), _MAX_REPORTED))


def _leaves(values: object, label: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping) and depth < _MAX_DEPTH:
        for key, value in values.items():
            yield from _leaves(value, f"{label} {sanitize(str(key), 200)}".strip(), depth + 1)
    else:
        yield label, _value(values)


def _value(value: object) -> str:
    if isinstance(value, str):
        is_unchanged = value.startswith(_ZIP_EPOCH)
        return "unchanged since it was handed out" if is_unchanged else readable_time(value)
    try:
        return sanitize(str(value), 300)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of 5,000 digits
        return "(unreadable)"

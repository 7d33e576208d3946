"""What interviewers look at: one page for each candidate, and one for the whole batch.

Both are self-contained and run nothing; candidates' text is escaped by the templates and cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice, pairwise
from typing import TYPE_CHECKING, Any

from archprep import catalog
from archprep.clean import clean
from archprep.errors import ArchprepError
from archprep.intake import DISCUSSION
from archprep.interview import exports
from archprep.interview.model import Batch, Graded, Received, Result
from archprep.interview.statistics import FEWEST, Spread, Statistics, share
from archprep.reading import read_text
from archprep.report import causes, html, view

if TYPE_CHECKING:
    from archprep.model import CriterionResult, Exercise, Scorecard
    from archprep.report.causes import Block, Part

_STYLES = ("report.css", "interview.css")
_LINES = 20_000  # of one exercise's source; a page must open in a browser
_COMPARED = 5_000  # lines of a file: comparing takes time that grows with their square
_REPORTED = 200  # figures from the candidate's machine
_DEPTH = 3
_SLUG = re.compile(r"[\w-]+")
_ITEM = re.compile(r"\d+\.\s+\S.*")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:?00)")

Numbered = list[tuple[str, list[str]]]


def report(result: Result, batch: Batch) -> str:
    """Everything about one candidate, for the interviewer's eyes only."""
    received = result.received
    return html.render(
        "interview_report.html.j2",
        _STYLES,
        **_about(batch),
        name=clean(received.name, 200),
        result=result,
        received=received,
        received_at=when(received.received_at),
        kit=_kit(received),
        reported=list(islice(_reported(received.reported), _REPORTED)),
        sections=[_section(graded, n, batch) for n, graded in enumerate(result.graded, 1)],
    )


def index(results: Sequence[Result], batch: Batch, statistics: Statistics) -> str:
    """The table of candidates, the best first, and what the batch says about the exercises."""
    names = [exercise.exercise for exercise in statistics.exercises]
    return html.render(
        "interview_index.html.j2",
        _STYLES,
        **_about(batch),
        names=names,
        rows=sorted((_row(result, names) for result in results), key=lambda row: row.order),
        statistics=statistics,
        fewest=FEWEST,
        spread=_spread,
    )


def when(text: str) -> str:
    """A time in UTC, readable: 2026-03-01 10:15 UTC; any other text as it is."""
    text = clean(text, 40)
    match = _TIME.fullmatch(text)
    return f"{match[1]} {match[2]} UTC" if match else text


def _about(batch: Batch) -> dict[str, Any]:
    results = list(batch.isolation.selftest.values())
    return {
        "batch": batch,
        "created_at": when(batch.created_at),
        "weak": view.weak(batch.isolation),
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


def _row(result: Result, names: Sequence[str]) -> Row:
    received = result.received
    cards = {clean(card.exercise, 40): card for card in exports.scorecards(result)}
    known = bool(_SLUG.fullmatch(received.slug))
    return Row(
        name=clean(received.name, 200),
        link=f"candidates/{received.slug}/report.html" if known else "",
        received_at=when(received.received_at),
        scores=tuple(_score(cards.get(name)) for name in names),
        result=result,
        flags=_sentences(received),
        problems=tuple(exports.problems(result)),
    )


def _score(card: Scorecard | None) -> str:
    if card is None:
        return ""
    score = str(card.score) if card.max_score == 100 else f"{card.score}/{card.max_score}"
    return score if card.scored else f"{score}?"


def _sentences(received: Received) -> tuple[str, ...]:
    """The flags, and what else the interviewer should know at once."""
    earlier = [clean(source, 200) for source in received.superseded]
    also = [f"handed in before: {', '.join(earlier)}"] if earlier else []
    return (*(clean(flag) for flag in received.flags), *also)


def _spread(spread: Spread, unit: str) -> str:
    """How scores are distributed, as a sentence."""
    if not spread.count:
        return "nothing was scored"
    figures = (spread.mean, spread.median, spread.lower_quartile, spread.upper_quartile)
    mean, median, lower, upper = (f"{figure or 0:.0f}" for figure in figures)
    ends = f"from {spread.lowest or 0:.0f} to {spread.highest or 0:.0f}"
    return f"mean {mean}{unit}, median {median}, middle half {lower} to {upper}, {ends}"


# ------------------------------------------------------------------ one candidate


def _kit(received: Received) -> str:
    """What was handed out, in words; empty without a kit."""
    if (kit := received.kit) is None:
        return ""
    names = ", ".join(f"{clean(e.id, 40)} version {e.version}" for e in kit.exercises)
    version = clean(kit.archprep_version, 40)
    return f"{names}; {kit.minutes} minutes; made {when(kit.made_at)} by archprep {version}"


def _reported(values: object, label: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The leaves of whatever the candidate's machine has sent, each with its place."""
    if isinstance(values, Mapping) and depth < _DEPTH:
        for key, value in values.items():
            yield from _reported(value, f"{label} {clean(str(key), 200)}".strip(), depth + 1)
    else:
        yield label, when(values) if isinstance(values, str) else clean(_shown(values), 300)


def _shown(value: object) -> str:
    try:
        return str(value)
    except (RecursionError, ValueError):  # nested too deep, or an integer of 5,000 digits
        return "(unreadable)"


@dataclass(frozen=True, slots=True)
class Section:
    """One exercise on a candidate's page."""

    prefix: str  # of the ids within it
    exercise: str
    title: str
    problem: str
    card: Scorecard | None
    facts: dict[str, Any]  # of the scorecard; empty without one
    others: dict[int, list[tuple[CriterionResult, list[Part]]]]
    notices: tuple[str, ...]
    files: Numbered
    file_of: dict[str, int]
    left_out: int
    invisible: list[str]
    comparison: Comparison | None
    answers: list[Answer]


def _section(graded: Graded, number: int, batch: Batch) -> Section:
    material, card, source = _material(graded.exercise), graded.scorecard, graded.source
    files, left_out = _listed(source, material.starter)
    exercise = clean(graded.exercise, 40)
    return Section(
        prefix=f"e{number}-",
        exercise=exercise,
        title=f"{exercise} {clean(card.title if card else material.title, 200)}".strip(),
        problem="" if card else clean(graded.problem or "Nothing is known about the reason."),
        card=card,
        facts=_facts(card) if card else {},
        others=_others(card) if card else {},
        notices=tuple(_notices(card, material, batch)) if card else (),
        files=files,
        file_of={name: n for n, (name, _) in enumerate(files)},
        left_out=left_out,
        invisible=list(_invisible(source)),
        comparison=_compare(source, material.starter) if source and material.starter else None,
        answers=_answers(source.get(DISCUSSION), material) if source else [],
    )


def _facts(card: Scorecard) -> dict[str, Any]:
    facts = html.facts(card)
    blocks: list[Block] = facts["blocks"]
    facts["blocks"] = [replace(block, parts=tuple(_evidence(block.parts))) for block in blocks]
    return facts


def _evidence(parts: Sequence[Part]) -> Iterator[Part]:
    """Without the advice that is meant for the candidate."""
    return (part for part in parts if part.label not in exports.ADVICE)


def _others(card: Scorecard) -> dict[int, list[tuple[CriterionResult, list[Part]]]]:
    """What criteria that share a cause have beyond the evidence of the first of them."""
    found: dict[int, list[tuple[CriterionResult, list[Part]]]] = {}
    for number, block in enumerate(causes.blocks(card)):
        shown = exports.evidence(card, block.first)
        for result in block.results[1:] if not view.unwritten(block.first) else ():
            if own := [part for part in exports.evidence(card, result) if part not in shown]:
                found.setdefault(number, []).append((result, own))
    return found


def _notices(card: Scorecard, material: Material, batch: Batch) -> Iterator[str]:
    """What makes this score differ from those of the rest of the batch."""
    own, common = card.isolation, batch.isolation
    # The limits are the exercise's own: they are no difference.
    if (own.level, own.selftest) != (common.level, common.selftest):
        kind = "Provisional: graded with weaker isolation." if view.weak(own) else "Graded apart."
        yield f"{kind} {clean(own.sentence, 1000)}"
    if card.partial:
        yield "Only a part of the exercise was checked."
    if material.missing:
        yield material.missing
    elif material.version != card.exercise_version:
        yield (
            f"Graded with version {card.exercise_version} of the exercise; the starter and the "
            f"rubric below are those of version {material.version}."
        )


# ------------------------------------------------------------------ what the exercise gave


@dataclass(frozen=True, slots=True)
class Point:
    """What the rubric says about one prompt: lists of sentences, each with its label."""

    title: str
    lists: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What a candidate was given, and what the interviewer has beside it."""

    title: str = ""
    version: int = 0
    starter: Mapping[str, str] = field(default_factory=dict)
    prompts: str = ""
    rubric: tuple[Point, ...] = ()
    missing: str = ""


def _material(name: str) -> Material:
    try:
        exercise = catalog.get(name)
        return _read(exercise)
    except ArchprepError as error:
        # A results folder outlives the exercises: the scores can still be shown.
        why = clean(error.message, 300)
        return Material(missing=f"No rubric and no comparison with the starter: {why}")


def _read(exercise: Exercise) -> Material:
    files = catalog.starter_files(exercise)
    return Material(
        title=exercise.title,
        version=exercise.version,
        starter={name: read_text(path) for name, path in files.items()},
        prompts=catalog.discussion(exercise),
        rubric=tuple(_points(catalog.rubric(exercise))),
    )


def _points(rubric: Any) -> Iterator[Point]:
    """The rubric in one form: it may be a mapping, or a list of texts or mappings."""
    pairs = rubric.items() if isinstance(rubric, dict) else ((None, item) for item in rubric)
    for key, value in pairs:
        lists = dict(value) if isinstance(value, dict) else {"": value}
        title = key
        if key is None:
            # The first text of an item names it: `prompt`, `question`.
            first = next((k for k, v in lists.items() if isinstance(v, str)), None)
            title = lists.pop(first, "")
        yield Point(_ours(title), tuple((_ours(k), tuple(_texts(v))) for k, v in lists.items()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [f"{key}: {text}" for key, text in value.items()]
    yield from map(_ours, value if isinstance(value, list) else [value])


def _ours(value: Any) -> str:
    return clean(str(value), 2000)


# ------------------------------------------------------------------ source and starter


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the files differ from the starter; a line's kind is add, del, hunk or empty."""

    changed: list[tuple[str, list[tuple[str, str]]]]
    unchanged: list[str]
    new: list[str]
    gone: list[str]
    too_long: list[str]


def _listed(source: Mapping[str, str], starter: Mapping[str, str]) -> tuple[Numbered, int]:
    """The files that the candidate wrote, and how many lines of them are left out."""
    own = {n: t for n, t in source.items() if n != DISCUSSION and starter.get(n) != t}
    listed: Numbered = []
    budget, lines_of = _LINES, html.numbered(own)
    for name, lines in lines_of:
        listed.append((name, lines[:budget]))
        budget -= len(listed[-1][1])
    return listed, sum(len(lines) for _, lines in lines_of) - (_LINES - budget)


def _invisible(source: Mapping[str, str]) -> Iterator[str]:
    """Files with characters that are not shown: such a file may do something else than it says."""
    for name, text in sorted(source.items()):
        hidden = len(text.replace("\r\n", "\n")) - len(clean(text, len(text)))
        if hidden > 0:
            yield f"{clean(name, 300)} ({hidden})"


def _compare(source: Mapping[str, str], starter: Mapping[str, str]) -> Comparison:
    both = sorted(source.keys() & starter.keys())
    changed = [name for name in both if source[name] != starter[name]]
    long = [name for name in changed if source[name].count("\n") > _COMPARED]
    return Comparison(
        changed=[
            (name, list(_diff(starter[name], source[name]))) for name in changed if name not in long
        ],
        unchanged=[name for name in both if name not in changed],
        new=_names(source.keys() - starter.keys() - {DISCUSSION}),
        gone=_names(starter.keys() - source.keys()),
        too_long=long,
    )


def _names(names: set[str]) -> list[str]:
    return [clean(name, 300) for name in sorted(names)]


def _diff(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The lines of a unified diff, without its header."""
    import difflib

    old, new = (_split(text) for text in (before, after))
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    for line in list(difflib.unified_diff(old, new, lineterm=""))[2:]:
        yield kinds.get(line[0], ""), line


def _split(text: str) -> list[str]:
    return clean(text, exports.WHOLE).split("\n")


# ------------------------------------------------------------------ discussion and rubric


@dataclass(frozen=True, slots=True)
class Answer:
    """A prompt with what the candidate wrote, beside what the rubric says of it.

    `runs` are pieces of text; what was given is told from what is the candidate's.
    """

    runs: list[tuple[str, bool]]
    points: tuple[Point, ...]
    written: bool


def _answers(text: str | None, material: Material) -> list[Answer]:
    """Each prompt by itself where the candidate left the prompts in place; else all in one."""
    given = {line.strip() for line in material.prompts.splitlines()} - {""}
    lines = _split(material.prompts if text is None else text)
    marked = [(line, line.strip() in given) for line in lines]
    cuts = _cuts(lines, material)
    if not cuts:
        return [_answer(marked, material.rubric)]
    pieces = [marked[start:end] for start, end in pairwise([*cuts, len(lines)])]
    preface = _answer(marked[: cuts[0]], ())
    answers = [_answer(p, (point,)) for p, point in zip(pieces, material.rubric, strict=True)]
    return [preface, *answers] if preface.written else answers


def _cuts(lines: Sequence[str], material: Material) -> list[int]:
    """Where each prompt begins; empty unless all stand there in order, one for each point."""
    prompts = [line.strip() for line in material.prompts.splitlines() if _ITEM.match(line)]
    cuts: list[int] = []
    for number, line in enumerate(lines):
        if len(cuts) < len(prompts) and line.strip() == prompts[len(cuts)]:
            cuts.append(number)
    return cuts if len(cuts) == len(prompts) == len(material.rubric) else []


def _answer(lines: Sequence[tuple[str, bool]], points: tuple[Point, ...]) -> Answer:
    runs = [
        (_prompt(run) if given else "\n".join(run).strip("\n"), given)
        for given, group in groupby(lines, key=lambda line: line[1])
        for run in [[text for text, _ in group]]
    ]
    shown = [(text, given) for text, given in runs if text.strip()]
    return Answer(shown, points, written=any(not given for _, given in shown))


def _prompt(lines: Sequence[str]) -> str:
    """Our own text, whose line breaks and asterisks mean nothing here."""
    return " ".join(" ".join(lines).replace("**", "").split())

"""One exercise of a candidate, as interviewers look at it: everything cleaned, nothing laid out.

Beside the scorecard stand the source, how it differs from the starter, and the discussion's
answers beside the rubric.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from archprep.content import catalog, exercise_files
from archprep.content.yaml_reader import read_text
from archprep.core.errors import ArchprepError
from archprep.core.sanitize import sanitize
from archprep.interview import exports
from archprep.interview.model import Batch, Graded, Result
from archprep.report import causes, html, wording
from archprep.workspace.submission import DISCUSSION

if TYPE_CHECKING:
    from archprep.core.model import CriterionResult, Exercise, Scorecard
    from archprep.report.causes import Cause, Detail

_LINES = 20_000  # of one exercise's source; a page must open in a browser
_COMPARED = 5_000  # lines of a file: comparing takes time that grows with their square
_ITEM = re.compile(r"\d+\.\s+\S.*")

Numbered = list[tuple[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Section:
    """One exercise on a candidate's page."""

    prefix: str  # of the ids within it
    exercise: str
    title: str
    problem: str
    card: Scorecard | None
    facts: dict[str, Any]  # of the scorecard; empty without one
    others: dict[int, list[tuple[CriterionResult, list[Detail]]]]
    notices: tuple[str, ...]
    files: Numbered
    file_of: dict[str, int]
    left_out: int
    invisible: list[str]
    comparison: Comparison | None
    answers: list[Answer]


def of(result: Result, batch: Batch) -> list[Section]:
    """The exercises of a candidate."""
    parts = enumerate(result.graded, 1)
    return [section(graded, n, batch, material(graded.exercise)) for n, graded in parts]


def section(graded: Graded, number: int, batch: Batch, given: Material) -> Section:
    """One exercise, beside what was given for it; `number` makes the ids within it unique."""
    card, source = graded.scorecard, graded.source
    files, left_out = _listed(source, given.starter)
    exercise = sanitize(graded.exercise, 40)
    return Section(
        prefix=f"e{number}-",
        exercise=exercise,
        title=f"{exercise} {sanitize(card.title if card else given.title, 200)}".strip(),
        problem="" if card else sanitize(graded.why or "Nothing is known about the reason."),
        card=card,
        facts=_facts(card) if card else {},
        others=_others(card) if card else {},
        notices=tuple(_notices(card, given, batch)) if card else (),
        files=files,
        file_of={name: n for n, (name, _) in enumerate(files)},
        left_out=left_out,
        invisible=list(_invisible(source)),
        comparison=compare(source, given.starter) if source and given.starter else None,
        answers=_answers(source.get(DISCUSSION), given) if source else [],
    )


def _facts(card: Scorecard) -> dict[str, Any]:
    facts = html.facts(card)
    found: list[Cause] = facts["causes"]
    facts["causes"] = [replace(c, details=tuple(_evidence(c.details))) for c in found]
    return facts


def _evidence(details: Sequence[Detail]) -> Iterator[Detail]:
    """Without the advice that is meant for the candidate."""
    return (detail for detail in details if detail.label not in exports.ADVICE)


def _others(card: Scorecard) -> dict[int, list[tuple[CriterionResult, list[Detail]]]]:
    """What criteria that share a cause have beyond the evidence of the first of them."""
    found: dict[int, list[tuple[CriterionResult, list[Detail]]]] = {}
    for number, cause in enumerate(causes.find_causes(card)):
        shown = exports.evidence(card, cause.first)
        for result in cause.results[1:] if not wording.is_unwritten(cause.first) else ():
            if own := [d for d in exports.evidence(card, result) if d not in shown]:
                found.setdefault(number, []).append((result, own))
    return found


def _notices(card: Scorecard, material: Material, batch: Batch) -> Iterator[str]:
    """What makes this score differ from those of the rest of the batch."""
    own, common = card.isolation, batch.isolation
    # The limits are the exercise's own: they are no difference.
    if (own.level, own.selftest) != (common.level, common.selftest):
        weak = wording.is_weak(own)
        kind = "Provisional: graded with weaker isolation." if weak else "Graded apart."
        yield f"{kind} {sanitize(own.sentence, 1000)}"
    if card.partial:
        yield "Only part of the exercise was checked."
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

    number: int  # from 1
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


def material(name: str) -> Material:
    """What was given for an exercise; with a sentence in `missing` where it is not there."""
    try:
        exercise = catalog.get(name)
        return _read(exercise)
    except ArchprepError as error:
        # A results folder outlives the exercises: the scores can still be shown.
        why = sanitize(error.message, 300)
        return Material(missing=f"No rubric and no comparison with the starter: {why}")


def _read(exercise: Exercise) -> Material:
    files = exercise_files.starter_files(exercise)
    return Material(
        title=exercise.title,
        version=exercise.version,
        starter={name: read_text(path) for name, path in files.items()},
        prompts=exercise_files.discussion(exercise),
        rubric=tuple(_points(exercise_files.rubric(exercise))),
    )


def _points(rubric: Any) -> Iterator[Point]:
    """The rubric in one form: it may be a mapping, or a list of texts or mappings."""
    pairs = rubric.items() if isinstance(rubric, dict) else ((None, item) for item in rubric)
    for number, (key, value) in enumerate(pairs, 1):
        lists = dict(value) if isinstance(value, dict) else {"": value}
        title = key
        if key is None:
            # The first text of an item names it: `prompt`, `question`.
            first = next((k for k, v in lists.items() if isinstance(v, str)), None)
            title = lists.pop(first, "")
        told = tuple((_ours(label), tuple(_texts(texts))) for label, texts in lists.items())
        yield Point(number, _ours(title), told)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [f"{key}: {text}" for key, text in value.items()]
    yield from map(_ours, value if isinstance(value, list) else [value])


def _ours(value: Any) -> str:
    return sanitize(str(value), 2000)


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
        hidden = len(text.replace("\r\n", "\n")) - len(sanitize(text, len(text)))
        if hidden > 0:
            yield f"{sanitize(name, 300)} ({hidden})"


def compare(source: Mapping[str, str], starter: Mapping[str, str]) -> Comparison:
    """How a submission's files differ from the starter's."""
    both = sorted(source.keys() & starter.keys())
    changed = [name for name in both if source[name] != starter[name]]
    long = {name for name in changed if len(_split(source[name])) > _COMPARED}
    return Comparison(
        changed=[
            (name, list(_diff(starter[name], source[name]))) for name in changed if name not in long
        ],
        unchanged=[name for name in both if name not in changed],
        new=_names(source.keys() - starter.keys() - {DISCUSSION}),
        gone=_names(starter.keys() - source.keys()),
        too_long=_names(long),
    )


def _names(names: set[str]) -> list[str]:
    return [sanitize(name, 300) for name in sorted(names)]


def _diff(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The lines of a unified diff, without its header."""
    import difflib

    old, new = (_split(text) for text in (before, after))
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    for line in list(difflib.unified_diff(old, new, lineterm=""))[2:]:
        yield kinds.get(line[0], ""), line


def _split(text: str) -> list[str]:
    return sanitize(text, exports.WHOLE).split("\n")


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

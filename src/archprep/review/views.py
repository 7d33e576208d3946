"""What stands on each page: values for the templates, nothing laid out."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from archprep.content import catalog, exercise_files
from archprep.core.errors import ArchprepError
from archprep.core.sanitize import sanitize
from archprep.interview import sections
from archprep.report import view
from archprep.review.marks import Kind, Mark, Target
from archprep.workspace.submission import DISCUSSION

if TYPE_CHECKING:
    from archprep.core.model import CriterionResult
    from archprep.interview.model import Batch, Graded, Result
    from archprep.interview.sections import Material, Section
    from archprep.report.causes import Block
    from archprep.report.view import TaskView
    from archprep.review import final as finals

_AROUND = 3  # lines of source above and below the one in question
_EXCERPTS = 3  # places shown of one failure; the others are links


@functools.lru_cache(maxsize=64)
def material(exercise: str) -> Material:
    """What was given for an exercise; read once, because it does not change under a review."""
    return sections.material(exercise)


@functools.lru_cache(maxsize=64)
def reference(exercise: str) -> Mapping[str, str]:
    """What the reference changes of the starter; empty where the exercise is not there any more."""
    try:
        files = exercise_files.reference(catalog.get(exercise))
    except ArchprepError:
        return {}
    return _changed(files, material(exercise))


def written(graded: Graded) -> Mapping[str, str]:
    """What a candidate has changed of the starter; the discussion is shown elsewhere."""
    return _changed(graded.source, material(graded.exercise))


def _changed(files: Mapping[str, str], given: Material) -> dict[str, str]:
    kept = {name: text for name, text in files.items() if given.starter.get(name) != text}
    return {name: text for name, text in kept.items() if name != DISCUSSION}


# ------------------------------------------------------------------ one exercise


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The lines of source around the one in question; `anchor` leads to it in the whole."""

    place: str
    anchor: str
    lines: tuple[tuple[int, str, bool], ...]  # number, text, whether it is the one


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion with its automatic and its human mark, and why it did not pass.

    `block` is None where it passed, or where `same_as` names the criterion that shows the cause.
    """

    anchor: str
    result: CriterionResult
    final: finals.Criterion
    standing: Mark | None  # the newest version of the override, taken back or not
    block: Block | None
    same_as: Judged | None
    excerpts: tuple[Excerpt, ...]

    @property
    def failed(self) -> bool:
        """Whether it costs points that a reviewer may want to look at."""
        return self.final.final < self.result.points


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its criteria; `final` are the points after overrides."""

    view: TaskView
    criteria: tuple[Judged, ...]

    @property
    def final(self) -> int:
        """Points after overrides."""
        return sum(judged.final.final for judged in self.criteria)


@dataclass(frozen=True, slots=True)
class Part:
    """One exercise of a candidate as a reviewer sees it."""

    section: Section
    final: finals.Exercise
    tasks: tuple[Task, ...]
    answers: Mapping[int, Mark]  # by number of the rubric's point
    comment: Mark | None


class Newest:
    """The marks of one candidate by what they are about, also those that were taken back."""

    def __init__(self, history: Sequence[Mark]) -> None:
        self._newest: dict[Target, Mark] = {}
        for mark in sorted(history, key=lambda mark: mark.version):
            self._newest[mark.target] = mark

    def all(self) -> list[Mark]:
        """The marks that stand."""
        return [mark for mark in self._newest.values() if not mark.is_empty]

    def of(self, target: Target) -> Mark | None:
        """The newest version of a mark."""
        return self._newest.get(target)


def parts(result: Result, judged: finals.Final, batch: Batch, newest: Newest) -> list[Part]:
    """The exercises of a candidate."""
    pairs = zip(result.graded, judged.exercises, strict=True)
    slug = result.received.slug
    return [
        _part(graded, number, summed, batch, slug, newest)
        for number, (graded, summed) in enumerate(pairs, 1)
    ]


def _part(
    graded: Graded,
    number: int,
    summed: finals.Exercise,
    batch: Batch,
    slug: str,
    newest: Newest,
) -> Part:
    section = sections.section(graded, number, batch, material(graded.exercise))
    rubric = {point.number for answer in section.answers for point in answer.points}
    found = {n: newest.of(Target(slug, Kind.ANSWER, graded.exercise, str(n))) for n in rubric}
    causes = _Causes(section, summed, slug, newest)
    return Part(
        section=section,
        final=summed,
        tasks=tuple(map(causes.task, section.facts.get("tasks", ()))),
        answers={number: mark for number, mark in found.items() if mark},
        comment=newest.of(Target(slug, Kind.COMMENT, graded.exercise)),
    )


class _Causes:
    """Numbers the criteria of an exercise, and tells what they share once, at the first of them."""

    def __init__(
        self,
        section: Section,
        summed: finals.Exercise,
        slug: str,
        newest: Newest,
    ) -> None:
        self._section = section
        self._exercise = summed.exercise
        self._finals = {criterion.id: criterion for criterion in summed.criteria}
        self._slug = slug
        self._newest = newest
        blocks: list[Block] = section.facts.get("blocks", [])
        self._blocks = {result.id: block for block in blocks for result in block.results}
        self._told: dict[int, Judged] = {}
        self._numbers = count(1)

    def task(self, task: TaskView) -> Task:
        return Task(task, tuple(map(self._judged, task.ran + task.blocked)))

    def _judged(self, result: CriterionResult) -> Judged:
        block = self._blocks.get(result.id)
        first = self._told.get(id(block))
        target = Target(self._slug, Kind.OVERRIDE, self._exercise, result.id)
        judged = Judged(
            anchor=f"{self._section.prefix}c{next(self._numbers)}",
            result=result,
            final=self._finals[result.id],
            standing=self._newest.of(target),
            block=None if first else block,
            same_as=first,
            excerpts=tuple(_excerpts(block, self._section)) if block and not first else (),
        )
        if block:
            self._told.setdefault(id(block), judged)
        return judged


def _excerpts(block: Block, section: Section) -> Iterator[Excerpt]:
    """The places where the candidate's code was when it went wrong, the last first."""
    frames = [frame for part in block.parts for frame in part.frames]
    places = dict.fromkeys((frame.file, frame.line) for frame in reversed(frames))
    known = [(file, line) for file, line in places if file in section.file_of]
    for file, line in known[:_EXCERPTS]:
        number = section.file_of[file]
        lines = section.files[number][1]
        if 0 < line <= len(lines):
            first = max(1, line - _AROUND)
            around = enumerate(lines[first - 1 : line + _AROUND], first)
            told = tuple((n, text, n == line) for n, text in around)
            yield Excerpt(f"{file}:{line}", f"{section.prefix}f{number}-{line}", told)


# ------------------------------------------------------------------ two candidates


@dataclass(frozen=True, slots=True)
class Compared:
    """One criterion of two candidates; None where one of them was not graded."""

    title: str
    points: int
    task: int
    left: Judged | None
    right: Judged | None

    @property
    def differs(self) -> bool:
        """Whether the two do not have the same points."""
        return self._points(self.left) != self._points(self.right)

    @staticmethod
    def _points(judged: Judged | None) -> int | None:
        return judged.final.final if judged else None


def compared(left: Part | None, right: Part | None) -> list[Compared]:
    """The criteria of an exercise, in the order of its tasks."""
    sides = [_by_id(part) for part in (left, right)]
    ids = dict.fromkeys([*sides[0], *sides[1]])
    return [_compared(sides[0].get(name), sides[1].get(name)) for name in ids]


def _by_id(part: Part | None) -> dict[str, Judged]:
    if part is None:
        return {}
    return {judged.result.id: judged for task in part.tasks for judged in task.criteria}


def _compared(left: Judged | None, right: Judged | None) -> Compared:
    known = left or right
    assert known is not None
    result = known.result
    return Compared(sanitize(result.title, 300), result.points, result.task, left, right)


# ------------------------------------------------------------------ earlier gradings


@dataclass(frozen=True, slots=True)
class Earlier:
    """A grading that was put aside: by a later submission, or because graders were mended."""

    number: int
    when: str
    same_files: bool
    scores: tuple[tuple[str, str], ...]


def earlier(found: Sequence[tuple[int, Result]], now: Result) -> list[Earlier]:
    """What stood here before, in words."""
    return [_earlier(number, then, now) for number, then in found]


def _earlier(number: int, then: Result, now: Result) -> Earlier:
    cards = [graded.scorecard for graded in then.graded]
    scores = [
        (sanitize(graded.exercise, 40), f"{card.score}/{card.max_score}" if card else "not graded")
        for graded, card in zip(then.graded, cards, strict=True)
    ]
    when = next((view.when(card) for card in cards if card), "")
    return Earlier(number, when, then.received.digest == now.received.digest, tuple(scores))

"""A candidate's exercises as templates show them: scores, marks, causes and excerpts of source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from archprep.interview.reports import exercise_section
from archprep.review.marks import Mark, MarkKind, Target
from archprep.review.submitted_files import material

if TYPE_CHECKING:
    from archprep.core.model import CriterionResult
    from archprep.interview.model import Batch, Graded, Result
    from archprep.interview.reports.exercise_section import ExerciseSection
    from archprep.report.causes import Cause
    from archprep.report.wording import TaskView
    from archprep.review.final_scores import FinalCriterion, FinalExercise, FinalScorecard

_CONTEXT_LINES = 3  # of source, above and below the line in question
_MAX_EXCERPTS = 3  # of one failure; further places are links


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of source around a frame of a traceback; `anchor` links to the whole file."""

    place: str
    anchor: str
    lines: tuple[tuple[int, str, bool], ...]  # number, text, whether it is the frame's line


@dataclass(frozen=True, slots=True)
class CriterionView:
    """One criterion with its points, its override and why it did not pass.

    `cause` is None if the criterion passed, or if `same_as` is the criterion that shows the cause.
    """

    anchor: str
    result: CriterionResult
    final: FinalCriterion
    latest_override: Mark | None  # may be removed or outdated
    cause: Cause | None
    same_as: CriterionView | None
    excerpts: tuple[Excerpt, ...]

    @property
    def loses_points(self) -> bool:
        """Whether a reviewer may want to look at it."""
        return self.final.final < self.result.points


@dataclass(frozen=True, slots=True)
class ReviewedTask:
    """A task with its criteria."""

    view: TaskView
    criteria: tuple[CriterionView, ...]

    @property
    def final(self) -> int:
        """Points after overrides."""
        return sum(criterion.final.final for criterion in self.criteria)


@dataclass(frozen=True, slots=True)
class ExerciseView:
    """One exercise of a candidate."""

    section: ExerciseSection
    final: FinalExercise
    tasks: tuple[ReviewedTask, ...]
    answers: Mapping[int, Mark]  # by number of the rubric item
    comment: Mark | None


class LatestMarks:
    """The latest version of each of a candidate's marks, including removals."""

    def __init__(self, history: Sequence[Mark]) -> None:
        self._by_target: dict[Target, Mark] = {}
        for mark in sorted(history, key=lambda mark: mark.version):
            self._by_target[mark.target] = mark

    def current(self) -> list[Mark]:
        """The marks that are not removed."""
        return [mark for mark in self._by_target.values() if not mark.is_empty]

    def get(self, target: Target) -> Mark | None:
        """The latest version of a mark."""
        return self._by_target.get(target)


def exercise_views(
    result: Result, final: FinalScorecard, batch: Batch, marks: LatestMarks
) -> list[ExerciseView]:
    """The exercises of a candidate."""
    pairs = zip(result.graded, final.exercises, strict=True)
    slug = result.received.slug
    return [
        _exercise_view(graded, number, final_exercise, batch, slug, marks)
        for number, (graded, final_exercise) in enumerate(pairs, 1)
    ]


def _exercise_view(
    graded: Graded,
    number: int,
    final: FinalExercise,
    batch: Batch,
    slug: str,
    marks: LatestMarks,
) -> ExerciseView:
    section = exercise_section.section(graded, number, batch, material(graded.exercise))
    items = {point.number for answer in section.answers for point in answer.points}
    answers = {
        item: marks.get(Target(slug, MarkKind.ANSWER, graded.exercise, str(item))) for item in items
    }
    criteria = _CriterionViews(section, final, slug, marks)
    return ExerciseView(
        section=section,
        final=final,
        tasks=tuple(map(criteria.task, section.facts.get("tasks", ()))),
        answers={item: mark for item, mark in answers.items() if mark},
        comment=marks.get(Target(slug, MarkKind.COMMENT, graded.exercise)),
    )


class _CriterionViews:
    """Numbers the criteria of an exercise, and shows each cause at the first one it affects."""

    def __init__(
        self, section: ExerciseSection, final: FinalExercise, slug: str, marks: LatestMarks
    ) -> None:
        self._section = section
        self._exercise = final.exercise
        self._finals = {criterion.id: criterion for criterion in final.criteria}
        self._slug = slug
        self._marks = marks
        causes: list[Cause] = section.facts.get("causes", [])
        self._causes = {result.id: cause for cause in causes for result in cause.results}
        self._first_of_cause: dict[int, CriterionView] = {}
        self._numbers = count(1)

    def task(self, task: TaskView) -> ReviewedTask:
        return ReviewedTask(task, tuple(map(self._criterion, task.ran + task.blocked)))

    def _criterion(self, result: CriterionResult) -> CriterionView:
        cause = self._causes.get(result.id)
        first = self._first_of_cause.get(id(cause))
        target = Target(self._slug, MarkKind.OVERRIDE, self._exercise, result.id)
        view = CriterionView(
            anchor=f"{self._section.prefix}c{next(self._numbers)}",
            result=result,
            final=self._finals[result.id],
            latest_override=self._marks.get(target),
            cause=None if first else cause,
            same_as=first,
            excerpts=tuple(_excerpts(cause, self._section)) if cause and not first else (),
        )
        if cause:
            self._first_of_cause.setdefault(id(cause), view)
        return view


def _excerpts(cause: Cause, section: ExerciseSection) -> Iterator[Excerpt]:
    """The candidate's source at the frames of the traceback, innermost first."""
    frames = [frame for detail in cause.details for frame in detail.frames]
    places = dict.fromkeys((frame.file, frame.line) for frame in reversed(frames))
    known = [(file, line) for file, line in places if file in section.file_of]
    for file, line in known[:_MAX_EXCERPTS]:
        number = section.file_of[file]
        source = section.files[number][1]
        if 0 < line <= len(source):
            first = max(1, line - _CONTEXT_LINES)
            numbered = enumerate(source[first - 1 : line + _CONTEXT_LINES], first)
            lines = tuple((n, text, n == line) for n, text in numbered)
            yield Excerpt(f"{file}:{line}", f"{section.prefix}f{number}-{line}", lines)

"""Final scores combine automatic points with the marks that count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from interview.reports.result_values import card, criterion, received, result

from archprep.core.model import State
from archprep.interview.model import Graded, Result
from archprep.review.final_scores import final_points, final_scorecard
from archprep.review.marks import SCALE, Mark, MarkKind, Target

DIGEST = "ab" * 32  # of what `received` has handed in
ADA = result(
    "Ada",
    card(criterion("a", points=60), criterion("b", State.FAILED, points=40)),
    card(criterion("a", State.FAILED, points=30), criterion("c", points=70), exercise="q3"),
)


def mark(kind: MarkKind, exercise: str = "q1", item: str = "", **changes: Any) -> Mark:
    """A mark for Ada."""
    target = Target("Ada", kind, exercise, item)
    at = "2026-03-02T09:00:00+00:00"
    return replace(Mark(1, target, 1, None, "why", DIGEST, None, "Grace", at, None), **changes)


def override(given: int, item: str = "b", exercise: str = "q1", **changes: Any) -> Mark:
    return mark(MarkKind.OVERRIDE, exercise, item, points=given, automatic=0, **changes)


def answer(given: int | None, item: str = "1", **changes: Any) -> Mark:
    return mark(MarkKind.ANSWER, item=item, points=given, **changes)


def both(whole: Result, *marks: Mark) -> tuple[int | None, int | None]:
    """The automatic and the final points; both ways to compute the latter agree."""
    found = final_scorecard(whole, marks)
    assert final_points(whole, marks) == found.final
    return found.automatic, found.final


def test_without_marks_the_final_points_are_the_automatic_ones():
    """Overrides, answers and comments are all optional."""
    found = final_scorecard(ADA, [])
    assert both(ADA) == (130, 130)
    assert (found.name, found.slug, found.max) == ("Ada", "Ada", 200)
    assert [(e.exercise, e.automatic, e.final, e.max) for e in found.exercises] == [
        ("q1", 60, 60, 100),
        ("q3", 70, 70, 100),
    ]
    assert found.outdated == found.overrides == ()


def test_an_override_changes_final_points_but_not_automatic_ones():
    """An override may raise or lower the points of its criterion, exercise and total."""
    up, down = override(25), override(0, "c", "q3")
    found = final_scorecard(ADA, [up, down])
    assert both(ADA, up, down) == (130, 85)
    assert [(e.automatic, e.final) for e in found.exercises] == [(60, 85), (70, 0)]
    changed = found.exercises[0].criteria[1]
    assert (changed.automatic, changed.final, changed.override) == (0, 25, up)
    assert (changed.id, changed.state, changed.points, changed.task) == ("b", "failed", 40, 1)
    assert found.exercises[0].criteria[0].override is None
    assert found.overrides == (up, down)


@pytest.mark.parametrize("given", [0, 40])
def test_an_override_sets_the_points(given):
    """Any value from 0 to the criterion's points is used as given."""
    assert both(ADA, override(given)) == (130, 130 + given)


@pytest.mark.parametrize("given", [-5, 41, 10**9])
def test_an_override_out_of_range_does_not_count(given):
    """A regraded criterion may be worth less; a deduction must not become full points."""
    mark = override(given)
    assert both(ADA, mark) == (130, 130)
    assert final_scorecard(ADA, [mark]).outdated == (mark,)


def test_an_override_applies_to_its_own_exercise_only():
    """Criteria of two exercises may have the same id."""
    assert both(ADA, override(10, "a", "q3")) == (130, 140)


def test_an_override_replaces_a_missing_verdict():
    """A grader error leaves points that a reviewer can give."""
    ours = result("Ada", card(criterion("b", State.GRADER_ERROR, points=40)))
    assert both(ours, override(40)) == (0, 40)


@pytest.mark.parametrize(
    "given",
    [
        override(25, digest="of an earlier submission"),
        override(25, digest=""),
        override(25, item="gone"),
        override(25, exercise="q2"),
        override(25, exercise=""),
        answer(4, digest="of an earlier submission"),
        replace(answer(4), target=Target("Ada", MarkKind.ANSWER, "q2", "1")),
        mark(MarkKind.COMMENT, "q2"),
        mark(MarkKind.COMMENT, "", "item"),
    ],
)
def test_a_mark_without_its_target_is_outdated(given):
    """It was given for another submission, or for a criterion or exercise that does not exist."""
    found = final_scorecard(ADA, [given])
    assert found.outdated == (given,)
    assert replace(found, outdated=()) == final_scorecard(ADA, [])
    assert both(ADA, given) == (130, 130)


@pytest.mark.parametrize("exercise", ["", "q3"])
def test_a_comment_is_kept_for_a_new_submission(exercise):
    """Comments are about the candidate."""
    said = mark(MarkKind.COMMENT, exercise, digest="of an earlier submission")
    found = final_scorecard(ADA, [said])
    assert said == (found.exercises[1].comment if exercise else found.comment)
    assert found.outdated == ()


def test_marks_of_answers_do_not_become_points():
    """They are in the order of the rubric; a comment without a mark is not counted."""
    given = [answer(4, "10"), answer(0, "2"), answer(None, "3"), answer(3, "1")]
    first, second = final_scorecard(ADA, given).exercises
    assert [a.target.item for a in first.answers] == ["1", "2", "3", "10"]
    assert first.answer_points == (3, 0, 4)
    assert second.answers == second.answer_points == ()
    assert both(ADA, *given) == (130, 130)


def test_marks_of_other_candidates_are_ignored():
    """The caller may pass all marks of the batch."""
    theirs = replace(override(25), target=Target("Bob", MarkKind.OVERRIDE, "q1", "b"))
    assert final_scorecard(ADA, [theirs]) == final_scorecard(ADA, [])
    assert final_points(ADA, [theirs]) == 130


def test_only_the_latest_version_counts():
    """The latest version may be a removal, and the order of versions does not matter."""
    old, new = override(10), override(20, version=2, number=2)
    assert both(ADA, old, new) == both(ADA, new, old) == (130, 150)
    gone = replace(new, version=3, points=None, text="")
    assert final_scorecard(ADA, [gone, new, old]) == final_scorecard(ADA, [])
    assert final_points(ADA, [gone, new, old]) == 130


def test_without_a_scorecard_there_is_no_score():
    """The score is None, not 0; marks do not change that, and are still shown."""
    refused = Result(received("Ada", problem="Ada.zip is no zip archive", flags=("late",)), ())
    lost = Result(received("Ada"), (Graded("q1", problem="not graded: by our fault"),))
    for whole in (refused, lost):
        assert both(whole) == both(whole, override(25)) == (None, None)
        assert final_scorecard(whole, [override(25)]).outdated == (override(25),)
    assert final_scorecard(refused, []).problem == "Ada.zip is no zip archive"
    assert final_scorecard(refused, []).flags == ("late",)
    [exercise] = final_scorecard(lost, [answer(3), mark(MarkKind.COMMENT)]).exercises
    assert (exercise.problem, exercise.title) == ("not graded: by our fault", "")
    assert (exercise.automatic, exercise.final, exercise.max) == (None, None, 100)
    assert exercise.answer_points == (3,)
    assert exercise.comment == mark(MarkKind.COMMENT)


def test_an_exercise_without_a_scorecard_does_not_affect_others():
    """The total is the sum of the other exercises."""
    half = replace(ADA, graded=(ADA.graded[0], Graded("q3", problem="no such file")))
    assert both(half, override(25)) == (60, 85)
    assert final_scorecard(half, []).max == 200


def test_the_scale_has_consecutive_marks():
    """Forms and validation rely on marks from 0 to 4."""
    assert list(SCALE) == list(range(5))

"""What becomes of a criterion, by how its function ended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import write_exercise

from archprep.content import catalog
from archprep.core.errors import CandidateError
from archprep.core.model import CriterionResult, Exercise, Frame, Reason, State
from archprep.grading import verdicts
from archprep.grading.api import Unmet

BLANK = CriterionResult("adds", "Adds", 1, 60, 0, State.GRADER_ERROR, hint="Think.")


def of(error: BaseException | None, *, compared: bool = True, prints: str = "") -> CriterionResult:
    return verdicts.of(BLANK, error, compared=compared, prints=prints)


def test_passed_is_only_what_compared_something():
    """A criterion that ends without an error earns its points if it compared anything."""
    assert (of(None).state, of(None).earned) == (State.PASSED, 60)
    nothing = of(None, compared=False)
    assert (nothing.state, nothing.earned) == (State.GRADER_ERROR, 0)


def test_an_unmet_expectation_keeps_its_sentences_and_the_prints():
    """Expected, observed, input and difference are what the candidate reads, cleaned."""
    result = of(Unmet("it is\x1b[2J 3", "it is 4", "1 and 2", "at [0]"), prints="hello")
    assert (result.state, result.expected, result.observed) == (
        State.FAILED,
        "it is 3",
        "it is 4",
    )
    assert (result.evidence.given, result.evidence.output) == ("1 and 2", "hello")


def test_a_fault_of_the_grader_names_its_place_and_no_value():
    """The message of an unforeseen exception could hold an expected value."""
    with pytest.raises(KeyError) as caught:
        {}["secret"]
    result = of(caught.value)
    assert result.state is State.GRADER_ERROR
    assert (result.reason or "").startswith("KeyError at test_verdicts.py:")


@pytest.mark.parametrize("reason", Reason)
def test_each_end_without_an_answer_has_a_sentence(reason: Reason):
    """Time-out, memory, output, crash, protocol, import: said in words, with the reason."""
    result = of(CandidateError(reason, "did so", given="the input"))
    assert (result.state, result.reason) == (State.CANDIDATE_ERROR, reason.value)
    assert "did so" in (result.observed or "")
    assert result.evidence.given == "the input"


def test_what_is_not_written_yet_is_no_crash():
    """NotImplementedError names the place that is still to be written."""
    frame = Frame("answer.py", 2, "add", "raise NotImplementedError")
    error = CandidateError(Reason.CRASH, "NotImplementedError", "NotImplementedError", (frame,))
    assert of(error).state is State.FAILED
    assert "add (answer.py:2)" in (of(error).observed or "")


def test_interruptions_go_through():
    """Ctrl-C in a grader is nobody's verdict."""
    with pytest.raises(KeyboardInterrupt):
        of(KeyboardInterrupt())
    followed = IndexError("while cleaning up")
    followed.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        of(followed)


@pytest.fixture
def two_tasks(content) -> Exercise:
    """Task 2 needs task 1."""
    write_exercise(content, "q05_two")
    return catalog.get("q5")


def test_what_fails_for_want_of_an_earlier_task_is_blocked(two_tasks: Exercise):
    """Only what failed is marked, and only while the needed task earns nothing at all."""
    first = replace(BLANK, state=State.FAILED)
    later = replace(first, id="later", task=2)
    passed = replace(later, id="passed", state=State.PASSED, earned=60)
    states = [c.state for c in verdicts.block(two_tasks, (first, later, passed))]
    assert states == [State.FAILED, State.BLOCKED, State.PASSED]
    earning = replace(first, state=State.PASSED, earned=60)
    assert verdicts.block(two_tasks, (earning, later))[1].state is State.FAILED


def test_points_are_added_by_task(two_tasks: Exercise):
    """Tasks without a criterion in this run are left out."""
    (task,) = verdicts.by_task(two_tasks, (BLANK, replace(BLANK, id="b", points=5, earned=5)))
    assert (task.number, task.points, task.earned) == (1, 65, 5)

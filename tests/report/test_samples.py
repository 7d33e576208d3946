"""The scorecards that the tests of the report share, and what each must say in every form.

`SAMPLES` stand in tests/golden as JSON; to_json must write those files, byte for byte.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archprep.core.model import (
    CriterionResult,
    Evidence,
    Frame,
    Isolation,
    Limits,
    Reason,
    Scorecard,
    State,
    Submission,
    SubmittedFile,
    TaskResult,
)
from archprep.report import print_scorecard, to_html

TITLES = {1: "Routing and middleware", 2: "Retries and dead letters", 3: "Durable log"}
LIMITS = Limits()
LEVEL_A = Isolation(
    level="A",
    tool="bubblewrap 0.11.0",
    kernel="6.18.44",
    uid=65534,
    seccomp=True,
    selftest={"read the graders": "blocked", "use the network": "blocked"},
    sentence="Isolation level A (bubblewrap, no network; self-test 2/2). "
    "Not covered: bugs of the kernel.",
    limits=LIMITS,
)
LEVEL_D = replace(
    LEVEL_A,
    level="D",
    tool="subprocess",
    seccomp=False,
    selftest={"read the graders": "not tested", "use the network": "NOT blocked"},
    sentence="Isolation level D: a plain process with limits, for your own code only.",
)
SUBMISSION = Submission(
    root=Path(),
    digest="3f1c9a5e7d0b24c6889f10aa24e7735dbb1f0c9e6b61d7c2f9a8e0b4d1c5e7f2",
    files=(SubmittedFile("eventbus.py", "ab" * 32, 4182), SubmittedFile("log.py", "cd" * 32, 96)),
)
PUBLISH = Frame("eventbus.py", 41, "publish", "for handler in self._handlers[event.topic]:")

ROUTING = CriterionResult(
    "routing-by-topic", "Handlers get the events of their topic", 1, 8, 8, State.PASSED
)
PRIORITY = CriterionResult(
    id="handler-priority",
    title="Handlers run one after the other, the highest priority first",
    task=1,
    points=10,
    earned=0,
    state=State.FAILED,
    expected="handlers of one event run one after the other, the highest priority first",
    observed="h3 (priority 2) had started at 0.0 s, before h1 (priority 9) ended at 0.4 s",
    evidence=Evidence(
        given="handlers  h1 priority 9 sleeps 0.4 s\n          h3 priority 2 sleeps 0.0 s",
        difference="at call 2 of 6\n  expected  h1 ends\n  observed  h3 starts",
        output="publishing order.created\n",
    ),
    hint="README, 'Delivery': what may run at the same time, and what may not.",
    duration_s=0.05,
)
TIMEOUT = CriterionResult(
    id="idle-returns",
    title="idle() returns when nothing is left to do",
    task=2,
    points=12,
    earned=0,
    state=State.CANDIDATE_ERROR,
    reason=Reason.TIMEOUT.value,
    expected="idle() returns when nothing is left to do",
    observed="Time-out: the scenario had not finished after 4 s.",
    evidence=Evidence(message="the scenario had not finished after 4 s"),
    hint="Who wakes the one that waits?",
    duration_s=4.0,
)
CRASH = CriterionResult(
    id="retry-backoff",
    title="A failing handler is retried with growing pauses",
    task=2,
    points=20,
    earned=0,
    state=State.CANDIDATE_ERROR,
    reason=Reason.CRASH.value,
    expected="A failing handler is retried with growing pauses",
    observed="Your code did not get through: KeyError: 'topic-83'.",
    evidence=Evidence(message="KeyError: 'topic-83'", frames=(PUBLISH,)),
    hint="An event that nobody asked for is still an event.",
)
CRASH_TOO = replace(
    CRASH,
    id="dead-letter-stage",
    title="A dead letter names its stage",
    points=10,
    evidence=Evidence(message="KeyError: 'topic-7'", frames=(PUBLISH,)),
)
BLOCKED = CriterionResult(
    id="durable-log",
    title="The log survives a restart",
    task=3,
    points=20,
    earned=0,
    state=State.BLOCKED,
    reason="needs task 2, which earns nothing yet",
)
OURS = CriterionResult(
    id="replay",
    title="Replay starts at any offset",
    task=3,
    points=20,
    earned=0,
    state=State.GRADER_ERROR,
    reason="the criterion compared nothing",
)


def scorecard(*criteria: CriterionResult, **changes: Any) -> Scorecard:
    """A scorecard of these criteria, its tasks summed up."""
    numbers = sorted({c.task for c in criteria})
    card = Scorecard(
        exercise="q1",
        title="Event bus",
        exercise_version=1,
        archprep_version="0.1.0",
        seed=471123,
        started_at="2026-03-01T10:15:02+00:00",
        duration_s=6.42,
        isolation=LEVEL_A,
        submission=SUBMISSION,
        tasks=tuple(_task(number, criteria) for number in numbers),
        criteria=criteria,
    )
    return replace(card, **changes)


def _task(number: int, criteria: tuple[CriterionResult, ...]) -> TaskResult:
    mine = [c for c in criteria if c.task == number]
    return TaskResult(
        number, TITLES[number], sum(c.points for c in mine), sum(c.earned for c in mine)
    )


def passed(result: CriterionResult) -> CriterionResult:
    """The same criterion, passed."""
    return CriterionResult(
        result.id, result.title, result.task, result.points, result.points, State.PASSED
    )


def unwritten(result: CriterionResult, function: str) -> CriterionResult:
    """The same criterion on the starter, as the judge records it."""
    frame = Frame("eventbus.py", 20 + len(function), function, "raise NotImplementedError")
    return replace(
        result,
        earned=0,
        state=State.FAILED,
        reason=None,
        expected=result.title,
        observed=f"Not written yet: {function} (eventbus.py:20) raises NotImplementedError.",
        evidence=Evidence(message="NotImplementedError", frames=(frame,)),
    )


def unimportable(result: CriterionResult) -> CriterionResult:
    """The same criterion where the module has a syntax error."""
    frame = Frame("eventbus.py", 20, "", "def subscribe(self, topic")
    return replace(
        result,
        earned=0,
        state=State.CANDIDATE_ERROR,
        reason=Reason.IMPORT.value,
        expected=result.title,
        observed="Your code cannot be imported: SyntaxError: '(' was never closed.",
        evidence=Evidence(message="SyntaxError: '(' was never closed", frames=(frame,)),
    )


ALL = (ROUTING, PRIORITY, TIMEOUT, CRASH, CRASH_TOO, BLOCKED, OURS)
SAMPLES = {
    "mixed": scorecard(*ALL),
    "perfect": scorecard(*map(passed, ALL)),
    "starter": scorecard(
        *(
            unwritten(result, "publish" if number % 2 else "subscribe")
            for number, result in enumerate(ALL)
        )
    ),
    "unimportable": scorecard(*map(unimportable, ALL), isolation=LEVEL_D),
    "one-criterion": scorecard(PRIORITY, partial=True),
}


def terminal(card: Scorecard, *, width: int = 80, encoding: str = "utf-8", **options: Any) -> str:
    """What a person sees where the output is no terminal."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    print_scorecard(card, Console(file=file, width=width), **options)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("form", [terminal, to_html])
def test_every_form_tells_score_seed_isolation_and_each_criterion(name: str, form: Any) -> None:
    """No form leaves out how many points, of which draw, under which isolation, or a criterion."""
    card = SAMPLES[name]
    text = " ".join(form(card).replace("&#39;", "'").split())
    assert str(card.score) in text
    assert str(card.max_score) in text
    assert str(card.seed) in text
    assert card.isolation.sentence in text
    for result in card.criteria:
        assert result.title[:40] in text or result.state is State.BLOCKED


@pytest.mark.parametrize("form", [terminal, to_html])
def test_a_failed_criterion_shows_all_that_helps(form: Any) -> None:
    """Expected, observed, the drawn input, the difference, prints, hint and the command."""
    text = form(SAMPLES["mixed"])
    flat = " ".join(text.replace("&#39;", "'").split())
    for piece in (PRIORITY.expected, PRIORITY.observed, PRIORITY.hint):
        assert piece is not None
        assert piece in flat
    assert "h1 priority 9 sleeps 0.4 s" in flat
    assert "observed h3 starts" in flat
    assert "publishing order.created" in flat
    assert "handler-priority" in flat
    assert "eventbus.py:41 in publish" in flat


@pytest.mark.parametrize("form", [terminal, to_html])
def test_a_time_out_says_so_and_after_how_long(form: Any) -> None:
    """A time-out is never shown as a plain failure."""
    text = " ".join(form(SAMPLES["mixed"]).split())
    assert "! time-out" in text
    assert "Time-out: the scenario had not finished after 4 s." in text


@pytest.mark.parametrize("form", [terminal, to_html])
def test_public_examples_are_counted_apart(form: Any) -> None:
    """Nobody reads 'all passed' where only the public examples did."""
    text = " ".join(form(SAMPLES["starter"], public=(3, 3)).split())
    assert "0 of 7 hidden criteria passed" in text
    assert "Counted apart: 3 of 3 public examples passed." in text


@pytest.mark.parametrize("form", [terminal, to_html])
def test_a_fault_of_ours_is_not_the_candidates(form: Any) -> None:
    """A criterion without a verdict is told as such, with its points in doubt."""
    text = " ".join(form(SAMPLES["mixed"]).split())
    assert "Not scored: a fault of archprep" in text
    assert "20 points could not be scored" in text
    assert "?/20" in text


@pytest.mark.parametrize("form", [terminal, to_html])
def test_weaker_isolation_is_provisional(form: Any) -> None:
    """A level below A, and a breach that was not stopped, are said at the score."""
    hole = replace(LEVEL_A, selftest={"use the network": "NOT blocked"})
    notice = "Provisional: graded with weaker isolation."
    assert notice in form(scorecard(ROUTING, isolation=LEVEL_D))
    assert notice in form(scorecard(ROUTING, isolation=hole))
    assert notice not in form(scorecard(ROUTING))

"""Scorecards that the tests of the reports share; tests/golden has each of `SAMPLES` as JSON."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from archprep.core.model import (
    BrokenRule,
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
from archprep.report import print_scorecard

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
    rules=("1.2", "1.3"),
    broken=BrokenRule("1.2", "A handler starts when all of higher priority have finished."),
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
    """A scorecard of these criteria and the tasks they belong to."""
    numbers = sorted({c.task for c in criteria})
    card = Scorecard(
        exercise="q1",
        title="Event bus",
        exercise_version=1,
        archprep_version="0.1.0",
        python="3.11",
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
    own = [c for c in criteria if c.task == number]
    return TaskResult(
        number, TITLES[number], sum(c.points for c in own), sum(c.earned for c in own)
    )


def passed(result: CriterionResult) -> CriterionResult:
    """The same criterion, passed."""
    return CriterionResult(
        result.id, result.title, result.task, result.points, result.points, State.PASSED
    )


def unwritten(result: CriterionResult, function: str) -> CriterionResult:
    """The same criterion as the judge records it for the starter."""
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
    """The same criterion for a module with a syntax error."""
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
    """What `print_scorecard` writes to a file."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    print_scorecard(card, Console(file=file, width=width), **options)
    file.flush()
    return raw.getvalue().decode(encoding)

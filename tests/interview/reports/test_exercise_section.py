"""A candidate's page shows everything about each exercise."""

from __future__ import annotations

import time
from dataclasses import replace

from interview.reports.page_samples import ANSWER, page_of, source_with, visible_text
from interview.reports.result_values import BATCH, card, criterion, received
from report.samples import (
    CRASH,
    CRASH_TOO,
    LEVEL_D,
    PRIORITY,
    SAMPLES,
    scorecard,
)
from report.test_html import _Reader

from archprep.core.model import Evidence
from archprep.interview.model import Graded, Result
from archprep.interview.reports import pages


def test_an_exercise_under_another_isolation_says_so() -> None:
    """Its score is provisional if the isolation was weaker."""
    text = visible_text(page_of(Graded("q1", SAMPLES["unimportable"])))
    assert f"Provisional: graded with weaker isolation. {LEVEL_D.sentence}" in text


def test_each_failed_criterion_has_its_evidence_in_full() -> None:
    """Nothing of it is cut."""
    many = "\n".join(f"line {n}" for n in range(500))
    evidence = Evidence(given=many, difference="at 3", frames=CRASH.evidence.frames, output="said")
    document = page_of(Graded("q1", scorecard(replace(PRIORITY, evidence=evidence))))
    text = visible_text(document)
    for piece in (
        PRIORITY.expected,
        PRIORITY.observed,
        "at 3",
        "eventbus.py:41 in publish",
        "said",
    ):
        assert f"{piece}" in text
    assert "line 250" in text
    assert "line 499" in text


def test_criteria_with_a_shared_cause_keep_their_own_evidence() -> None:
    """Two scenarios fail at one line: the input of each is shown."""
    first, second = (
        replace(c, evidence=replace(c.evidence, given=f"topic {c.id}")) for c in (CRASH, CRASH_TOO)
    )
    text = visible_text(page_of(Graded("q1", scorecard(first, second))))
    assert "topic retry-backoff" in text
    assert "The same cause: A dead letter names its stage" in text
    assert "topic dead-letter-stage" in text


def test_advice_for_the_candidate_is_left_out() -> None:
    """Commands and hints mean nothing to the interviewer."""
    text = visible_text(page_of(Graded("q1", SAMPLES["mixed"])))
    assert "archprep check" not in text
    assert str(PRIORITY.hint) not in text


def test_frames_link_to_the_source() -> None:
    """Of the same exercise, if it has a source."""
    source = source_with() | {"eventbus.py": "\n".join(f"line {n}" for n in range(1, 60))}
    one, two = Graded("q1", SAMPLES["mixed"], source=source), Graded("q3", SAMPLES["mixed"])
    read = _Reader(pages.report(Result(received(), (one, two)), BATCH))
    assert "#e1-f0-41" in read.values("href")
    assert "e1-f0-41" in read.values("id")
    assert not [link for link in read.values("href") if (link or "").startswith("#e2-f")]


def test_invisible_characters_are_counted() -> None:
    """A file with hidden characters may do something other than it seems to."""
    source = source_with(answer__py=f"# \u202e\u2066\r\n{ANSWER}")
    assert "they are in answer.py (2)" in visible_text(page_of(Graded("q1", None, "no", source)))


def test_a_very_long_source_is_cut_and_marked() -> None:
    """In bounded time."""
    source = source_with(answer__py="x\n" * 30_000, b__py="y\n" * 30_000)
    start = time.monotonic()
    document = page_of(Graded("q1", card(criterion("a")), source=source))
    assert time.monotonic() - start < 5
    assert "40,000 more lines are not shown" in document
    assert "Too long to compare: answer.py" in document


def test_an_exercise_of_another_version_says_so() -> None:
    """The starter and the rubric are of this version."""
    older = replace(card(criterion("a")), exercise_version=7)
    assert "Graded with version 7 of the exercise" in visible_text(page_of(Graded("q1", older)))

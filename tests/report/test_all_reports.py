"""What every report of a scorecard must show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report.samples import LEVEL_A, LEVEL_D, PRIORITY, ROUTING, SAMPLES, scorecard, terminal

from archprep.core.model import State
from archprep.report import to_html


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("form", [terminal, to_html])
def test_every_report_shows_score_seed_isolation_and_each_criterion(name: str, form: Any) -> None:
    """Points, seed, isolation and criteria are in the terminal output and in the HTML report."""
    card = SAMPLES[name]
    text = " ".join(form(card).replace("&#39;", "'").split())
    assert str(card.score) in text
    assert str(card.max_score) in text
    assert str(card.seed) in text
    weak = card.isolation.level == "D"
    assert (card.isolation.sentence if weak else "Isolation level A, self-test 2/2.") in text
    for result in card.criteria:
        begun = not (result.evidence.message or "").startswith("NotImplementedError")
        assert not begun or result.title[:40] in text or result.state is State.BLOCKED


@pytest.mark.parametrize("form", [terminal, to_html])
def test_a_failed_criterion_shows_its_evidence(form: Any) -> None:
    """Expected, observed, input, difference, output, hint and code are shown."""
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
def test_public_examples_are_counted_separately(form: Any) -> None:
    """Passed public examples do not look like a passed exercise."""
    text = " ".join(form(SAMPLES["starter"], public=(3, 3)).split())
    assert "0 of 7 hidden criteria passed" in text
    assert "Not counted: 3 of 3 public examples passed." in text


@pytest.mark.parametrize("form", [terminal, to_html])
def test_a_grader_error_is_not_the_candidates_fault(form: Any) -> None:
    """A criterion without a verdict is shown as not scored."""
    text = " ".join(form(SAMPLES["mixed"]).split())
    assert "Not scored: an error in archprep" in text
    assert "20 points could not be scored" in text
    assert "?/20" in text


@pytest.mark.parametrize("form", [terminal, to_html])
def test_weaker_isolation_is_provisional(form: Any) -> None:
    """A level below A, or a breach that was not blocked, is shown with the score."""
    hole = replace(LEVEL_A, selftest={"use the network": "NOT blocked"})
    notice = "Provisional: graded with weaker isolation."
    assert notice in form(scorecard(ROUTING, isolation=LEVEL_D))
    assert notice in form(scorecard(ROUTING, isolation=hole))
    assert notice not in form(scorecard(ROUTING))

"""What all exports have in common."""

from __future__ import annotations

from dataclasses import replace

import pytest
from interview.reports.hostile_values import hostile
from interview.reports.result_values import received
from report.samples import OURS, scorecard

from archprep.core.model import Evidence
from archprep.interview.model import Graded, Result
from archprep.interview.reports import gradescope, junit


@pytest.mark.parametrize("form", [junit.xml, gradescope.results_json])
def test_the_same_result_gives_the_same_bytes(form) -> None:
    """So that files can be compared."""
    assert form(hostile("x")) == form(hostile("x"))


@pytest.mark.parametrize("form", [junit.xml, gradescope.results_json])
def test_a_graders_own_failure_is_not_quoted(form) -> None:
    """It may contain what the grader expects."""
    ours = replace(OURS, evidence=Evidence(message="assert secret == 42"))
    assert "secret" not in form(Result(received(), (Graded("q1", scorecard(ours)),)))

"""The first difference between two traces, in words."""

from __future__ import annotations

from sweep_exercise import Totals

from archprep.grading.toolkit.sweep_compare import difference, in_words
from archprep.grading.toolkit.sweep_spec import Trace

EXPECTED = Trace([((0,), "total(a) is 1")], errors=["KeyError: 'b' in freeze, line 3"])


def told(errors: list[str]) -> str:
    found = difference(Totals(), EXPECTED, Trace([], errors=errors))
    assert found
    return in_words(Totals(), found)


def test_an_exception_that_only_the_candidate_raised_is_told_with_its_line() -> None:
    """It may be why something is missing."""
    assert told(["KeyError: 'b' in freeze, line 8", "IndexError: out of range in add, line 5"]) == (
        "In step 1: total(a) is 1: this is missing. "
        "The code raised IndexError: out of range in add, line 5."
    )


def test_an_exception_that_the_reference_raises_too_explains_nothing() -> None:
    """It is a refusal that the brief asks for; the line differs, of course."""
    assert told(["KeyError: 'b' in freeze, line 8"]) == (
        "In step 1: total(a) is 1: this is missing."
    )


def test_an_exception_of_a_class_that_is_allowed_elsewhere_is_told() -> None:
    """There are more of it than the reference raises, so all are shown."""
    assert "line 8; KeyError" in told(["KeyError: 'b' in x, line 8", "KeyError: 'a' in y, line 9"])


def test_errors_alone_are_no_difference() -> None:
    """What counts is what the program led to."""
    assert difference(Totals(), EXPECTED, Trace(EXPECTED.moments, errors=["OSError"])) is None

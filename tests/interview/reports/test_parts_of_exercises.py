"""What reports say about candidates who were asked for some of an exercise's tasks."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

from archprep.core.model import State, percent
from archprep.interview.model import Graded, Result
from archprep.interview.reports import gradescope, junit, statistics, summary_csv
from tests.interview.reports.page_samples import index_of, page_of, visible_text
from tests.interview.reports.result_values import card, criterion, received, result

PART = replace(
    card(criterion("a", points=44), criterion("b", State.FAILED, points=8)), selection=(1, 2)
)
WHOLE = card(criterion("a", points=44), criterion("c", points=56))


def test_a_score_of_a_part_is_shown_with_its_percentage() -> None:
    """On both pages and in JUnit's properties."""
    one = result("Ada", PART)
    for text in (visible_text(page_of(one.graded[0])), visible_text(index_of(one))):
        assert "44/52, 85 %" in text.replace("44 /52", "44/52")
    assert 'name="score" value="44/52, 85 %"' in junit.xml(one)
    assert 'name="selection" value="1,2"' in junit.xml(one)


def test_totals_count_only_what_was_asked_for() -> None:
    """Also without a scorecard: the part is worth its own points."""
    both = Result(received(), (Graded("q1", PART), Graded("q3", problem="gone", worth=48)))
    assert (both.score, both.max_score) == (44, 100)
    document = json.loads(gradescope.results_json(both))
    assert document["extra_data"]["percent"] == 44
    assert document["tests"][-1]["max_score"] == 48
    row = next(csv.DictReader(summary_csv.table([result("Ada", PART)]).splitlines()))
    assert (row["total"], row["max"], row["percent"]) == ("44", "52", "85")


def test_statistics_compare_the_same_version_and_selection_only() -> None:
    """Each has figures of its own; the most frequent comes first."""
    newer = replace(WHOLE, exercise_version=2)
    cards = (PART, WHOLE, WHOLE, WHOLE, PART, newer)
    found = statistics.of([result(f"c{n}", one) for n, one in enumerate(cards)]).exercises
    kinds = [(one.version, one.selection, one.scores.count) for one in found]
    assert kinds == [(1, (), 3), (1, (1, 2), 2), (2, (), 1)]
    assert [c.id for c in found[1].criteria] == ["a", "b"]
    assert found[1].heading == "q1 Event bus, tasks 1, 2"
    assert len({one.key for one in found}) == 3


def test_only_all_points_are_100_percent() -> None:
    """Otherwise percentages are rounded."""
    assert [percent(*of) for of in ((44, 52), (999, 1000), (52, 52), (0, 0))] == [85, 99, 100, 0]

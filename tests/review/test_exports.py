"""Exports separate automatic, human and final points, and contain no active text."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interview.reports.hostile_values import FORMULAS, hostile
from interview.reports.result_values import BATCH, card, criterion, received, result
from report.test_html import ATTACKS
from review.test_final_scores import ADA, answer, mark, override

from archprep.core.model import State
from archprep.interview.model import Graded, Result
from archprep.review import exports
from archprep.review.final_scores import final_scorecard
from archprep.review.marks import MarkKind, Target

SIGNED = {"who": "Grace", "at": "2026-03-02T09:00:00+00:00"}
MARKED = [
    override(25),
    answer(3, "1"),
    answer(None, "2"),
    mark(MarkKind.COMMENT, text="careful"),
    mark(MarkKind.COMMENT, "", text="a good talk"),
    override(5, "gone"),
]


def document(*results: Result, marks: list = MARKED) -> dict[str, Any]:
    return json.loads(exports.to_json([final_scorecard(one, marks) for one in results], BATCH))


def rows(*results: Result, marks: list = MARKED) -> list[dict[str, str]]:
    text = exports.to_csv(final_scorecard(one, marks) for one in results)
    return [*csv.DictReader(io.StringIO(text, newline=""))]


# ------------------------------------------------------------------ JSON


def test_a_scorecard_separates_automatic_human_and_final_points():
    """For the candidate, each exercise and each criterion, with reviewer, time and reason."""
    card_ = exports.scorecard(final_scorecard(ADA, MARKED), BATCH)
    assert (card_["automatic"], card_["final"], card_["max_score"]) == (130, 155, 200)
    assert card_["human"] == {
        "overrides": 1,
        "answers": {"sum": 3, "marked": 1, "highest": 4},
        "comment": {"text": "a good talk"} | SIGNED,
    }
    q1, q3 = card_["exercises"]
    assert (q1["automatic"], q1["final"], q3["automatic"], q3["final"]) == (60, 85, 70, 70)
    assert q1["criteria"][1] == {
        "id": "b",
        "title": "It does b",
        "task": 1,
        "points": 40,
        "state": "failed",
        "automatic": 0,
        "override": {"points": 25, "instead_of": 0, "reason": "why"} | SIGNED,
        "final": 25,
    }
    assert q1["criteria"][0]["override"] is None
    assert q1["human"]["comment"] == {"text": "careful"} | SIGNED
    assert q1["human"]["answers"]["points"] == [
        {"point": "1", "mark": 3, "word": "good", "comment": "why"} | SIGNED,
        {"point": "2", "mark": None, "word": None, "comment": "why"} | SIGNED,
    ]
    assert q3["human"] == {
        "overrides": 0,
        "answers": {"sum": 0, "marked": 0, "highest": 4, "points": []},
        "comment": None,
    }


def test_outdated_marks_are_listed_separately():
    """They do not count."""
    [outdated] = exports.scorecard(final_scorecard(ADA, MARKED), BATCH)["outdated"]
    assert (outdated["item"], outdated["points"], outdated["digest"]) == ("gone", 5, "ab" * 32)


def test_a_scorecard_has_the_batch():
    """Seed, version and isolation level."""
    batch = exports.scorecard(final_scorecard(ADA, []), BATCH)["batch"]
    assert (batch["seed"], batch["created_at"]) == (7, BATCH.created_at)
    assert batch["isolation"] == {"level": "A", "sentence": BATCH.isolation.sentence}


def test_the_document_has_all_scorecards():
    """The batch is included once."""
    bob = result("Bob", card(criterion("a")))
    whole = document(ADA, bob)
    assert whole["format"] == 1
    one = exports.scorecard(final_scorecard(ADA, MARKED), BATCH)
    assert whole["candidates"][0] | {"format": 1, "batch": whole["batch"]} == one
    assert [c["candidate"] for c in whole["candidates"]] == ["Ada", "Bob"]


def test_a_missing_score_is_null():
    """0 would be a score."""
    [refused] = document(Result(received("Bob", problem="no zip archive"), ()))["candidates"]
    assert (refused["automatic"], refused["final"], refused["max_score"]) == (None, None, 0)
    assert (refused["problem"], refused["exercises"]) == ("no zip archive", [])


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS])
def test_the_document_is_ascii(text: str):
    """It has no control or invisible characters, neither escaped nor decoded."""
    whole = hostile(text)
    found = exports.to_json([final_scorecard(whole, _said(text))], BATCH)
    assert found.isascii()
    assert not re.search(r"\\u(00[01]|200[b-f]|202[a-e]|206|d[89a-f]..(?!\\u))", found)


def _said(text: str) -> list:
    """The same text in a mark and in the reviewer's name."""
    override_ = Target(
        "c1",
        MarkKind.OVERRIDE,
        "q1",
        final_scorecard(hostile(text), []).exercises[0].criteria[0].id,
    )
    comment = Target("c1", MarkKind.COMMENT)
    return [
        replace(override(3), target=override_, text=text, who=text),
        replace(mark(MarkKind.COMMENT), target=comment, text=text, who=text),
    ]


def test_a_long_comment_is_not_shortened():
    """Sanitizing may make it longer."""
    text = "x" * 19_999 + "!"
    said = [mark(MarkKind.COMMENT, "", text=text)]
    assert document(ADA, marks=said)["candidates"][0]["human"]["comment"]["text"] == text
    assert rows(ADA, marks=said)[0]["comment"] == f"{text} (Grace)"


def test_every_field_is_documented():
    """In the section of docs/result-format.md about it."""
    page = (Path(__file__).parents[2] / "docs" / "result-format.md").read_text(encoding="utf-8")
    section = page.split("## The final scorecard\n")[1].split("\n## ")[0]

    def names(data: Any) -> set[str]:
        if isinstance(data, list):
            return {name for value in data for name in names(value)}
        if isinstance(data, dict):
            return {*data} | names([*data.values()])
        return set()

    found = names(exports.scorecard(final_scorecard(ADA, MARKED), BATCH)) | {"candidates"}
    assert [name for name in sorted(found) if f"`{name}`" not in section] == []
    columns = {name.removeprefix("q1_").removeprefix("q3_") for name in rows(ADA)[0]}
    assert [name for name in sorted(columns) if f"`{name}`" not in section] == []


# ------------------------------------------------------------------ the table


def test_a_row_has_automatic_and_final_points():
    """For each exercise and in total."""
    [row] = rows(ADA)
    assert (row["candidate"], row["folder"]) == ("Ada", "Ada")
    assert (row["q1_automatic"], row["q1_final"], row["q1_overrides"]) == ("60", "85", "1")
    assert (row["q1_answers_sum"], row["q1_answers_marked"]) == ("3", "1")
    assert row["q1_comment"] == "careful (Grace)"
    assert (row["q3_final"], row["q3_answers_sum"], row["q3_comment"]) == ("70", "", "")
    assert (row["automatic"], row["final"], row["max"]) == ("130", "155", "200")
    assert (row["overrides"], row["outdated"]) == ("1", "1")
    assert row["comment"] == "a good talk (Grace)"


def test_columns_are_sorted_by_exercise():
    """All exercises of the batch have columns."""
    one = result("Ada", card(criterion("a"), exercise="q10"))
    two = result("Bob", card(criterion("a"), exercise="q3"))
    ada, bob = rows(one, two, marks=[])
    assert [name for name in ada if name.endswith("_final")] == ["q3_final", "q10_final"]
    assert (ada["q3_final"], ada["q10_final"], ada["q3_overrides"]) == ("", "10", "")
    assert (bob["q3_final"], bob["q10_final"]) == ("10", "")


def test_a_missing_score_is_an_empty_cell():
    """The column `problems` has the reason."""
    refused = Result(received("Bob", problem="no zip archive"), ())
    lost = Result(received("Eve"), (Graded("q1", problem="the disk was full"),))
    ours = result("Kim", card(criterion("a", State.GRADER_ERROR, 40), criterion("b", points=60)))
    bob, eve, kim = rows(refused, lost, ours, marks=[])
    assert (bob["automatic"], bob["final"], bob["max"]) == ("", "", "")
    assert bob["problems"] == "no zip archive"
    assert (eve["q1_automatic"], eve["q1_final"], eve["final"], eve["max"]) == ("", "", "", "100")
    assert eve["problems"] == "q1 not graded: the disk was full"
    assert (kim["final"], kim["problems"]) == (
        "60",
        "q1: 40 points not scored because of a grader error",
    )


def test_an_override_resolves_a_missing_verdict():
    """It is no longer listed as a problem."""
    ours = result("Ada", card(criterion("b", State.GRADER_ERROR, 40)))
    [row] = rows(ours, marks=[override(40)])
    assert (row["final"], row["problems"]) == ("40", "")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str):
    """Texts of candidates and reviewers are escaped."""
    made = exports.to_csv([final_scorecard(hostile(text), _said(text))])
    cells = [cell for row in csv.reader(io.StringIO(made, newline="")) for cell in row]
    assert not [c for c in cells if re.match(r"[\s\u200b]*[=+\-@\uff1d]", c)]
    assert not [c for c in cells if re.search(r";\s*[=+\-@]", c)]
    assert sum(bool(re.search(r"(^|;)'\s*[=+\-@\uff1d]", c)) for c in cells) >= 3


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, 'a",b\n"c', "x,y"])
def test_a_text_cannot_add_rows_or_columns(text: str):
    """It cannot move a cursor, either."""
    made = exports.to_csv([final_scorecard(hostile(text), _said(text))] * 2)
    assert len(made.splitlines()) == 3
    assert len({len(row) for row in csv.reader(made.splitlines())}) == 1
    assert all(char == "\n" or char.isprintable() for char in made)

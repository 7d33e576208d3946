"""Numbered rules: parsed from the brief, named by graders, and checked against each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from archprep.content import catalog, rules
from archprep.core.errors import ContentError

BRIEF = """# Title

* **1.1** First promise,
  on two lines.
* **1.2** Second promise.
* no rule **1.3** here

* **2.1** Holds in places.
"""


@pytest.fixture
def brief(content: Path) -> Path:
    """The brief of an exercise with two tasks and a rule in two places."""
    folder = content / "exercises" / "q01_event_bus"
    manifest = folder / "exercise.yaml"
    manifest.write_text(manifest.read_text() + "places: {'2.1': [login, refresh]}\n")
    (folder / "brief.md").write_text(BRIEF)
    return folder / "brief.md"


def test_rules_are_list_items_that_begin_with_a_number(brief: Path) -> None:
    """Their text is one line, whatever the brief's lines are."""
    found = rules.load(catalog.get("q1"))
    assert [*found] == ["1.1", "1.2", "2.1"]
    assert found["1.1"].text == "First promise, on two lines."
    assert found["2.1"].places == ("login", "refresh")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("\n* **1.1** Again.\n", "rule 1.1 occurs twice"),
        ("\n* **9.1** Too late.\n", "rule 9.1 belongs to no task"),
    ],
)
def test_a_brief_contradicts_itself(brief: Path, more: str, says: str) -> None:
    """The author reads which rule."""
    brief.write_text(BRIEF + more)
    with pytest.raises(ContentError, match=says):
        rules.load(catalog.get("q1"))


def test_places_need_a_rule(brief: Path) -> None:
    """A rule that was renumbered leaves its places behind."""
    brief.write_text(BRIEF.replace("2.1", "2.2"))
    with pytest.raises(ContentError, match=r"`places` of exercise.yaml names rule 2.1"):
        rules.load(catalog.get("q1"))


@pytest.mark.parametrize(
    ("name", "task", "says"),
    [
        ("1.1", 1, []),
        ("1.1", 2, []),
        ("2.1/login", 2, []),
        ("2.1", 1, ["rule 2.1 belongs to a later task"]),
        ("1.7", 1, ["the brief has no rule 1.7"]),
        ("2.1/logout", 2, ["rule 2.1 has no place 'logout' in exercise.yaml"]),
    ],
)
def test_what_a_criterion_may_name(brief: Path, name: str, task: int, says: list[str]) -> None:
    """A rule of its own task or an earlier one, at one of the rule's places."""
    assert [*rules.unknown(rules.load(catalog.get("q1")), [name], task)] == says

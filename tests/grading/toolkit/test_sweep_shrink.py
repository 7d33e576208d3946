"""Shrinking knows only that a program is JSON data."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from sweep_exercise import Totals

from archprep.grading.toolkit.sweep_shrink import TRIES, shrink, weight
from archprep.grading.toolkit.sweep_spec import Program, renamed, scaled

Steps = list[dict[str, object]]


def first(predicate: Callable[[Steps], bool]) -> Callable[[Sequence[Program]], int | None]:
    """Say which program of a batch still differs."""
    return lambda batch: next((i for i, p in enumerate(batch) if predicate(p["steps"])), None)


def has(*kinds: str) -> Callable[[Steps], bool]:
    """Whether these steps occur in this order."""

    def check(steps: Steps) -> bool:
        found = iter(step["do"] for step in steps)
        return all(kind in found for kind in kinds)

    return check


@pytest.mark.parametrize("seed", range(20))
def test_what_is_not_needed_goes(seed):
    """Steps, names and amounts that play no part are removed or made plain."""
    rng, spec, differs = random.Random(seed), Totals(), has("add", "freeze", "total")
    program = next(p for p in (spec.draw(rng, 2) for _ in range(999)) if differs(p["steps"]))
    small, tried = shrink(spec, program, first(differs))
    assert small["steps"] == [
        {"do": "add", "name": "a", "amount": 0},
        {"do": "freeze", "name": "a"},
        {"do": "total", "name": "a"},
    ]
    assert tried <= TRIES


def test_the_number_of_tries_is_fixed():
    """Shrinking stops after so many programs, whatever the clock says."""
    program = {"steps": [{"do": "total", "name": "b"}] * 60}
    played: list[Program] = []

    def none_differs(batch: Sequence[Program]) -> None:
        played.extend(batch)

    _, tried = shrink(Totals(), program, none_differs, tries=20)
    assert tried == len(played) <= 20


def test_the_same_program_shrinks_to_the_same():
    program = Totals().draw(random.Random(5), 2)
    results = [shrink(Totals(), program, first(has("total"))) for _ in range(2)]
    assert results[0] == results[1]


def test_invalid_programs_are_never_played():
    """Nor does a program break `valid` by lacking what it looks at."""
    spec, program = Totals(), Totals().draw(random.Random(3), 2)

    def differs(batch: Sequence[Program]) -> int | None:
        assert all(spec.valid(p) for p in batch)
        return None

    shrink(spec, program, differs)


def test_weight_falls_with_size_oddity_and_numbers():
    """In this order: fewer things, then plainer values, then smaller numbers."""
    plainer = {"name": ["a"]}
    assert weight({"n": [1, 2]}, plainer) > weight({"n": [99]}, plainer)
    assert weight({"name": "b"}, plainer) > weight({"name": "a"}, plainer)
    assert (
        weight({"at": 1.25}, plainer) > weight({"at": 1.5}, plainer) > weight({"at": 7.0}, plainer)
    )
    assert weight({"at": 7.0}, plainer) > weight({"at": 1.0}, plainer)


def test_names_go_wherever_they_are_mentioned():
    """An entry of a table leaves with the steps that refer to it, in one try."""

    class Tables(Totals):
        def valid(self, program: Program) -> bool:
            return {s["user"] for s in program["steps"]} <= program["users"].keys()

    program = {
        "users": {"u1": {}, "u2": {}},
        "scripts": {"login u1": 1, "login u2": 2},
        "steps": [{"user": "u1"}, {"user": "u2"}, {"user": "u1"}],
    }
    small, _ = shrink(
        Tables(), program, first(lambda steps: any(s.get("user") == "u2" for s in steps))
    )
    assert (small["users"], small["steps"]) == ({"u2": {}}, [{"user": "u2"}])


def test_renaming_and_scaling_reach_all_of_a_program():
    """What a corpus needs to draw names and numbers anew."""
    program = {"mail e1": [["sleep", 1.5], "e1", 2], "n": True}
    assert renamed(program, {"e1": "x", "mail": "post"}) == {
        "post x": [["sleep", 1.5], "x", 2],
        "n": True,
    }
    assert scaled(program, 2.0) == {"mail e1": [["sleep", 3.0], "e1", 2], "n": True}

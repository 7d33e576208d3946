"""`author mutate` grades changed references: survivors and wrong entries are findings."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from archprep import author
from archprep.content import catalog
from archprep.core.errors import ContentError, Exit, UsageError

UNUSED = "unused = 1"  # what nothing observes
TOTAL = "return list(accumulate(amounts))"


@pytest.fixture(scope="module")
def exercise(tmp_path_factory):
    """The template, with an assignment that no criterion can notice and a list of mutants."""
    root = tmp_path_factory.mktemp("content")
    for kind in ("exercises", "solutions", "graders"):
        (root / kind).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHPREP_CONTENT", str(root))
        author.new("q1")
        made = catalog.get("q1")
        reference = made.solution_dir / "answer.py"
        reference.write_text(f"{reference.read_text()}\n\n{UNUSED}\n")
        list_as_equivalent(
            made,
            (UNUSED, "unused = 2"),
            (UNUSED, "unused = 3"),
            (TOTAL, "return list(accumulate(None))", "running_totals"),
        )
        yield made


def list_as_equivalent(exercise, *changes):
    keys = ("before", "after", "function")
    entry = {"file": "answer.py", "reason": "Nothing reads it."}
    entries = [entry | dict(zip(keys, change, strict=False)) for change in changes]
    (exercise.grader_dir / "equivalent.yaml").write_text(yaml.safe_dump(entries))


@pytest.fixture(scope="module")
def mutation(exercise):
    """All mutants of the exercise, graded."""
    return author.mutate(exercise, seed=1)


def shown(mutation):
    screen = io.StringIO()
    code = author.print_mutation(mutation, Console(file=screen, width=200))
    return code, screen.getvalue()


def test_each_mutant_is_graded_until_it_loses_something(mutation):
    """Whatever changes the behaviour is killed, also what hangs; what nothing reads survives."""
    verdicts = mutation.verdicts
    assert mutation.faults == ()
    assert [m.change.after for m in verdicts.survived] == ["unused = None"]
    assert [m.change.after for m in verdicts.listed] == ["unused = 2"]
    assert "number = 1" in {m.change.after for m in verdicts.killed}  # instead of += 1
    assert len(verdicts.killed) + 2 == verdicts.drawn.every


def test_a_survivor_is_shown_as_a_diff(mutation):
    """The survivors come first, then wrong entries, then a summary; the exit code is 3."""
    code, text = shown(mutation)
    assert code is Exit.INTERNAL
    assert f"-{UNUSED}\n+unused = None\n" in text
    assert "1 listed as equivalent, 1 survived (seed 1)." in text


def test_wrong_entries_are_findings(mutation):
    """A listed mutant must exist and survive, and not too many may be listed."""
    texts = [str(finding) for finding in mutation.verdicts.list_findings()]
    killed, vanished, many = texts
    assert killed.endswith("list(accumulate(None))', which loses points: delete the entry.")
    assert "'unused = 1' -> 'unused = 3', but there is no such mutant" in vanished
    assert "lists 3 of 13 mutants; at most 15% may be equivalent" in many


def test_without_survivors_the_graders_are_sound(mutation):
    """If every mutant is killed or listed, there is nothing to show but the summary."""
    verdicts = mutation.verdicts
    drawn = replace(verdicts.drawn, every=100, listed={m.change: "" for m in verdicts.listed})
    sound = replace(verdicts, drawn=replace(drawn, vanished=()), survived=())
    code, text = shown(replace(mutation, verdicts=sound))
    assert code is Exit.PASSED
    assert text.splitlines() == [
        "13 of 100 mutants of q1: 11 killed, 1 listed as equivalent, 0 survived (seed 1)."
    ]


def test_mutants_of_a_failing_reference_show_nothing(exercise):
    """If the reference loses points, so does every mutant: the command says so instead."""
    reference = exercise.solution_dir / "answer.py"
    text = reference.read_text()
    reference.write_text(text.replace("list(accumulate(amounts))", "amounts"))
    with pytest.raises(ContentError, match="does not score 100 with seed 1"):
        author.mutate(exercise, sample=1, seed=1)
    reference.write_text(text)


def test_a_sample_has_mutants(exercise):
    """A sample of no mutants is refused."""
    with pytest.raises(UsageError, match="--sample must be at least 1"):
        author.mutate(exercise, sample=0)

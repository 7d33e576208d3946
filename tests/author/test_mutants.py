"""Mutants: what is changed, and what is left alone."""

from __future__ import annotations

import textwrap

import pytest

from archprep.author import mutants

SOURCE = textwrap.dedent('''
    """A module."""

    import logging
    from typing import Literal

    Kind = Literal["a", "b"]
    _log = logging.getLogger(__name__)


    class Queue:
        """Holds items."""

        def take(self, count: int = 1) -> list[str]:
            """Take some."""
            if count < 1:
                raise ValueError(f"{count} is too few")
            if self.closed:
                self.wake("all")
            _log.info("took %d", count)
            taken = (self.items[:count] or [])
            taken += self.spare
            self.left -= 1
            self.left -= 1
            return taken
''').lstrip()


@pytest.fixture(scope="module")
def made():
    return {str(m.change): m for m in mutants.of({"queue.py": SOURCE})}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if count < 1:", "if count <= 1:"),
        ("if count < 1:", "if count < 2:"),
        ('raise ValueError(f"{count} is too few")', "pass"),
        ("if self.closed:", "if not self.closed:"),
        ('self.wake("all")', "pass"),
        ('self.wake("all")', 'self.wake("XXallXX")'),
        ("taken = (self.items[:count] or [])", "taken = (self.items[:count] and [])"),
        ("taken += self.spare", "taken = self.spare"),
    ],
)
def test_operators_change_one_thing(made, before, after):
    """A mutant is the whole file with one change, named by its function and the changed lines."""
    mutant = made[f"queue.py Queue.take: {before!r} -> {after!r}"]
    assert mutant.source == SOURCE.replace(before, after)


def test_equal_changes_of_one_function_are_counted(made):
    """Two lines that read the same are two mutants, told apart by a number."""
    first, second = (
        made[f"queue.py Queue.take: 'self.left -= 1' -> 'self.left -= 2'{nth}"]
        for nth in ("", " (2)")
    )
    assert first.source != second.source


def test_names_do_not_depend_on_other_lines(made):
    """Lines added elsewhere rename no mutant, so that equivalent.yaml stays valid."""
    moved = mutants.of({"queue.py": SOURCE.replace("class", "LIMIT = 5\n\n\nclass", 1)})
    assert made.keys() < {str(m.change) for m in moved}


def test_what_no_rule_can_state_is_left_alone(made):
    """Docstrings, annotations, type aliases, log calls and the text of errors are not changed."""
    changed = "\n".join(made)
    for text in ("Take some", "Literal", "took", 'too few"XX', "ValueError(None)", "'b'"):
        assert text not in changed
    assert "ValueError" in changed


def test_a_diff_shows_the_change(made):
    """The diff of a mutant names the file and has the line before and after."""
    mutant = made["queue.py Queue.take: 'if self.closed:' -> 'if not self.closed:'"]
    diff = mutant.diff({"queue.py": SOURCE})
    assert diff.startswith("--- queue.py\n+++ queue.py\n@@")
    assert "-        if self.closed:\n+        if not self.closed:" in diff


def test_a_sample_depends_on_its_seed_alone():
    """The same seed draws the same mutants; all of them are valid Python."""
    every = mutants.of({"queue.py": SOURCE})
    assert mutants.drawn(every, 3, 5) == mutants.drawn(every, 3, 5)
    assert mutants.drawn(every, 3, 5) != mutants.drawn(every, 4, 5)
    assert all(m.compiles() for m in mutants.drawn(every, 3, None))

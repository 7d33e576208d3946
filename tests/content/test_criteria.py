"""The criteria that graders declare are read without running them."""

from __future__ import annotations

from pathlib import Path

from conftest import write_tree

from archprep.content import catalog, criteria, exercise_files
from archprep.core.model import Exercise

GRADERS = """
    import nothing_that_exists
    from archprep.grading import criterion


    @criterion("Second", task=2, points=40, hint="more")
    def test_the_second_one(): ...


    def helper(): ...


    @criterion("First", task=1, points=60, hint="adding")
    def test_first(): ...
"""


def test_declarations_are_read_in_the_order_of_the_tasks(exercise: Exercise):
    """Id, title, task, points and hint are parsed from the source, and nothing is run."""
    write_tree(exercise.grader_dir, {"test_answer.py": GRADERS})
    first, second = criteria.declared(exercise)
    assert (first.id, first.title, first.task, first.points) == ("first", "First", 1, 60)
    assert (second.id, second.hint) == ("the-second-one", "more")


def test_every_exercise_declares_100_points(monkeypatch):
    """The declared points, which `hint` and completion use, add up to 100."""
    monkeypatch.delenv("ARCHPREP_CONTENT", raising=False)
    for exercise in catalog.load_all():
        found = criteria.declared(exercise)
        assert sum(c.points for c in found) == 100
        sections = {section for c in found for section in [c.hint, *c.rules] if section}
        assert {s.partition("/")[0] for s in sections} <= exercise_files.hints(exercise).keys()
        assert Path(exercise.grader_dir).is_dir()

"""Plays the kept programs of some rules, as a sweep plays random ones."""

from __future__ import annotations

from archprep.grading.api import Tally
from archprep.grading.toolkit.sweep import Case, _fail
from archprep.grading.toolkit.sweep_corpus import Draw, corpus
from archprep.grading.toolkit.sweep_sides import Sides


def play_kept(run, spec, *rules):
    """Fail the criterion unless the candidate does what the reference does."""
    exercise = run.reference.exercise
    draw = Draw(run.seed, exercise.version)
    found = [
        k for k in corpus(exercise.grader_dir / "corpus") if k[1].rule.partition("/")[0] in rules
    ]
    programs = [draw.redrawn(spec, name, one) for name, one in found if one.task == run.task]
    Tally.made += len(programs)
    sides = Sides(spec, run.reference, run.candidate)
    for program, due, outcome in zip(programs, *sides.play(programs), strict=True):
        if sides.differ(due, outcome):
            _fail(spec, Case(program, due, outcome))

"""The author's commands: write a new exercise, prove that an exercise is sound.

The parts, each below what uses it:

    scaffold   the three folders of a new exercise, from the template
    prove      what is graded to prove an exercise, and what it must come to
      files      what can be said without grading
      answers    the submissions: starter, constant stubs, reference, wrong answers
      forged_runner      observations that nobody made
        forged_replies  HTTP replies that no app gave
      workers    the processes that grade
    screen     the proof on a terminal
"""

from __future__ import annotations

from archprep.author.proof import Finding, Proof, Proven
from archprep.author.prove import check
from archprep.author.scaffold import new
from archprep.author.screen import print_proof

__all__ = ["Finding", "Proof", "Proven", "check", "new", "print_proof"]

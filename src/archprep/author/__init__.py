"""Commands for authors: create an exercise, and prove that its graders are sound.

scaffold          creates the three folders of an exercise from the template
extent            which exercises are proven in full
receipts          what this machine has proven before
prove             plans the jobs that prove an exercise, runs them and collects findings
  file_checks     findings that need no grading
  form_checks     the same about sizes and rules; `sizes` measures
  stubs           constant implementations, made from the starter
  trial           runs one job: grades an answer, or runs the public examples
  forged_runner   grades forged observations
  forged_replies  the same for HTTP replies
  sweep_survey    plays sweeps with the reference and right answers
  mutation        grades changed references
    mutants       makes them, with the operators of mutmut
  findings        compares the results with what they should be
proof_report      prints proofs
model             jobs, results, findings and proofs
"""

from __future__ import annotations

from archprep.author.extent import extent
from archprep.author.model import ExerciseProof, Finding, Proof
from archprep.author.mutation import Mutation, mutate
from archprep.author.proof_report import print_mutation, print_proof
from archprep.author.prove import check
from archprep.author.scaffold import new

__all__ = [
    "ExerciseProof",
    "Finding",
    "Mutation",
    "Proof",
    "check",
    "extent",
    "mutate",
    "new",
    "print_mutation",
    "print_proof",
]

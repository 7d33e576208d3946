"""Commands for authors: create an exercise, and prove that its graders are sound.

scaffold          creates the three folders of an exercise from the template
extent            which exercises are proven in full
receipts          what this machine has proven before
prove             plans the jobs that prove an exercise, runs them and collects findings
  file_checks     findings that need no grading
  stubs           constant implementations, made from the starter
  trial           runs one job: grades an answer, or runs the public examples
  forged_runner   grades forged observations
  forged_replies  the same for HTTP replies
  findings        compares the results with what they should be
proof_report      prints the proof
model             jobs, results, findings and proofs
"""

from __future__ import annotations

from archprep.author.extent import extent
from archprep.author.model import ExerciseProof, Finding, Proof
from archprep.author.proof_report import print_proof
from archprep.author.prove import check
from archprep.author.scaffold import new

__all__ = ["ExerciseProof", "Finding", "Proof", "check", "extent", "new", "print_proof"]

"""Submissions of different people that share a fork server in a batch: the first attacks the next.

The fork server runs trusted code only; each scenario is forked into its own namespaces.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from hostile.harness import CONTENT, HERE, PLAIN, Server, level_a_only, staged

from archprep.interview.batch.batch_job import BatchJob
from archprep.interview.batch.batch_worker import BatchWorker
from archprep.sandbox import selftest

pytestmark = level_a_only

# They leave traces in every writable place, in memory, as sockets and as names, look for those of
# others, and kill, stop and signal every process they can see.
ATTACKERS = (
    "p_28_leaves_traces.py",
    "p_29_marks_and_looks.py",
    "p_39_kills_everything.py",
    "p_39_signals_init.py",
    "p_16_patched_clocks.py",
)


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A batch's worker."""
    monkeypatch.setenv("ARCHPREP_CONTENT", str(CONTENT))
    monkeypatch.setenv("ARCHPREP_HOME", str(tmp_path / "home"))
    with ExitStack() as opened:
        yield BatchWorker("A", opened)


def graded(grader: BatchWorker, folder: Path) -> set[str]:
    """Grade a submission; return the states of its criteria."""
    level = selftest.inspect("A").profile.level
    job = BatchJob(folder.name, folder.name, "digest", PLAIN.id, 7, level, folder)
    outcome = grader.run(job)
    assert outcome.stop is None, outcome.stop
    card = outcome.graded.scorecard
    assert card is not None, outcome.graded.problem
    return {str(criterion.state) for criterion in card.criteria}


@pytest.mark.parametrize("name", ATTACKERS)
def test_submissions_after_an_attacker_are_graded_as_if_alone(
    name: str, grader: BatchWorker, server: Server, tmp_path: Path
):
    """The attacker again, which looks for its own traces; then an honest submission."""
    attacker = staged(HERE / name, tmp_path / "attacker", server)
    honest = staged(None, tmp_path / "honest", server)
    (honest / PLAIN.entry).write_text((honest / "honest.py").read_text())
    assert graded(grader, attacker) == {"passed"}
    (sandbox,) = grader._sandboxes.values()
    fork_server = sandbox._session.sandbox.pid
    assert graded(grader, attacker) == {"passed"}
    assert graded(grader, honest) == {"passed"}
    (sandbox,) = grader._sandboxes.values()
    assert sandbox._session.sandbox.pid == fork_server, "not shared"


def test_a_submission_does_not_see_the_files_of_the_one_before(
    grader: BatchWorker, server: Server, tmp_path: Path
):
    """They are deleted from the visible folder before the next submission is there."""
    secret = staged(None, tmp_path / "first", server)
    (secret / PLAIN.entry).write_text((secret / "honest.py").read_text())
    (secret / "of_the_first.py").write_text("")
    curious = staged(None, tmp_path / "second", server)
    looks = "import os\nfound = [f for _, _, fs in os.walk('/submission') for f in fs]\n"
    refuses = "if 'of_the_first.py' in found: raise SystemExit(str(found))\n"
    (curious / PLAIN.entry).write_text((curious / "honest.py").read_text() + looks + refuses)
    assert graded(grader, secret) == {"passed"}
    assert graded(grader, curious) == {"passed"}


def test_after_a_crash_the_next_submission_gets_a_new_sandbox(
    grader: BatchWorker, server: Server, tmp_path: Path
):
    """Even without a sign that the fork server was affected."""
    broken = staged(HERE / "z_crash_37_segmentation_fault.py", tmp_path / "broken", server)
    assert graded(grader, broken) != {"passed"}
    assert grader._sandboxes == {}

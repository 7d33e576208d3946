"""Submissions of different people that share a warm parent in a batch: the first attacks the next.

The parent runs our own code only; each scenario forks from it into namespaces of its own.
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

# What each does to whatever comes after it: leaves traces in every place that can be written, in
# memory, as sockets and names; looks for those of others; kills, stops and signals all it can see.
ATTACKERS = (
    "p_28_leaves_traces.py",
    "p_29_marks_and_looks.py",
    "p_39_kills_everything.py",
    "p_39_signals_init.py",
    "p_16_patched_clocks.py",
)


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A worker of a batch."""
    monkeypatch.setenv("ARCHPREP_CONTENT", str(CONTENT))
    monkeypatch.setenv("ARCHPREP_HOME", str(tmp_path / "home"))
    with ExitStack() as opened:
        yield BatchWorker("A", opened)


def graded(grader: BatchWorker, folder: Path) -> set[str]:
    """The states of the criteria, and that nothing of the judge failed."""
    level = selftest.inspect("A").profile.level
    job = BatchJob(folder.name, folder.name, "digest", PLAIN.id, 7, level, folder)
    outcome = grader.run(job)
    assert outcome.stop is None, outcome.stop
    card = outcome.graded.scorecard
    assert card is not None, outcome.graded.problem
    return {str(criterion.state) for criterion in card.criteria}


@pytest.mark.parametrize("name", ATTACKERS)
def test_what_comes_after_an_attacker_is_graded_as_if_alone(
    name: str, grader: BatchWorker, server: Server, tmp_path: Path
):
    """The attacker itself again, which looks for its own traces; then an honest one."""
    attacker = staged(HERE / name, tmp_path / "attacker", server)
    honest = staged(None, tmp_path / "honest", server)
    (honest / PLAIN.entry).write_text((honest / "honest.py").read_text())
    assert graded(grader, attacker) == {"passed"}
    (sandbox,) = grader._sandboxes.values()
    parent = sandbox._session.sandbox.pid
    assert graded(grader, attacker) == {"passed"}
    assert graded(grader, honest) == {"passed"}
    assert grader._sandboxes[PLAIN.id]._session.sandbox.pid == parent, "it was not shared"


def test_the_next_sees_nothing_of_the_files_before_it(
    grader: BatchWorker, server: Server, tmp_path: Path
):
    """A submission is gone from the folder that the sandbox sees when the next one is there."""
    secret = staged(None, tmp_path / "first", server)
    (secret / PLAIN.entry).write_text((secret / "honest.py").read_text())
    (secret / "of_the_first.py").write_text("")
    curious = staged(None, tmp_path / "second", server)
    looks = "import os\nfound = [f for _, _, fs in os.walk('/submission') for f in fs]\n"
    refuses = "if 'of_the_first.py' in found: raise SystemExit(str(found))\n"
    (curious / PLAIN.entry).write_text((curious / "honest.py").read_text() + looks + refuses)
    assert graded(grader, secret) == {"passed"}
    assert graded(grader, curious) == {"passed"}


def test_after_one_that_crashed_the_next_gets_a_sandbox_of_its_own(
    grader: BatchWorker, server: Server, tmp_path: Path
):
    """Nothing says that it did anything to the parent; nothing has to."""
    broken = staged(HERE / "z_crash_37_segmentation_fault.py", tmp_path / "broken", server)
    assert graded(grader, broken) != {"passed"}
    assert grader._sandboxes == {}

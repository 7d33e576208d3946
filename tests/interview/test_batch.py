"""A class is graded whatever happens: to a submission, to a grader, or to archprep itself."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import GRADER, RIGHT
from report.test_samples import LEVEL_A, LEVEL_D, SAMPLES
from rich.console import Console

from archprep.cli import grade as cli_grade
from archprep.content import catalog
from archprep.core.errors import Exit, UsageError
from archprep.interview import batch, regrading, results, work
from archprep.interview.batch import Ended, Standing
from archprep.interview.model import Batch, Graded, Received, Result
from archprep.interview.regrading import Change
from archprep.interview.results import Folder
from archprep.sandbox import isolation, processes, selftest
from archprep.workspace.folder import start_workspace

WRONG = "def add(a, b):\n    return a - b\n"
Hand = Callable[..., Path]


@pytest.fixture
def hand(run: object, tmp_path: Path) -> Hand:
    """Put a submission of q1 among the others; `files` lie over the starter."""

    def submit(name: str, answer: str | None = RIGHT, exercise: str = "q1") -> Path:
        place = start_workspace(catalog.get(exercise), tmp_path / "class" / name).path
        if answer is None:
            (place / "answer.py").unlink()
        else:
            (place / "answer.py").write_text(answer)
        return place

    return submit


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the results go."""
    return tmp_path / "results"


def grade(out: Path, **options: object) -> Ended:
    """Grade the class at level D: it is our own code, and takes no self-test."""
    given: dict[str, object] = {"jobs": 2, "level": "D", "seed": 7} | options
    return batch.grade(out.parent / "class", out, **given)  # type: ignore[arg-type]


def parts(out: Path) -> dict[str, bytes]:
    found = out.glob("candidates/*/parts/*.json")
    return {f"{p.parts[-3]}/{p.name}": p.read_bytes() for p in found}


def scores(ended: Ended) -> dict[str, int | None]:
    return {
        r.received.slug: r.graded[0].scorecard.score if r.graded and r.graded[0].scorecard else None
        for r in ended.results
    }


# ------------------------------------------------------------------ what is handed in


def test_a_broken_submission_is_one_row(hand: Hand, out: Path, tmp_path: Path) -> None:
    """Each gets its score or its reason; scores are no failure. Again: the very same."""
    hand("ada")
    hand("bob", WRONG)
    hand("cyd", "def add(:\n")
    hand("dan", None)
    (tmp_path / "class" / "eve.zip").write_text("no zip")
    seen: list[Standing] = []
    ended = grade(out, progress=seen.append)
    assert ended.exit_code == Exit.PASSED
    assert scores(ended) == {"ada": 100, "bob": 0, "cyd": 0, "dan": None, "eve": None}
    found = {r.received.slug: r for r in ended.results}
    assert found["dan"].graded[0].problem == "answer.py is missing from what was handed in."
    assert found["eve"].received.problem
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (4, 4, 1)
    assert json.loads((out / "candidates/ada/scorecard.json").read_text())["score"] == 100
    assert {"index.html", "summary.csv", "statistics.json"} <= {p.name for p in out.iterdir()}
    again = grade(tmp_path / "again")
    assert list(map(timeless, again.results)) == list(map(timeless, ended.results))
    kept = parts(out)
    assert grade(out, resume=True, seed=None).graded == 0
    assert parts(out) == kept


def timeless(result: Result) -> list[object]:
    return [regrading._timeless(graded) for graded in result.graded]


def test_nothing_to_grade_leaves_nothing(out: Path, tmp_path: Path) -> None:
    """An empty folder, a missing one, and results among the submissions."""
    (tmp_path / "class").mkdir()
    with pytest.raises(UsageError, match="holds no submissions"):
        grade(out)
    with pytest.raises(UsageError, match="There is no folder"):
        batch.grade(tmp_path / "none", out)
    with pytest.raises(UsageError, match="among the submissions"):
        batch.grade(tmp_path, out)
    with pytest.raises(UsageError, match="0 processes grade nothing"):
        grade(out, jobs=0)
    assert not out.exists()


def test_what_is_not_installed_is_said_before_anything_is_graded(
    hand: Hand, out: Path, tmp_path: Path
) -> None:
    """With the command that installs it; nobody gets a row without a score for that."""
    hand("ada")
    manifest = tmp_path / "content/exercises/q01_adding/exercise.yaml"
    manifest.write_text(manifest.read_text() + "packages: [nosuch]\npreload: [nosuch]\n")
    with pytest.raises(UsageError, match="needs packages that are not installed") as error:
        grade(out)
    assert error.value.tip == "Install them: pip install nosuch"
    assert not out.exists()


def test_a_fault_of_ours_is_not_the_candidates(hand: Hand, out: Path, tmp_path: Path) -> None:
    """The others go on, the exit code says it, and --resume grades it when it is mended."""
    hand("ada")
    hand("bob", exercise="q3")
    test = tmp_path / "content/graders/q03_more/test_answer.py"
    mended = test.read_text()
    # Of another size: Python takes a file of the same size and second for the one it has compiled.
    test.write_text(mended.replace("points=60", "points=5"))
    ended = grade(out)
    assert ended.exit_code == Exit.INTERNAL
    assert scores(ended) == {"ada": 100, "bob": None}
    [fault] = ended.faults
    assert fault.startswith("bob, q3: not graded: ")
    test.write_text(mended)
    kept = parts(out)["ada/q1.json"]
    ended = grade(out, resume=True)
    assert (scores(ended), ended.graded) == ({"ada": 100, "bob": 100}, 1)
    assert (ended.exit_code, parts(out)["ada/q1.json"]) == (Exit.PASSED, kept)


def test_a_time_out_beside_others_is_confirmed_alone(hand: Hand, out: Path, tmp_path: Path) -> None:
    """Who only times out beside others has not timed out; who always does, has."""
    manifest = tmp_path / "content/exercises/q01_adding/exercise.yaml"
    manifest.write_text(manifest.read_text() + "limits: {seconds: 1.0}\n")

    def slow_once(name: str, inner: str) -> str:
        flag = str(tmp_path / name)
        asks = f"{inner}if not os.path.exists({flag!r}):\n{inner}    open({flag!r}, 'w')\n"
        return f"{asks}{inner}    time.sleep(9)\n"

    called = "def add(a, b):\n" + slow_once("called", "    ") + "    return a + b\n"
    hand("ada", f"import os, time\n\n\n{called}")
    hand("bob", "def add(a, b):\n    while True:\n        pass\n")
    imported = slow_once("imported", "") + "\n\ndef add(a, b):\n    return a + b\n"
    hand("cyd", f"import os, time\n{imported}")
    ended = grade(out)
    assert (tmp_path / "called").exists()
    assert (tmp_path / "imported").exists()
    assert scores(ended) == {"ada": 100, "bob": 0, "cyd": 100}
    assert not list(out.rglob("*.postponed"))


# ------------------------------------------------------------------ isolation


def test_nothing_is_graded_below_level_a(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --isolation D a machine that has no level A grades nothing."""
    hand("ada")
    monkeypatch.setattr(isolation, "find_bwraps", list)
    for level in (None, "A"):
        with pytest.raises(UsageError, match="Isolation level A needs bubblewrap"):
            grade(out, level=level)
    with pytest.raises(UsageError, match="no isolation level 'B'"):
        grade(out, level="B")
    assert not out.exists()
    assert grade(out).batch.isolation.level == "D"
    with pytest.raises(UsageError, match="needs bubblewrap"):
        grade(out, level=None, resume=True)


def test_a_batch_has_one_level_and_one_seed(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candidates are compared: what is graded otherwise goes elsewhere."""
    hand("ada")
    with results.begun(out, resume=False) as folder:
        folder.begin(Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_A))
    with pytest.raises(UsageError, match="level A; here and now it would be level D"):
        grade(out, resume=True)
    monkeypatch.setattr(selftest, "describe", lambda *_: LEVEL_A)
    with pytest.raises(UsageError, match="seed 7, not 8"):
        grade(out, resume=True, seed=8)
    assert not parts(out)


def test_a_worker_that_finds_a_weaker_level_ends_the_batch(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score does not count, whoever is at fault."""
    hand("ada")
    monkeypatch.setattr(selftest, "describe", lambda *_: replace(LEVEL_D, level="A"))
    with pytest.raises(UsageError, match="found isolation level D instead of A"):
        grade(out)
    assert not parts(out)


# ------------------------------------------------------------------ ended from outside


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    command = ["grade", str(out.parent / "class"), "--out", str(out), "--jobs", "2", *more]
    scratch = out.parent / "tmp"
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "archprep", *command],
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


@pytest.mark.skipif(not isolation.find_bwraps(), reason="needs bubblewrap")
def test_killed_at_any_instant_it_goes_on(hand: Hand, out: Path, tmp_path: Path) -> None:
    """Nothing is graded twice, nothing is lost, and no process and no file is left behind."""
    for number in range(8):
        hand(f"c{number}")
    rng = random.Random(6)
    kept: dict[str, bytes] = {}
    for more in range(3):  # so many are there, and a moment has passed
        with start(out, *(["--resume"] if (out / "batch.json").exists() else [])) as grading:
            least = len(kept) + more
            # It may be done sooner than a loaded machine lets us look.
            wait_for(lambda n=least, g=grading: len(parts(out)) >= n or g.poll() is not None)
            time.sleep(rng.uniform(0, 0.3))
            below = processes.below(grading.pid)
            grading.kill()
            assert grading.wait() in {0, -signal.SIGKILL}, grading.stdout and grading.stdout.read()
        wait_for(lambda left=below: not processes.living(left))
        found = parts(out)
        assert kept.items() <= found.items()
        assert all(json.loads(data) for data in found.values())
        kept = found
    assert kept
    with start(out, "--resume") as grading:
        assert grading.stdout is not None
        said = grading.stdout.read()
    assert grading.returncode == 0, said
    assert kept.items() <= parts(out).items()
    assert len(parts(out)) == 8
    assert f"{8 - len(kept)} graded now" in said
    assert said.count(" 100") >= 8
    assert len(list(out.glob("candidates/*/scorecard.json"))) == 8
    assert not list((tmp_path / "tmp").glob("*archprep-batch-*"))


def test_a_second_grader_is_refused(hand: Hand, out: Path) -> None:
    """A sentence, and nothing is touched."""
    hand("ada")
    with results.begun(out, resume=False) as folder:
        folder.begin(Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_D))
        with start(out, "--resume", "--isolation", "D") as second:
            assert second.stdout is not None
            said = second.stdout.read()
    assert second.returncode == Exit.USAGE
    assert "Another archprep is grading into" in said
    assert not parts(out)


def test_a_full_disk_is_a_sentence(hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before is valid, and --resume goes on."""
    for name in ("ada", "bob", "cyd"):
        hand(name)
    genuine = os.fsync

    def fsync(descriptor: int) -> None:
        if len(parts(out)) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        genuine(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UsageError, match="The disk is full"):
            grade(out)
    kept = parts(out)
    assert len(kept) == 2
    ended = grade(out, resume=True)
    assert (ended.graded, kept.items() <= parts(out).items()) == (1, True)
    assert scores(ended) == {"ada": 100, "bob": 100, "cyd": 100}


def test_a_full_disk_for_temporary_files_is_not_the_candidates(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other job would fare better."""
    job = work.Job("ada", "Ada", "d", "q1", 1, "D", hand("ada"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with ExitStack() as opened:
        grader = work._Grader("D", opened)
        assert grader._exercise("q1")
        for name in ("open", "mkdir"):
            with monkeypatch.context() as patch:
                patch.setattr(Path, name, full)
                stop = grader.do(job).stop
            assert stop is not None
            assert "is full" in stop[0]


# ------------------------------------------------------------------ grading again


def test_regrading_shows_what_changes_and_keeps_what_was(
    hand: Hand, out: Path, tmp_path: Path
) -> None:
    """First one looks, then it is written, with the seed of before; twice changes nothing."""
    hand("ada")
    hand("bob", WRONG)
    hand("cyd", None)
    grade(out)
    before = parts(out)
    seen: list[Change] = []

    def agree(answer: bool) -> regrading.Confirm:
        def confirm(changes: object) -> bool:
            seen[:] = changes  # type: ignore[call-overload]
            return answer

        return confirm

    def again(answer: bool = True) -> regrading.Regraded:
        return regrading.regrade(out, "q1", confirm=agree(answer), jobs=2, level="D")

    assert again().changes == []
    test = tmp_path / "content/graders/q01_adding/test_answer.py"
    test.write_text(GRADER.replace("[a + b for", "[-b + a for"))
    assert not again(answer=False).written
    assert parts(out) == before
    assert again().written
    assert [(c.name, c.before, c.after, c.criteria) for c in seen] == [
        ("ada", "100", "40", ("adds",)),
        ("bob", "0", "60", ("adds", "adds-to-nothing")),  # the second was blocked
    ]
    folder = Folder(out)
    assert [folder.result(slug).score for slug in folder.slugs()] == [40, 60, 0]
    earlier = out / "candidates/ada/earlier/1"
    assert (earlier / "parts/q1.json").read_bytes() == before["ada/q1.json"]
    assert json.loads((earlier / "scorecard.json").read_text())["score"] == 100
    assert "60" in (out / "summary.csv").read_text()
    assert again().changes == []
    test.write_text(GRADER.replace("points=60", "points=5"))
    broken = again()
    assert (len(broken.faults), broken.exit_code, broken.changes) == (2, Exit.INTERNAL, [])


# ------------------------------------------------------------------ what is shown


def test_a_name_is_inert_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No escape, no markup, no second line; who has no score has a reason."""
    card = next(iter(SAMPLES.values()))
    hostile = "\x1b[2J[bold]Eve[/]\rPASS\n100"
    received = Received(hostile, "eve", "e", "", "", flags=("\x1b]8;;x\x07late\nby 1 min",))
    result = Result(received, (Graded("q1", card), Graded("q2", problem=f"no {hostile}")))
    other = Result(Received("Bob", "bob", "b", "", "", problem="is no zip archive"), ())
    ended = Ended(Batch(1, "", "1", LEVEL_A), [result, other], 2, [hostile])
    text = io.StringIO()
    console = Console(file=text, width=120, highlight=False, markup=False, emoji=False)
    cli_grade.show(ended, Path("results"), console)
    cli_grade.show_changes([Change("e", hostile, "q1", "1", hostile, ("a",))], console)
    cli_grade._say_faults([hostile])
    cli_grade.Display()(Standing(2, 1, 1, 0, 3.0, hostile))
    said = text.getvalue() + "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\r" not in said
    assert "[bold]Eve[/] PASS 100" in said
    assert "is no zip archive" in said
    assert "late by 1 min" in said


def test_progress_says_how_much_is_left() -> None:
    """In words for a person who waits."""
    said = cli_grade._counts(Standing(500, 20, 2, 1, 900.0, ""))
    assert said == "20/500 done, 2 running, 1 failed, 15 min left"
    assert cli_grade._counts(Standing(5, 0, 2, 0, None, "")) == "0/5 done, 2 running"

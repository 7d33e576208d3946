"""A folder of results is valid at every instant, and nobody else's is touched."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report.samples import LEVEL_A, SAMPLES

from archprep.core.errors import UsageError
from archprep.interview import results
from archprep.interview.model import FORMAT, Batch, Graded, Kit, KitExercise, Part, Received
from archprep.interview.results import Folder

BATCH = Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_A)
CARD = replace(next(iter(SAMPLES.values())), exercise="q1")
GRADED = Graded("q1", CARD, source={"answer.py": "x = 'caf\udce9'\r\n"})
KIT = Kit("Ada", 90, "2026-01-01T00:00:00+00:00", "1.0", (KitExercise("q1", "q01_x", 1, "ab"),))
RECEIVED = Received(
    "Ada", "ada", "ada.zip", "2026-01-02T00:00:00+00:00", "d1", (Part("q1", Path("/x")),), KIT,
    ("late by 3 min",), {"begun_at": "now"}, superseded=("ada1.zip",),
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the results go; the folder does not exist yet."""
    return tmp_path / "results"


@pytest.fixture
def folder(root: Path) -> Folder:
    """A folder in which a batch has begun."""
    with results.begun(root, resume=False) as made:
        made.begin(BATCH)
    return made


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def names(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]


def refused(root: Path, *, resume: bool = True) -> str:
    """What the user reads; nothing is touched."""
    before = tree(root)
    with pytest.raises(UsageError) as caught, results.begun(root, resume=resume):
        pytest.fail("it was opened")
    assert tree(root) == before
    assert caught.value.tip
    return caught.value.message


# ------------------------------------------------------------------ whose folder it is


def test_a_new_or_empty_folder_is_taken(root: Path) -> None:
    """It need not exist; what else a killed grader had left of a beginning is no obstacle."""
    for _ in range(2):
        with results.begun(root, resume=False) as folder:
            assert not folder.has_begun
            (root / ".batch.json.1.archprep-new").touch()
            folder.begin(BATCH)
            (root / "batch.json").unlink()
    with results.begun(root, resume=False) as folder:
        assert not list(root.glob(".*"))


def test_where_nothing_has_begun_nothing_is_left(root: Path) -> None:
    """An error before the first result leaves no folder behind."""
    with pytest.raises(ValueError, match="x"), results.begun(root, resume=False):
        raise ValueError("x")
    assert not root.exists()


def test_somebody_elses_folder_is_refused(root: Path) -> None:
    """Neither a lock nor anything else is put there."""
    root.mkdir()
    (root / "thesis.txt").write_text("mine")
    assert "is no folder of results" in refused(root)
    assert "cannot be written: Not a directory" in refused_file(root / "thesis.txt")


def refused_file(path: Path) -> str:
    with pytest.raises(UsageError) as caught, results.begun(path, resume=True):
        pytest.fail("it was opened")
    return caught.value.message


def test_a_newer_folder_is_refused(root: Path, folder: Folder) -> None:
    """Its format is another archprep's."""
    (root / "lock").unlink()
    newer = json.loads((root / "batch.json").read_text()) | {"format": FORMAT + 1, "more": 1}
    (root / "batch.json").write_text(json.dumps(newer))
    assert "was written by a newer archprep" in refused(root)
    with pytest.raises(UsageError, match="newer"), results.reopened(root):
        pytest.fail("it was opened")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": 1}', '{"format": true}', "\xff"])
def test_a_damaged_batch_is_refused(root: Path, folder: Folder, text: str) -> None:
    """A sentence, and the file stays for whoever mends it."""
    (root / "batch.json").write_bytes(text.encode("latin-1"))
    assert "is damaged" in refused(root)


def test_results_are_not_graded_over(root: Path, folder: Folder) -> None:
    """Without --resume a folder that has results is refused."""
    assert "has results already" in refused(root, resume=False)
    with results.begun(root, resume=True) as again:
        assert again.batch() == BATCH


def test_a_second_grader_is_refused(root: Path) -> None:
    """The lock is the kernel's: it is free when its holder is gone, killed or not."""
    hold = (
        "import sys, time; from pathlib import Path; from archprep.interview import results\n"
        "with results.begun(Path(sys.argv[1]), resume=False): print('held', flush=True);"
        " time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(root)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert "Another archprep is grading into" in refused(root)
        other.kill()
    with results.begun(root, resume=False):
        pass


def test_results_to_grade_again_must_be_there(tmp_path: Path) -> None:
    """An empty folder has none."""
    with pytest.raises(UsageError, match="has no results"), results.reopened(tmp_path):
        pytest.fail("it was opened")


# ------------------------------------------------------------------ what is kept


def test_what_is_kept_is_read_back(folder: Folder) -> None:
    """Whatever bytes a submission has, its source gives the very same ones."""
    assert folder.receive(RECEIVED)
    assert not folder.receive(RECEIVED)
    folder.keep("ada", "d1", GRADED)
    bare = replace(RECEIVED, parts=(Part("q1", Path()),))
    assert folder.received("ada") == bare
    assert folder.graded("ada", "q1") == GRADED
    assert folder.finished(RECEIVED, "q1") == GRADED
    assert folder.result("ada").graded == (GRADED,)
    assert folder.result("ada", sources=False).graded[0].source == {}
    assert results.kept_source(folder.part("ada", "q1")) == {"answer.py": b"x = 'caf\xe9'\r\n"}


def test_what_a_machine_reports_stops_nobody(folder: Folder) -> None:
    """JSON knows no NaN, whatever the candidate's machine has said."""
    assert folder.receive(replace(RECEIVED, reported={"edited": float("nan")}))
    assert folder.received("ada").reported == {}


def test_only_what_fits_is_finished(folder: Folder) -> None:
    """Another submission, a fault of ours and a damaged file are graded again; scores are not."""
    folder.receive(RECEIVED)
    assert folder.finished(RECEIVED, "q1") is None
    folder.keep("ada", "d1", Graded("q1", problem="answer.py is missing."))
    assert folder.finished(RECEIVED, "q1")
    assert folder.finished(replace(RECEIVED, digest="d2"), "q1") is None
    folder.keep("ada", "d1", Graded("q1", problem="not graded: a grader failed."))
    assert folder.finished(RECEIVED, "q1") is None
    folder.part("ada", "q1").write_text('{"format": 1, "digest": "d1", "graded": {}}')
    assert folder.finished(RECEIVED, "q1") is None
    assert "damaged" in str(folder.graded("ada", "q1").problem)


def test_a_time_out_beside_others_is_remembered(folder: Folder) -> None:
    """Until the verdict that counts is there."""
    folder.receive(RECEIVED)
    folder.postpone("ada", "d1", "q1")
    assert folder.is_postponed(RECEIVED, "q1")
    assert not folder.is_postponed(replace(RECEIVED, digest="d2"), "q1")
    folder.keep("ada", "d1", GRADED)
    assert not folder.is_postponed(RECEIVED, "q1")


def test_a_later_submission_puts_the_results_aside(folder: Folder) -> None:
    """Nothing is lost: the earlier ones are kept together."""
    folder.receive(RECEIVED)
    folder.keep("ada", "d1", GRADED)
    folder.publish("ada", BATCH)
    before = tree(folder.candidate("ada"))
    for number in (1, 2):
        digest = f"other{number}"
        folder.receive(replace(RECEIVED, digest=digest))
        assert not folder.part("ada", "q1").exists()
        assert not (folder.candidate("ada") / "scorecard.json").exists()
        folder.keep("ada", digest, GRADED)
    assert tree(folder.candidate("ada") / "earlier" / "1") == before
    assert folder.finished(replace(RECEIVED, digest="other2"), "q1")
    assert sorted(names(folder.candidate("ada") / "earlier")) == ["1", "2"]


def test_the_pages_are_made_of_the_parts(folder: Folder) -> None:
    """Once, until a part is another; a problem has its row."""
    folder.receive(RECEIVED)
    folder.receive(Received("Bob", "bob", "bob.zip", "", "d", problem="is no zip archive"))
    folder.keep("ada", "d1", GRADED)
    for slug in folder.slugs():
        folder.publish(slug, BATCH)
    made = tree(folder.candidate("ada"))
    assert {"report.html", "results.json", "junit.xml", "scorecard.json"} < made.keys()
    assert json.loads(made["scorecard.json"])["score"] == CARD.score
    folder.publish("ada", replace(BATCH, seed=8))
    assert tree(folder.candidate("ada")) == made
    folder.keep("ada", "d1", Graded("q1", problem="answer.py is missing."))
    folder.publish("ada", BATCH)
    assert json.loads((folder.candidate("ada") / "scorecard.json").read_text())["score"] == 0
    assert [r.received.slug for r in folder.publish_batch(BATCH)] == ["ada", "bob"]
    assert {"index.html", "summary.csv", "statistics.json"} < set(names(folder.root))


@pytest.mark.parametrize("slug", ["", "..", "a/b", "-", "a b"])
def test_a_slug_never_leads_elsewhere(folder: Folder, slug: str) -> None:
    """It names one folder below `candidates`."""
    with pytest.raises(ValueError, match="names no candidate"):
        folder.candidate(slug)


@pytest.mark.parametrize("name", ["../../evil.py", "/tmp/evil.py"])
def test_a_kept_source_never_leads_elsewhere(folder: Folder, name: str) -> None:
    """Even if somebody has edited the file."""
    folder.keep("ada", "d1", replace(GRADED, source={name: ""}))
    with pytest.raises(UsageError, match="outside its folder"):
        results.kept_source(folder.part("ada", "q1"))


# ------------------------------------------------------------------ writing


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_a_sentence(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What was written stays, and nothing is half there."""
    folder.receive(RECEIVED)
    folder.keep("ada", "d1", GRADED)
    before = tree(folder.root)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(UsageError, match="The disk is full: ") as caught:
        results.write(folder.part("ada", "q1"), "new")
    assert "--resume" in str(caught.value.tip)
    assert tree(folder.root) == before


def test_what_was_not_finished_is_removed(folder: Folder) -> None:
    """Whoever was killed while writing leaves no litter."""
    folder.receive(RECEIVED)
    place = folder.candidate("ada")
    (place / "earlier" / ".12.archprep-new" / "parts").mkdir(parents=True)
    (place / ".report.html.12.archprep-new").touch()
    with results.reopened(folder.root):
        assert set(names(place)) == {"candidate.json", "earlier"}
        assert not names(place / "earlier")

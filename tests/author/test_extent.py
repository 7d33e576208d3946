"""How much of an exercise is proven: a sample, everything, or nothing because of a receipt."""

import subprocess

import pytest
from author.test_proof import empty_root

from archprep import author
from archprep.author import form_checks, prove, receipts
from archprep.author.model import Extent, JobKind
from archprep.content import catalog
from archprep.core.errors import UsageError


@pytest.fixture
def root(tmp_path, home, monkeypatch):
    """A checkout with one exercise, made from the template, which has not its full size yet."""
    monkeypatch.setattr(form_checks, "MOST_POINTS", 100)
    monkeypatch.setattr(form_checks, "LEAST_RIGHT", 0)
    monkeypatch.setattr(prove, "FULL_MUTANTS", 1)
    root = empty_root(tmp_path / "checkout")
    monkeypatch.setenv("ARCHPREP_CONTENT", str(root))
    author.new("q1")
    return root


def git(root, *args):
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *named, *args], cwd=root, check=True, capture_output=True)


def committed(root):
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")


def test_a_full_proof_is_not_repeated(root):
    """What was proven in full is proven again only after a change."""
    exercise = catalog.get("q1")
    first = author.check([exercise], full=lambda _: True).exercises[0]
    assert (first.extent, first.findings) == (Extent.FULL, ())
    again = author.check([exercise], full=lambda _: True).exercises[0]
    assert (again.extent, again.counts) == (Extent.RECEIPT, {})
    notes = exercise.solution_dir / "notes.md"
    notes.write_text(notes.read_text() + "\nMore.\n")
    assert receipts.find(exercise) is None


def test_findings_leave_no_receipt(root):
    """Only a proof without findings is worth a receipt."""
    exercise = catalog.get("q1")
    for path in (exercise.grader_dir / "wrong").iterdir():
        path.unlink()
    proof = author.check([exercise], full=lambda _: True).exercises[0]
    assert proof.findings
    assert receipts.find(exercise) is None


def test_a_sample_is_smaller_and_leaves_no_receipt(root, monkeypatch):
    """By default a drawn sample of the wrong answers is graded; the seed decides which."""
    monkeypatch.setattr("archprep.author.prove.SAMPLE_WRONG", 1)
    exercise = catalog.get("q1")
    proof = author.check([exercise]).exercises[0]
    assert (proof.extent, proof.findings, proof.counts[JobKind.WRONG]) == (Extent.SAMPLE, (), 1)
    assert receipts.find(exercise) is None


@pytest.mark.parametrize("folder", ["exercises", "solutions", "graders"])
def test_what_differs_from_a_revision_is_proven_in_full(root, folder):
    """A change in any of an exercise's three folders counts, committed or not."""
    committed(root)
    author.new("q2")
    git(root, "add", ".")
    git(root, "commit", "-m", "second")
    (q1, q2) = catalog.load_all()
    full = author.extent(everything=False, changed_since="HEAD~1")
    assert [full(q1), full(q2)] == [False, True]
    (root / folder / q1.folder / "new.md").write_text("x")
    git(root, "add", ".")
    assert author.extent(everything=False, changed_since="HEAD")(q1)


def test_everything_and_nothing(root):
    """--full means all exercises; without an option none is proven in full."""
    exercise = catalog.get("q1")
    assert author.extent(everything=True, changed_since=None)(exercise)
    assert not author.extent(everything=False, changed_since=None)(exercise)


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD~1"])
def test_a_revision_that_git_does_not_know(root, revision):
    """The message says what to name instead."""
    committed(root)
    with pytest.raises(UsageError, match="cannot compare"):
        author.extent(everything=False, changed_since=revision)
    assert not (root / "x").exists()

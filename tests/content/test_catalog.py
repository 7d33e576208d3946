"""Exercises are found by their folders; what is wrong with one is said exactly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import write_exercise, write_tree

from archprep.content import catalog
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise, Limits, Runnable, Task

Q1 = "q01_event_bus"


def test_exercises_come_by_number(content: Path) -> None:
    """Folders are sorted as numbers, not as text: q10 follows q3."""
    write_exercise(content, "q10_webhooks")
    write_exercise(content, "q100_more")
    assert [e.id for e in catalog.load_all()] == ["q1", "q3", "q10", "q100"]


def test_an_exercise_carries_its_manifest_and_its_folders(content: Path) -> None:
    """Everything in exercise.yaml arrives; what may be left out has a default."""
    exercise = catalog.get("q1")
    assert (exercise.id, exercise.number, exercise.title) == ("q1", 1, "Event bus")
    assert (exercise.section, exercise.difficulty, exercise.minutes) == ("Basics", "hard", 90)
    assert exercise.tasks == (Task(1, "First"), Task(2, "Second", (1,)))
    assert (exercise.entry, exercise.packages, exercise.preload) == (("answer.py",), (), ())
    assert exercise.limits == Limits()
    assert exercise.brief_dir == content / "exercises" / Q1
    assert exercise.solution_dir == content / "solutions" / Q1
    assert exercise.grader_dir == content / "graders" / Q1


def test_optional_keys_are_read(content: Path) -> None:
    """Packages, preload and single limits are taken from the manifest."""
    manifest = content / "exercises" / Q1 / "exercise.yaml"
    more = "packages: [httpx]\npreload: [asyncio]\nlimits: {seconds: 2.5, memory_mb: 256}\n"
    manifest.write_text(manifest.read_text() + more)
    exercise = catalog.get("q1")
    assert (exercise.packages, exercise.preload) == (("httpx",), ("asyncio",))
    assert exercise.limits == Limits(seconds=2.5, memory_mb=256)
    assert exercise.run is None


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("{app: 'answer:app'}", Runnable(app="answer:app")),
        ("{dag: some.id-7}", Runnable(dag="some.id-7")),
        (
            "{dag: d, logical_date: 2026-03-02T02:00:00Z, variables: {names: [ann]}}",
            Runnable(None, "d", "2026-03-02T02:00:00+00:00", {"names": ["ann"]}),
        ),
    ],
)
def test_what_can_be_run_is_an_app_or_a_dag(content: Path, text: str, run: Runnable) -> None:
    manifest = content / "exercises" / Q1 / "exercise.yaml"
    manifest.write_text(f"{manifest.read_text()}run: {text}\n")
    assert catalog.get("q1").run == run


def test_sections_come_in_the_order_of_their_first_exercise(content: Path) -> None:
    """A section that returns later keeps its place."""
    write_exercise(content, "q04_tenancy", section="Basics")
    assert catalog.sections(catalog.load_all()) == ["Basics", "Web"]


@pytest.mark.parametrize("name", ["_template", ".hidden"])
def test_folders_set_aside_are_no_exercises(content: Path, name: str) -> None:
    """A leading underscore or dot takes a folder out of the catalog."""
    write_tree(content / "exercises" / name, {"exercise.yaml": "not: valid"})
    assert [e.id for e in catalog.load_all()] == ["q1", "q3"]


@pytest.mark.parametrize(
    "name", ["q1", "Q1", " q1 ", "1", "q01", "01", Q1, f"{Q1}/", "event_bus", "Event-Bus"]
)
def test_an_exercise_has_several_names(content: Path, name: str) -> None:
    """Its id, its number, its folder and what the folder says all lead to it."""
    assert catalog.get(name).id == "q1"


@pytest.mark.parametrize(
    ("name", "tip"),
    [
        ("q33", "Did you mean q3? `archprep list` shows all."),
        ("even_bus", "Did you mean q1? `archprep list` shows all."),
        ("zebra", "`archprep list` shows all."),
        ("", "`archprep list` shows all."),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(content: Path, name: str, tip: str) -> None:
    """A typing mistake costs one look, not a search."""
    with pytest.raises(UsageError) as caught:
        catalog.get(name)
    assert (caught.value.message, caught.value.tip) == (f"There is no exercise '{name}'.", tip)


def test_an_unknown_name_is_cleaned(content: Path) -> None:
    """What a user typed cannot steer the terminal."""
    with pytest.raises(UsageError, match=r"^There is no exercise 'x'\.$"):
        catalog.get("\x1b[2Jx")


def test_one_exercise_does_not_break_another(content: Path) -> None:
    """A half-written exercise stops the list, not the work on a finished one."""
    (content / "exercises" / "q03_rate_limiting" / "exercise.yaml").write_text("id: q3\n")
    assert catalog.get("q1").id == "q1"
    with pytest.raises(ContentError, match="q03_rate_limiting"):
        catalog.load_all()


# ------------------------------------------------------------------ faults of the content


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("minutes: 90\n", "", "`minutes` is missing."),
        ("minutes: 90", "minutes: '90'", "`minutes` must be a whole number above 0."),
        ("minutes: 90", "minutes: true", "`minutes` must be a whole number above 0."),
        ("minutes: 90", "minutes: 0", "`minutes` must be a whole number above 0."),
        ("title: Event bus", "title: 7", "`title` must be text."),
        ("title: Event bus", "title: ' '", "`title` is empty."),
        ("difficulty: hard", "difficulty: mean", "`difficulty` must be one of easy, medium"),
        ("version: 1", "version: 1\nauthor: me", "`author` is not a known key."),
        ("version: 1", "version: 1\nversion: 2", "a key is given twice in the mapping"),
        ("id: q1", "id: one", "`id` is written like q3."),
        ("id: q1", "id: q2", f"`id` is q2, but the folder is named {Q1}."),
        ("[answer.py]", "answer.py", "`entry` must be a list."),
        ("[answer.py]", "[]", "`entry` names no file."),
        ("[answer.py]", "[3]", "`entry` must be a list of texts."),
        ("[answer.py]", "[answer.py, answer.py]", "`entry` names something twice."),
        ("[answer.py]", "[../x.py]", "'../x.py', which is not a path inside the starter."),
        ("[answer.py]", "[/etc/x.py]", "not a path inside the starter."),
        ("[answer.py]", "[other.py]", f"exercises/{Q1}/starter/other.py is missing"),
        ("number: 2", "number: 3", "`tasks[2].number` must be 2"),
        ("title: Second", "name: Second", "`tasks[2].title` is missing."),
        ("needs: [1]", "needs: [2]", "`tasks[2].needs` must list numbers of earlier tasks."),
        ("  - {number: 2, title: Second, needs: [1]}\n", "", "`tasks` has 1 tasks"),
        ("", "limits: {secs: 1}\n", "`limits.secs` is not a known key."),
        ("", "limits: {seconds: 0}\n", "`limits.seconds` must be a number"),
        ("", "limits: {memory_mb: 1.5}\n", "`limits.memory_mb` must be a whole"),
        ("", "limits: 4\n", "`limits` must be a mapping."),
        ("", "run: answer:app\n", "`run` must be a mapping."),
        ("", "run: {script: x}\n", "`run.script` is not a known key."),
        ("", "run: {}\n", "`run` names either an app or a dag."),
        ("", "run: {app: 'answer:app', dag: x}\n", "`run` names either an app or a dag."),
        ("", "run: {app: answer.py}\n", "`run.app` is written like service:app."),
        ("", "run: {app: 'other:app'}\n", f"exercises/{Q1}/starter/other.py is missing"),
        ("", "run: {dag: 'a b'}\n", "`run.dag` must be the id of a DAG."),
        ("", "run: {app: 'answer:app', variables: {}}\n", "`run.variables` is not a known key."),
        ("", "run: {dag: d, logical_date: soon}\n", "`run.logical_date` must be datetime."),
        ("", "run: {dag: d, logical_date: 2026-03-02T02:00:00}\n", "needs a time zone."),
        ("*", "[", "is not valid YAML"),
        ("*", "- id", "must be a mapping."),
        ("*", "", "must be a mapping."),
    ],
)
def test_a_fault_in_a_manifest_names_file_and_key(
    content: Path, old: str, new: str, message: str
) -> None:
    """An author reads where the fault is and what is expected.

    `old` becomes `new`; an empty `old` means that `new` is appended, `*` stands for the whole text.
    """
    manifest = content / "exercises" / Q1 / "exercise.yaml"
    text = manifest.read_text()
    changed = {"": text + new, "*": new}.get(old, text.replace(old, new))
    assert changed != text
    manifest.write_text(changed)
    with pytest.raises(ContentError) as caught:
        catalog.load_all()
    assert message in caught.value.message
    assert caught.value.message.startswith(f"exercises/{Q1}/")


@pytest.mark.parametrize("kind", ["solutions", "graders"])
def test_the_folder_stands_under_all_three_roots(content: Path, kind: str) -> None:
    """An exercise without reference or graders is refused."""
    shutil.rmtree(content / kind / Q1)
    with pytest.raises(ContentError, match=f"^{kind}/{Q1} is missing"):
        catalog.load_all()


def test_a_folder_without_manifest_is_refused(content: Path) -> None:
    """A folder that looks like an exercise must be one."""
    (content / "exercises" / Q1 / "exercise.yaml").unlink()
    with pytest.raises(ContentError, match=r"exercise\.yaml is missing"):
        catalog.load_all()


@pytest.mark.parametrize("name", ["event_bus", "q1_event_bus", "q01", "q01_Event", "q01_a__b"])
def test_a_misnamed_folder_is_refused(content: Path, name: str) -> None:
    """Folders have one form, which gives number and name."""
    (content / "exercises" / name).mkdir()
    with pytest.raises(ContentError, match=f"exercises/{name}: "):
        catalog.load_all()


def test_a_number_is_given_once(content: Path) -> None:
    """Two folders with one number are both named."""
    write_exercise(content, "q01_other")
    for find in (catalog.load_all, lambda: catalog.get("q1")):
        with pytest.raises(ContentError, match=f"{Q1}, q01_other"):
            find()


# ------------------------------------------------------------------ where the content is


def test_the_checkout_has_its_own_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ARCHPREP_CONTENT the folders beside src/ (or in the wheel) are used."""
    monkeypatch.delenv("ARCHPREP_CONTENT", raising=False)
    assert (catalog.content_root() / "graders").is_dir()


def test_a_wrong_content_root_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named, since it was the user who set it."""
    monkeypatch.setenv("ARCHPREP_CONTENT", str(tmp_path))
    with pytest.raises(UsageError, match=r"ARCHPREP_CONTENT names .* no folder `exercises`"):
        catalog.load_all()


# ------------------------------------------------------------------ the other files


def test_files_are_given_by_their_path_in_the_workspace(exercise: Exercise) -> None:
    """Starter and reference come without what tools leave behind and without notes."""
    starter = exercise.brief_dir / "starter"
    write_tree(starter, {"pkg/deep.py": "", "__pycache__/answer.pyc": "", "stale.pyc": ""})
    expected = ["answer.py", "pkg/deep.py", "test_examples.py"]
    assert list(catalog.starter_files(exercise)) == expected
    assert catalog.starter_files(exercise)["answer.py"] == starter / "answer.py"
    assert list(catalog.reference_files(exercise)) == ["answer.py"]
    assert "return a + b" in catalog.reference(exercise)["answer.py"]


def test_texts_are_read_as_they_stand(exercise: Exercise) -> None:
    """Brief, prompts, notes and rubric come from their own files."""
    assert "{{ exercise.title }}" in catalog.brief_template(exercise)
    assert catalog.discussion(exercise) == "Why this way?\n"
    assert catalog.notes(exercise) == "Addition is built in.\n"
    assert catalog.rubric(exercise) == [{"question": "Why?", "covers": ["simplicity"]}]


def test_a_missing_text_is_named(exercise: Exercise) -> None:
    """A file that an exercise must have is asked for by its place."""
    (exercise.solution_dir / "notes.md").unlink()
    with pytest.raises(ContentError, match=rf"^solutions/{Q1}/notes\.md is missing"):
        catalog.notes(exercise)


def test_an_empty_rubric_is_refused(exercise: Exercise) -> None:
    """An interviewer is never left without anything to go by."""
    (exercise.solution_dir / "rubric.yaml").write_text("[]")
    with pytest.raises(ContentError, match=r"rubric\.yaml must hold"):
        catalog.rubric(exercise)


def test_hints_are_lists_by_key(exercise: Exercise) -> None:
    """A hint keeps its further lines, without the indentation that made them part of it."""
    assert catalog.hints(exercise) == {"adding": ["Look at `add`.", "It adds:\n\n```\na + b\n```"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("## a\n\n1. x\n\n## a\n\n1. y\n", "the key `a` comes twice."),
        ("## a\n\n", "`a` must be a numbered list and nothing else."),
        ("## a\n\nSome text.\n\n1. x\n", "`a` must be a numbered list and nothing else."),
        ("## a\n\n1. x\n3. y\n", "`a` must be numbered 1, 2, 3."),
    ],
)
def test_malformed_hints_are_refused(exercise: Exercise, text: str, message: str) -> None:
    """The key whose list is wrong is named."""
    (exercise.brief_dir / "hints.md").write_text(text)
    with pytest.raises(ContentError) as caught:
        catalog.hints(exercise)
    assert caught.value.message == f"exercises/{Q1}/hints.md: {message}"

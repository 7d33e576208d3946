"""What exercise.yaml may say, and how a mistake in it is reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from archprep.content import catalog
from archprep.core.errors import ContentError
from archprep.core.model import Limits, Runnable, Task

Q1 = "q01_event_bus"


def test_an_exercise_carries_its_manifest_and_its_folders(content: Path) -> None:
    """Every key of exercise.yaml is read; optional ones have a default."""
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


def test_tasks_state_their_minutes_and_the_core_fits_an_hour(content: Path) -> None:
    """The exercise's minutes are the sum of its tasks'."""
    manifest = content / "exercises" / Q1 / "exercise.yaml"
    text = manifest.read_text().replace("minutes: 90\n", "core: [1]\n")
    for title, minutes in (("First", 50), ("Second", 30)):
        text = text.replace(f"title: {title}", f"title: {title}, minutes: {minutes}")
    manifest.write_text(text)
    exercise = catalog.get("q1")
    assert (exercise.minutes, exercise.core, exercise.core_minutes) == (80, (1,), 50)
    for old, new, says in (
        (", minutes: 30", "", "`tasks` must state `minutes` for every task or for none"),
        ("core: [1]", "core: [2]", "`core` needs task 1, on which it builds"),
        ("core: [1]", "core: []", "`core` must list numbers of tasks"),
        ("core: [1]\n", "", "`core` must be a list"),
        ("version: 1", "version: 1\nminutes: 80", "`minutes` is the sum of the tasks' minutes"),
    ):
        manifest.write_text(text.replace(old, new))
        with pytest.raises(ContentError, match=says):
            catalog.get("q1")


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
    """`run` names an app, or a DAG with a logical date and variables."""
    manifest = content / "exercises" / Q1 / "exercise.yaml"
    manifest.write_text(f"{manifest.read_text()}run: {text}\n")
    assert catalog.get("q1").run == run


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
        ("version: 1", "version: 1\nversion: 2", "duplicate key in the mapping"),
        ("id: q1", "id: one", "`id` must look like q3."),
        ("id: q1", "id: q2", f"`id` is q2, but the folder is named {Q1}."),
        ("[answer.py]", "answer.py", "`entry` must be a list."),
        ("[answer.py]", "[]", "`entry` must name at least one file."),
        ("[answer.py]", "[3]", "`entry` must be a list of non-empty strings."),
        ("[answer.py]", "[answer.py, answer.py]", "`entry` lists an item twice."),
        ("[answer.py]", "[../x.py]", "'../x.py', which is not a path inside the starter."),
        ("[answer.py]", "[/etc/x.py]", "not a path inside the starter."),
        ("[answer.py]", "[other.py]", f"exercises/{Q1}/starter/other.py is missing"),
        ("number: 2", "number: 3", "`tasks[2].number` must be 2"),
        ("title: Second", "name: Second", "`tasks[2].title` is missing."),
        ("needs: [1]", "needs: [2]", "`tasks[2].needs` must list numbers of earlier tasks."),
        (
            "  - {number: 2, title: Second, needs: [1]}\n",
            "",
            "`tasks` must list 2 to 5 tasks",
        ),
        ("", "limits: {secs: 1}\n", "`limits.secs` is not a known key."),
        ("", "limits: {seconds: 0}\n", "`limits.seconds` must be a number"),
        ("", "limits: {memory_mb: 1.5}\n", "`limits.memory_mb` must be a whole"),
        ("", "limits: 4\n", "`limits` must be a mapping."),
        ("", "run: answer:app\n", "`run` must be a mapping."),
        ("", "run: {script: x}\n", "`run.script` is not a known key."),
        ("", "run: {}\n", "`run` must name either an app or a dag."),
        ("", "run: {app: 'answer:app', dag: x}\n", "`run` must name either an app or a dag."),
        ("", "run: {app: answer.py}\n", "`run.app` must look like service:app."),
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
    """The message names the file, the key and what is expected.

    `old` is replaced by `new`; an empty `old` appends `new`, `*` replaces the whole text.
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
def test_an_exercise_needs_all_three_folders(content: Path, kind: str) -> None:
    """An exercise without a reference or graders is refused."""
    shutil.rmtree(content / kind / Q1)
    with pytest.raises(ContentError, match=f"^{kind}/{Q1} is missing"):
        catalog.load_all()


def test_a_folder_without_manifest_is_refused(content: Path) -> None:
    """A folder named like an exercise needs a manifest."""
    (content / "exercises" / Q1 / "exercise.yaml").unlink()
    with pytest.raises(ContentError, match=r"exercise\.yaml is missing"):
        catalog.load_all()

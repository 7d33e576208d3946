"""Finds the exercises and reads their files: the only module that knows the layout of the content.

The same folder name (`q03_rate_limiting`) stands under `exercises/`, `solutions/` and `graders/`.
There is no list to edit: an exercise is there because its folders are.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from archprep.content.yaml_reader import Reader, place, read_text, read_yaml
from archprep.core.errors import ContentError, UsageError
from archprep.core.files import PACKAGE
from archprep.core.model import Exercise, Limits, Runnable, Task

if TYPE_CHECKING:
    from archprep.content.wrong_answers import WrongAnswer

DIFFICULTIES = ("easy", "medium", "hard")
_FOLDER = re.compile(r"q(\d\d+)_([a-z0-9]+(?:_[a-z0-9]+)*)")
_ID = re.compile(r"q[1-9]\d*")
_APP = re.compile(r"[a-z_]\w*(?:\.[a-z_]\w*)*:[A-Za-z_][\w.]*")
_DAG = re.compile(r"[\w.-]+")
_MANIFEST = "exercise.yaml"
_REQUIRED = {
    "id", "title", "section", "difficulty", "minutes", "version", "summary", "entry", "tasks",
}  # fmt: skip
_OPTIONAL = {"packages", "preload", "limits", "run", "stack", "at_once"}
STACKS = ("airflow",)
_TASK_COUNT = range(2, 6)
_HOUR = 3600
_LITTER = ("__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache")


# ------------------------------------------------------------------ where the content is


def content_root() -> Path:
    """The folder that holds `exercises`, `solutions` and `graders`."""
    if chosen := os.environ.get("ARCHPREP_CONTENT"):
        root = Path(chosen).expanduser().absolute()
        if not (root / "exercises").is_dir():
            raise UsageError(
                f"ARCHPREP_CONTENT names {root}, which has no folder `exercises`.",
                tip="Unset ARCHPREP_CONTENT to use the exercises that come with archprep.",
            )
        return root
    for root in (PACKAGE / "_content", PACKAGE.parents[1]):
        if (root / "exercises").is_dir():
            return root
    raise ContentError(
        "The exercises are missing from this installation of archprep.",
        tip="Reinstall it: pip install --force-reinstall archprep",
    )


def _folders(root: Path) -> list[str]:
    """Names of the exercise folders; those that start with `_` or `.` are not exercises."""
    with os.scandir(root / "exercises") as entries:
        names = [e.name for e in entries if e.name[0] not in "_." and e.is_dir()]
    for name in names:
        if not _FOLDER.fullmatch(name):
            raise ContentError(
                f"exercises/{name}: the folder of an exercise is named like q03_rate_limiting."
            )
    return sorted(names, key=lambda name: (_number(name), name))


def _number(folder: str) -> int:
    return int(folder[1 : folder.index("_")])


# ------------------------------------------------------------------ finding exercises


def load_all() -> list[Exercise]:
    """Every exercise, by number."""
    root = content_root()
    folders = _folders(root)
    for earlier, later in itertools.pairwise(folders):
        if _number(earlier) == _number(later):
            raise _duplicate([earlier, later])
    return [_load(root, folder) for folder in folders]


def get(name: str) -> Exercise:
    """The exercise called `q1`, `1`, `q01_event_bus` or `event_bus`."""
    root = content_root()
    folders = _folders(root)
    wanted = name.strip().rstrip("/").lower().replace("-", "_")
    found = [folder for folder in folders if wanted in _names(folder)]
    if len(found) > 1:
        raise _duplicate(found)
    if not found:
        raise _unknown(name, wanted, folders)
    return _load(root, found[0])


def sections(exercises: Iterable[Exercise]) -> list[str]:
    """The sections in the order in which their first exercise comes."""
    return list(dict.fromkeys(e.section for e in exercises))


def _names(folder: str) -> tuple[str, ...]:
    digits, _, slug = folder[1:].partition("_")
    number = int(digits)
    return (f"q{number}", str(number), f"q{digits}", digits, folder, slug)


def _unknown(name: str, wanted: str, folders: list[str]) -> UsageError:
    import difflib

    known = {alias: f"q{_number(f)}" for f in folders for alias in _names(f)}
    near = [alias for alias in known if len(wanted) > 2 and wanted in alias]
    near += difflib.get_close_matches(wanted, known, n=8, cutoff=0.6)
    ids = list(dict.fromkeys(known[alias] for alias in near))[:3]
    question = f"Did you mean {' or '.join(ids)}? " if ids else ""
    from archprep.core.sanitize import sanitize

    return UsageError(
        f"There is no exercise '{sanitize(name, 60)}'.", tip=f"{question}`archprep list` shows all."
    )


def _duplicate(folders: list[str]) -> ContentError:
    return ContentError(f"These exercises share a number or a name: {', '.join(folders)}.")


# ------------------------------------------------------------------ the manifest


def _load(root: Path, folder: str) -> Exercise:
    places = [root / kind / folder for kind in ("exercises", "solutions", "graders")]
    for path in places:
        if not path.is_dir():
            raise ContentError(f"{path.parent.name}/{folder} is missing.")
    brief_dir, solution_dir, grader_dir = places
    exercise = _exercise(Reader(brief_dir / _MANIFEST), brief_dir, solution_dir, grader_dir)
    for name in (*exercise.entry, *_served(exercise.run)):
        if not (brief_dir / "starter" / name).is_file():
            raise ContentError(
                f"exercises/{folder}/starter/{name} is missing: {_MANIFEST} names it."
            )
    return exercise


def _exercise(read: Reader, brief_dir: Path, solution_dir: Path, grader_dir: Path) -> Exercise:
    read.keys(_REQUIRED, _OPTIONAL)
    identifier = read.get("id", str)
    if not _ID.fullmatch(identifier):
        raise read.wrong("id", "is written like q3")
    if int(identifier[1:]) != _number(brief_dir.name):
        raise read.wrong("id", f"is {identifier}, but the folder is named {brief_dir.name}")
    difficulty = read.get("difficulty", str)
    if difficulty not in DIFFICULTIES:
        raise read.wrong("difficulty", f"must be one of {', '.join(DIFFICULTIES)}")
    return Exercise(
        id=identifier,
        title=read.get("title", str),
        section=read.get("section", str),
        difficulty=difficulty,
        minutes=read.positive("minutes"),
        version=read.positive("version"),
        summary=read.get("summary", str),
        tasks=_tasks(read),
        entry=_entry(read),
        packages=read.strings("packages"),
        preload=read.strings("preload"),
        limits=_limits(read),
        run=_run(read),
        stack=_stack(read),
        at_once=read.positive("at_once") if "at_once" in read.data else 1,
        folder=brief_dir.name,
        brief_dir=brief_dir,
        solution_dir=solution_dir,
        grader_dir=grader_dir,
    )


def _entry(read: Reader) -> tuple[str, ...]:
    names = read.strings("entry")
    if not names:
        raise read.wrong("entry", "names no file")
    for name in names:
        if not _is_plain_path(name):
            raise read.wrong("entry", f"has {name!r}, which is not a path inside the starter")
    return names


def _tasks(read: Reader) -> tuple[Task, ...]:
    parts = read.get("tasks", list)
    if len(parts) not in _TASK_COUNT:
        raise read.wrong("tasks", f"has {len(parts)} tasks; an exercise has 2 to 5")
    return tuple(_task(read, part, number) for number, part in enumerate(parts, start=1))


def _task(read: Reader, part: object, number: int) -> Task:
    inner = Reader(read.path, part, f"tasks[{number}].")
    inner.keys({"number", "title"}, {"needs"})
    if inner.positive("number") != number:
        raise inner.wrong("number", f"must be {number}: tasks are numbered 1, 2, 3 in order")
    needs = inner.get("needs", list, [])
    if any(type(n) is not int or not 1 <= n < number for n in needs):
        raise inner.wrong("needs", "must list numbers of earlier tasks")
    return Task(number, inner.get("title", str), tuple(needs))


def _stack(read: Reader) -> str | None:
    if "stack" not in read.data:
        return None
    name = read.get("stack", str)
    if name not in STACKS:
        raise read.wrong("stack", f"must be one of {', '.join(STACKS)}")
    return name


def _limits(read: Reader) -> Limits:
    inner = Reader(read.path, read.get("limits", dict, {}), "limits.")
    inner.keys(set(), set(Limits.__dataclass_fields__))
    whole = {k: inner.positive(k) for k in inner.data if k != "seconds"}
    if "seconds" not in inner.data:
        return Limits(**whole)
    seconds = inner.data["seconds"]
    if type(seconds) not in (int, float) or not 0 < seconds <= _HOUR:
        raise inner.wrong("seconds", "must be a number between 0 and 3600")
    return Limits(seconds=float(seconds), **whole)


def _run(read: Reader) -> Runnable | None:
    if "run" not in read.data:
        return None
    inner = Reader(read.path, read.get("run", dict), "run.")
    inner.keys(set(), {"app", "dag", "logical_date", "variables"})
    if ("app" in inner.data) == ("dag" in inner.data):
        raise read.wrong("run", "names either an app or a dag")
    if "app" in inner.data:
        inner.keys({"app"}, set())
        return Runnable(app=_matching(inner, "app", _APP, "is written like service:app"))
    return Runnable(
        dag=_matching(inner, "dag", _DAG, "must be the id of a DAG"),
        logical_date=_logical_date(inner),
        variables=inner.get("variables", dict, {}),
    )


def _logical_date(read: Reader) -> str | None:
    if "logical_date" not in read.data:
        return None
    date = read.get("logical_date", datetime)
    if date.tzinfo is None:
        raise read.wrong("logical_date", "needs a time zone")
    return date.isoformat()


def _served(run: Runnable | None) -> tuple[str, ...]:
    """The file of the app that is run: given in the starter, or written by the candidate."""
    if run is None or run.app is None:
        return ()
    return (run.app.partition(":")[0].replace(".", "/") + ".py",)


def _matching(read: Reader, key: str, form: re.Pattern[str], problem: str) -> str:
    if not form.fullmatch(value := read.get(key, str)):
        raise read.wrong(key, problem)
    return value


def _is_plain_path(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name)


# ------------------------------------------------------------------ the other files


def brief_template(exercise: Exercise) -> str:
    """The source of brief.md."""
    return read_text(exercise.brief_dir / "brief.md")


def discussion(exercise: Exercise) -> str:
    """The discussion prompts."""
    return read_text(exercise.brief_dir / "discussion.md")


def notes(exercise: Exercise) -> str:
    """Why the reference is as it is, and what else was possible."""
    return read_text(exercise.solution_dir / "notes.md")


def rubric(exercise: Exercise) -> Any:
    """What strong discussion answers cover, for the interviewer: a non-empty list or mapping."""
    path = exercise.solution_dir / "rubric.yaml"
    if not (content := read_yaml(path)) or not isinstance(content, list | dict):
        raise ContentError(f"{place(path)} must hold a list or a mapping.")
    return content


def starter_files(exercise: Exercise) -> dict[str, Path]:
    """The starter's files, by their path in the workspace."""
    return dict(_files(exercise.brief_dir / "starter"))


def reference_files(exercise: Exercise) -> dict[str, Path]:
    """The reference's files, by their path in a workspace."""
    about = {"notes.md", "rubric.yaml"}
    return {k: v for k, v in _files(exercise.solution_dir) if k not in about}


def reference(exercise: Exercise) -> dict[str, str]:
    """The reference's source, by path."""
    return {name: read_text(path) for name, path in reference_files(exercise).items()}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        # Tests and tools run in the checkout: what they leave is no content.
        if path.is_file() and path.suffix != ".pyc" and not set(_LITTER) & set(inner.parts):
            yield inner.as_posix(), path


def hints(exercise: Exercise) -> dict[str, list[str]]:
    """Hints by key, each list from general to concrete."""
    path = exercise.brief_dir / "hints.md"
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## +", read_text(path), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        key = title.strip()
        if key in found:
            raise ContentError(f"{place(path)}: the key `{key}` comes twice.")
        found[key] = _numbered(body, f"{place(path)}: `{key}` must be")
    return found


def _numbered(body: str, must_be: str) -> list[str]:
    """The items of a numbered Markdown list; their further lines keep their own indentation."""
    parts = re.split(r"^(\d+)\. +", body, flags=re.MULTILINE)
    numbers, items = parts[1::2], parts[2::2]
    if parts[0].strip() or not items:
        raise ContentError(f"{must_be} a numbered list and nothing else.")
    if numbers != [str(n) for n in range(1, len(items) + 1)]:
        raise ContentError(f"{must_be} numbered 1, 2, 3.")
    return [re.sub(r"^ {1,3}", "", item, flags=re.MULTILINE).strip() for item in items]


def right_answers(exercise: Exercise) -> dict[str, dict[str, str]]:
    """Answers that differ from the reference and are as right: files by path, by name."""
    folders = sorted(p for p in (exercise.grader_dir / "right").glob("*") if p.is_dir())
    return {folder.name: {n: read_text(p) for n, p in _files(folder)} for folder in folders}


def wrong_answers(exercise: Exercise) -> list[WrongAnswer]:
    """The wrong answers that the graders must reject, by name."""
    from archprep.content.wrong_answers import read_wrong_answer

    folder = exercise.grader_dir / "wrong"
    return [read_wrong_answer(path) for path in sorted(folder.glob("*.yaml"))]

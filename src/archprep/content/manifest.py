"""Reads exercise.yaml, the manifest of an exercise."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path, PurePosixPath

from archprep.content.yaml_reader import MappingReader
from archprep.core.errors import ContentError
from archprep.core.model import Exercise, Limits, Runnable, Task

MANIFEST = "exercise.yaml"
FOLDER = re.compile(r"q(\d\d+)_([a-z0-9]+(?:_[a-z0-9]+)*)")
REQUIRED_KEYS = {
    "id", "title", "section", "difficulty", "version", "summary", "entry", "tasks",
}  # fmt: skip
OPTIONAL_KEYS = {
    "minutes",
    "core",
    "places",
    "packages",
    "preload",
    "limits",
    "run",
    "stack",
    "side_by_side",
}
DIFFICULTIES = ("easy", "medium", "hard")
STACKS = ("airflow",)

_ID = re.compile(r"q[1-9]\d*")
_APP = re.compile(r"[a-z_]\w*(?:\.[a-z_]\w*)*:[A-Za-z_][\w.]*")
_DAG = re.compile(r"[\w.-]+")
_TASK_COUNT = range(2, 6)
_MAX_SECONDS = 3600


def folder_number(folder: str) -> int:
    """Return the number in the name of an exercise folder: 3 for q03_rate_limiting."""
    return int(folder[1 : folder.index("_")])


def load(root: Path, folder: str) -> Exercise:
    """Return the exercise in `folder`; ContentError names the file and key at fault."""
    folders = [root / kind / folder for kind in ("exercises", "solutions", "graders")]
    for path in folders:
        if not path.is_dir():
            raise ContentError(f"{path.parent.name}/{folder} is missing.")
    brief_dir, solution_dir, grader_dir = folders
    exercise = _exercise(MappingReader(brief_dir / MANIFEST), brief_dir, solution_dir, grader_dir)
    for name in (*exercise.entry, *_app_files(exercise.run)):
        if not (brief_dir / "starter" / name).is_file():
            raise ContentError(
                f"exercises/{folder}/starter/{name} is missing; {MANIFEST} refers to it."
            )
    return exercise


def _exercise(
    reader: MappingReader, brief_dir: Path, solution_dir: Path, grader_dir: Path
) -> Exercise:
    reader.check_keys(REQUIRED_KEYS, OPTIONAL_KEYS)
    identifier = reader.get("id", str)
    if not _ID.fullmatch(identifier):
        raise reader.error("id", "must look like q3")
    if int(identifier[1:]) != folder_number(brief_dir.name):
        raise reader.error("id", f"is {identifier}, but the folder is named {brief_dir.name}")
    difficulty = reader.get("difficulty", str)
    if difficulty not in DIFFICULTIES:
        raise reader.error("difficulty", f"must be one of {', '.join(DIFFICULTIES)}")
    tasks = _tasks(reader)
    return Exercise(
        id=identifier,
        title=reader.get("title", str),
        section=reader.get("section", str),
        difficulty=difficulty,
        minutes=_minutes(reader, tasks),
        version=reader.positive_int("version"),
        summary=reader.get("summary", str),
        tasks=tasks,
        entry=_entry(reader),
        packages=reader.string_list("packages"),
        preload=reader.string_list("preload"),
        limits=_limits(reader),
        run=_run(reader),
        stack=_stack(reader),
        side_by_side=reader.positive_int("side_by_side") if "side_by_side" in reader.data else 1,
        folder=brief_dir.name,
        brief_dir=brief_dir,
        solution_dir=solution_dir,
        grader_dir=grader_dir,
        places=_places(reader),
        core=_core(reader, tasks),
    )


def _entry(reader: MappingReader) -> tuple[str, ...]:
    names = reader.string_list("entry")
    if not names:
        raise reader.error("entry", "must name at least one file")
    for name in names:
        if not _is_plain_path(name):
            raise reader.error(
                "entry", f"contains {name!r}, which is not a path inside the starter"
            )
    return names


def _tasks(reader: MappingReader) -> tuple[Task, ...]:
    items = reader.get("tasks", list)
    if len(items) not in _TASK_COUNT:
        raise reader.error("tasks", f"must list 2 to 5 tasks, not {len(items)}")
    return tuple(_task(reader, item, number) for number, item in enumerate(items, start=1))


def _task(reader: MappingReader, item: object, number: int) -> Task:
    inner = MappingReader(reader.path, item, f"tasks[{number}].")
    inner.check_keys({"number", "title"}, {"needs", "minutes"})
    if inner.positive_int("number") != number:
        raise inner.error("number", f"must be {number}: tasks are numbered 1, 2, 3 in order")
    needs = inner.get("needs", list, [])
    if any(type(n) is not int or not 1 <= n < number for n in needs):
        raise inner.error("needs", "must list numbers of earlier tasks")
    minutes = inner.positive_int("minutes") if "minutes" in inner.data else None
    return Task(number, inner.get("title", str), tuple(needs), minutes)


def _minutes(reader: MappingReader, tasks: tuple[Task, ...]) -> int:
    """Return the sum of the tasks' minutes; an exercise without a core states its own."""
    stated = [task.minutes for task in tasks if task.minutes is not None]
    if not stated:
        reader.check_keys({*REQUIRED_KEYS, "minutes"}, OPTIONAL_KEYS)
        return reader.positive_int("minutes")
    if len(stated) < len(tasks):
        raise reader.error("tasks", "must state `minutes` for every task or for none")
    if "minutes" in reader.data:
        raise reader.error("minutes", "is the sum of the tasks' minutes: remove it")
    return sum(stated)


def _core(reader: MappingReader, tasks: tuple[Task, ...]) -> tuple[int, ...]:
    """Return the numbers of the core tasks, each with all that it builds on."""
    if tasks[0].minutes is None:
        if "core" in reader.data:
            raise reader.error("core", "needs `minutes` for each task")
        return ()
    core = reader.get("core", list)
    if not core or any(type(n) is not int or not 1 <= n <= len(tasks) for n in core):
        raise reader.error("core", "must list numbers of tasks, such as [1, 2]")
    missing = {n for number in core for n in tasks[number - 1].needs} - set(core)
    if missing:
        raise reader.error("core", f"needs task {min(missing)}, on which it builds")
    return tuple(sorted(set(core)))


def _places(reader: MappingReader) -> dict[str, tuple[str, ...]]:
    inner = MappingReader(reader.path, reader.get("places", dict, {}), "places.")
    return {rule: inner.string_list(rule) for rule in inner.data}


def _stack(reader: MappingReader) -> str | None:
    if "stack" not in reader.data:
        return None
    name = reader.get("stack", str)
    if name not in STACKS:
        raise reader.error("stack", f"must be one of {', '.join(STACKS)}")
    return name


def _limits(reader: MappingReader) -> Limits:
    inner = MappingReader(reader.path, reader.get("limits", dict, {}), "limits.")
    inner.check_keys(set(), set(Limits.__dataclass_fields__))
    whole = {k: inner.positive_int(k) for k in inner.data if k != "seconds"}
    if "seconds" not in inner.data:
        return Limits(**whole)
    seconds = inner.data["seconds"]
    if type(seconds) not in (int, float) or not 0 < seconds <= _MAX_SECONDS:
        raise inner.error("seconds", "must be a number of seconds up to 3600")
    return Limits(seconds=float(seconds), **whole)


def _run(reader: MappingReader) -> Runnable | None:
    if "run" not in reader.data:
        return None
    inner = MappingReader(reader.path, reader.get("run", dict), "run.")
    inner.check_keys(set(), {"app", "dag", "logical_date", "variables"})
    if ("app" in inner.data) == ("dag" in inner.data):
        raise reader.error("run", "must name either an app or a dag")
    if "app" in inner.data:
        inner.check_keys({"app"}, set())
        return Runnable(app=_matching(inner, "app", _APP, "must look like service:app"))
    return Runnable(
        dag=_matching(inner, "dag", _DAG, "must be the id of a DAG"),
        logical_date=_logical_date(inner),
        variables=inner.get("variables", dict, {}),
    )


def _logical_date(reader: MappingReader) -> str | None:
    if "logical_date" not in reader.data:
        return None
    date = reader.get("logical_date", datetime)
    if date.tzinfo is None:
        raise reader.error("logical_date", "needs a time zone")
    return date.isoformat()


def _app_files(run: Runnable | None) -> tuple[str, ...]:
    """Return the files of the starter that `run` needs."""
    if run is None or run.app is None:
        return ()
    return (run.app.partition(":")[0].replace(".", "/") + ".py",)


def _matching(reader: MappingReader, key: str, pattern: re.Pattern[str], problem: str) -> str:
    if not pattern.fullmatch(value := reader.get(key, str)):
        raise reader.error(key, problem)
    return value


def _is_plain_path(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name)

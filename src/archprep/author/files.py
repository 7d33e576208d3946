"""What can be said of an exercise without grading anything: its files, its hints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from archprep.author.proof import Finding
from archprep.content import criteria, exercise_files
from archprep.content.criteria import Criterion
from archprep.content.yaml_reader import display_path
from archprep.core.errors import ContentError
from archprep.core.model import Exercise

EXAMPLES = "test_examples.py"
FEWEST_HINTS = 2

_HANDED_OUT = {"exercise.yaml", "brief.md", "hints.md", "discussion.md"}
_ABOUT_SOLUTION = {"notes.md", "rubric.yaml"}
_MADE_BY_START = {"README.md", "DISCUSSION.md"}


def inspect(exercise: Exercise) -> Iterator[Finding]:
    """Everything that is wrong with the files of an exercise."""
    for path in _stray(exercise):
        yield Finding(
            exercise.id,
            display_path(path),
            "is a stray file: nothing reads it. Delete or rename it.",
        )
    if not (exercise.brief_dir / "starter" / EXAMPLES).is_file():
        yield Finding(
            exercise.id,
            f"exercises/{exercise.folder}/starter",
            f"has no {EXAMPLES}: a candidate needs examples that plain pytest runs.",
        )
    for read in (
        exercise_files.brief_template,
        exercise_files.discussion,
        exercise_files.notes,
        exercise_files.rubric,
    ):
        yield from _readable(exercise, read)
    yield from _hints(exercise)


def _readable(exercise: Exercise, read: Callable[[Exercise], object]) -> Iterator[Finding]:
    try:
        content = read(exercise)
    except ContentError as e:
        yield Finding(exercise.id, "", e.message)
        return
    if not str(content).strip():
        name = read.__name__.replace("_template", "").replace("_", " ")
        yield Finding(
            exercise.id, f"exercises/{exercise.folder}", f"the {name} is empty: write it."
        )


def _hints(exercise: Exercise) -> Iterator[Finding]:
    """Each criterion has a section of at least two hints; each section has a criterion."""
    file = f"exercises/{exercise.folder}/hints.md"
    try:
        sections, wanted = exercise_files.hints(exercise), declared(exercise)
    except ContentError as e:
        yield Finding(exercise.id, "", e.message)
        return
    users: dict[str, list[str]] = {}
    for criterion in wanted:
        users.setdefault(criterion.hint, []).append(f"`{criterion.id}`")
    for key, ids in users.items():
        count = len(sections.get(key, ()))
        if count < FEWEST_HINTS:
            message = (
                f"the section `{key}`, which {' and '.join(ids)} name{'s' * (len(ids) == 1)}, "
                f"should have at least {FEWEST_HINTS} hints, from general to concrete; "
                f"it has {count or 'none'}."
            )
            yield Finding(exercise.id, file, message)
    for key in sections.keys() - users.keys():
        yield Finding(
            exercise.id, file, f"no criterion names the section `{key}`: delete or rename it."
        )


def declared(exercise: Exercise) -> list[Criterion]:
    """What the graders declare; ContentError where that cannot be read from their text."""
    try:
        return criteria.declared(exercise)
    except (SyntaxError, ValueError, TypeError, IndexError) as e:
        raise ContentError(
            f"graders/{exercise.folder}: the criteria cannot be read from the text of test_*.py "
            f"({e}): write title, task, points and hint as plain values."
        ) from None


def _stray(exercise: Exercise) -> Iterator[Path]:
    for path in _walk(exercise.brief_dir):
        inner = path.relative_to(exercise.brief_dir)
        if str(inner) not in _HANDED_OUT and not (
            inner.parts[0] == "starter" and _may_be_handed_out(inner)
        ):
            yield path
    for path in _walk(exercise.solution_dir):
        name = path.relative_to(exercise.solution_dir).as_posix()
        if name not in _ABOUT_SOLUTION and name not in exercise.entry and path.suffix != ".py":
            yield path
    for path in _walk(exercise.grader_dir):
        if not _is_read_by_graders(path.relative_to(exercise.grader_dir)):
            yield path


def _may_be_handed_out(inner: Path) -> bool:
    hidden = any(part.startswith(".") for part in inner.parts)
    return not hidden and not inner.name.endswith("~") and inner.name not in _MADE_BY_START


def _is_read_by_graders(inner: Path) -> bool:
    if inner.parts[0] == "right":
        return len(inner.parts) > 2
    if inner.parts[0] == "wrong":
        return len(inner.parts) == 2 and inner.suffix == ".yaml"
    return len(inner.parts) == 1 and inner.suffix == ".py"


def _walk(folder: Path) -> Iterator[Path]:
    """The files in a folder, without what Python and tools leave behind."""
    for path in sorted(folder.rglob("*")):
        left = any(is_left_by_tools(part) for part in path.relative_to(folder).parts)
        if path.is_file() and not left:
            yield path


def is_left_by_tools(part: str) -> bool:
    """Whether a part of a path is a cache that no author put there."""
    cache = part.startswith(".") and part.endswith("_cache")
    return cache or part == "__pycache__" or part.endswith(".pyc")

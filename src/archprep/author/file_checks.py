"""Checks the files of an exercise without grading anything: stray files, empty texts, hints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from archprep.author.model import Finding
from archprep.content import criteria, equivalent_mutants, exercise_files
from archprep.content.criteria import Criterion
from archprep.content.yaml_reader import display_path
from archprep.core.errors import ContentError
from archprep.core.files import is_litter
from archprep.core.model import Exercise

EXAMPLES = "test_examples.py"
MIN_HINTS = 2

_HANDED_OUT = {"exercise.yaml", "brief.md", "hints.md", "discussion.md"}
_MADE_BY_START = {"README.md", "DISCUSSION.md"}
_TEXTS: dict[str, Callable[[Exercise], object]] = {
    "exercises/{}/brief.md": exercise_files.brief_template,
    "exercises/{}/discussion.md": exercise_files.discussion,
    "solutions/{}/notes.md": exercise_files.notes,
    "solutions/{}/rubric.yaml": exercise_files.rubric,
}


def find(exercise: Exercise) -> Iterator[Finding]:
    """Yield what is wrong with the files of an exercise."""
    for path in _stray(exercise):
        message = "is a stray file that nothing reads: delete or rename it."
        yield Finding(exercise.id, display_path(path), message)
    if not (exercise.brief_dir / "starter" / EXAMPLES).is_file():
        yield Finding(
            exercise.id,
            f"exercises/{exercise.folder}/starter",
            f"has no {EXAMPLES}: candidates need examples that plain pytest can run.",
        )
    for file, read in _TEXTS.items():
        yield from _unreadable(exercise, file.format(exercise.folder), read)
    yield from _hints(exercise)


def _unreadable(
    exercise: Exercise, file: str, read: Callable[[Exercise], object]
) -> Iterator[Finding]:
    try:
        content = read(exercise)
    except ContentError as e:
        yield Finding(exercise.id, "", e.message)
        return
    if not str(content).strip():
        yield Finding(exercise.id, file, "is empty: write it.")


def _hints(exercise: Exercise) -> Iterator[Finding]:
    """Yield sections of hints.md with too few hints, and sections that no criterion uses."""
    file = f"exercises/{exercise.folder}/hints.md"
    try:
        sections, declared = exercise_files.hints(exercise), declared_criteria(exercise)
    except ContentError as e:
        yield Finding(exercise.id, "", e.message)
        return
    users: dict[str, list[str]] = {}
    for criterion in declared:
        for section in criterion.hints:
            users.setdefault(section, []).append(f"`{criterion.id}`")
    for key, ids in users.items():
        count = len(sections.get(key, ()))
        if count < MIN_HINTS:
            message = (
                f"the section `{key}`, used by {' and '.join(ids)}, needs at least {MIN_HINTS} "
                f"hints, from general to concrete, but has {count or 'none'}."
            )
            yield Finding(exercise.id, file, message)
    for key in sections.keys() - users.keys():
        message = f"no criterion uses the section `{key}`: delete or rename it."
        yield Finding(exercise.id, file, message)


def declared_criteria(exercise: Exercise) -> list[Criterion]:
    """Return the criteria that the graders declare; ContentError if they cannot be parsed."""
    try:
        return criteria.declared(exercise)
    except (SyntaxError, ValueError, TypeError, IndexError) as e:
        raise ContentError(
            f"graders/{exercise.folder}: the criteria cannot be read from the source of test_*.py "
            f"({e}): write title, task, points and hint as plain values."
        ) from None


def _stray(exercise: Exercise) -> Iterator[Path]:
    for path in _walk(exercise.brief_dir):
        if not _is_handed_out(path.relative_to(exercise.brief_dir)):
            yield path
    for path in _walk(exercise.solution_dir):
        name = path.relative_to(exercise.solution_dir).as_posix()
        used = name in exercise_files.ABOUT_SOLUTION or name in exercise.entry
        if not used and path.suffix != ".py":
            yield path
    for path in _walk(exercise.grader_dir):
        if not _is_read_by_graders(path.relative_to(exercise.grader_dir)):
            yield path


def _is_handed_out(inner: Path) -> bool:
    if inner.parts[0] != "starter":
        return str(inner) in _HANDED_OUT
    hidden = any(part.startswith(".") for part in inner.parts)
    return not hidden and not inner.name.endswith("~") and inner.name not in _MADE_BY_START


def _is_read_by_graders(inner: Path) -> bool:
    if inner.parts[0] == "right":
        return len(inner.parts) > 2
    if inner.parts[0] == "wrong":
        return len(inner.parts) == 2 and inner.suffix == ".yaml"
    if inner.parts[0] == "corpus":
        return len(inner.parts) == 2 and inner.suffix == ".json"
    return len(inner.parts) == 1 and (
        inner.suffix == ".py" or inner.name == equivalent_mutants.FILE
    )


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        litter = any(is_litter(part) for part in path.relative_to(folder).parts)
        if path.is_file() and not litter:
            yield path

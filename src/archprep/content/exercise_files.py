"""The files of an exercise other than its manifest: brief, hints, starter, reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archprep.content.yaml_reader import display_path, read_text, read_yaml
from archprep.core.errors import ContentError
from archprep.core.files import is_litter
from archprep.core.model import Exercise

ABOUT_SOLUTION = frozenset({"notes.md", "rubric.yaml"})  # next to the reference, not part of it


def brief_template(exercise: Exercise) -> str:
    """Return the Jinja source of brief.md."""
    return read_text(exercise.brief_dir / "brief.md")


def discussion(exercise: Exercise) -> str:
    """Return the discussion questions."""
    return read_text(exercise.brief_dir / "discussion.md")


def notes(exercise: Exercise) -> str:
    """Return the notes on the reference: its design decisions and the alternatives."""
    return read_text(exercise.solution_dir / "notes.md")


def rubric(exercise: Exercise) -> Any:
    """Return what strong discussion answers cover: a non-empty list or mapping."""
    path = exercise.solution_dir / "rubric.yaml"
    if not (content := read_yaml(path)) or not isinstance(content, list | dict):
        raise ContentError(f"{display_path(path)} must hold a non-empty list or mapping.")
    return content


def starter_files(exercise: Exercise) -> dict[str, Path]:
    """Return the starter's files, keyed by their path in the workspace."""
    return dict(_files(exercise.brief_dir / "starter"))


def reference_files(exercise: Exercise) -> dict[str, Path]:
    """Return the reference's files, keyed by their path in a workspace."""
    files = _files(exercise.solution_dir)
    return {name: path for name, path in files if name not in ABOUT_SOLUTION}


def reference(exercise: Exercise) -> dict[str, str]:
    """Return the reference's source, keyed by path."""
    return {name: read_text(path) for name, path in reference_files(exercise).items()}


def right_answers(exercise: Exercise) -> dict[str, dict[str, str]]:
    """Return the right answers other than the reference: by name, their source by path."""
    folders = sorted(p for p in (exercise.grader_dir / "right").glob("*") if p.is_dir())
    return {folder.name: {n: read_text(p) for n, p in _files(folder)} for folder in folders}


def probe_modules(exercise: Exercise) -> dict[str, str]:
    """Return the source of what probes.py may import, keyed by module: the files `*_probes.py`."""
    paths = sorted(exercise.grader_dir.glob("*_probes.py"))
    return {path.stem: read_text(path) for path in paths}


def hints(exercise: Exercise) -> dict[str, list[str]]:
    """Return the hints of each section of hints.md, from general to concrete."""
    path = exercise.brief_dir / "hints.md"
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## +", read_text(path), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        key = title.strip()
        if key in found:
            raise ContentError(f"{display_path(path)}: the section `{key}` occurs twice.")
        found[key] = _numbered_items(body, f"{display_path(path)}: `{key}` must be")
    return found


def _numbered_items(body: str, must_be: str) -> list[str]:
    """Return the items of a Markdown list; continuation lines keep their own indentation."""
    parts = re.split(r"^(\d+)\. +", body, flags=re.MULTILINE)
    numbers, items = parts[1::2], parts[2::2]
    if parts[0].strip() or not items:
        raise ContentError(f"{must_be} a numbered list and nothing else.")
    if numbers != [str(n) for n in range(1, len(items) + 1)]:
        raise ContentError(f"{must_be} numbered 1, 2, 3.")
    return [re.sub(r"^ {1,3}", "", item, flags=re.MULTILINE).strip() for item in items]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        # Tests and tools run in the checkout and leave caches behind.
        if path.is_file() and not any(is_litter(part) for part in inner.parts):
            yield inner.as_posix(), path

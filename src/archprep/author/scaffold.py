"""Writes the three folders of a new exercise from the template, which is itself a sound one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from archprep.author.files import is_left_by_tools
from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.files import PACKAGE
from archprep.core.sanitize import sanitize

TEMPLATE = "_template"
KINDS = ("exercises", "solutions", "graders")
WORDS = 4  # of the title in the folder's name

_NAME = re.compile(r"q?0*([1-9]\d*)(?:_([a-z0-9_]+))?")
_ID, _TITLE = "q0", "TITLE"


def new(name: str, *, title: str = "New exercise") -> list[Path]:
    """Write the folders of exercise `name` ("q18", "q18_feature_flags"); return them."""
    number, slug = _parsed(name)
    folder = f"q{number:02}_{slug or _slug(title)}"
    root = _checkout()
    made: list[Path] = []
    try:
        _refuse_taken(root, number)
        for kind in KINDS:
            _copy(_content() / kind / TEMPLATE, root / kind / folder, made)
        manifest = root / "exercises" / folder / "exercise.yaml"
        manifest.write_text(_filled(manifest.read_text(encoding="utf-8"), number, title))
    except BaseException as e:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(e, OSError):
            raise _unwritable(root, e) from e
        raise
    return made


def _parsed(name: str) -> tuple[int, str]:
    match = _NAME.fullmatch(name.strip().lower().replace("-", "_"))
    if match is None:
        raise UsageError(
            f"{sanitize(name, 60)!r} is not the id of an exercise.", tip="Write it like q18."
        )
    return int(match[1]), (match[2] or "").strip("_")


def _slug(title: str) -> str:
    words = re.findall(r"[a-z0-9]+", title.lower().replace("'", ""))
    if not words:
        raise UsageError(
            f"The title {sanitize(title, 60)!r} has no word to name a folder by.",
            tip="Give another one with --title, or the folder's name: q18_feature_flags.",
        )
    return "_".join(words[:WORDS])


def _checkout() -> Path:
    """The content root, where that is a checkout's: an installed package is nobody's to edit."""
    root = catalog.content_root()
    if root.name == "_content":
        raise UsageError(
            "New exercises are written in a checkout of archprep, not in an installed package.",
            tip="Clone the repository, `pip install -e '.[dev]'` there, and run this again.",
        )
    return root


def _content() -> Path:
    """The content that comes with archprep, wherever new exercises are to go."""
    installed = PACKAGE / "_content"
    return installed if installed.is_dir() else PACKAGE.parents[1]


def _unwritable(root: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The exercise cannot be written to {root}: {error.strerror} ({error.filename}).",
        tip="Run this in a checkout of archprep that is yours.",
    )


def _refuse_taken(root: Path, number: int) -> None:
    taken = re.compile(rf"q0*{number}_.*")
    for kind in KINDS:
        for path in sorted((root / kind).iterdir()):
            if taken.fullmatch(path.name):
                raise UsageError(
                    f"q{number} is taken: {kind}/{path.name}.",
                    tip="Take another number. `archprep list` shows all.",
                )


def _copy(source: Path, target: Path, made: list[Path]) -> None:
    target.mkdir()
    made.append(target)
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if path.is_file() and not any(is_left_by_tools(part) for part in inner.parts):
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inner)


def _filled(manifest: str, number: int, title: str) -> str:
    import json

    # JSON's quoted text is YAML's, too: a title may hold a colon or a quote.
    quoted = json.dumps(title.strip(), ensure_ascii=False)
    return manifest.replace(f"id: {_ID}", f"id: q{number}").replace(
        f"title: {_TITLE}", f"title: {quoted}"
    )

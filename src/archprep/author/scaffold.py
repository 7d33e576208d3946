"""Creates the three folders of a new exercise from the template, which is itself sound."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.files import PACKAGE, is_litter
from archprep.core.sanitize import sanitize

TEMPLATE = "_template"
KINDS = ("exercises", "solutions", "graders")
SLUG_WORDS = 4  # words of the title in the folder name

_NAME = re.compile(r"q?0*([1-9]\d*)(?:_([a-z0-9_]+))?")
_ID, _TITLE = "q0", "TITLE"


def new(name: str, *, title: str = "New exercise") -> list[Path]:
    """Create the folders of exercise `name` ("q18", "q18_feature_flags") and return them.

    UsageError if the name or title is unusable, the number is taken or a folder cannot be written.
    """
    number, slug = _parse(name)
    folder = f"q{number:02}_{slug or _slug(title)}"
    root = _checkout_root()
    created: list[Path] = []
    try:
        _refuse_existing(root, number)
        for kind in KINDS:
            _copy(_template_root() / kind / TEMPLATE, root / kind / folder, created)
        manifest = root / "exercises" / folder / "exercise.yaml"
        manifest.write_text(_fill_in(manifest.read_text(encoding="utf-8"), number, title))
    except BaseException as e:
        for path in created:
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(e, OSError):
            raise _unwritable(root, e) from e
        raise
    return created


def _parse(name: str) -> tuple[int, str]:
    match = _NAME.fullmatch(name.strip().lower().replace("-", "_"))
    if match is None:
        raise UsageError(
            f"{sanitize(name, 60)!r} is not a valid exercise id.",
            tip="Use an id such as q18 or q18_feature_flags.",
        )
    return int(match[1]), (match[2] or "").strip("_")


def _slug(title: str) -> str:
    words = re.findall(r"[a-z0-9]+", title.lower().replace("'", ""))
    if not words:
        raise UsageError(
            f"The title {sanitize(title, 60)!r} contains no word to name the folder after.",
            tip="Choose another --title, or name the folder in the id: q18_feature_flags.",
        )
    return "_".join(words[:SLUG_WORDS])


def _checkout_root() -> Path:
    """Return the content root; UsageError if it belongs to an installed package."""
    root = catalog.content_root()
    if root.name == "_content":
        raise UsageError(
            "New exercises can be created in a checkout of archprep only.",
            tip="Clone the repository, run `pip install -e '.[dev]'` in it and try again.",
        )
    return root


def _template_root() -> Path:
    """Return the content that comes with archprep, even if ARCHPREP_CONTENT names another."""
    installed = PACKAGE / "_content"
    return installed if installed.is_dir() else PACKAGE.parents[1]


def _unwritable(root: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The exercise cannot be written to {root}: {error.strerror} ({error.filename}).",
        tip="Make the checkout writable, or use another one.",
    )


def _refuse_existing(root: Path, number: int) -> None:
    same_number = re.compile(rf"q0*{number}_.*")
    for kind in KINDS:
        for path in sorted((root / kind).iterdir()):
            if same_number.fullmatch(path.name):
                raise UsageError(
                    f"q{number} already exists: {kind}/{path.name}.",
                    tip="Choose another number. `archprep list` shows those in use.",
                )


def _copy(source: Path, target: Path, created: list[Path]) -> None:
    target.mkdir()
    created.append(target)
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if path.is_file() and not any(is_litter(part) for part in inner.parts):
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inner)


def _fill_in(manifest: str, number: int, title: str) -> str:
    import json

    # A JSON string is valid YAML whatever the title contains.
    quoted = json.dumps(title.strip(), ensure_ascii=False)
    return manifest.replace(f"id: {_ID}", f"id: q{number}").replace(
        f"title: {_TITLE}", f"title: {quoted}"
    )

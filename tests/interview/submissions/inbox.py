"""Submissions in an inbox, and what scanning them finds."""

from __future__ import annotations

import json
import os
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.interview.kits import manifest
from archprep.interview.kits.make_kits import make_kits
from archprep.interview.model import REPORT_FILE, Received
from archprep.interview.submissions.scan import scan
from archprep.workspace.folder import start_workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
MADE = NOW - timedelta(hours=1)


def scanned(inbox: Path) -> list[Received]:
    return scan(inbox, inbox.with_name("work"))


def only(inbox: Path) -> Received:
    [one] = scanned(inbox)
    return one


def kit(tmp_path: Path, name: str = "Alice Ng", made: datetime = MADE, ids: str = "q1,q3") -> Path:
    """An unzipped kit in which every exercise was worked on."""
    exercises = [catalog.get(one) for one in ids.split(",")]
    out = tmp_path / "kits" / f"{len(list(tmp_path.glob('kits/*')))}"
    [kit] = make_kits(exercises, [name], 120, out, made_at=made.isoformat())
    with zipfile.ZipFile(kit.path) as zipped:
        zipped.extractall(out)
    [folder] = [path for path in out.iterdir() if path.is_dir()]
    for answer in folder.glob("*/answer.py"):
        _work_on(answer)
    return folder


def _work_on(answer: Path) -> None:
    answer.write_text(answer.read_text() + "# more\n")


def zipped(folder: Path, target: Path, at: datetime = NOW) -> Path:
    """A zip of a folder, received at this time."""
    with zipfile.ZipFile(target, "w") as made:
        for path in sorted(folder.rglob("*")):
            made.write(path, path.relative_to(folder.parent))
    os.utime(target, (at.timestamp(), at.timestamp()))
    return target


def raw(target: Path, **files: str | bytes) -> Path:
    with zipfile.ZipFile(target, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return target


def altered(folder: Path, **changes: object) -> None:
    """Change the kit in a manifest, but not its signature."""
    path = folder / manifest.NAME
    data = json.loads(path.read_text())
    data["kit"].update(changes)
    path.write_text(json.dumps(data))


def report(folder: Path, **values: object) -> None:
    (folder / REPORT_FILE).write_text(json.dumps({"format": 1, **values}))


def started(name: str, folder: Path) -> Path:
    path = start_workspace(catalog.get(name), folder).path
    _work_on(path / "answer.py")
    return path


def refusal(inbox: Path) -> str:
    with pytest.raises(UsageError) as caught:
        scanned(inbox)
    assert caught.value.tip
    return caught.value.message

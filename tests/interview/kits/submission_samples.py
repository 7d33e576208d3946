"""What is in a submission, and why it is refused."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from archprep.core.errors import UsageError
from archprep.interview.kits.submit import submit

if TYPE_CHECKING:
    from pathlib import Path


def zip_members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def submit_refusal(folder: Path) -> str:
    """The message when `submit` refuses; nothing is written."""
    before = sorted(folder.parent.iterdir())
    with pytest.raises(UsageError) as caught:
        submit(folder)
    assert caught.value.tip
    assert sorted(folder.parent.iterdir()) == before
    return caught.value.message


def reported(path: Path) -> dict[str, object]:
    return json.loads(zip_members(path)["ada-l/archprep-submission.json"])

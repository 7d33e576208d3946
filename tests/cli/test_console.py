"""Reports are written atomically."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archprep.cli import console
from archprep.core.errors import UsageError

EARLIER = '{"archprep_version": "0"}'


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the kernel refuse to write more than a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_report_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    """On a full disk the earlier report stays, and no other file is left."""
    path = tmp_path / "r.json"
    path.write_text(EARLIER)
    with full_disk(), pytest.raises(UsageError, match="cannot be written"):
        console.write_report(path, EARLIER * 2)
    assert path.read_text() == EARLIER
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_replaces_the_target_of_a_link(tmp_path: Path) -> None:
    """The link itself stays."""
    path, link = tmp_path / "r.json", tmp_path / "link.json"
    path.write_text(EARLIER)
    link.symlink_to(path)
    console.write_report(link, f"{EARLIER} \u2713")
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8").endswith("\u2713")

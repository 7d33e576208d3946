"""Which exercises are proven in full: all, none, or those that differ from a Git revision."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import PurePosixPath

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.model import Exercise


def extent(*, everything: bool, changed_since: str | None) -> Callable[[Exercise], bool]:
    """Return whether to prove an exercise in full; UsageError if Git does not know the revision."""
    if everything:
        return lambda _: True
    changed = set[str]() if changed_since is None else _changed_folders(changed_since)
    return lambda exercise: exercise.folder in changed


def _changed_folders(revision: str) -> set[str]:
    """The exercise folders in which committed or uncommitted files differ from a revision."""
    command = ["git", "diff", "--name-only", "--relative", "--end-of-options", revision, "--"]
    folders = ["exercises", "solutions", "graders"]
    try:
        done = subprocess.run(  # noqa: S603 - git, asked for names
            [*command, *folders],
            cwd=catalog.content_root(),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as e:
        raise UsageError(f"--changed-since needs git, which cannot be run: {e.strerror}.") from None
    if done.returncode:
        raise UsageError(
            f"Git cannot compare with {revision!r}.",
            tip="Name a commit of the checkout that holds the exercises, e.g. HEAD~1.",
        )
    return {PurePosixPath(line).parts[1] for line in done.stdout.splitlines()}

"""Grades a workspace again each time it is saved, in a sandbox that stays warm.

The judge and the warm parent keep the libraries; the submission is frozen, imported and
played afresh each time, and nothing of it runs between two gradings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archprep import report
from archprep.core.errors import ArchprepError, ContentError, UsageError
from archprep.grading import session
from archprep.sandbox.processes import ended_by_signals
from archprep.workspace import submission as intake

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Scorecard, Submission
    from archprep.practice.commands import Place
    from archprep.workspace.store import Store

QUIET_MS = 20  # without a change: the editor has finished saving
PATIENCE_MS = 200  # at most, with an editor that never finishes
TICK_MS = 200


def watch(where: Place, store: Store, console: Console, *, level: str | None = None) -> None:
    """Grade at once, and after each save, until interrupted."""
    with tempfile.TemporaryDirectory(prefix="archprep-watch-") as folder, ended_by_signals():
        Path(folder).chmod(0o755)  # in the sandbox another user may be the one who reads it
        with _Watch(where, store, console, Path(folder), level) as running:
            for _ in _saves(where.directory):
                running.grade()


def _saves(directory: Path) -> Iterator[None]:
    """Yield once at the start, and after each change of a file."""
    import watchfiles

    first = True
    # It also yields when nothing changes: thus the watch is in place before the first grading,
    # and no save is missed that falls into it.
    for changes in watchfiles.watch(
        directory, step=QUIET_MS, debounce=PATIENCE_MS, rust_timeout=TICK_MS, yield_on_timeout=True
    ):
        if first or changes:
            first = False
            yield


class _Watch:
    """One candidate at work: the open session, what was graded last."""

    def __init__(
        self, where: Place, store: Store, console: Console, stage: Path, level: str | None
    ) -> None:
        self._where = where
        self._store = store
        self._console = console
        self._stage = stage
        self._level = level
        self._stack = ExitStack()
        self._session: session.Session | None = None
        self._last: Submission | None = None
        self._card: Scorecard | None = None
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        if self._last is not None:
            intake.discard(self._last.root)

    def grade(self) -> None:
        """Grade what is there now, if it differs; whatever is wrong is said, and watched on."""
        try:
            submission = self._frozen()
            if submission is not None:
                self._grade(submission)
        except UsageError as e:
            self._say(e)
        except ContentError as e:
            self._close()  # the next save gets a new sandbox
            self._say(e)

    def _frozen(self) -> Submission | None:
        self._count += 1
        stage = self._stage / str(self._count)
        submission = intake.freeze(self._where.directory, self._where.exercise, stage)
        if self._last is not None and submission.digest == self._last.digest:
            intake.discard(stage)
            return None
        return submission

    def _grade(self, submission: Submission) -> None:
        if self._session is None:
            opened = session.opened(
                self._where.exercise, submission, level=self._level, stage=self._stage
            )
            self._session = self._stack.enter_context(opened)
        card = self._session.grade(submission, seed=session.draw_seed())
        before, self._card = self._card, card
        if self._last is not None:
            intake.discard(self._last.root)
        self._last = submission
        self._clear()
        report.print_brief(card, self._console, before=before)
        self._watching()
        self._store.add_attempt(card, report.dumps(card))

    def _say(self, error: ArchprepError) -> None:
        self._clear()
        for sentence in filter(None, (error.message, error.tip)):
            self._console.print(sentence)
        self._watching()

    def _watching(self) -> None:
        self._console.print(f"\nWatching {self._where.directory}. Ctrl-C ends it.", style="dim")

    def _clear(self) -> None:
        if self._console.is_terminal:
            self._console.clear()

    def _close(self) -> None:
        self._session = None
        self._stack.close()

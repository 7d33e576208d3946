"""`archprep watch`: grades a workspace on each save, in a sandbox that stays up.

The judge and the fork server keep the libraries loaded. The submission is frozen and imported
anew each time, and none of its code runs between two gradings.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archprep import report
from archprep.core.errors import ArchprepError, ContentError, UsageError
from archprep.grading import session
from archprep.sandbox.processes import ended_by_signals
from archprep.workspace.submission import discard, freeze

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Scorecard, Submission
    from archprep.practice.locate import LocatedWorkspace
    from archprep.workspace.store import Store

QUIET_MS = 20  # without further changes, a save is complete
MAX_WAIT_MS = 200  # for a save to be complete
TICK_MS = 200

Identity = tuple[int, int] | None  # device and inode; None: there is no such folder


def watch(
    located: LocatedWorkspace, store: Store, console: Console, *, level: str | None = None
) -> None:
    """Grade immediately and after each save, until interrupted."""
    with tempfile.TemporaryDirectory(prefix="archprep-watch-") as folder, ended_by_signals():
        Path(folder).chmod(0o755)  # the sandbox may run as another user
        with _Watch(located, store, console, Path(folder), level) as running:
            for _ in _saves(located.directory):
                running.grade()


def _saves(directory: Path) -> Iterator[None]:
    """Yield once at the start and after each change of a file."""
    while True:
        yield from _saves_of(_identity(directory), directory)
        yield  # the folder is gone: say so
        while _identity(directory) is None:
            time.sleep(TICK_MS / 1000)


def _saves_of(identity: Identity, directory: Path) -> Iterator[None]:
    """Yield after changes until another folder, or none, has this path."""
    import watchfiles

    first = True
    if identity is None:
        return
    # It also yields when nothing changes: the watch is in place before the first grading starts,
    # so that no save during it is missed.
    for changes in watchfiles.watch(
        directory, step=QUIET_MS, debounce=MAX_WAIT_MS, rust_timeout=TICK_MS, yield_on_timeout=True
    ):
        if _identity(directory) != identity:
            return
        if first or changes:
            first = False
            yield


def _identity(directory: Path) -> Identity:
    """Return which folder has this path; a watch stays with the folder, whatever its path is."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Watch:
    """The open session and what was graded last."""

    def __init__(
        self,
        located: LocatedWorkspace,
        store: Store,
        console: Console,
        stage: Path,
        level: str | None,
    ) -> None:
        self._located = located
        self._store = store
        self._console = console
        self._stage = stage
        self._level = level
        self._stack = ExitStack()
        self._session: session.Session | None = None
        self._last: Submission | None = None
        self._card: Scorecard | None = None
        self._count = 0
        self._complains = False  # what is on the screen is an error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        if self._last is not None:
            discard(self._last.root)

    def grade(self) -> None:
        """Grade the current files if they have changed; errors are shown and do not end it."""
        try:
            submission = self._frozen()
            if submission is not None:
                self._grade(submission)
            elif self._complains and self._card is not None:
                self._show(self._card, before=None)  # the files are those graded last
        except UsageError as e:
            self._show_error(e)
        except ContentError as e:
            self._close()  # the next save gets a new sandbox
            self._show_error(e)

    def _frozen(self) -> Submission | None:
        self._count += 1
        stage = self._stage / str(self._count)
        submission = freeze(self._located.directory, self._located.exercise, stage)
        if self._last is not None and submission.digest == self._last.digest:
            discard(stage)
            return None
        return submission

    def _grade(self, submission: Submission) -> None:
        if self._session is None:
            opened = session.opened(
                self._located.exercise, submission, level=self._level, stage=self._stage
            )
            self._session = self._stack.enter_context(opened)
        card = self._session.grade(submission, seed=session.draw_seed())
        before, self._card = self._card, card
        if self._last is not None:
            discard(self._last.root)
        self._last = submission
        self._show(card, before)
        self._store.add_attempt(card, report.dumps(card))

    def _show(self, card: Scorecard, before: Scorecard | None) -> None:
        self._complains = False
        self._clear()
        report.print_brief(card, self._console, before=before)
        self._show_watching()

    def _show_error(self, error: ArchprepError) -> None:
        self._complains = True
        self._clear()
        for sentence in filter(None, (error.message, error.tip)):
            self._console.print(sentence)
        self._show_watching()

    def _show_watching(self) -> None:
        self._console.print(
            f"\nWatching {self._located.directory}. Press Ctrl-C to stop.", style="dim"
        )

    def _clear(self) -> None:
        if self._console.is_terminal:
            self._console.clear()

    def _close(self) -> None:
        self._session = None
        self._stack.close()

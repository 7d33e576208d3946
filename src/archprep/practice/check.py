"""`archprep check`: grades a workspace and saves the attempt."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archprep import report
from archprep.core.errors import UsageError
from archprep.core.model import MAX_SEED
from archprep.grading import session
from archprep.workspace.database import StoreError
from archprep.workspace.submission import discard, freeze

if TYPE_CHECKING:
    from archprep.core.model import Scorecard, Submission
    from archprep.grading.session import Progress, Wanted
    from archprep.practice.locate import LocatedWorkspace
    from archprep.workspace.store import Store


@dataclass(frozen=True, slots=True)
class Graded:
    """A scorecard; `unsaved` says why the attempt could not be saved."""

    scorecard: Scorecard
    unsaved: StoreError | None = None


def check(
    located: LocatedWorkspace,
    store: Store,
    *,
    seed: int | None,
    level: str | None,
    wanted: Wanted,
    progress: Progress | None,
) -> Graded:
    """Grade a workspace and save the attempt; UsageError for a seed that is out of range."""
    if seed is not None and abs(seed) > MAX_SEED:
        raise UsageError(
            f"--seed {seed} is too large.", tip="Use the seed that the scorecard shows."
        )
    with _frozen(located) as submission:
        card = session.grade(
            located.exercise,
            submission,
            seed=session.draw_seed() if seed is None else seed,
            level=level,
            wanted=wanted,
            progress=progress,
        )
        try:
            own = _is_own(located, store)
            if own:
                store.remember_workspace(located.exercise.id, located.directory)
            store.add_attempt(card, report.dumps(card), None if own else located.directory)
        except StoreError as error:
            return Graded(card, error)
    return Graded(card)


def _is_own(located: LocatedWorkspace, store: Store) -> bool:
    """Whether this is one's workspace: no other one has been started, or it is gone."""
    known = store.workspace_of(located.exercise.id)
    return known is None or not known.is_dir() or known.samefile(located.directory)


@contextmanager
def _frozen(located: LocatedWorkspace) -> Iterator[Submission]:
    with tempfile.TemporaryDirectory(prefix="archprep-stage-") as folder:
        stage = Path(folder, "submission")
        try:
            yield freeze(located.directory, located.exercise, stage)
        finally:
            discard(stage)

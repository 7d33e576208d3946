"""What the candidate's commands do: find the workspace, grade it, hint, open the solution.

Nothing here prints; `cli` shows what is returned.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.content import catalog, exercise_files
from archprep.core.errors import UsageError
from archprep.core.model import MAX_SEED
from archprep.core.sanitize import sanitize
from archprep.workspace import folder as workspace
from archprep.workspace import submission as intake
from archprep.workspace.store import Attempt, Store, StoreError

if TYPE_CHECKING:
    from archprep.core.model import Exercise, Scorecard, Submission
    from archprep.grading.session import Progress, Wanted


@dataclass(frozen=True, slots=True)
class Place:
    """An exercise and the folder it is worked on in."""

    exercise: Exercise
    directory: Path


@dataclass(frozen=True, slots=True)
class Graded:
    """A scorecard; `unsaved` says why the attempt could not be kept."""

    scorecard: Scorecard
    unsaved: StoreError | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """The hints shown so far for one criterion, the newest last."""

    criterion: str
    title: str
    texts: tuple[str, ...]
    left: int
    taken: int  # by the command; the scorecard's own first hint is not counted


@dataclass(frozen=True, slots=True)
class Solution:
    """The reference, its notes, and what differs from one's own files."""

    exercise: Exercise
    files: dict[str, str]
    notes: str
    diff: str
    gave_up: bool


def begin(exercise: Exercise, directory: Path | None, store: Store) -> workspace.Workspace:
    """Make or resume the workspace of an exercise.

    The caller remembers where it is (`store.remember_workspace`), once the user has been told.
    """
    known = store.workspace_of(exercise.id)
    if directory is None and known is not None and workspace.locate(known):
        directory = known
    return workspace.start(exercise, directory or _here() / exercise.folder)


def place(name: str | None, directory: Path | None, store: Store) -> Place:
    """Return what a command is about: named, or the folder one stands in, or the last started."""
    if directory is not None:
        return _named_folder(name, directory)
    here = workspace.locate(_here())
    if here and name in (None, here.exercise_id):
        return Place(catalog.get(here.exercise_id), here.path)
    if name is None:
        last = store.last_started()
        if last is None:
            raise UsageError(
                "No exercise has been started yet.", tip="Start one: archprep start q1"
            )
        return _existing(catalog.get(last[0]), last[1])
    exercise = catalog.get(name)
    if here and here.exercise_id == exercise.id:
        return Place(exercise, here.path)
    return _existing(exercise, store.workspace_of(exercise.id) or _here() / exercise.folder)


def about(name: str | None, store: Store) -> Exercise:
    """Return the exercise of that name; without one, that of `place`."""
    return catalog.get(name) if name else place(None, None, store).exercise


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "The folder you are in has been deleted.", tip="Change to another one: cd"
        ) from None


def _named_folder(name: str | None, directory: Path) -> Place:
    found = workspace.locate(directory)
    if name is not None:
        exercise = catalog.get(name)
        if found and found.exercise_id == exercise.id:
            return Place(exercise, found.path)
        return _existing(exercise, directory)
    if found:
        return Place(catalog.get(found.exercise_id), found.path)
    if not directory.is_dir():
        raise UsageError(f"There is no folder {directory}.", tip="Check the path given to --dir.")
    matching = [e for e in catalog.load_all() if workspace.is_laid_out_like(directory, e)]
    if len(matching) == 1:
        return Place(matching[0], directory.resolve())
    raise UsageError(
        f"{directory} does not say which exercise it is.",
        tip=f"Name it: archprep check q1 --dir {directory}",
    )


def _existing(exercise: Exercise, directory: Path) -> Place:
    if not directory.is_dir():
        raise UsageError(
            f"{exercise.id} has no workspace at {directory}.",
            tip=f"Start it: archprep start {exercise.id}, or name its folder with --dir.",
        )
    return Place(exercise, directory.resolve())


@contextmanager
def frozen(where: Place) -> Iterator[Submission]:
    """Give a frozen copy of a workspace for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="archprep-stage-") as folder:
        stage = Path(folder, "submission")
        try:
            yield intake.freeze(where.directory, where.exercise, stage)
        finally:
            intake.discard(stage)


def check(
    where: Place,
    store: Store,
    *,
    seed: int | None,
    level: str | None,
    wanted: Wanted,
    progress: Progress | None,
) -> Graded:
    """Grade a workspace and keep the attempt."""
    from archprep import report
    from archprep.grading import session

    if seed is not None and abs(seed) > MAX_SEED:
        raise UsageError(
            f"{seed} is too large for a seed.", tip="The scorecard to repeat names its own."
        )
    with frozen(where) as submission:
        drawn = session.draw_seed() if seed is None else seed
        card = session.grade(
            where.exercise, submission, seed=drawn, level=level, wanted=wanted, progress=progress
        )
        try:
            store.remember_workspace(where.exercise.id, where.directory)
            store.add_attempt(card, report.dumps(card))
        except StoreError as e:
            return Graded(card, e)
    return Graded(card)


def attempt(name: str | None, store: Store, *, best: bool) -> Attempt:
    """Return the last or the best attempt at an exercise; UsageError when there is none."""
    exercise = about(name, store)
    found = store.best_attempt(exercise.id) if best else store.last_attempt(exercise.id)
    if found is None:
        kind = "complete attempt" if best else "attempt"
        raise UsageError(
            f"There is no {kind} at {exercise.id} yet.",
            tip=f"Make one: archprep check {exercise.id}",
        )
    return found


def hint(exercise: Exercise, criterion: str | None, store: Store) -> Hint:
    """Reveal one more hint for a criterion: the named one, or the first that fails."""
    from archprep.content import criteria

    known = {c.id: c for c in criteria.declared(exercise)}
    chosen = known.get(criterion or _first_open(exercise, store, list(known)))
    if chosen is None:
        near = difflib.get_close_matches(criterion or "", known, n=3, cutoff=0.4)
        asks = f"Did you mean {' or '.join(near)}?" if near else f"They are: {', '.join(known)}."
        raise UsageError(
            f"{exercise.id} has no criterion {criterion!r}.",
            tip=asks,
        )
    texts = exercise_files.hints(exercise)[chosen.hint]
    before = store.hints_taken(exercise.id).get(chosen.id, 0)
    # The scorecard shows the first one; asking reveals the next, until there is none.
    taken = store.take_hint(exercise.id, chosen.id) if before + 1 < len(texts) else before
    shown = min(taken + 1, len(texts))
    return Hint(chosen.id, chosen.title, tuple(texts[:shown]), len(texts) - shown, taken)


def _first_open(exercise: Exercise, store: Store, known: list[str]) -> str:
    """Return the first criterion that failed when it was graded last."""
    from archprep import report
    from archprep.core.model import State

    attempts = store.attempts(exercise.id)
    cards = [report.loads(attempt.scorecard) for attempt in attempts]
    latest = {result.id: result.state for card in cards for result in card.criteria}
    for name in known:
        if latest.get(name, State.FAILED) is not State.PASSED:
            return name
    raise UsageError(
        f"Nothing failed in your last attempts at {exercise.id}.",
        tip=f"`archprep check {exercise.id}` grades it again.",
    )


def solution(exercise: Exercise, store: Store, *, give_up: bool) -> Solution:
    """Open the reference: earned by 100 points, or by giving up, which is recorded."""
    best = store.best_attempt(exercise.id)
    solved = best is not None and best.score == best.max_score
    if not solved and not give_up and not store.gave_up(exercise.id):
        so_far = f"your best is {best.score}" if best else "there is no attempt yet"
        raise UsageError(
            f"The solution of {exercise.id} opens at 100 points; {so_far}.",
            tip=f"`archprep hint {exercise.id}` helps on; "
            f"`archprep solution {exercise.id} --give-up` opens it now.",
        )
    if not solved:
        store.give_up(exercise.id)
    files = exercise_files.reference(exercise)
    return Solution(
        exercise, files, exercise_files.notes(exercise), _diff(exercise, files, store), not solved
    )


def _diff(exercise: Exercise, reference: dict[str, str], store: Store) -> str:
    mine = store.workspace_of(exercise.id)
    if mine is None:
        return ""
    lines: list[str] = []
    for name, text in reference.items():
        own = _own_lines(mine / name)
        if own is not None:
            lines += difflib.unified_diff(
                own, text.splitlines(), f"yours/{name}", f"reference/{name}", lineterm=""
            )
    return "\n".join(lines)


def _own_lines(path: Path) -> list[str] | None:
    """A file as it is now; None where it is gone or cannot be read: then there is no diff."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return sanitize(text, len(text)).splitlines()


def page(card: Scorecard, store: Store) -> str:
    """Return an attempt as an HTML page, with the source that was graded."""
    from archprep import report

    files = store.submission_files(card.submission.digest)
    source = {
        name: data.decode(errors="replace") for name, data in files.items() if name.endswith(".py")
    }
    discussion = files.get(intake.DISCUSSION, b"").decode(errors="replace")
    return report.to_html(card, source=source, discussion=discussion or None)

"""`archprep report`: earlier attempts, and one of them as an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprep import report
from archprep.core.errors import UsageError
from archprep.practice.locate import locate_exercise
from archprep.workspace.submission import DISCUSSION

if TYPE_CHECKING:
    from archprep.core.model import Scorecard
    from archprep.workspace.store import Attempt, Store


def find_attempt(exercise_id: str | None, store: Store, *, best: bool) -> Attempt:
    """Return the last or the best attempt at an exercise; UsageError if there is none."""
    exercise = locate_exercise(exercise_id, store)
    found = (
        store.best_attempt(exercise.id, exercise.selection)
        if best
        else store.last_attempt(exercise.id)
    )
    if found is None:
        kind = "complete attempt" if best else "attempt"
        raise UsageError(
            f"There is no {kind} at {exercise.id} yet.",
            tip=f"Make one: archprep check {exercise.id}",
        )
    return found


def render_html(card: Scorecard, store: Store) -> str:
    """Return the HTML page of an attempt, with the source that was graded."""
    files = store.submission_files(card.submission.digest)
    source = {
        name: data.decode(errors="replace") for name, data in files.items() if name.endswith(".py")
    }
    discussion = files.get(DISCUSSION, b"").decode(errors="replace")
    return report.to_html(card, source=source, discussion=discussion or None)

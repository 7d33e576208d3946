"""Which criteria of an exercise to grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archprep.core.errors import UsageError
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which criteria to grade; all of them if both are None.

    `until_lost`: none after the first that is lost, for an answer that has to lose something.
    """

    task: int | None = None
    criterion: str | None = None
    until_lost: bool = False

    @property
    def partial(self) -> bool:
        """Whether some criteria are not graded."""
        return self.task is not None or self.criterion is not None or self.until_lost

    def includes(self, criterion: str, task: int) -> bool:
        """Return whether to grade a criterion of that task."""
        if self.criterion is not None:
            return criterion == self.criterion
        return self.task in (None, task)

    def nothing(self, exercise: Exercise, criteria: Sequence[str]) -> UsageError:
        """Return the error that says that none of the exercise's criteria is included."""
        if self.criterion is None:
            numbers = ", ".join(str(t.number) for t in exercise.selected_tasks)
            text = f"{exercise.id} has no task {self.task}."
            return UsageError(text, tip=f"Its tasks are {numbers}.")
        import difflib

        near = difflib.get_close_matches(self.criterion, criteria, n=3, cutoff=0.4)
        asks = f"Did you mean {' or '.join(near)}?" if near else "`archprep check` lists all."
        text = f"{exercise.id} has no criterion {sanitize(self.criterion, 60)!r}."
        return UsageError(text, tip=asks)


ALL = Wanted()

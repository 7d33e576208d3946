"""The forms that reviewers submit, and their validation."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from archprep.core.errors import UsageError
from archprep.review.access_middleware import MAX_URL
from archprep.review.marks import MarkKind, Target

_MAX_VERSION = 2**31

Name = Annotated[str, StringConstraints(max_length=200)]
Anchor = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]*$", max_length=40)]


class ReviewForm(BaseModel):
    """What all forms have: the key that other sites do not know, and where to return to."""

    key: Annotated[str, StringConstraints(max_length=200)] = ""
    back: Anchor = ""
    query: Annotated[str, StringConstraints(max_length=MAX_URL)] = ""


class MarkForm(ReviewForm):
    """A mark as typed, with the version and the submission's digest that the reviewer has seen."""

    candidate: Name
    kind: MarkKind
    exercise: Name = ""
    item: Name = ""
    version: int = Field(ge=0, le=_MAX_VERSION)
    digest: Name = ""
    points: Annotated[str, StringConstraints(max_length=40)] = ""
    text: str = ""
    remove: str = ""

    @property
    def target(self) -> Target:
        """What the mark is about."""
        return Target(self.candidate, self.kind, self.exercise, self.item)

    def check_submission(self, digest: str) -> None:
        """Raise UsageError if the reviewer has seen another submission."""
        if self.kind is not MarkKind.COMMENT and self.digest != digest:
            raise UsageError(
                "The candidate's submission changed after you opened the page.",
                tip="Review the new submission, then save your mark again if it still applies.",
            )

    def content(self, max_points: int) -> tuple[int | None, str]:
        """The points and text to save; UsageError if they are invalid."""
        if self.remove:
            return None, ""
        text = self.text.replace("\r\n", "\n").strip()
        points = _parse_points(self.points, max_points)
        if self.kind is MarkKind.OVERRIDE:
            _check_override(points, text, max_points)
        return (None if self.kind is MarkKind.COMMENT else points), text


class UndoForm(ReviewForm):
    """The number of the change to undo."""

    candidate: Name
    number: Annotated[str, StringConstraints(pattern=r"^[0-9]+$", max_length=40)]


class ReviewerForm(ReviewForm):
    """The name under which this browser saves marks."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""


def _parse_points(typed: str, max_points: int) -> int | None:
    typed = typed.strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit() and int(typed) <= max_points):
        raise UsageError(f"Points must be a whole number from 0 to {max_points}.")
    return int(typed)


def _check_override(points: int | None, text: str, max_points: int) -> None:
    if points is None:
        raise UsageError(f"Enter the points, from 0 to {max_points}.")
    if not text:
        raise UsageError("An override needs a reason. It is shown with the result.")

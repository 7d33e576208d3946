"""What a reviewer has filled in: what can be saved of it, or a sentence that says why not."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from archprep.core.errors import UsageError
from archprep.review.marks import Kind, Target
from archprep.review.security import MOST_TARGET

_LARGEST = 2**31  # of a number in a form; no row of a table has a larger one

Name = Annotated[str, StringConstraints(max_length=200)]
Anchor = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]*$", max_length=40)]


class Sent(BaseModel):
    """What every form carries: the key that no other site knows, and where to go back to."""

    key: Annotated[str, StringConstraints(max_length=200)] = ""
    back: Anchor = ""
    query: Annotated[str, StringConstraints(max_length=MOST_TARGET)] = ""


class MarkForm(Sent):
    """A mark as it was typed, beside what the reviewer saw when typing.

    `version` is that of the mark which stood there, `digest` that of the submission.
    """

    candidate: Name
    kind: Kind
    exercise: Name = ""
    item: Name = ""
    version: int = Field(ge=0, le=_LARGEST)
    digest: Name = ""
    points: Annotated[str, StringConstraints(max_length=40)] = ""
    text: str = ""
    take_back: str = ""

    @property
    def target(self) -> Target:
        """What it is about."""
        return Target(self.candidate, self.kind, self.exercise, self.item)

    def check_submission(self, digest: str) -> None:
        """Refuse to judge a submission that the reviewer has not seen."""
        if self.kind is not Kind.COMMENT and self.digest != digest:
            raise UsageError(
                "This candidate's submission is another one since you opened the page.",
                tip="Look at what is there now, and save again what still holds.",
            )

    def value(self, most: int) -> tuple[int | None, str]:
        """Points, at most so many, and text to be saved; UsageError when they do not fit."""
        if self.take_back:
            return None, ""
        text = self.text.replace("\r\n", "\n").strip()
        points = _points(self.points, most)
        if self.kind is Kind.OVERRIDE:
            _check_override(points, text, most)
        return (None if self.kind is Kind.COMMENT else points), text


class UndoForm(Sent):
    """Which change is to be taken back."""

    candidate: Name
    number: Annotated[str, StringConstraints(pattern=r"^[0-9]+$", max_length=40)]


class ReviewerForm(Sent):
    """Under which name marks are saved from now on."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""


def _points(typed: str, most: int) -> int | None:
    typed = typed.strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit() and int(typed) <= most):
        raise UsageError(f"The points are a whole number from 0 to {most}.")
    return int(typed)


def _check_override(points: int | None, text: str, most: int) -> None:
    if points is None:
        raise UsageError(f"Say how many points it is worth, from 0 to {most}.")
    if not text:
        raise UsageError("An override needs a reason: whoever reads the result will ask for it.")

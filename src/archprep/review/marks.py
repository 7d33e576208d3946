"""A mark: what it is about, its versions, and what a version must satisfy to be saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from archprep.core.errors import ArchprepError, UsageError
from archprep.core.sanitize import sanitize

MAX_TEXT = 20_000  # characters
MAX_NAME = 80  # characters of a reviewer's name

# The scale for answers in the discussion, one mark for each item of the rubric.
SCALE = {0: "nothing", 1: "weak", 2: "partly", 3: "good", 4: "strong"}

_MAX_KEY = 300
_MAX_POINTS = 10_000  # of a criterion


class MarkKind(StrEnum):
    """What a mark is about."""

    OVERRIDE = "override"
    ANSWER = "answer"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Target:
    """The one thing that a mark is about.

    `item` is the criterion's id for an override and the number of the rubric item for an answer.
    A comment has no item; without an exercise it is about the candidate as a whole.
    """

    candidate: str
    kind: MarkKind
    exercise: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """One version of a mark. A version without points and text removes the mark.

    `digest` identifies the submission that was marked, `automatic` are the points that the
    grader gave the criterion at that time.
    """

    number: int  # 0 if there was nothing to save
    target: Target
    version: int
    points: int | None
    text: str
    digest: str
    automatic: int | None
    who: str
    at: str  # ISO 8601, UTC
    undoes: int | None

    @property
    def is_empty(self) -> bool:
        """Whether the mark has no content, for example because it was removed."""
        return self.points is None and not self.text


class StaleMarkError(ArchprepError):
    """Another version was saved first. `current` is that version."""

    def __init__(self, current: Mark | None) -> None:
        changed = f"{current.who} changed this mark" if current else "This mark changed"
        super().__init__(
            f"{changed} after you opened the page. Your change was not saved.",
            tip="Review the current version, then save yours again if it is still needed.",
        )
        self.current = current


def new_version(
    target: Target,
    *,
    points: int | None,
    text: str,
    digest: str,
    automatic: int | None,
    who: str,
) -> Mark:
    """A valid mark without a number and version; UsageError if it cannot be saved."""
    mark = Mark(
        number=0,
        target=target,
        version=0,
        points=points,
        text=_normalized(text),
        digest=digest,
        automatic=automatic,
        who=reviewer_name(who),
        at=now(),
        undoes=None,
    )
    _check_text(mark)
    _check_points(mark)
    return mark


def has_same_content(mark: Mark | None, other: Mark) -> bool:
    """Whether both say the same about the same submission, regardless of who saved them when."""
    if mark is None or mark.is_empty or other.is_empty:
        return (mark is None or mark.is_empty) and other.is_empty
    content = (mark.points, mark.text, mark.digest, mark.automatic)
    return content == (other.points, other.text, other.digest, other.automatic)


def is_storable(text: str) -> bool:
    """Whether SQLite returns this text unchanged."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def reviewer_name(text: str) -> str:
    """The name under which marks are saved, on one line."""
    return " ".join(sanitize(text).split())[:MAX_NAME].strip() or "unnamed"


def now() -> str:
    """The current time as it is saved with a mark."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _normalized(text: str) -> str:
    """The text with Unix line breaks; text that is only whitespace is empty."""
    return text.replace("\r\n", "\n") if text.strip() else ""


def _check_text(mark: Mark) -> None:
    target = mark.target
    keys = (target.candidate, target.exercise, target.item, mark.digest)
    if len(mark.text) > MAX_TEXT:
        raise UsageError(
            f"The text has {len(mark.text):,} characters; the limit is {MAX_TEXT:,}.",
            tip="Shorten it and save again.",
        )
    if not all(map(is_storable, (mark.text, *keys))):
        raise UsageError(
            "The text contains characters that cannot be saved (NUL or a lone surrogate).",
            tip="Type the text instead of pasting it.",
        )
    if max(map(len, keys)) > _MAX_KEY or not target.candidate:
        raise UsageError("The form does not name anything that can be marked.")


def _check_points(mark: Mark) -> None:
    kind, points = mark.target.kind, mark.points
    for number in (points, mark.automatic):
        if number is not None and not 0 <= number <= _MAX_POINTS:
            raise UsageError("The points are out of range.")
    if kind is MarkKind.COMMENT and points is not None:
        raise UsageError("A comment cannot have points.")
    if kind is MarkKind.ANSWER and points is not None and points > max(SCALE):
        raise UsageError(f"The mark for an answer must be between 0 and {max(SCALE)}.")
    if kind is MarkKind.OVERRIDE and (points is None) is not (not mark.text):
        missing = "points" if points is None else "a reason"
        raise UsageError(f"An override needs {missing}. To remove it, leave both empty.")

"""One zip or folder among the submissions, while it is being looked into."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from archprep.interview.model import Kit, Received, SubmittedExercise


@dataclass
class Entry:
    """What is known about an entry so far."""

    path: Path
    source: str
    name: str  # of the candidate; of the file until a kit says more
    at: datetime  # time of receipt
    order: tuple[float, str]  # of receipt, then by name
    digest: str = ""
    exercises: list[SubmittedExercise] = field(default_factory=list)
    kit: Kit | None = None
    kit_id: str = ""  # of a kit whose signature is not known to be invalid
    submitted: datetime | None = None  # as reported, if that is possible
    flags: list[str] = field(default_factory=list)
    reported: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    is_unrelated: bool = False  # nothing about it looks like a submission
    earlier: list[Entry] = field(default_factory=list)  # submissions that this one replaces

    @property
    def stem(self) -> str:
        """The name of the file or folder, without the extension of a zip."""
        return self.path.stem if self.path.suffix.lower() == ".zip" else self.path.name

    def received(self, slug: str) -> Received:
        """Return the finished value; `slug` is the candidate's name for files."""
        return Received(
            name=self.name,
            slug=slug,
            source=self.source,
            received_at=self.at.isoformat(timespec="seconds"),
            digest=self.digest,
            exercises=() if self.problem else tuple(self.exercises),
            kit=self.kit,
            flags=tuple(self.flags),
            reported=self.reported,
            problem=self.problem,
            superseded=tuple(entry.source for entry in self.earlier),
        )

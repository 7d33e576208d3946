"""What a process of a batch does: freezes one exercise of a candidate and grades it.

Submissions of one exercise share a warm parent, one after another. Each scenario has namespaces of
its own there: nothing of one reaches the parent or the next submission (tests/hostile tries to).
After one that did not end in good order, and at level D, the next gets a sandbox of its own.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archprep.core.errors import ArchprepError, UsageError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.interview.model import NOT_GRADED, Graded
from archprep.interview.results import FULL, kept_source
from archprep.workspace import submission as intake

if TYPE_CHECKING:
    from archprep.core.model import Exercise, Scorecard, Submission
    from archprep.grading.session import Session

_OUT_OF_ORDER = {Reason.TIMEOUT, Reason.MEMORY, Reason.OUTPUT, Reason.CRASH, Reason.PROTOCOL}


@dataclass(frozen=True, slots=True)
class Job:
    """One exercise of a candidate: a folder, or the file of a part whose source is kept."""

    slug: str
    name: str
    digest: str  # of what was handed in
    exercise: str
    seed: int
    level: str  # the isolation that was found: a weaker one is not graded under
    place: Path
    alone: bool = False  # it timed out beside others


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. `stop`: a sentence and a tip, when no other job would fare better."""

    graded: Graded
    stop: tuple[str, str | None] | None = None


@contextmanager
def grader(level: str) -> Iterator[Callable[[Job], Outcome]]:
    """Give what does the jobs; the modules it takes are imported before the first one comes."""
    import pytest  # noqa: F401

    from archprep.grading import api, session  # noqa: F401

    gc.freeze()  # what is imported stays: each collection would look at all of it

    with ExitStack() as opened:
        yield _Grader(level, opened).do


def lost(job: Job, code: int | None) -> Outcome:
    """Tell of a job that has ended its process."""
    return _fault(job, f"it ended the process that graded it ({code}).")


class _Room:
    """A warm sandbox for one exercise, and the folder in which it sees a submission."""

    def __init__(self, exercise: Exercise, level: str) -> None:
        self._exercise = exercise
        self._level = level
        self._opened = ExitStack()
        self._session: Session | None = None
        self._stage = Path(self._opened.enter_context(tempfile.TemporaryDirectory()), "stage")
        self._stage.mkdir(mode=0o755)  # in the sandbox another user may be the one who reads it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @contextmanager
    def frozen(self, directory: Path) -> Iterator[Submission]:
        """Freeze what lies in a folder; gone after the block."""
        stage = self._stage / "submission"
        try:
            yield intake.freeze(directory, self._exercise, stage)
        finally:
            intake.discard(stage)

    def grade(self, submission: Submission, seed: int) -> Scorecard:
        """Grade what was frozen here."""
        from archprep.grading import session

        if self._session is None:
            opened = session.opened(
                self._exercise, submission, level=self._level, stage=self._stage
            )
            self._session = self._opened.enter_context(opened)
        return self._session.grade(submission, seed=seed)


class _Grader:
    """Grades under one level of isolation."""

    def __init__(self, level: str, opened: ExitStack) -> None:
        self._level = level
        self._exercises: dict[str, Exercise] = {}
        self._rooms: dict[str, _Room] = {}
        opened.callback(self._leave_all)

    def do(self, job: Job) -> Outcome:
        """Do a job; whatever goes wrong is part of the outcome, and stops no other."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                return self._frozen(job, Path(folder))
        except ArchprepError as e:
            return _fault(job, e.message)
        except Exception as e:  # noqa: BLE001 - a bug of archprep's is not the candidate's fault
            if isinstance(e, OSError) and e.errno in FULL:
                return _full(job)
            return _fault(
                job, f"archprep itself failed ({type(e).__name__}: {sanitize(str(e), 300)})"
            )

    def _frozen(self, job: Job, folder: Path) -> Outcome:
        room = self._room(job.exercise)
        directory = _directory(job, folder)
        with ExitStack() as frozen:
            try:
                submission = frozen.enter_context(room.frozen(directory))
            except UsageError as e:
                if isinstance(e.__cause__, OSError):  # it cannot be copied: that is our disk
                    return _full(job)
                return Outcome(Graded(job.exercise, problem=_without_place(e.message, directory)))
            return self._grade(job, room, submission)

    def _grade(self, job: Job, room: _Room, submission: Submission) -> Outcome:
        source, card = _source(submission), None
        try:
            card = room.grade(submission, job.seed)
        except ArchprepError as e:
            return _fault(job, e.message, source)
        finally:
            if card is None or not _may_be_shared(card):
                self._leave(job.exercise)
        if card.isolation.level != job.level:
            why = f"A worker found isolation level {card.isolation.level} instead of {job.level}."
            return Outcome(Graded(job.exercise), (why, "`archprep doctor` shows the cause."))
        return Outcome(Graded(job.exercise, card, source=source))

    def _room(self, name: str) -> _Room:
        if name not in self._rooms:
            self._rooms[name] = _Room(self._exercise(name), self._level)
        return self._rooms[name]

    def _leave(self, name: str) -> None:
        with self._rooms.pop(name):
            pass

    def _leave_all(self) -> None:
        for name in [*self._rooms]:
            self._leave(name)

    def _exercise(self, name: str) -> Exercise:
        from archprep.content import catalog

        if name not in self._exercises:
            self._exercises[name] = catalog.get(name)
        return self._exercises[name]


def _may_be_shared(card: Scorecard) -> bool:
    """Whether the next submission may have the same warm parent."""
    ended = {criterion.reason for criterion in card.criteria}
    return card.isolation.level.startswith("A") and card.scored and not ended & _OUT_OF_ORDER


def _directory(job: Job, folder: Path) -> Path:
    """The folder to freeze; what is kept is laid out again."""
    if job.place.is_dir():
        return job.place
    directory = folder / "kept"
    for name, data in kept_source(job.place).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def _source(submission: Submission) -> dict[str, str]:
    """The files that are graded, as text that gives the very bytes back."""
    files = [(file.path, submission.root / file.path) for file in submission.files]
    return {name: path.read_bytes().decode("utf-8", "surrogateescape") for name, path in files}


def _without_place(message: str, directory: Path) -> str:
    """Say the same whichever scratch folder it was unpacked to."""
    place = sanitize(str(directory), 300)
    return message.replace(f"{place}/", "").replace(place, "what was handed in")


def _fault(job: Job, why: str, source: dict[str, str] | None = None) -> Outcome:
    problem = f"{NOT_GRADED}{why.removesuffix('.')}."
    return Outcome(Graded(job.exercise, problem=problem, source=source or {}))


def _full(job: Job) -> Outcome:
    tip = "What was graded before is complete. Make room there, then go on with --resume."
    full = f"The disk of the temporary files ({tempfile.gettempdir()}) is full."
    return Outcome(Graded(job.exercise), (full, tip))

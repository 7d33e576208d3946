"""A worker process of a batch: freezes one exercise of a candidate and grades it.

Submissions of the same exercise share a fork server, one after another. Each scenario has its own
namespaces there, so nothing of one submission reaches the server or the next one (tests/hostile
tries to). The next one gets a new sandbox after an abnormal end, and always at level D.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archprep.core.errors import ArchprepError, UsageError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.interview.batch.batch_job import BatchJob, JobOutcome
from archprep.interview.integrity_notes import SourceReader
from archprep.interview.model import NOT_GRADED, Graded
from archprep.interview.results.json_format import source_in
from archprep.interview.results.result_files import DISK_FULL
from archprep.interview.text import shown
from archprep.workspace import submission as submissions

if TYPE_CHECKING:
    from archprep.core.model import Exercise, Scorecard, Submission
    from archprep.grading.session import Session

_ABNORMAL = {Reason.TIMEOUT, Reason.MEMORY, Reason.OUTPUT, Reason.CRASH, Reason.PROTOCOL}
SWEEP_FACTOR = 3  # an interview plays more random programs than a candidate's own check


@contextmanager
def job_runner(level: str) -> Iterator[Callable[[BatchJob], JobOutcome]]:
    """Yield the function that runs jobs; what it needs is imported before the first one."""
    import pytest  # noqa: F401

    from archprep.grading import api, session  # noqa: F401

    gc.freeze()  # these modules stay: no collection needs to look at them

    with ExitStack() as opened:
        yield BatchWorker(level, opened).run


def lost(job: BatchJob, code: int | None) -> JobOutcome:
    """Return the outcome of a job whose worker process has ended."""
    return _fault(job, f"the process that graded it ended ({code}).")


class SharedSandbox:
    """A sandbox for one exercise, and the folder in which it sees one submission at a time."""

    def __init__(self, exercise: Exercise, level: str) -> None:
        self._exercise = exercise
        self._level = level
        self._opened = ExitStack()
        self._session: Session | None = None
        self._stage = Path(self._opened.enter_context(tempfile.TemporaryDirectory()), "stage")
        self._stage.mkdir(mode=0o755)  # in the sandbox it may be read by another user

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @contextmanager
    def frozen(self, directory: Path) -> Iterator[Submission]:
        """Freeze the files in a folder; the copy is removed after the block."""
        stage = self._stage / "submission"
        try:
            yield submissions.freeze(directory, self._exercise, stage)
        finally:
            submissions.discard(stage)

    def grade(self, submission: Submission, seed: int) -> Scorecard:
        """Grade the frozen submission."""
        from archprep.grading import session

        if self._session is None:
            opened = session.opened(
                self._exercise,
                submission,
                level=self._level,
                stage=self._stage,
                sweep_factor=SWEEP_FACTOR,
            )
            self._session = self._opened.enter_context(opened)
        return self._session.grade(submission, seed=seed)


class BatchWorker:
    """Runs jobs at one level of isolation."""

    def __init__(self, level: str, opened: ExitStack) -> None:
        self._level = level
        self._reader = opened.enter_context(SourceReader())
        self._exercises: dict[str, Exercise] = {}
        self._sandboxes: dict[tuple[str, tuple[int, ...]], SharedSandbox] = {}
        opened.callback(self._close_all)

    def run(self, job: BatchJob) -> JobOutcome:
        """Run a job; any failure is part of its outcome and stops no other job."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                return self._freeze_and_grade(job, Path(folder))
        except ArchprepError as e:
            return _fault(job, e.message)
        except Exception as e:  # noqa: BLE001 - a bug in archprep is not the candidate's fault
            if isinstance(e, OSError) and e.errno in DISK_FULL:
                return _disk_full(job)
            return _fault(
                job, f"archprep itself failed ({type(e).__name__}: {sanitize(str(e), 300)})"
            )

    def _freeze_and_grade(self, job: BatchJob, folder: Path) -> JobOutcome:
        sandbox = self._sandbox(job)
        directory = _directory(job, folder)
        with ExitStack() as frozen:
            try:
                submission = frozen.enter_context(sandbox.frozen(directory))
            except UsageError as e:
                if isinstance(e.__cause__, OSError):  # it cannot be copied: our disk is the cause
                    return _disk_full(job)
                problem = _without_folder(e.message, directory)
                worth = _worth(self._exercise(job))
                return JobOutcome(Graded(job.exercise, problem=problem, worth=worth))
            return self._grade(job, sandbox, submission)

    def _grade(self, job: BatchJob, sandbox: SharedSandbox, submission: Submission) -> JobOutcome:
        source, card = _source(submission), None
        try:
            card = sandbox.grade(submission, job.seed)
        except ArchprepError as e:
            return _fault(job, e.message, source)
        finally:
            if card is None or not _is_reusable_after(card):
                self._close((job.exercise, job.tasks))
        if card.isolation.level != job.level:
            why = f"A worker got isolation level {card.isolation.level} instead of {job.level}."
            return JobOutcome(Graded(job.exercise), (why, "Run `archprep doctor` to see why."))
        notes = self._reader.notes(self._exercise(job), source)
        return JobOutcome(Graded(job.exercise, card, source=source, notes=notes))

    def _sandbox(self, job: BatchJob) -> SharedSandbox:
        key = (job.exercise, job.tasks)
        if key not in self._sandboxes:
            self._sandboxes[key] = SharedSandbox(self._exercise(job), self._level)
        return self._sandboxes[key]

    def _close(self, key: tuple[str, tuple[int, ...]]) -> None:
        with self._sandboxes.pop(key):
            pass

    def _close_all(self) -> None:
        for key in [*self._sandboxes]:
            self._close(key)

    def _exercise(self, job: BatchJob) -> Exercise:
        from archprep.content import catalog, selection

        if job.exercise not in self._exercises:
            self._exercises[job.exercise] = catalog.get(job.exercise)
        return selection.stored(self._exercises[job.exercise], job.tasks)


def _worth(exercise: Exercise) -> int:
    """The points that could be earned for the tasks that were asked for."""
    from archprep.content import criteria

    if not exercise.selection:
        return 100
    return sum(criterion.points for criterion in criteria.declared(exercise))


def _is_reusable_after(card: Scorecard) -> bool:
    """Whether the next submission may share the sandbox of this one."""
    reasons = {criterion.reason for criterion in card.criteria}
    return card.isolation.level.startswith("A") and card.scored and not reasons & _ABNORMAL


def _directory(job: BatchJob, folder: Path) -> Path:
    """The folder to freeze; a kept source is written to one."""
    if job.submitted.is_dir():
        return job.submitted
    directory = folder / "kept"
    for name, data in source_in(job.submitted).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def _source(submission: Submission) -> dict[str, str]:
    """The files that are graded, as text that can be turned back into the same bytes."""
    files = [(file.path, submission.root / file.path) for file in submission.files]
    return {name: path.read_bytes().decode("utf-8", "surrogateescape") for name, path in files}


def _without_folder(message: str, directory: Path) -> str:
    """The message without the temporary folder, which differs each time."""
    folder = shown(directory)
    return message.replace(f"{folder}/", "").replace(folder, "the submission")


def _fault(job: BatchJob, why: str, source: dict[str, str] | None = None) -> JobOutcome:
    problem = f"{NOT_GRADED}{why.removesuffix('.')}."
    return JobOutcome(Graded(job.exercise, problem=problem, source=source or {}))


def _disk_full(job: BatchJob) -> JobOutcome:
    message = f"The disk with the temporary files ({tempfile.gettempdir()}) is full."
    tip = "Everything graded so far is saved. Free up space, then continue with --resume."
    return JobOutcome(Graded(job.exercise), (message, tip))

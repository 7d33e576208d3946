"""The reference of an exercise, or a right answer, in its own sandbox.

The candidate's code never shares a sandbox with it.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from archprep.content import exercise_files
from archprep.core.errors import CandidateError, GraderFault
from archprep.grading.candidate import Candidate
from archprep.workspace import submission as intake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archprep.core.model import Exercise


class OwnAnswer:
    """Observes an answer that comes with an exercise; its sandbox starts on first use.

    Use as a context manager. `read` returns the answer's sources by path.
    """

    def __init__(
        self,
        exercise: Exercise,
        read: Callable[[Exercise], Mapping[str, str]],
        level: str | None = None,
    ) -> None:
        self.exercise = exercise
        self._read = read
        self._level = level
        self._opened = ExitStack()
        self._candidate: Candidate | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._candidate = None
        self._opened.close()

    @cached_property
    def _files(self) -> Mapping[str, str]:
        return self._read(self.exercise)

    @property
    def digest(self) -> str:
        """A hash of its sources."""
        lines = (f"{path}\0{text}\0" for path, text in sorted(self._files.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def start(self) -> None:
        """Start its sandbox, unless that is done. It ends with the thread that starts it."""
        if self._candidate is None:
            self._candidate = self._open()

    def observe(self, probe: str, /, **inputs: Any) -> Any:
        """Run a probe as `Candidate.observe` does; CandidateError if the answer fails."""
        self.start()
        assert self._candidate is not None
        return self._candidate.observe(probe, **inputs)

    def _open(self) -> Candidate:
        from archprep.grading.session import boot_config
        from archprep.sandbox import selftest

        folder = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="archprep-")))
        for path, text in self._files.items():
            (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / path).write_text(text, encoding="utf-8")
        stage = folder / "stage"
        frozen = intake.freeze(folder / "files", self.exercise, stage)
        self._opened.callback(intake.discard, stage)
        opened = selftest.sandbox(
            self.exercise, frozen, self._level, boot_config(self.exercise), None
        )
        sandbox, _ = self._opened.enter_context(opened)
        return Candidate(self.exercise, sandbox)


class Reference(OwnAnswer):
    """What graders call `reference`: like `candidate`, but its failures are the grader's fault."""

    def __init__(self, exercise: Exercise, level: str | None = None) -> None:
        super().__init__(exercise, exercise_files.reference, level)

    def observe(self, probe: str, /, **inputs: Any) -> Any:
        """Play a probe as `Candidate.observe` does; GraderFault if the reference fails."""
        try:
            return super().observe(probe, **inputs)
        except CandidateError as e:
            raise GraderFault(f"the reference failed in the probe `{probe}` ({e})") from e

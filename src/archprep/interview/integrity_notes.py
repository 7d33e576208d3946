"""Notes for the interviewer about what an honest answer does not need. They cost no points.

They are questions to ask, not a protection: names that are built at run time remain unseen. What
protects the score is that the candidate's code has no way to it.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from archprep.content import exercise_files
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize

_PROGRAM = Path(__file__).with_name("source_facts.py")
READ_SECONDS = 5.0
MOST_NOTES = 20
UNREADABLE = "The source could not be examined: the parser did not finish."

_Fact = tuple[str, int, str, str]  # file, line, what it does, with what
_Facts = tuple[list[_Fact], dict[str, str]]  # and the hash of each file's code


class SourceReader:
    """A process that parses source; after it has failed, the next call starts another one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ours: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def notes(self, exercise: Exercise, source: Mapping[str, str]) -> tuple[str, ...]:
        """Return the notes on a submission of an exercise."""
        found = self._read(source)
        if found is None:
            return (UNREADABLE,)
        facts, hashes = found
        notes = [*dict.fromkeys([*self._copies(exercise, hashes), *map(_note, facts)])]
        more = len(notes) - MOST_NOTES
        return (*notes[:MOST_NOTES], *([f"{more} more like these."] if more > 0 else ()))

    def _copies(self, exercise: Exercise, hashes: Mapping[str, str]) -> Iterator[str]:
        if exercise.id not in self._ours:
            self._ours[exercise.id] = self._titles(exercise)
        ours = self._ours[exercise.id]
        for name, digest in sorted(hashes.items()):
            if digest in ours:
                yield f"{sanitize(name, 300)} has the same code as {ours[digest]}"

    def _titles(self, exercise: Exercise) -> dict[str, str]:
        """The titles of our own answers, by the hash of their code."""
        others = exercise_files.right_answers(exercise).items()
        answers = [(f"the graders' right answer {name}", files) for name, files in others]
        answers.append(("the reference", exercise_files.reference(exercise)))
        titles = {h: title for title, files in answers for h in self._hashes(files)}
        starter = exercise_files.starter_files(exercise).items()
        for given in self._hashes({name: path.read_text("utf-8") for name, path in starter}):
            titles.pop(given, None)
        return titles

    def _hashes(self, files: Mapping[str, str]) -> Iterable[str]:
        found = self._read(files)
        return found[1].values() if found else ()

    def _read(self, files: Mapping[str, str]) -> _Facts | None:
        """Ask the process; None, and the process is ended, if it does not answer in time."""
        asked = {name: text for name, text in files.items() if name.endswith(".py")}
        try:
            found: _Facts = msgspec.json.decode(self._answer(json.dumps(asked)), type=_Facts)
        except (OSError, msgspec.MsgspecError):
            self.__exit__()
            return None
        return found

    def _answer(self, line: str) -> bytes:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - archprep's own program
                [sys.executable, "-I", "-S", "-B", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
        return _line(process.stdout.fileno(), time.monotonic() + READ_SECONDS)


def _line(descriptor: int, deadline: float) -> bytes:
    """Read up to the end of a line; what there is, if the process ends or is too slow."""
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not data.endswith(b"\n") and selector.select(deadline - time.monotonic()):
            if not (received := os.read(descriptor, 1 << 16)):
                break
            data += received
    return data


def _note(fact: _Fact) -> str:
    name, line, kind, what = fact
    return f"{sanitize(name, 300)}, line {line}: {kind}: {sanitize(what, 100)}"

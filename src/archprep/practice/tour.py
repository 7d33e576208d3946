"""`archprep tour`: starts an exercise, scores 0, scores 100 and writes the report."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from archprep import report
from archprep.content import exercise_files
from archprep.core.errors import ContentError, Exit, UsageError
from archprep.grading.session import Wanted
from archprep.practice import locate
from archprep.practice.check import check
from archprep.practice.report import render_html
from archprep.workspace.store import Store

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Exercise, Scorecard


def walk(exercise: Exercise, directory: Path | None, console: Console) -> Exit:
    """Walk through an exercise in a folder and a state of their own."""
    folder = directory.resolve() if directory else Path(tempfile.mkdtemp(prefix="archprep-tour-"))
    tour = _Tour(exercise, folder, console)
    tour.require_empty_folder()
    kept = os.environ.get("ARCHPREP_HOME")
    os.environ["ARCHPREP_HOME"] = str(folder / "home")
    try:
        with Store.open() as store:
            return tour.run(store)
    except KeyboardInterrupt:
        if directory is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.environ.pop("ARCHPREP_HOME")
        if kept is not None:
            os.environ["ARCHPREP_HOME"] = kept


class _Tour:
    def __init__(self, exercise: Exercise, folder: Path, console: Console) -> None:
        self._exercise = exercise
        self._folder = folder
        self._workspace = folder / exercise.folder
        self._console = console

    def require_empty_folder(self) -> None:
        """Raise UsageError rather than overwrite files."""
        if self._folder.exists() and (self._folder.is_file() or any(self._folder.iterdir())):
            raise UsageError(
                f"{self._folder} is not an empty folder, and the tour would overwrite files in it.",
                tip="Name a new folder with --dir, or omit --dir to use a temporary one.",
            )

    def run(self, store: Store) -> Exit:
        """Run the four steps; ContentError if the scores are not 0 and 100."""
        self._start(store)
        self._check_starter(store)
        card = self._check_reference(store)
        self._write_report(card, store)
        self._farewell()
        return Exit.PASSED

    def _start(self, store: Store) -> None:
        creates = "Creates a workspace: the brief, typed starter code, public examples."
        self._step(1, f"archprep start {self._exercise.id}", creates)
        locate.start(self._exercise, self._workspace, store)
        for path in sorted(self._workspace.iterdir()):
            self._console.print(f"    {path.name}")

    def _check_starter(self, store: Store) -> None:
        grades = "Grades the starter in a sandbox: 0 points, with a reason for each."
        self._step(2, "archprep check", grades)
        self._expect(self._check(store), 0)

    def _check_reference(self, store: Store) -> Scorecard:
        grades = "Grades the reference, as if you had written it: 100 points."
        self._step(3, "archprep check", grades)
        for file, text in exercise_files.reference(self._exercise).items():
            (self._workspace / file).write_text(text, encoding="utf-8")
        card = self._check(store)
        self._expect(card, card.max_score)
        return card

    def _write_report(self, card: Scorecard, store: Store) -> None:
        command = f"archprep report {self._exercise.id} --html report.html"
        self._step(4, command, "Writes the scorecard as a page to read or print.")
        page = self._folder / "report.html"
        page.write_text(render_html(card, store), encoding="utf-8")
        self._console.print(f"    {page}", soft_wrap=True)

    def _check(self, store: Store) -> Scorecard:
        located = locate.LocatedWorkspace(self._exercise, self._workspace)
        graded = check(located, store, seed=None, level=None, wanted=Wanted(), progress=None)
        report.print_scorecard(graded.scorecard, self._console)
        return graded.scorecard

    def _expect(self, card: Scorecard, points: int) -> None:
        if card.score != points:
            raise ContentError(
                f"The tour expected {points} points here and got {card.score}.",
                tip="Run `archprep doctor` to look for the cause.",
            )

    def _step(self, number: int, command: str, explanation: str) -> None:
        from rich.text import Text

        self._console.print()
        self._console.print(Text.assemble((f"{number}. ", "bold"), (command, "bold cyan")))
        self._console.print(Text(f"   {explanation}", "dim"))
        self._console.print()

    def _farewell(self) -> None:
        name = self._exercise.id
        self._console.print()
        self._console.print("That is all. Your turn:")
        self._console.print(f"    archprep start {name}")
        self._console.print(
            f"The files of this tour are in {shlex.quote(str(self._folder))}; you can delete them.",
            soft_wrap=True,
        )

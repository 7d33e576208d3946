"""Where commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archprep import __version__
from archprep.core.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console


class _Output(io.TextIOWrapper):
    """Standard output that goes nowhere once its reader has read enough, as in `| head`.

    The command goes on, so that its exit code says what it always says.
    """

    def write(self, text: str) -> int:
        with self._reader_may_leave():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._reader_may_leave():
            super().flush()

    @contextmanager
    def _reader_may_leave(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


def prepare_output() -> None:
    """Make standard output safe for any text and any reader."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, by_line = sys.stdout.encoding, sys.stdout.line_buffering
        # A character that the terminal's encoding lacks must not end a command.
        sys.stdout = _Output(
            sys.stdout.detach(),
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=by_line,
        )


def console() -> Console:
    """Return the console for results."""
    from rich.console import Console

    # Neither highlighting nor markup: texts may come from a candidate.
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(sentence: str) -> None:
    """Print a sentence that is not a result."""
    print(sentence, file=sys.stderr)


def unexpected(error: Exception) -> Exit:
    """Write the traceback to a file for a bug report; print a sentence."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="archprep-crash-", suffix=".log", delete=False
    ) as log:
        log.write(f"archprep {__version__}, Python {sys.version}\n")
        traceback.print_exception(error, file=log)
    say(f"Error: archprep itself failed ({type(error).__name__}). Your files are unchanged.")
    say(f"Please report the details in {log.name}.")
    return Exit.INTERNAL

"""Where commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from archprep import __version__
from archprep.core.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console


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

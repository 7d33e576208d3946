"""Where commands print: the console for results, the error output for everything else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from archprep import __version__
from archprep.core.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Return where results go."""
    from rich.console import Console

    # Nothing is highlighted and nothing is markup: texts may come from a candidate.
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(sentence: str) -> None:
    """Print a sentence that is no result."""
    print(sentence, file=sys.stderr)


def unexpected(error: Exception) -> Exit:
    """Keep the traceback for a bug report; the screen gets a sentence."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="archprep-crash-", suffix=".log", delete=False
    ) as log:
        log.write(f"archprep {__version__}, Python {sys.version}\n")
        traceback.print_exception(error, file=log)
    say(f"Error: archprep itself failed ({type(error).__name__}). Your files are as they were.")
    say(f"The details are in {log.name}; please report them.")
    return Exit.INTERNAL

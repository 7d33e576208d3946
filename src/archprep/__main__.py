"""The entry point of the console script and of `python -m archprep`."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python put the working directory first on the path. If that is a workspace with a json.py, the
    # candidate's code would run in the process that keeps the score. (A types.py breaks `python -m`
    # itself before this line; the console script never looks there.)
    del sys.path[0]

import os
import signal


def main() -> None:
    """Run the command line; Ctrl-C never shows a traceback, not even during imports."""
    signal.signal(signal.SIGINT, _leave)
    from archprep.cli.app import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the interpreter's shutdown is left


def _leave(*_: object) -> None:
    """Exit at once: nothing has started yet, and an exception could get lost in an import."""
    os.write(2, b"Interrupted. Nothing was lost.\n")
    os._exit(130)


if __name__ == "__main__":
    main()

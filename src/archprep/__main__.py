"""The entry point of the console script and of `python -m archprep`."""

import os  # loaded already, like sys: nothing is searched for
import sys

# Folders that may hold a candidate's modules are not searched by the process that keeps the score:
# neither the working directory (its json.py would run here) nor what PYTHONPATH names. (A
# types.py breaks `python -m archprep` itself before this line.)


def _drop_untrusted() -> None:
    # No pathlib: its imports would be looked for in these folders.
    absolute = os.path.abspath
    here = absolute(f"{__file__}/../..")
    named = [absolute(entry) for entry in os.environ.pop("PYTHONPATH", "").split(os.pathsep)]
    if here in named:  # a checkout that is not installed
        os.environ["PYTHONPATH"] = here
    sys.path[:] = [p for p in sys.path if absolute(p) not in named or absolute(p) == here]
    os.environ["PYTHONSAFEPATH"] = "1"  # the same for the processes that are started later


if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]
_drop_untrusted()

import signal  # noqa: E402 - not before the path is safe


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

"""Where archprep starts: the console script, and `python -m archprep`."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python put the working directory first on the path. It may be a workspace with a json.py of
    # the candidate's, and none of that may run in the process that keeps the score. (A types.py
    # breaks `python -m` itself before this line; the console script never looks there.)
    del sys.path[0]

import os
import signal


def main() -> None:
    """Run the command line; Ctrl-C ends it in one sentence from the first moment on."""
    signal.signal(signal.SIGINT, _leave)
    from archprep.cli.app import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done but for Python's tidying up


def _leave(*_: object) -> None:
    """Nothing is begun while modules are imported, and an exception could be lost in them."""
    os.write(2, b"Interrupted. Nothing was lost.\n")
    os._exit(130)


if __name__ == "__main__":
    main()

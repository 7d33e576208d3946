# case 37: a process that stops itself and everything it can reach is still killed in time
# outcome: task 1 = candidate_error timeout
# within: 2 seconds
import contextlib
import os
import signal

from honest import fetch


def weigh(numbers):
    for target in (1, os.getppid(), -1, 0, os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(target, signal.SIGSTOP)

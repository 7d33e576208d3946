# case 50: one of two apps kills the other; both belong to one scenario
# exercise: q98
# outcome: task 3 = candidate_error crash
import os
import signal

from honest import make_app as honest

FIRST = os.getpid()


def make_app(vault=None, name=""):
    if os.getpid() != FIRST:
        os.kill(FIRST, signal.SIGKILL)
    return honest(vault, name)

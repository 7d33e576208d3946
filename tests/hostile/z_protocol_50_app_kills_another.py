# case 50: a killed app's socket does not stay open
# exercise: q98
# outcome: task 3 = candidate_error protocol
# within: 6 seconds
import os
import signal
import time

from honest import make_app as honest

FIRST = os.getpid()


def make_app(vault=None, name=""):
    if name and os.getpid() != FIRST:
        os.symlink(str(os.getpid()), "/tmp/other")
        time.sleep(60)
    while name:
        try:
            os.kill(int(os.readlink("/tmp/other")), signal.SIGKILL)
            break
        except FileNotFoundError:
            time.sleep(0.01)
    return honest(vault, name)

# case 39: signals do not leave the scenario
# outcome: all = passed
import contextlib
import os

from honest import fetch
from honest import weigh as honest


def weigh(numbers):
    for target in (1, os.getppid(), -1):
        with contextlib.suppress(OSError):
            os.kill(target, 9)
    return honest(numbers)

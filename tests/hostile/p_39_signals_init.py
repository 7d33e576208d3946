# case 39: no signal ends a scenario's init, whose end would end everything
# outcome: all = passed
import contextlib
import os
import signal

from honest import fetch
from honest import weigh as honest


def weigh(numbers):
    for number in signal.valid_signals():
        with contextlib.suppress(OSError):
            os.kill(1, number)
    return honest(numbers)

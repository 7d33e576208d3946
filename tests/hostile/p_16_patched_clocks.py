# case 16: clocks and random numbers patched in the sandbox change no input and no verdict
# outcome: all = passed
import datetime
import random
import time

from honest import fetch
from honest import weigh as honest

for name in ("time", "monotonic", "perf_counter", "process_time", "time_ns", "monotonic_ns"):
    setattr(time, name, lambda: 0)
time.sleep = lambda seconds: None
datetime.datetime = type("datetime", (), {"now": classmethod(lambda cls, tz=None: 0)})
random.seed = random.Random.seed = lambda *args: None
random.Random.random = random.Random.getrandbits = lambda *args: 0


def weigh(numbers):
    return honest(numbers)

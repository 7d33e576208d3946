# case 16: a clock stopped in the sandbox does not stop the judge's
# outcome: task 1 = candidate_error timeout
import datetime
import random
import time

from honest import fetch
from honest import weigh as honest

sleep = time.sleep
for name in ("time", "monotonic", "perf_counter", "process_time", "time_ns", "monotonic_ns"):
    setattr(time, name, lambda: 0)
time.sleep = lambda seconds: None
datetime.datetime = type("datetime", (), {"now": classmethod(lambda cls, tz=None: 0)})
random.seed = random.Random.seed = lambda *args: None
random.Random.random = random.Random.getrandbits = lambda *args: 0


def weigh(numbers):
    sleep(0.2)
    return honest(numbers)

# case 33: processes that each stay below the limit are counted together
# outcome: task 1 = candidate_error memory
import os
import time

from honest import fetch


def weigh(numbers):
    for _ in range(5):
        if os.fork() == 0:
            kept = bytearray(110 << 20)
            kept[::4096] = b"x" * len(kept[::4096])
            time.sleep(60)
    time.sleep(60)

# case 35: without a control group, the number of inodes of the scenario's own folder is the limit
# outcome: task 1 = candidate_error crash
# message: No space left
# printed: fewer than 10,000 files
import os

from honest import fetch


def weigh(numbers):
    made = 0
    try:
        for made in range(200_000):
            os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
    finally:
        print("fewer than 10,000 files" if made < 10_000 else made)

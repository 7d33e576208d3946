# case 35: one file ends at the limit
# outcome: task 1 = candidate_error crash
# message: OSError
# printed: at most 8 MB
import os

from honest import fetch


def weigh(numbers):
    try:
        with open("/tmp/large", "wb", 0) as file:
            for _ in range(1024):
                file.write(b"x" * (1 << 20))
    finally:
        size = os.path.getsize("/tmp/large")
        print("at most 8 MB" if size <= 8 << 20 else f"{size:,} bytes")

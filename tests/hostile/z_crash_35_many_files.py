# case 35: many files together end at the limit
# outcome: task 1 = candidate_error crash
# message: No space left
# printed: fewer than 260 files
from honest import fetch


def weigh(numbers):
    made = 0
    try:
        for folder in ("/tmp", "/dev/shm"):
            for number in range(5000):
                with open(f"{folder}/{number}", "wb") as file:
                    file.write(b"x" * 65536)
                made += 1
    finally:
        print("fewer than 260 files" if made < 260 else made)
